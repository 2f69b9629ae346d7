"""Emulation of a foreign architecture: qemu, registered with the kernel under a name of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.engine import mounts
from builders.errors import EngineError
from builders.process import run

DIRECTORY = Path("/proc/sys/fs/binfmt_misc")
_SECONDS = 30.0
_CONTROL_FILES = frozenset({"register", "status"})
_RESERVED = 1920
"""The kernel's limit on the length of a registration (fs/binfmt_misc.c)."""


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A qemu program and the ELF headers it is for.

    Attributes:
        program: Such as qemu-aarch64.
        magic: The first bytes of an executable of that architecture, as the kernel reads escapes.
        mask: Which of their bits count. Both are those of Debian's qemu-user-binfmt package.
    """

    program: str
    magic: str
    mask: str


FOREIGN: Mapping[str, Emulator] = {
    "amd64": Emulator(
        program="qemu-aarch64",
        magic=r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
        mask=r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
    ),
    "arm64": Emulator(
        program="qemu-x86_64",
        magic=r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00",
        mask=r"\xff\xff\xff\xff\xff\xfe\xfe\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
    ),
}
"""The emulator that a host of an architecture needs to run the other one's images."""


def registration(name: str, emulator: Emulator, interpreter: Path) -> str:
    """Return the line that registers an emulator.

    Flags: P hands the program its own argv[0]; F opens the emulator now, so that it is found from
    inside containers, whose file systems do not hold it.

    Raises:
        EngineError: The emulator's path cannot be written in such a line.
    """
    line = f":{name}:M::{emulator.magic}:{emulator.mask}:{interpreter}:PF"
    if ":" in str(interpreter) or len(line) >= _RESERVED:
        raise EngineError(
            "the kernel takes no emulator at a path this long, or with a colon in it",
            where=str(interpreter),
            remedy="choose another cache directory with EQUIVEC_CACHE",
        )
    return line


def register(name: str, emulator: Emulator, interpreter: Path) -> None:
    """Register an emulator, unless that name is registered already.

    Raises:
        EngineError: This kernel or container does not allow it.
    """
    if (DIRECTORY / name).exists():
        return
    line = registration(name, emulator, interpreter)
    try:
        (DIRECTORY / "register").write_text(line, encoding="ascii")
    except OSError as error:
        raise EngineError(
            f"cannot register {emulator.program}: {error.strerror}",
            where=str(DIRECTORY),
            remedy="foreign images need a kernel with binfmt_misc, and the right to use it",
        ) from error


def unregister(name: str) -> None:
    """Remove a registration, if it is there."""
    entry = DIRECTORY / name
    if entry.exists():
        entry.write_text("-1", encoding="ascii")


def mount() -> bool:
    """Mount the kernel's table of emulators if it is not mounted; return whether it was done."""
    if (DIRECTORY / "register").exists():
        return False
    if not DIRECTORY.is_dir():
        run(["modprobe", "binfmt_misc"], timeout=_SECONDS, check=False)
    mounted = run(
        ["mount", "-t", "binfmt_misc", "binfmt_misc", DIRECTORY], timeout=_SECONDS, check=False
    )
    return mounted.returncode == 0


def unmount() -> None:
    """Unmount the table, unless somebody's registrations are in it."""
    if {path.name for path in DIRECTORY.iterdir()} == _CONTROL_FILES:
        mounts.unmount(DIRECTORY)
