from __future__ import annotations

import os
from pathlib import Path

import pytest

from embedding_service.processors import usable_processors

QUOTAS = pytest.mark.parametrize(
    ("quota", "processors"),
    [
        pytest.param("max", 8, id="none"),
        pytest.param("390000", 3, id="rounded down"),
        pytest.param("50000", 1, id="less than one"),
        pytest.param("9990000", 8, id="more than there are"),
    ],
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight processors, without control groups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def belong_to(root: Path, *lines: str) -> None:
    write(root / "proc/self/cgroup", "".join(f"{line}\n" for line in lines))


def limit(root: Path, directory: str, quota: str, period: str = "100000") -> None:
    """Write a group's quota, as version 1 has it below `cpu`, and version 2 anywhere else."""
    if directory.startswith("cpu"):
        group = root / "sys/fs/cgroup" / directory
        write(group / "cpu.cfs_quota_us", f"{quota.replace('max', '-1')}\n")
        write(group / "cpu.cfs_period_us", f"{period}\n")
    else:
        write(root / "sys/fs/cgroup" / directory / "cpu.max", f"{quota} {period}\n")


def test_without_control_groups_every_processor_of_the_affinity_is_used(root: Path) -> None:
    assert usable_processors(root) == 8


@QUOTAS
def test_a_container_with_control_groups_version_2(root: Path, quota: str, processors: int) -> None:
    belong_to(root, "0::/")
    limit(root, "", quota)
    assert usable_processors(root) == processors


@QUOTAS
@pytest.mark.parametrize("name", ["cpu", "cpu,cpuacct"])
def test_a_container_with_control_groups_version_1(
    root: Path, name: str, quota: str, processors: int
) -> None:
    """It sees its own group as the root, and is told the name that the group has outside."""
    belong_to(root, "12:memory:/docker/abc", f"4:{name}:/docker/abc", "0::/")
    limit(root, "cpu", quota)
    assert usable_processors(root) == processors


@pytest.mark.parametrize("version", [1, 2])
def test_a_process_outside_of_containers_is_in_its_own_group(root: Path, version: int) -> None:
    belong_to(root, "4:cpu:/a.slice/b.service" if version == 1 else "0::/a.slice/b.service")
    top = "cpu/" if version == 1 else ""
    limit(root, f"{top}a.slice/b.service", "200000")
    limit(root, f"{top}a.slice/c.service", "100000")
    assert usable_processors(root) == 2


def test_the_quota_of_a_group_above_holds_too(root: Path) -> None:
    belong_to(root, "0::/a.slice/b.service/c")
    limit(root, "a.slice", "300000")
    limit(root, "a.slice/b.service", "500000")
    limit(root, "a.slice/b.service/c", "max")
    assert usable_processors(root) == 3


def test_the_period_counts(root: Path) -> None:
    belong_to(root, "0::/")
    limit(root, "", "100000", period="50000")
    assert usable_processors(root) == 2


def test_a_groups_name_may_hold_any_byte(root: Path) -> None:
    path = root / "proc/self/cgroup"
    write(path, "")
    path.write_bytes(b"0::/a\xff\n")
    limit(root, "", "200000")
    assert usable_processors(root) == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="macOS has no affinity")
def test_the_affinity_counts(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_processors(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)
