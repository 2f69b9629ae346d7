"""What a rebuild is given, and what it says. The rebuild itself: tests/system/test_rebuild.py."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from builders import rebuild
from builders.difference import Difference, Finding, What
from builders.errors import SelectionError
from builders.matrix import load
from builders.paths import ROOT
from builders.plan import plan
from builders.project import Project
from builders.report import reporter
from builders.selection import Selection
from builders.store import Store

OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    checkout = tmp_path / "checkout"
    (checkout / "images" / "onnxruntime" / "__pycache__").mkdir(parents=True)
    for path in ("matrix.yaml", "images/onnxruntime/backend.py"):
        (checkout / path).write_bytes((ROOT / path).read_bytes())
        (checkout / path).chmod(0o755)
        os.utime(checkout / path, (1, 1))
    (checkout / "images" / "onnxruntime" / "__pycache__" / "backend.pyc").touch()
    return Project(
        root=checkout, matrix=load(checkout / "matrix.yaml"), store=Store(tmp_path / "cache")
    )


def test_it_happens_elsewhere_later_and_under_another_umask(project: Project) -> None:
    before = os.umask(0o022)
    try:
        with rebuild._elsewhere(project) as other:
            copy = other.images / "onnxruntime" / "backend.py"
            original = project.images / "onnxruntime" / "backend.py"
            assert copy.read_bytes() == original.read_bytes()
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
            assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
            assert copy.stat().st_mtime > original.stat().st_mtime
            assert len(str(other.root)) != len(str(project.root))
            assert not (copy.parent / "__pycache__").exists()
            assert other.matrix == project.matrix
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_it_has_the_inputs_and_nothing_that_was_made_of_them(project: Project) -> None:
    digest = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
    (project.store.partial(digest)).write_bytes(b"0")
    project.store.add(digest, project.store.partial(digest))
    kept = project.store.derived("roots", digest, lambda _: None)
    with rebuild._elsewhere(project) as other:
        assert other.store.find(digest, 1) is not None
        made = other.store.derived("roots", digest, lambda _: None)
        assert made != kept
        assert not kept.is_relative_to(other.store.cache)


def test_nothing_is_left_and_inputs_stay(project: Project) -> None:
    before = sorted(project.store.cache.iterdir())
    stray = project.store.cache / "rebuild" / "cache"  # of a run that was killed
    stray.mkdir(parents=True)
    digest = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
    (project.store.partial(digest)).write_bytes(b"0")
    project.store.add(digest, project.store.partial(digest))
    with pytest.raises(ValueError, match="stop"), rebuild._elsewhere(project):
        raise ValueError("stop")
    assert sorted(project.store.cache.iterdir()) == before
    assert project.store.find(digest, 1) is not None


def test_a_checkout_of_the_same_length_is_avoided(project: Project, tmp_path: Path) -> None:
    name = "x" * (len("cache/rebuild/checkout"))
    (tmp_path / "checkout").rename(tmp_path / name)
    moved = Project(root=tmp_path / name, matrix=project.matrix, store=project.store)
    with rebuild._elsewhere(moved) as other:
        assert len(str(other.root)) != len(str(moved.root))


def test_a_host_has_no_image_to_rebuild(project: Project) -> None:
    cells = plan(project.matrix, Selection(platforms=("darwin/arm64",)), "darwin/arm64").chosen
    assert cells
    with (
        reporter([cell.id for cell in cells]) as shown,
        pytest.raises(SelectionError, match="only images can be rebuilt"),
    ):
        rebuild.rebuild(project, cells, shown)


def test_an_identical_image_is_one_line() -> None:
    same = Difference(kept=OLD, rebuilt=OLD, findings=(), differing_bytes=0)
    assert rebuild.described(same) == f"identical {OLD}, 0 differing bytes"


def test_another_image_is_described_by_its_first_differences() -> None:
    findings = tuple(
        Finding(place="layer 1 (RUN)", path=f"/{number}", what=What.CONTENT)
        for number in range(rebuild.SHOWN + 2)
    )
    other = Difference(kept=OLD, rebuilt=NEW, findings=findings, differing_bytes=12)
    first, *lines, last = rebuild.described(other).splitlines()
    assert first == f"{NEW} instead of {OLD}, 12 differing bytes"
    assert len(lines) == rebuild.SHOWN
    assert lines[0] == "  layer 1 (RUN): /0: content"
    assert last == "  and 2 more"
