"""A small hub on loopback: as much of its protocol as huggingface_hub uses, and its faults."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_of_the_tests"  # noqa: S105 -- opens nothing


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that was answered."""

    method: str
    path: str
    range: str | None


@dataclass(kw_only=True)
class HubServer:
    """What it holds, and how it misbehaves.

    Attributes:
        files: The content of each file, by repository and path; each has the commit COMMIT alone.
        gated: Repositories that want a token.
        busy: What the next answers' Retry-After says; each is 429.
        cut: After how many bytes the connections of the next downloads end.
        held: Set it, and a download stops half-way until it is cleared.
        served: What is served in the place of a file, by its path, though its digest is announced.
        asked: Every request.
    """

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    busy: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    served: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    endpoint: str = ""

    def downloads(self) -> list[Asked]:
        """The requests for a file's content."""
        return [
            asked for asked in self.asked if asked.method == "GET" and "/api/" not in asked.path
        ]


@contextmanager
def running(files: Mapping[str, Mapping[str, bytes]]) -> Iterator[HubServer]:
    """Serve repositories for as long as the block lasts."""
    hub = HubServer(files={name: dict(content) for name, content in files.items()})

    class Handler(_Handler):
        server_hub = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        hub = self.server_hub
        path = self.path.partition("?")[0]
        hub.asked.append(Asked(method=self.command, path=path, range=self.headers.get("Range")))
        if hub.busy:
            self._send(429, b"", {"Retry-After": str(hub.busy.pop(0))})
        elif path.startswith("/api/models/"):
            repository, _, commit = path.removeprefix("/api/models/").partition("/revision/")
            self._with_repository(repository, commit, None)
        else:
            repository, _, rest = path.removeprefix("/").partition("/resolve/")
            commit, _, file = rest.partition("/")
            self._with_repository(repository, commit, file)

    def _with_repository(self, repository: str, commit: str, file: str | None) -> None:
        files = self.server_hub.files.get(repository)
        has_token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if files is None:
            self._refuse(404, "RepoNotFound")
        elif repository in self.server_hub.gated and not has_token:
            self._refuse(403, "GatedRepo")
        elif commit != COMMIT:
            self._refuse(404, "RevisionNotFound")
        elif file is None:
            self._send(200, json.dumps(_description(repository, files)).encode(), {})
        elif file not in files:
            self._refuse(404, "EntryNotFound")
        else:
            self._send_file(file, files[file])

    def _send_file(self, path: str, announced: bytes) -> None:
        content = self.server_hub.served.get(path, announced)
        if self.command == "HEAD":
            content = announced
        headers = {
            "ETag": f'"{hashlib.sha256(announced).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        wanted = self.headers.get("Range")
        if wanted is None:
            self._send(200, content, headers)
            return
        start = int(wanted.removeprefix("bytes=").partition("-")[0])
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206, content[start:], headers)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server_hub.held.is_set() and "/resolve/" in self.path:
            self.wfile.write(content[: len(content) // 2])
            while self.server_hub.held.is_set():
                time.sleep(0.01)
            self.close_connection = True
            return
        if self.server_hub.cut and status in (200, 206):
            self.wfile.write(content[: self.server_hub.cut.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(content)


def _description(repository: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """What /api/models says; a large file has its sha256 (as it does in Git LFS)."""
    return {
        "_id": "0",
        "id": repository,
        "sha": COMMIT,
        "siblings": [
            {
                "rfilename": path,
                "size": len(content),
                **({"lfs": _large(content)} if path.endswith(".safetensors") else {}),
            }
            for path, content in files.items()
        ],
    }


def _large(content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"sha256": digest, "size": len(content), "pointerSize": 134}
