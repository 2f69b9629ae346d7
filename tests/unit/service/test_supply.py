"""Model supply: baked or mounted, or fetched through the hub's protocol from a hub on loopback."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedding_service import recipe as recipes
from embedding_service.errors import ModelError
from embedding_service.settings import Settings
from embedding_service.supply import completion
from tests.unit import hub_server
from tests.unit.hub_server import COMMIT, TOKEN, HubServer
from tests.unit.service.service_process import ROOT, SERVICE, started
from tests.unit.service.tiny_model import unit_mean, write_model

REPOSITORY = "owner/tiny"
FETCHED = "model.onnx"
PLACE = f"onnx/{FETCHED}"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A model's directory with all files."""
    return write_model(tmp_path / "whole")


@pytest.fixture
def hub(whole: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that has the model's weights."""
    files = {REPOSITORY: {PLACE: (whole / FETCHED).read_bytes()}}
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_server.running(files) as server:
        monkeypatch.setenv("PYTHONPATH", str(SERVICE))
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        # Of the service's libraries: what is allowed explicitly is allowed nevertheless.
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        yield server


@pytest.fixture
def slim(whole: Path, tmp_path: Path) -> Path:
    """The same directory without the weights, which its recipe says where to fetch."""
    directory = tmp_path / "slim"
    shutil.copytree(whole, directory)
    (directory / FETCHED).unlink()
    change_recipe(directory, sources={FETCHED: place(size=(whole / FETCHED).stat().st_size)})
    return directory


@pytest.fixture
def allowed(slim: Path, tmp_path: Path) -> Settings:
    return dataclasses.replace(
        Settings.of_variables({}), model_dir=slim, allow_fetch=True, cache_dir=tmp_path / "cache"
    )


def place(**changes: object) -> dict[str, object]:
    return {"repository": REPOSITORY, "commit": COMMIT, "path": PLACE, **changes}


def change_recipe(directory: Path, **changes: object) -> None:
    path = directory / "model.json"
    recipe: dict[str, Any] = json.loads(path.read_bytes())
    path.write_text(json.dumps(recipe | changes), encoding="utf-8")


def completed(settings: Settings) -> Path:
    return completion.complete(settings.model_dir, recipes.read(settings.model_dir), settings)


def checked(settings: Settings) -> Path:
    """Complete the model, and check it as the service does."""
    directory = completed(settings)
    recipes.verify(directory, recipes.read(directory))
    return directory


def test_a_whole_directory_is_the_models_own_and_asks_no_hub(
    whole: Path, hub: HubServer, allowed: Settings
) -> None:
    change_recipe(whole, sources={FETCHED: place(size=(whole / FETCHED).stat().st_size)})
    assert completed(dataclasses.replace(allowed, model_dir=whole)) == whole
    assert not allowed.cache_dir.exists()
    assert not hub.asked


def test_nothing_is_fetched_unless_it_is_allowed(hub: HubServer, allowed: Settings) -> None:
    with pytest.raises(ModelError, match=rf"lacks {FETCHED}, which {REPOSITORY} has; EMBEDDING_AL"):
        completed(dataclasses.replace(allowed, allow_fetch=False))
    assert not hub.asked


def test_what_no_hub_has_is_missing_as_ever(hub: HubServer, allowed: Settings, slim: Path) -> None:
    (slim / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"lacks model\.onnx, tokenizer\.json, which model\.json"):
        checked(allowed)
    assert not hub.asked


def test_the_first_start_fetches_and_later_ones_ask_nobody(
    hub: HubServer, allowed: Settings, whole: Path
) -> None:
    first = checked(allowed)
    assert first.is_relative_to(allowed.cache_dir)
    assert (first / FETCHED).read_bytes() == (whole / FETCHED).read_bytes()
    assert len(hub.downloads()) == 1
    hub.asked.clear()

    assert checked(allowed) == first
    assert not hub.asked


def test_the_hubs_cache_is_one_that_other_programs_share(hub: HubServer, allowed: Settings) -> None:
    first = checked(allowed)
    assert (allowed.cache_dir / "hub" / "models--owner--tiny" / "snapshots" / COMMIT).is_dir()
    hub.asked.clear()

    shutil.rmtree(first)
    checked(allowed)
    assert not hub.asked  # it was in the hub's cache


def test_what_the_cache_holds_takes_no_room_twice(hub: HubServer, allowed: Settings) -> None:
    directory = checked(allowed)
    assert (directory / FETCHED).stat().st_nlink == 2
    assert not (directory / FETCHED).is_symlink()


def test_another_recipe_is_another_directory(hub: HubServer, allowed: Settings, slim: Path) -> None:
    first = checked(allowed)
    change_recipe(slim, max_tokens=4)
    assert checked(allowed) != first


def test_a_truncated_file_is_fetched_again(hub: HubServer, allowed: Settings, whole: Path) -> None:
    os.truncate(checked(allowed) / FETCHED, 10)
    assert (checked(allowed) / FETCHED).read_bytes() == (whole / FETCHED).read_bytes()
    assert len(hub.downloads()) == 2


def test_an_altered_file_is_refused(hub: HubServer, allowed: Settings) -> None:
    path = checked(allowed) / FETCHED
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(ModelError, match="is altered"):
        checked(allowed)


def test_what_a_mirror_alters_is_refused_and_not_kept(
    hub: HubServer, allowed: Settings, whole: Path
) -> None:
    other = (whole / FETCHED).read_bytes()[::-1]
    hub.served[PLACE] = other
    found = hashlib.sha256(other).hexdigest()
    with pytest.raises(ModelError, match=rf"cannot be fetched: {FETCHED} has the sha256 {found}"):
        completed(allowed)
    assert not [
        path
        for path in allowed.cache_dir.rglob("*")
        if path.is_file() and other in path.read_bytes()
    ]
    assert not list((allowed.cache_dir / "equivec").iterdir())

    hub.served.clear()
    checked(allowed)


def test_a_connection_that_breaks_is_made_again(hub: HubServer, allowed: Settings) -> None:
    hub.cut.append(100)
    checked(allowed)
    assert len(hub.downloads()) == 2


def test_a_busy_hub_is_waited_for(hub: HubServer, allowed: Settings) -> None:
    hub.busy.append(1)
    checked(allowed)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"repository": "owner/none"}, "there is no such repository, or it is private: set HF_TO"),
        ({"commit": "f" * 40}, "the repository has no such commit"),
        ({"path": "onnx/none"}, "the repository has no such file at this commit"),
        ({"size": 10**18}, rf"{PLACE} has {10**18} bytes, and .* room for \d+"),
    ],
)
def test_what_cannot_be_had_is_explained(
    hub: HubServer, allowed: Settings, slim: Path, change: dict[str, object], problem: str
) -> None:
    change_recipe(slim, sources={FETCHED: place(**({"size": 1} | change))})
    with pytest.raises(ModelError, match=rf"the files of {slim} cannot be fetched: .*{problem}"):
        completed(allowed)
    assert not list((allowed.cache_dir / "equivec").iterdir())


def test_a_gated_repository_wants_a_token(
    hub: HubServer, allowed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add(REPOSITORY)
    with pytest.raises(ModelError, match="agree to its conditions on the hub, and set HF_TOKEN"):
        completed(allowed)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    checked(allowed)


def test_a_hub_that_is_not_there(
    hub: HubServer, allowed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"cannot be fetched: .*refused"):
        completed(allowed)


def test_a_cache_that_cannot_be_made_is_explained(
    hub: HubServer, allowed: Settings, tmp_path: Path
) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(ModelError, match=r"must be able to write to EMBEDDING_CACHE_DIR"):
        completed(allowed)


def test_the_service_is_degraded_while_it_fetches_then_serves(
    hub: HubServer, allowed: Settings, tmp_path: Path
) -> None:
    hub.held.set()
    with started(
        tmp_path,
        allowed.model_dir,
        EMBEDDING_ALLOW_FETCH="true",
        EMBEDDING_CACHE_DIR=str(allowed.cache_dir),
    ) as service:
        service.wait_for_health("degraded")
        until(lambda: bool(hub.downloads()))
        assert service.embed("alpha").status == 503
        hub.held.clear()
        service.wait_for_health("healthy")
        answer = service.embed("alpha beta")
        assert answer.content["embedding"] == pytest.approx(
            unit_mean("[CLS]", "alpha", "beta", "[SEP]").tolist(), abs=1e-6
        )
        assert f"fetch: {FETCHED} from {REPOSITORY}@{COMMIT[:12]}" in service.log.read_text()
        assert service.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_goes_on_fetching_when_the_service_is_stopped(
    hub: HubServer, allowed: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    hub.held.set()
    with started(
        tmp_path,
        allowed.model_dir,
        EMBEDDING_ALLOW_FETCH="true",
        EMBEDDING_CACHE_DIR=str(allowed.cache_dir),
    ) as service:
        until(lambda: bool(hub.downloads()))
        assert service.stop(number) == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        fetching = str(allowed.cache_dir).encode()
        until(lambda: not any(fetching in line for line in command_lines()))
        hub.held.clear()
    assert not list(allowed.cache_dir.rglob("*.incomplete"))
    assert not list((allowed.cache_dir / "equivec").iterdir())


def test_a_start_that_cannot_fetch_ends_with_one_line(
    hub: HubServer, allowed: Settings, tmp_path: Path
) -> None:
    hub.files.clear()
    with started(
        tmp_path,
        allowed.model_dir,
        EMBEDDING_ALLOW_FETCH="true",
        EMBEDDING_CACHE_DIR=str(allowed.cache_dir),
    ) as service:
        assert service.process.wait(30) == ModelError.exit_code
        assert "cannot be fetched" in service.log.read_text().splitlines()[-1]


def until(is_so: Any) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:  # it has just ended
            continue


NEEDED = """
import json, sys, sysconfig
from huggingface_hub import errors, hf_hub_download, try_to_load_from_cache
import huggingface_hub.file_download
site = sysconfig.get_paths()["purelib"] + "/"
files = (getattr(module, "__file__", None) or "" for module in sys.modules.values())
print(json.dumps([file.removeprefix(site) for file in files if file.startswith(site)]))
"""


def test_no_image_leaves_out_what_fetching_needs() -> None:
    said = subprocess.run(
        [sys.executable, "-c", NEEDED],
        env={**os.environ, "HF_HUB_DISABLE_XET": "1"},
        capture_output=True,
        check=True,
    )
    needed = json.loads(said.stdout)
    assert "huggingface_hub/file_download.py" in needed
    for path in ROOT.glob("images/*/prune.txt"):
        patterns = [
            line
            for line in path.read_text("utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        left_out = [
            file
            for file in needed
            if any(fnmatch.fnmatchcase(file, pattern) for pattern in patterns)
        ]
        assert not left_out, path
