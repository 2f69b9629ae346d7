"""Downloads into the store, several at once."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty
from queue import SimpleQueue as Queue
from urllib.parse import urlsplit

import httpx

from builders import parallel
from builders.errors import FetchError
from builders.network.pip_settings import DEFAULTS, PipSettings
from builders.network.transfer import Item, Transfer, local_path
from builders.store import Store

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
    settings: PipSettings = DEFAULTS,
) -> None:
    """Bring every item into the store; those that are there already cost a look.

    Args:
        items: Files with their digests.
        store: Where they go; what is damaged there is replaced.
        progress: Called in this thread with the bytes that are there, and those of all items.
        settings: How this machine reaches the network: pip's, since they are what people set.

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
    with client(settings) as connections:
        # The largest first: it decides how long the whole takes.
        missing.sort(key=lambda item: -item.size)
        transfers = [Transfer(item, store, connections) for item in missing]
        for _ in _run(transfers):
            progress(present + sum(transfer.received for transfer in transfers), total)
    gone = tuple(transfer.item for transfer in transfers if transfer.gone)
    if gone:
        raise NotServedError(gone)


def measure(urls: Sequence[str], *, settings: PipSettings = DEFAULTS) -> tuple[int, ...]:
    """Return the sizes of files in bytes, for files of which no lock knows them yet.

    Raises:
        FetchError: A server cannot be reached, or does not tell.
    """
    with client(settings) as connections:
        return parallel.apply(lambda url: _measure(url, connections), urls)


def client(settings: PipSettings) -> httpx.Client:
    """Return what downloads go through, as pip's settings say.

    Raises:
        FetchError: The bundle of certificates cannot be read.
    """
    proxy = settings.proxy or None
    unchecked = {
        f"all://{host}": httpx.HTTPTransport(verify=False, proxy=proxy)
        for host in settings.trusted_hosts
    }
    return httpx.Client(
        verify=trust(settings),
        proxy=proxy,
        mounts=unchecked,
        timeout=TIMEOUT_SECONDS,
        follow_redirects=True,
    )


def trust(settings: PipSettings) -> ssl.SSLContext:
    """Return whom to trust: pip's authorities; without such, Mozilla's and the system's.

    Raises:
        FetchError: The bundle cannot be read.
    """
    try:
        if settings.certificate:
            context = ssl.create_default_context(cafile=settings.certificate)
        else:
            context = httpx.create_ssl_context()
            context.load_default_certs()
        if settings.client_certificate:
            context.load_cert_chain(settings.client_certificate)
    except OSError as error:
        raise FetchError(
            f"certificates cannot be read: {error.strerror or error}",
            where=settings.certificate or settings.client_certificate or "SSL_CERT_FILE",
            remedy="correct pip's `cert` or `client-cert` (PIP_CERT), or SSL_CERT_FILE",
        ) from error
    return context


def _measure(url: str, connections: httpx.Client) -> int:
    path = local_path(url)
    if path is not None and path.is_file():
        return path.stat().st_size
    try:
        with connections.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
            response.raise_for_status()
            return int(response.headers["Content-Length"])
    except (httpx.HTTPError, KeyError) as error:
        raise FetchError(
            f"the size of {url.rpartition('/')[2]} is not to be had: {error!r}",
            where=urlsplit(url).hostname or "",
            remedy="check the network, proxy and index, then run it again",
        ) from error


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
