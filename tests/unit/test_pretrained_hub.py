"""Files from a hub: through huggingface_hub itself, from a server on loopback with its faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.errors import FetchError
from builders.pretrained.hub import Hub
from builders.pretrained.source import HubFile
from tests.unit import hub_server
from tests.unit.hub_server import COMMIT, TOKEN, HubServer

NAME = "owner/model"
CONTENT = bytes(range(256)) * 1000
FILE = HubFile(repository=NAME, commit=COMMIT, path="folder/model.safetensors")


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server.running({NAME: {FILE.path: CONTENT}}) as running:
        yield running


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def hub(server: HubServer, notes: list[str], tmp_path: Path) -> Hub:
    return Hub(endpoint=server.endpoint, cache=tmp_path / "hub", note=notes.append)


def other(**changes: str) -> HubFile:
    return HubFile(**{"repository": NAME, "commit": COMMIT, "path": FILE.path, **changes})


def bring(hub: Hub, file: HubFile = FILE) -> bytes:
    return hub.bring(file, lambda _received: None).read_bytes()


def test_a_file_is_downloaded_once_and_its_bytes_are_counted(hub: Hub, server: HubServer) -> None:
    received: list[int] = []

    assert hub.bring(FILE, received.append).read_bytes() == CONTENT
    assert sum(received) == len(CONTENT)
    assert bring(hub) == CONTENT
    assert len(server.downloads()) == 1


def test_a_connection_that_is_cut_goes_on_where_it_was(
    hub: Hub, server: HubServer, notes: list[str]
) -> None:
    # More than huggingface_hub takes at once: less is lost with the connection.
    server.files[NAME][FILE.path] = large = CONTENT * 50
    server.cut = [len(large) - 1000]

    assert bring(hub) == large
    first, second = server.downloads()
    assert first.range is None
    assert second.range is not None
    assert int(second.range.removeprefix("bytes=").rstrip("-")) > 0
    assert any("peer closed connection" in note for note in notes)


def test_a_busy_hub_is_waited_for(hub: Hub, server: HubServer, notes: list[str]) -> None:
    server.busy = [0, 0]  # the first look, which falls back to the cache, and the second

    assert bring(hub) == CONTENT
    assert any("Rate limited" in note for note in notes)


def test_a_gated_repository_says_what_to_do(
    hub: Hub, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.gated = {NAME}
    with pytest.raises(FetchError, match=r"owner/model@.*gated.*\n.*HF_TOKEN"):
        bring(hub)

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert bring(hub) == CONTENT


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (other(repository="owner/none"), "there is no such repository"),
        (other(commit="f" * 40), "has no commit f{40}"),
        (other(path="none.json"), "has no such file"),
    ],
)
def test_what_is_missing_is_named(hub: Hub, file: HubFile, message: str) -> None:
    with pytest.raises(FetchError, match=message):
        bring(hub, file)


def test_a_file_shorter_than_announced_is_refused_and_leaves_nothing(
    hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    server.served[FILE.path] = CONTENT[:-1]

    with pytest.raises(FetchError, match=r"could not be downloaded: .*size"):
        bring(hub)
    assert not list((tmp_path / "hub").rglob("*.incomplete"))


def test_a_hub_that_may_not_be_asked_says_so(
    hub: Hub, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match=r"cannot be reached.*\n.*HF_HUB_OFFLINE"):
        bring(hub)
    assert not server.asked


def test_a_forgotten_file_is_downloaded_anew(hub: Hub, server: HubServer) -> None:
    path = hub.bring(FILE, lambda _received: None).resolve()
    path.write_bytes(b"damaged")
    assert bring(hub) == b"damaged"

    hub.forget(FILE)

    assert bring(hub) == CONTENT
    hub.forget(other(path="never.fetched"))


def test_a_name_that_is_no_repository_is_an_error(hub: Hub) -> None:
    with pytest.raises(FetchError, match="could not be downloaded: Repo id must"):
        bring(hub, other(repository="owner/model/more"))
