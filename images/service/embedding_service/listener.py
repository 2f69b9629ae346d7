"""The listener: the socket that the service answers on."""

from __future__ import annotations

import os
import socket

from embedding_service.errors import ListenError


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Binding alone would let a second service with `SO_REUSEADDR` bind the same port: it listens at
    once, so that a taken port is known before the model is loaded.

    Raises:
        ListenError: The port is taken or privileged, or the host is no address of this machine.
    """
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refusal(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _refusal(host, port, error) from error
    return listener


def _refusal(host: str, port: int, error: OSError) -> ListenError:
    # socket.gaierror is an OSError whose number is not an errno.
    gai = isinstance(error, socket.gaierror)
    reason = error.strerror if gai or not error.errno else os.strerror(error.errno)
    return ListenError(
        f"cannot listen on {host} port {port}: {reason}; "
        "set EMBEDDING_SERVER_PORT or EMBEDDING_SERVER_HOST to another one"
    )
