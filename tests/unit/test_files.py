"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import files


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
