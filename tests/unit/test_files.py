"""Files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders import files
from builders.paths import ROOT


def test_a_failed_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        files.write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_canonical_json_has_one_form() -> None:
    assert files.canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    with pytest.raises(ValueError, match="Out of range"):
        files.canonical_json(float("nan"))


def test_tree_digests_leave_byte_code_out(tmp_path: Path) -> None:
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    (tmp_path / "a" / "__pycache__" / "b.pyc").write_bytes(b"1")
    (tmp_path / "a" / "b.py").write_bytes(b"")

    digests = files.tree_digests(tmp_path)

    assert digests == {"a/b.py": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys; from builders import files;"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "files.write_atomically(pathlib.Path(sys.argv[1]), b'new')"
    )
    path = tmp_path / "folder" / "file.json"
    files.write_atomically(path, b"old")
    subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, check=False)
    (left,) = path.parent.glob(".*")
    assert left.read_bytes() == b"new"

    files.sweep(tmp_path)
    assert left.exists(), "it may be a writer's that has yet to lock it"
    os.utime(left, (0, 0))
    with left.open("rb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        files.sweep(tmp_path)
        assert left.exists(), "it is a living writer's"
    files.sweep(tmp_path)

    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]
    assert path.read_bytes() == b"old"
