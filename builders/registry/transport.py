"""Whether a registry is reached over TLS, or plainly, which only one on this machine may be."""

from __future__ import annotations

import socket
import ssl

from builders.registry.reference import Repository

_HTTPS = 443
_SECONDS = 5.0


def plain(repository: Repository) -> bool:
    """Return whether a repository's registry is on this machine, and without TLS.

    Docker takes such a one too. It is asked each time: what listens there may be another by now.
    """
    return repository.loopback and not _speaks_tls(repository.host)


def _speaks_tls(host: str) -> bool:
    """Return whether a registry shakes hands; its certificate is looked at by those who use it."""
    name, colon, port = host.rpartition(":")
    address = (name.strip("[]"), int(port)) if colon and port.isdecimal() else (host, _HTTPS)
    # Not the default one, which reads every certificate of the system.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(address, _SECONDS) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except OSError:  # ssl's errors are such: a plain server's answer is no handshake
        return False
