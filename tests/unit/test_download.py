"""Downloads from a real server on loopback that misbehaves as servers do."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import httpx
import pytest

from builders.errors import FetchError
from builders.network import download, transfer
from builders.network.download import NotServedError, fetch
from builders.network.pip_settings import PipSettings
from builders.network.transfer import Item, retry_after
from builders.store import Store

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Mirror(ThreadingHTTPServer):
    """Serves CONTENT under any name, after the troubles it was told to make."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.statuses: list[tuple[int, str]] = []  # what the next requests get, with Retry-After
        self.broken_off: list[int] = []  # after how many bytes the next answers end
        self.ranges = True
        self.stall = False
        self.requests: list[str] = []  # each request's Range header

    def item(self, name: str = "a.whl", content: bytes = CONTENT) -> Item:
        return Item(
            name=name,
            url=f"http://ada:secret@127.0.0.1:{self.server_port}/{name}",
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
        )


class Handler(BaseHTTPRequestHandler):
    server: Mirror

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.requests.append(wanted)
        if self.server.statuses:
            status, wait = self.server.statuses.pop(0)
            self.send_response(status)
            if wait:
                self.send_header("Retry-After", wait)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content, start = self.server.content, 0
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        if match and self.server.ranges:
            start = int(match[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = self.server.broken_off.pop(0) if self.server.broken_off else len(content)
        self.wfile.write(content[start:end])
        if self.server.stall:
            time.sleep(30)
        if end < len(content):
            self.close_connection = True


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "FIRST_DELAY", 0.0)


def stored(store: Store, item: Item) -> bytes:
    path = store.find(item.sha256, item.size)
    assert path is not None
    return path.read_bytes()


def test_fetches_all_and_tells_how_far_it_is(mirror: Mirror, store: Store) -> None:
    items = [mirror.item(), Item(name="b", url="/dev/null", sha256=sha256(b""), size=0)]
    seen: list[tuple[int, int]] = []
    fetch(items, store, progress=lambda done, total: seen.append((done, total)))
    assert stored(store, items[0]) == CONTENT
    assert stored(store, items[1]) == b""
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list((store.cache / "partial").iterdir()) == []


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_is_there_is_not_asked_for_again(mirror: Mirror, store: Store) -> None:
    fetch([mirror.item()], store)
    fetch([mirror.item()], store)
    assert len(mirror.requests) == 1


def test_what_is_damaged_is_fetched_again(mirror: Mirror, store: Store) -> None:
    item = mirror.item()
    fetch([item], store)
    store.path(item.sha256).chmod(0o644)
    os.truncate(store.path(item.sha256), 1000)
    fetch([item], store)
    assert stored(store, item) == CONTENT


def test_resumes_what_an_earlier_run_left(mirror: Mirror, store: Store) -> None:
    item = mirror.item()
    store.partial(item.sha256).write_bytes(CONTENT[:1000])
    fetch([item], store)
    assert mirror.requests == ["bytes=1000-"]
    assert stored(store, item) == CONTENT


def test_what_an_earlier_run_had_received_whole_is_not_asked_for(
    mirror: Mirror, store: Store
) -> None:
    store.partial(mirror.item().sha256).write_bytes(CONTENT)
    fetch([mirror.item()], store)
    assert mirror.requests == []
    assert stored(store, mirror.item()) == CONTENT


def test_resumes_a_connection_that_breaks(mirror: Mirror, store: Store) -> None:
    mirror.broken_off = [300_000, 600_000]
    fetch([mirror.item()], store)
    assert mirror.requests == ["", "bytes=300000-", "bytes=600000-"]
    assert stored(store, mirror.item()) == CONTENT


def test_starts_over_where_ranges_are_not_served(mirror: Mirror, store: Store) -> None:
    mirror.ranges = False
    mirror.broken_off = [300_000]
    fetch([mirror.item()], store)
    assert mirror.requests == ["", "bytes=300000-"]
    assert stored(store, mirror.item()) == CONTENT


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1)])
def test_a_damaged_partial_file_does_no_harm(mirror: Mirror, store: Store, left: bytes) -> None:
    store.partial(mirror.item().sha256).write_bytes(left)
    fetch([mirror.item()], store)
    assert stored(store, mirror.item()) == CONTENT


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_tries_again_when_the_server_is_busy(mirror: Mirror, store: Store, status: int) -> None:
    mirror.statuses = [(status, ""), (status, "0")]
    fetch([mirror.item()], store)
    assert stored(store, mirror.item()) == CONTENT


def test_waits_as_long_as_the_server_asks() -> None:
    assert retry_after(httpx.Headers({"Retry-After": "7"})) == 7.0
    date = httpx.Headers({"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT"})
    assert retry_after(date, now=40.0) == 60.0
    assert retry_after(date, now=400.0) == 0.0
    assert retry_after(httpx.Headers({"Retry-After": "soon"})) is None
    assert retry_after(httpx.Headers()) is None


def test_gives_up_on_a_server_that_stays_busy(mirror: Mirror, store: Store) -> None:
    mirror.statuses = [(503, "")] * transfer.ATTEMPTS
    with pytest.raises(FetchError, match="503 Service Unavailable") as caught:
        fetch([mirror.item()], store)
    assert "a.whl" in caught.value.problem
    assert "secret" not in str(caught.value)


def test_gives_up_on_a_server_that_is_not_there(store: Store) -> None:
    with Mirror() as closed:
        item = closed.item()
    with pytest.raises(FetchError, match="could not be downloaded"):
        fetch([item], store)


def test_a_wrong_content_is_tried_once_more_then_named(mirror: Mirror, store: Store) -> None:
    mirror.content = bytes(len(CONTENT))
    with pytest.raises(FetchError) as caught:
        fetch([mirror.item()], store)
    assert len(mirror.requests) == 2
    assert sha256(CONTENT) in caught.value.problem
    assert sha256(mirror.content) in caught.value.problem
    assert not store.partial(sha256(CONTENT)).exists()
    assert store.find(sha256(CONTENT), len(CONTENT)) is None


def test_a_shorter_content_is_named(mirror: Mirror, store: Store) -> None:
    """It is whole by its own length: only the lock says that it is not."""
    mirror.content = CONTENT[:1000]
    with pytest.raises(FetchError, match=r"a\.whl could not be .* after 1000 of 1048576 bytes"):
        fetch([mirror.item()], store)
    assert store.find(sha256(CONTENT), len(CONTENT)) is None


def test_a_range_that_cannot_be_served_is_asked_for_whole(mirror: Mirror, store: Store) -> None:
    store.partial(sha256(CONTENT)).write_bytes(CONTENT[:1000])
    mirror.statuses = [(416, "")]
    fetch([mirror.item()], store)
    assert mirror.requests == ["bytes=1000-", ""]
    assert stored(store, mirror.item()) == CONTENT


def test_a_longer_content_is_not_read_to_its_end(mirror: Mirror, store: Store) -> None:
    mirror.content = CONTENT * 64
    with pytest.raises(FetchError, match=r"a\.whl is not what the lock says") as caught:
        fetch([mirror.item()], store)
    assert f"{len(mirror.content)} bytes" not in caught.value.problem


def test_a_refusal_is_not_tried_again(mirror: Mirror, store: Store) -> None:
    mirror.statuses = [(403, "")]
    with pytest.raises(FetchError, match="403 Forbidden"):
        fetch([mirror.item()], store)
    assert len(mirror.requests) == 1


def test_all_that_is_no_longer_served_is_named_and_the_rest_fetched(
    mirror: Mirror, store: Store, tmp_path: Path
) -> None:
    other = b"served"
    (tmp_path / "here.deb").write_bytes(other)
    here = Item(
        name="here.deb", url=str(tmp_path / "here.deb"), sha256=sha256(other), size=len(other)
    )
    gone = Item(name="gone.deb", url=str(tmp_path / "gone.deb"), sha256="0" * 64, size=1)
    mirror.statuses = [(404, "")]
    with pytest.raises(NotServedError, match=r"a\.whl, gone\.deb") as caught:
        fetch([gone, here, mirror.item()], store)
    assert set(caught.value.items) == {gone, mirror.item()}
    assert stored(store, here) == other


def test_file_urls_are_copied(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a b.whl"
    path.write_bytes(CONTENT)
    item = Item(name=path.name, url=path.as_uri(), sha256=sha256(CONTENT), size=len(CONTENT))
    fetch([item], store)
    assert stored(store, item) == CONTENT
    assert path.exists()


def test_a_file_that_cannot_be_read_is_named(store: Store, tmp_path: Path) -> None:
    item = Item(name="a.whl", url=str(tmp_path / "x" / "a.whl"), sha256="0" * 64, size=1)
    (tmp_path / "x").touch()  # no folder
    with pytest.raises(FetchError, match=r"cannot be read: Not a directory"):
        fetch([item], store)


def test_two_processes_fetch_the_same_once(mirror: Mirror, store: Store) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from builders.network.download import fetch; from builders.store import Store\n"
        "from builders.network.transfer import Item\n"
        "cache, url, sha256, size = sys.argv[1:]\n"
        "fetch([Item(name='a', url=url, sha256=sha256, size=int(size))], Store(Path(cache)))"
    )
    item = mirror.item()
    words = [sys.executable, "-c", program, str(store.cache), item.url, item.sha256, str(item.size)]
    processes = [subprocess.Popen(words, cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    assert len(mirror.requests) == 1


def test_ctrl_c_ends_at_once_and_keeps_what_arrived(mirror: Mirror, store: Store) -> None:
    mirror.stall = True
    mirror.broken_off = [500_000]

    def interrupt_later(done: int, _total: int) -> None:
        if done >= 500_000:
            os.kill(os.getpid(), signal.SIGINT)

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch([mirror.item()], store, progress=interrupt_later)
    assert time.monotonic() - begin < 5
    assert store.partial(mirror.item().sha256).stat().st_size == 500_000


def test_a_missing_bundle_of_certificates_is_named(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="PIP_CERT"):
        download.trust(PipSettings(certificate=str(tmp_path / "none.pem")))


def test_pip_s_bundle_is_all_that_is_trusted(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")[0])
    with bundle.open("a") as file:
        file.write("-----END CERTIFICATE-----\n")
    context = download.trust(PipSettings(certificate=str(bundle)))
    assert len(context.get_ca_certs()) == 1
    assert len(download.trust(PipSettings()).get_ca_certs()) > 1


def test_downloads_go_through_pip_s_proxy(mirror: Mirror, store: Store) -> None:
    # The mirror as a proxy: it is asked for a URL of a host that does not exist.
    item = Item(
        name="a",
        url="http://nowhere.invalid/a.whl",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
    )
    proxy = f"http://127.0.0.1:{mirror.server_port}"
    fetch([item], store, settings=PipSettings(proxy=proxy))
    assert stored(store, item) == CONTENT


def test_measures_what_no_lock_knows_yet(mirror: Mirror, tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(b"four")
    urls = [mirror.item().url, path.as_uri(), str(path)]
    assert download.measure(urls) == (len(CONTENT), 4, 4)


def test_a_size_that_is_not_told_is_an_error(mirror: Mirror, tmp_path: Path) -> None:
    mirror.statuses = [(404, "")]
    with pytest.raises(FetchError, match=r"a\.whl"):
        download.measure([mirror.item().url])
    with pytest.raises(FetchError, match=r"none\.whl"):
        download.measure([(tmp_path / "none.whl").as_uri()])
