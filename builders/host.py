"""The machine that Equivec runs on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

ARCHITECTURES: Mapping[str, str] = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "x64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
}
"""Container platforms' names of the machines, by the names that systems give them."""


def current() -> str:
    """Return this machine's platform: `linux/amd64`, `darwin/arm64`.

    It is the Python interpreter's: under Rosetta, a Mac's x86-64 Python is on `darwin/amd64`, since
    that is whose wheels it takes.
    """
    return platform_of(platform.system(), platform.machine())


def build_platform() -> str:
    """Return what an engine of this machine most likely builds on: Linux, with its processor."""
    return f"linux/{current().partition('/')[2]}"


def processor() -> str:
    """Return this machine's processor as its system names it; its machine where it has no name.

    Vectors depend on it: kernels are chosen by what the processor can do.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:  # not Linux
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def platform_of(system: str, machine: str) -> str:
    """Return the platform of a machine.

    Args:
        system: `platform.system()`: `Linux`, `Darwin`, `Windows`.
        machine: `platform.machine()`: `x86_64`, `AMD64`, `aarch64`, `arm64`; one that is not known
            keeps its name.
    """
    word = machine.lower()
    return f"{system.lower()}/{ARCHITECTURES.get(word, word)}"
