"""One file on its way into the store: resumed, retried, and checked against its digest."""

from __future__ import annotations

import email.utils
import http
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

from builders.errors import FetchError
from builders.files import sha256_of
from builders.store import Store, usable

ATTEMPTS = 6
"""How often in a row a connection may fail without a byte received."""

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds between attempts: doubled each time, unless the server says how long to wait."""

CHUNK = 1 << 20
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
GONE = frozenset({404, 410})


@dataclass(frozen=True, kw_only=True)
class Item:
    """A file to fetch.

    Attributes:
        name: What people call it: its file name.
        url: Where it is: `https:`, `http:`, `file:`, or a plain absolute path.
        sha256: Of its content, in hexadecimal.
        size: In bytes.
    """

    name: str
    url: str
    sha256: str
    size: int

    @property
    def place(self) -> str:
        """Where it is, for people: without credentials, and without the path on a server."""
        parts = urlsplit(self.url)
        return parts.hostname or parts.path


class Transfer:
    """One item on its way.

    Attributes:
        received: Bytes that are there, of those the item has.
        gone: The server answered that it does not have the item.
    """

    def __init__(self, item: Item, store: Store, client: httpx.Client) -> None:
        self.item = item
        self.received = 0
        self.gone = False
        self._store = store
        self._client = client
        self._partial = store.partial(item.sha256)

    def run(self, stop: threading.Event) -> None:
        """Bring the item into the store; return early, with a partial file kept, on `stop`.

        Raises:
            FetchError: It cannot be had, or is not what its digest says, twice.
            StoreError: The cache directory cannot be written.
        """
        with self._store.exclusive(f"fetch-{self.item.sha256}"):
            # Another process may have brought it in the meantime.
            if self._store.find(self.item.sha256, self.item.size) is None:
                self._bring(stop)
            else:
                self.received = self.item.size

    def _bring(self, stop: threading.Event) -> None:
        for again in (True, False):
            self._receive(stop)
            if stop.is_set() or self.gone:
                return
            if self._store.add(self.item.sha256, self._partial) is not None:
                return
            found, size = sha256_of(self._partial), self._partial.stat().st_size
            self._discard()
            if not again:
                raise FetchError(
                    f"{self.item.name} is not what the lock says\n"
                    f"  expected sha256 {self.item.sha256}, {self.item.size} bytes\n"
                    f"  found    sha256 {found}, {size} bytes",
                    where=self.item.place,
                    remedy="look whether the server or a proxy alters files; where the file was"
                    " replaced at its source, find out why before renewing the lock",
                )

    def _discard(self) -> None:
        self._partial.unlink(missing_ok=True)
        self.received = 0

    def _receive(self, stop: threading.Event) -> None:
        """Complete the partial file, over as many connections as it takes."""
        failures = 0
        while not stop.is_set():
            before = self.received
            try:
                self._receive_once(stop)
            except (_TemporaryError, httpx.TransportError) as error:
                failures = 0 if self.received > before else failures + 1
                if failures == ATTEMPTS:
                    raise FetchError(
                        f"{self.item.name} could not be downloaded: {error or type(error)}",
                        where=self.item.place,
                        remedy="check the network, proxy and mirror, then run it again:"
                        " what has arrived is kept",
                    ) from error
                stop.wait(_delay(error, failures))
            else:
                return

    def _receive_once(self, stop: threading.Event) -> None:
        with usable(self._partial):
            start = self._partial.stat().st_size if self._partial.exists() else 0
        if start > self.item.size:
            self._discard()
            start = 0
        self.received = start
        if start == self.item.size > 0:
            return
        path = local_path(self.item.url)
        if path is None:
            self._request(start, stop)
        else:
            self._copy(path, stop)

    def _copy(self, path: Path, stop: threading.Event) -> None:
        try:
            source = path.open("rb")
        except FileNotFoundError:
            self.gone = True
            return
        except OSError as error:
            raise FetchError(
                f"cannot be read: {error.strerror}", where=str(path), remedy="make it readable"
            ) from error
        self.received = 0
        with source, usable(self._partial), self._partial.open("wb") as partial:
            while (chunk := source.read(CHUNK)) and not stop.is_set():
                partial.write(chunk)
                self.received += len(chunk)

    def _request(self, start: int, stop: threading.Event) -> None:
        # Bytes as they are: a transfer's compression would change what is counted and resumed.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with self._client.stream("GET", self.item.url, headers=headers) as response:
            status = response.status_code
            if status in GONE:
                self.gone = True
                return
            if status in RETRIED:
                raise _TemporaryError(phrase(status), delay=retry_after(response.headers))
            if status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._discard()
                raise _TemporaryError(phrase(status))
            if not response.is_success:
                raise FetchError(
                    f"{self.item.name} was refused: {phrase(status)}",
                    where=self.item.place,
                    remedy="check the credentials and the configured index or mirror",
                )
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if not (status == http.HTTPStatus.PARTIAL_CONTENT and resumed):
                self.received = 0
            self._write(response, stop)
        if self.received < self.item.size and not stop.is_set():
            raise _TemporaryError(f"it ended after {self.received} of {self.item.size} bytes")

    def _write(self, response: httpx.Response, stop: threading.Event) -> None:
        """Append what arrives, unbuffered: what has arrived is kept when the process is killed."""
        with usable(self._partial):
            partial = self._partial.open("ab" if self.received else "wb", buffering=0)
        with partial:
            for chunk in response.iter_raw():
                with usable(self._partial):
                    partial.write(chunk)
                self.received += len(chunk)
                if stop.is_set() or self.received > self.item.size:
                    return


class _TemporaryError(Exception):
    """Something that may go well the next time."""

    def __init__(self, problem: str, *, delay: float | None = None) -> None:
        super().__init__(problem)
        self.delay = delay


def local_path(url: str) -> Path | None:
    """Return the path that a `file:` URL or a plain path names; None for another URL."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(url)


def retry_after(headers: httpx.Headers, *, now: float | None = None) -> float | None:
    """Return the seconds that a server asks to wait (RFC 9110, 10.2.3): a number, or a date."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


def phrase(status: int) -> str:
    """Return a status for people: `503 Service Unavailable`."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _delay(error: Exception, failures: int) -> float:
    asked = error.delay if isinstance(error, _TemporaryError) else None
    delay = FIRST_DELAY * 2 ** max(0, failures - 1) if asked is None else asked
    return min(delay, LONGEST_DELAY)
