"""Which of several wheels of one version a platform's installer would take.

https://packaging.python.org/specifications/platform-compatibility-tags/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

from builders.errors import LockError

PYTHON = (3, 11)
GLIBC_MINOR = 36
"""Debian bookworm's C library is 2.36."""

MACOS = (14, 0)
"""The oldest macOS that wheels are chosen for: uv's own assumption is too old for torch."""

_LINUX_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_OLDEST_GLIBC_MINOR = {"amd64": 5, "arm64": 17}
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def best(files: Iterable[str], platform: str) -> str:
    """Return the file name of the wheel that fits a platform most closely.

    Raises:
        LockError: None fits.
    """
    names = tuple(files)
    ranks = _ranks(platform)
    fitting = {
        name: min(ranks[tag] for tag in tags)
        for name in names
        if (tags := parse_wheel_filename(name)[3] & ranks.keys())
    }
    if not fitting:
        raise LockError(
            f"none of {', '.join(names)} fits {platform}", remedy="require another version"
        )
    return min(fitting, key=lambda name: (fitting[name], name))


def fits(file: str, platform: str) -> bool:
    """Whether a wheel, by its file name, can be installed on a platform."""
    return not parse_wheel_filename(file)[3].isdisjoint(_ranks(platform))


def fits_python(file: str) -> bool:
    """Whether a wheel, by its file name, is for Python 3.11, on whatever platform."""
    return any((tag.interpreter, tag.abi) in _abis() for tag in parse_wheel_filename(file)[3])


@cache
def _abis() -> frozenset[tuple[str, str]]:
    """Return the interpreters and binary interfaces that Python 3.11 can use."""
    tags = [*cpython_tags(PYTHON, ["cp311"], ["x"]), *compatible_tags(PYTHON, "cp311", ["x"])]
    return frozenset((tag.interpreter, tag.abi) for tag in tags)


@cache
def _ranks(platform: str) -> dict[Tag, int]:
    """Return every tag that fits a platform, the closest with the lowest number."""
    system, _, machine = platform.partition("/")
    if system == "darwin":
        architecture = "x86_64" if machine == "amd64" else machine
        platforms = [*mac_platforms(MACOS, architecture)]
    else:
        platforms = [*_linux_platforms(machine)]
    tags = [
        *cpython_tags(PYTHON, ["cp311"], platforms),
        *compatible_tags(PYTHON, "cp311", platforms),
    ]
    return {tag: rank for rank, tag in reversed([*enumerate(tags)])}


def _linux_platforms(machine: str) -> Iterator[str]:
    """Yield what an installer accepts on glibc 2.36, the newest first."""
    architecture = _LINUX_MACHINES[machine]
    for minor in range(GLIBC_MINOR, _OLDEST_GLIBC_MINOR[machine] - 1, -1):
        yield f"manylinux_2_{minor}_{architecture}"
        if minor in _OLD_NAMES:
            yield f"{_OLD_NAMES[minor]}_{architecture}"
    yield f"linux_{architecture}"
