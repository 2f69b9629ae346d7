"""A real registry on loopback, and what goes wrong on the way to one."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from builders import tools
from builders.files import canonical_json
from builders.process import background, run
from builders.store import cache_directory

USER, PASSWORD = "publisher", "right"
# bcrypt, the only hash that it takes, of the password
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC\n"

CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Server:
    """A registry that runs.

    Attributes:
        host: `127.0.0.1:PORT`.
        storage: Where it keeps what it is given.
        certificate: Who vouches for it; of one with TLS.
    """

    host: str
    storage: Path
    certificate: Path | None

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.host.rpartition(":")
        return host, int(port)

    def blob(self, digest: str) -> Path:
        """Return the file of a blob or manifest."""
        name = digest.removeprefix("sha256:")
        blobs = self.storage / "docker" / "registry" / "v2" / "blobs" / "sha256"
        return blobs / name[:2] / name / "data"


@contextlib.contextmanager
def serving(
    directory: Path, *, users: bool = False, tls: bool = False, port: int | None = None
) -> Iterator[Server]:
    """Run Debian's docker-registry until the block is left.

    Args:
        directory: Of its own: configuration, log, storage.
        users: Whether it asks for USER and PASSWORD.
        tls: Whether it speaks TLS, with a certificate of its own.
        port: Where it listens; a free one if None.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    storage = directory / "storage"
    http: dict[str, object] = {"addr": f"127.0.0.1:{port}", "secret": "of the tests"}
    certificate = _certificate(directory) if tls else None
    if certificate is not None:
        key = str(certificate.with_name("key.pem"))
        http["tls"] = {"certificate": str(certificate), "key": key}
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": http,
    }
    if users:
        (directory / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    (directory / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    program = tools.find("docker-registry", cache_directory(), note=print)
    log = directory / "registry.log"
    with background((program, "serve", directory / "config.yml"), output=log) as process:
        server = Server(host=f"127.0.0.1:{port}", storage=storage, certificate=certificate)
        until = time.monotonic() + 60
        while not _listens(server.address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield server


def log_in(directory: Path, host: str, *, user: str = USER, password: str = PASSWORD) -> Path:
    """Write what `docker login` writes, and return the directory: DOCKER_CONFIG."""
    directory.mkdir(parents=True, exist_ok=True)
    word = base64.b64encode(f"{user}:{password}".encode()).decode()
    (directory / "config.json").write_bytes(canonical_json({"auths": {host: {"auth": word}}}))
    return directory


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Faulty:
    """A way to a registry on which things go wrong, as they are told to.

    It relays connections. Docker and oras keep those open for several requests, so that faults are
    counted in connections and bytes. What begins like TLS is never counted: it only asks.

    Attributes:
        host: What to name instead of the registry.
        failures: How many connections are answered with 500 before any is relayed.
        cut_after: After how many bytes to the registry all connections are cut, once.
        sent: Bytes that were relayed to the registry.
        cuts: How often that was done.
    """

    def __init__(self, server: Server) -> None:
        self.failures = 0
        self.cut_after: int | None = None
        self.sent = 0
        self.cuts = 0
        self._server = server
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        self._cut()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self._serve, args=(connection,)))
            threads[-1].start()
        self._cut()
        for thread in threads:
            thread.join()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            first = connection.recv(1, socket.MSG_PEEK)
            asks = first == b"\x16"  # a TLS handshake
            with self._guard:
                fails = not asks and self.failures > 0
                self.failures -= fails
            if fails:
                self._refuse(connection)
            elif first:
                self._relay(connection)

    def _refuse(self, connection: socket.socket) -> None:
        connection.recv(CHUNK)
        connection.sendall(
            b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )

    def _relay(self, connection: socket.socket) -> None:
        with socket.create_connection(self._server.address) as behind:
            with self._guard:
                self._open |= {connection, behind}
            answering = threading.Thread(target=_pour, args=(behind, connection))
            answering.start()
            with contextlib.suppress(OSError):
                while chunk := connection.recv(CHUNK):
                    if self._is_to_be_cut(len(chunk)):
                        self._cut()
                        break
                    behind.sendall(chunk)
            _shut(behind)
            answering.join()
            with self._guard:
                self._open -= {connection, behind}

    def _is_to_be_cut(self, size: int) -> bool:
        with self._guard:
            self.sent += size
            if self.cut_after is None or self.sent < self.cut_after:
                return False
            self.cut_after = None
            self.cuts += 1
            return True

    def _cut(self) -> None:
        with self._guard:
            for connection in self._open:
                _shut(connection)


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    _shut(target)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(address) == 0


def _certificate(directory: Path) -> Path:
    """Make a certificate for 127.0.0.1 that vouches for itself."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", certificate),
        ],
        timeout=60,
    )
    return certificate
