from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from embedding_service.supply import disk
from embedding_service.supply.settings import SupplySettings


class Measured(NamedTuple):
    """As shutil.disk_usage has it."""

    total: int
    used: int
    free: int


def used(cache: Path, *, warning: int = 80, critical: int = 95) -> disk.CacheUse:
    found = disk.cache_use(
        SupplySettings(cache_dir=cache, disk_warning=warning, disk_critical=critical)
    )
    assert found is not None
    return found


def test_a_cache_that_is_not_there_takes_nothing(tmp_path: Path) -> None:
    assert disk.cache_use(SupplySettings(cache_dir=tmp_path / "none")) is None


def test_a_file_counts_once_whatever_its_names(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    blob = tmp_path / "blobs" / "0"
    blob.write_bytes(os.urandom(100_000))
    once = used(tmp_path).bytes
    assert 100_000 <= once < 200_000

    os.link(blob, tmp_path / "model.onnx")
    (tmp_path / "link").symlink_to(blob)
    (tmp_path / "dangling").symlink_to("nowhere")
    assert once <= used(tmp_path).bytes < once + 20_000


@pytest.mark.parametrize(
    ("taken", "level"), [(79, "ok"), (80, "warning"), (94, "warning"), (95, "critical")]
)
def test_the_thresholds_are_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int, level: str
) -> None:
    # 50 more are for root alone, and count as neither.
    measured = Measured(total=150, used=taken, free=100 - taken)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: measured)
    found = used(tmp_path)
    assert (found.level, found.total, found.free) == (level, 150, 100 - taken)
    assert used(tmp_path, warning=taken, critical=taken + 1).level == "warning"
    assert used(tmp_path, warning=taken + 1, critical=taken + 1).level == "ok"
