"""Downloads into the store, several at once."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from queue import Empty
from queue import SimpleQueue as Queue

import httpx

from builders.errors import FetchError
from builders.store import Store
from builders.transfer import Item, Transfer

PARALLEL = 8
TIMEOUT_SECONDS = 30.0
"""How long a connection may be silent before it is given up and made anew."""

_POLL_SECONDS = 0.1


class NotServedError(FetchError):
    """Some files are no longer where they were; all others have been fetched."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        names = ", ".join(sorted(item.name for item in items))
        super().__init__(
            f"no longer served: {names}",
            where=", ".join(sorted({item.place for item in items})),
            remedy="renew the locks (nox -s lock), or name a mirror that still has them",
        )
        self.items = items


def fetch(
    items: Iterable[Item],
    store: Store,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    certificates: Path | None = None,
) -> None:
    """Bring every item into the store; those that are there already cost a look.

    Args:
        items: Files with their digests.
        store: Where they go; what is damaged there is replaced.
        progress: Called in this thread with the bytes that are there, and those of all items.
        certificates: A bundle of authorities to trust in place of the system's.

    Raises:
        NotServedError: Servers answered that they do not have some of the items.
        FetchError: A server cannot be reached, or an item is not what its digest says.
        StoreError: The cache directory cannot be written.
    """
    wanted = {item.sha256: item for item in items}
    missing = [item for item in wanted.values() if store.find(item.sha256, item.size) is None]
    total = sum(item.size for item in wanted.values())
    present = total - sum(item.size for item in missing)
    progress(present, total)
    if not missing:
        return
    with httpx.Client(
        verify=trust(certificates), timeout=TIMEOUT_SECONDS, follow_redirects=True
    ) as client:
        # The largest first: it decides how long the whole takes.
        missing.sort(key=lambda item: -item.size)
        transfers = [Transfer(item, store, client) for item in missing]
        for _ in _run(transfers):
            progress(present + sum(transfer.received for transfer in transfers), total)
    gone = tuple(transfer.item for transfer in transfers if transfer.gone)
    if gone:
        raise NotServedError(gone)


def trust(certificates: Path | None) -> ssl.SSLContext:
    """Return whom to trust: a bundle's authorities; without one Mozilla's and the system's.

    Raises:
        FetchError: The bundle cannot be read.
    """
    try:
        if certificates is not None:
            return ssl.create_default_context(cafile=certificates)
        context = httpx.create_ssl_context()
        context.load_default_certs()
    except OSError as error:
        raise FetchError(
            f"no bundle of certificates: {error.strerror or error}",
            where=str(certificates or "SSL_CERT_FILE"),
            remedy="correct pip's `cert` setting (PIP_CERT), or SSL_CERT_FILE",
        ) from error
    return context


def _run(transfers: Sequence[Transfer]) -> Iterator[None]:
    """Run all transfers on some threads, yielding now and then, until the last or a failure.

    The threads are daemons: Ctrl-C need not wait for what a server has yet to send.
    """
    waiting: Queue[Transfer] = Queue()
    finished: Queue[BaseException | None] = Queue()
    stop = threading.Event()
    for transfer in transfers:
        waiting.put(transfer)
    for _ in range(min(PARALLEL, len(transfers))):
        threading.Thread(target=_work, args=(waiting, finished, stop), daemon=True).start()
    try:
        remaining = len(transfers)
        while remaining:
            with contextlib.suppress(Empty):
                failure = finished.get(timeout=_POLL_SECONDS)
                remaining -= 1
                if failure is not None:
                    raise failure
            yield
    finally:
        stop.set()


def _work(
    waiting: Queue[Transfer], finished: Queue[BaseException | None], stop: threading.Event
) -> None:
    """Run one waiting transfer after the other; tell of each how it ended."""
    while not stop.is_set():
        try:
            transfer = waiting.get_nowait()
        except Empty:
            return
        try:
            transfer.run(stop)
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            finished.put(error)
        else:
            finished.put(None)
