"""How much of a disk a run uses."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from builders import disk


class Used(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the file system says, look after look; the last number stays."""
    numbers = [0]

    def answer(_place: Path) -> Used:
        count = numbers.pop(0) if len(numbers) > 1 else numbers[0]
        return Used(total=10**11, used=count, free=10**11 - count)

    monkeypatch.setattr(shutil, "disk_usage", answer)
    return numbers


def test_the_most_and_the_end_are_told(used: list[int], tmp_path: Path) -> None:
    used[:] = [10**10, 13 * 10**9, 12 * 10**9, 11 * 10**9]
    with disk.watched(tmp_path) as usage:
        usage.look()
        usage.look()
    assert (usage.begun, usage.most, usage.now) == (10**10, 13 * 10**9, 11 * 10**9)
    assert str(usage) == (
        "disk: at most 3.00 GB more than at the beginning, now 1.00 GB more; 89.00 GB are free"
        f" (the file system of {tmp_path}, seen every 1 s)"
    )


def test_it_is_looked_at_by_itself(
    used: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "SECONDS", 0.001)
    used[:] = [1, 5, 2]
    with disk.watched(tmp_path) as usage:
        while usage.most < 5:
            time.sleep(0.001)
    assert usage.now == 2


def test_a_block_that_fails_is_watched_to_its_end(used: list[int], tmp_path: Path) -> None:
    used[:] = [1, 3]

    def fail() -> None:
        with disk.watched(tmp_path) as usage:
            found.append(usage)
            raise ValueError("stop")

    found: list[disk.Usage] = []
    with pytest.raises(ValueError, match="stop"):
        fail()
    assert found[0].most == 3
