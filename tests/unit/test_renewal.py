"""Renewals say what they change, and are written only when due."""

from __future__ import annotations

from pathlib import Path

from builders.lock.renewal import Renewal, changes


def test_changes_are_told_by_package() -> None:
    old = {"a": ("1", "x"), "b": ("1", "x"), "c": ("1", "x"), "d": ("1", "x")}
    new = {"a": ("1", "x"), "b": ("2", "y"), "c": ("1", "z"), "e": ("3", "x")}
    assert changes(old, new) == (
        "b 1 -> 2",
        "c 1: another file of the same version",
        "- d 1",
        "+ e 3",
    )
    assert changes(new, new) == ()


def test_a_renewal_is_due_until_it_is_written(tmp_path: Path) -> None:
    renewal = Renewal(path=tmp_path / "locks" / "linux-arm64.txt", text="new\n")
    seen = [renewal.is_due]
    renewal.write()
    seen.append(renewal.is_due)
    renewal.path.write_bytes(b"\xff")
    seen.append(renewal.is_due)
    assert seen == [True, False, True]
