from __future__ import annotations

import platform

import pytest

from builders import host


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "linux/amd64"),
        ("Linux", "aarch64", "linux/arm64"),
        ("Linux", "riscv64", "linux/riscv64"),
        ("Darwin", "arm64", "darwin/arm64"),
        ("Darwin", "x86_64", "darwin/amd64"),
        ("Windows", "AMD64", "windows/amd64"),
        ("Windows", "ARM64", "windows/arm64"),
        ("FreeBSD", "amd64", "freebsd/amd64"),
    ],
)
def test_platforms_by_what_systems_say(system: str, machine: str, expected: str) -> None:
    assert host.platform_of(system, machine) == expected


def test_this_host() -> None:
    assert host.current() == host.platform_of(platform.system(), platform.machine())
    assert host.current().count("/") == 1
