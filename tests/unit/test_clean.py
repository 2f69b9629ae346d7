"""What goes from the cache, and what stays whatever is asked for."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builders import clean, host, model, project
from builders.commands import clean as command
from builders.errors import StoreError
from builders.host_venv import hashed_requirements
from builders.lock import debian as debian_lock
from builders.project import Project
from builders.store import Store
from builders.wheelhouse import build as wheel_build
from tests.unit.test_outcome import WIDE, verdict
from tests.unit.test_preflight import wheel

CHECKOUT = project.load()
IMAGE, BASE, OTHER, UNDER_OTHER = (f"sha256:{digit * 64}" for digit in "abcd")


@pytest.fixture
def checkout(tmp_path: Path) -> Project:
    """This checkout's locks, with a cache and verdicts of the test's own."""
    root = tmp_path / "checkout"
    (root / "dist" / "verdicts").mkdir(parents=True)
    (root / "images").symlink_to(CHECKOUT.images)
    (root / "matrix.yaml").symlink_to(CHECKOUT.root / "matrix.yaml")
    return Project(root=root, matrix=CHECKOUT.matrix, store=Store(tmp_path / "cache"))


def derived(checkout: Project, kind: str, name: str, *, age: int, content: str = "x") -> Path:
    """A derived directory that was last used some time ago."""
    digest = name if len(name) == 64 else hashlib.sha256(name.encode()).hexdigest()

    def make(directory: Path) -> None:
        (directory / "file").write_text(content)

    path = checkout.store.derived(kind, digest, make)
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def layout(checkout: Project, name: str, *, manifest: str, base: str = "", age: int) -> Path:
    """A kept image, as far as `clean` reads it."""
    path = derived(checkout, "images", name, age=age)
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    labels = {clean.BASE_LABEL: base} if base else None
    config = hashlib.sha256(name.encode()).hexdigest()
    (blobs / config).write_text(json.dumps({"config": {"Labels": labels}}))
    content = {"config": {"digest": f"sha256:{config}"}}
    (blobs / manifest.removeprefix("sha256:")).write_text(json.dumps(content))
    (path / "index.json").write_text(json.dumps({"manifests": [{"digest": manifest}]}))
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def judged(checkout: Project, digest: str, directory: Path) -> None:
    """Write a verdict on an image."""
    found = verdict(WIDE)
    subject = found.subject.model_copy(update={"digest": digest})
    text = found.model_copy(update={"subject": subject}).model_dump_json()
    directory.mkdir(exist_ok=True, parents=True)
    (directory / ("verdict.json" if directory.name.isalnum() else "cell.json")).write_text(text)


def gone(checkout: Project, keep: int) -> set[Path]:
    return {path for part in clean.parts(checkout, keep) for path in part.removed}


def test_of_each_kind_those_stay_that_were_used_last(checkout: Project) -> None:
    made = {
        kind: [derived(checkout, kind, f"{kind}{age}", age=age) for age in (1, 2, 3, 4)]
        for kind in ("references", "roots")
    }
    assert gone(checkout, 2) == {*made["references"][2:], *made["roots"][2:]}
    assert gone(checkout, 4) == set()
    assert gone(checkout, 0) == {*made["references"], *made["roots"]}


def test_signatures_stay_that_attestations_bear(checkout: Project) -> None:
    borne, other = (derived(checkout, "signatures", name, age=9) for name in ("borne", "other"))
    for path in (borne, other):
        (path / "envelope.json").write_text(path.name)
    attestation = checkout.attestations / f"sha256-{'a' * 64}" / "sbom.dsse.json"
    attestation.parent.mkdir(parents=True)
    attestation.write_text(borne.name)

    assert gone(checkout, 0) == {other}


def test_what_is_used_again_is_new(checkout: Project) -> None:
    old, new = (derived(checkout, "roots", str(age), age=age) for age in (9, 1))
    assert gone(checkout, 1) == {old}
    checkout.store.derived("roots", old.name, lambda _: None)
    assert gone(checkout, 1) == {new}


def test_what_is_being_made_is_not_seen(checkout: Project) -> None:
    (checkout.store.cache / "derived" / "roots" / ".unfinished").mkdir(parents=True)
    assert gone(checkout, 0) == set()


def test_images_stay_that_verdicts_are_about_and_what_they_are_based_on(checkout: Project) -> None:
    layout(checkout, "1", manifest=IMAGE, base=BASE, age=1)
    layout(checkout, "2", manifest=BASE, age=2)
    other = layout(checkout, "3", manifest=OTHER, base=UNDER_OTHER, age=3)
    under_other = layout(checkout, "4", manifest=UNDER_OTHER, age=3)
    broken = derived(checkout, "images", "broken", age=4)
    judged(checkout, IMAGE, checkout.verdicts)
    (checkout.verdicts / "old.json").write_text("{}")
    assert gone(checkout, 0) == {other, under_other, broken}
    assert clean.images(checkout.store.cache, {other, under_other}) == {IMAGE, BASE}


def test_without_a_verdict_an_image_goes(checkout: Project) -> None:
    image = layout(checkout, "1", manifest=IMAGE, base=BASE, age=1)
    assert gone(checkout, 0) == {image}


def test_kept_verdicts_stay_that_are_about_present_images(checkout: Project) -> None:
    judged(checkout, IMAGE, checkout.verdicts)
    places = [derived(checkout, "verdicts", name, age=1) for name in "12"]
    judged(checkout, IMAGE, places[0])
    judged(checkout, OTHER, places[1])
    assert gone(checkout, 0) == {places[1]}


def test_what_the_locks_need_stays(checkout: Project) -> None:
    toolchain = debian_lock.read(checkout.images / "toolchain", host.build_platform())
    (build,) = wheel_build.planned(checkout, "llama-cpp", "linux/arm64", toolchain)
    recipe = model.recipe_digest(checkout, "fixture-768", "onnx")
    for kind, digest in (("built-wheels", build.key), ("models", recipe)):
        derived(checkout, kind, digest, age=9)
    others = {derived(checkout, kind, "other", age=1) for kind in ("built-wheels", "models")}
    assert gone(checkout, 0) == others


def test_an_environment_of_locked_wheels_stays(checkout: Project) -> None:
    digest = next(iter(clean.locked(checkout.root)))
    places = [derived(checkout, "hosts", name, age=1) for name in "12"]
    for place, sha256 in zip(places, (digest, "0" * 63 + "1"), strict=True):
        locked = wheel()
        text = hashed_requirements([locked]).replace(locked.sha256, sha256)
        (place / "requirements.txt").write_text(text)
    assert gone(checkout, 0) == {places[1]}


def test_inputs_stay_that_a_lock_names(checkout: Project) -> None:
    digest = next(iter(clean.locked(checkout.root)))
    store = checkout.store
    for sha256 in (digest, "0" * 63 + "1"):
        store.path(sha256).parent.mkdir(exist_ok=True)
        store.path(sha256).touch()
        store.partial(sha256).touch()
    (store.cache / "uv").mkdir()
    other = "0" * 63 + "1"
    assert gone(checkout, 9) == {store.path(other), store.partial(other), store.cache / "uv"}


def test_matrix_yaml_and_every_lock_are_read() -> None:
    digests = clean.locked(CHECKOUT.root)
    weights = CHECKOUT.matrix.models["fixture-768"].weights.removeprefix("sha256:")
    locks = (CHECKOUT.images / "gpt4all" / "locks" / "linux-amd64.txt").read_text()
    assert {weights, locks.rpartition("sha256:")[2].strip()} <= digests


def test_a_file_with_another_name_frees_nothing(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "file").write_bytes(b"x" * 100_000)
    empty = clean.freed([one]) - 512 * (one / "file").stat().st_blocks
    os.link(one / "file", two)
    assert clean.freed([one]) == empty
    assert clean.freed([one, two]) == empty + 512 * two.stat().st_blocks


def test_what_goes_is_deleted_and_told(checkout: Project) -> None:
    old = derived(checkout, "roots", "old", age=9)
    new = derived(checkout, "roots", "new", age=1)
    file = checkout.store.partial("0" * 64)
    file.touch()
    parts = clean.parts(checkout, 1)
    for part in parts:
        clean.remove(part)
    assert not old.exists()
    assert not file.exists()
    assert new.exists()
    assert list((checkout.store.cache / "derived" / "roots").iterdir()) == [new]
    told = command.lines(parts, is_dry=False)
    assert any(line.startswith("derived/roots") and "1 deleted, 1 kept" in line for line in told)
    assert "would free" in command.lines(parts, is_dry=True)[0]


def test_a_killed_deletion_is_swept(checkout: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = derived(checkout, "roots", "old", age=9)

    def killed(directory: Path) -> None:
        if directory.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(clean, "remove_tree", killed)
    with pytest.raises(KeyboardInterrupt):
        clean.remove(clean.parts(checkout, 0)[0])
    assert not path.exists()
    checkout.store.sweep()
    assert list(path.parent.iterdir()) == []


def test_what_a_killed_deletion_left_is_in_nobodys_way(checkout: Project) -> None:
    path = derived(checkout, "roots", "old", age=9)
    left = path.with_name(f".{path.name}.old")
    left.mkdir()
    (left / "file").touch()
    clean.remove(clean.parts(checkout, 0)[0])
    assert list(path.parent.iterdir()) == []


def test_nothing_is_deleted_while_another_process_uses_the_cache(tmp_path: Path) -> None:
    store = Store(tmp_path)
    program = (
        "import sys; from pathlib import Path; from builders.store import Store;"
        "store = Store(Path(sys.argv[1])); print('in use', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT.root)},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in use\n"
        with pytest.raises(StoreError, match="in use by another command"), store.alone():
            pytest.fail("alone, with another process")
        other.communicate()
    with store.alone():
        pass
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("text", ["-1", "x", "1.5", ""])
def test_how_many_stay_is_a_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--keep={text}"])
    assert "is not a number of things to keep" in capsys.readouterr().err
