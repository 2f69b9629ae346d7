"""Registrations of emulators are lines of the kernel's grammar."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.engine import binfmt
from builders.engine.binfmt import FOREIGN, registration
from builders.errors import EngineError


def test_arm64_programs_are_recognised_on_amd64() -> None:
    line = registration("equivec-x", FOREIGN["amd64"], Path("/cache/bin/qemu-aarch64"))
    _, name, kind, offset, magic, mask, interpreter, flags = line.split(":")
    assert (name, kind, offset) == ("equivec-x", "M", "")
    assert (interpreter, flags) == ("/cache/bin/qemu-aarch64", "PF")
    header = _bytes(magic)
    assert header[:4] == b"\x7fELF"
    assert header[18] == 183  # EM_AARCH64
    assert len(_bytes(mask)) == len(header) == 20


def test_amd64_programs_are_recognised_on_arm64() -> None:
    assert FOREIGN["arm64"].program == "qemu-x86_64"
    assert _bytes(FOREIGN["arm64"].magic)[18] == 62  # EM_X86_64


@pytest.mark.parametrize("foreign", ["amd64", "arm64"])
def test_the_hosts_own_programs_are_not(foreign: str) -> None:
    other = {"amd64": "arm64", "arm64": "amd64"}[foreign]
    own = _bytes(FOREIGN[other].magic)  # whose programs are the host's
    magic, mask = _bytes(FOREIGN[foreign].magic), _bytes(FOREIGN[foreign].mask)
    masked = bytes(byte & bits for byte, bits in zip(own, mask, strict=True))
    assert masked != bytes(byte & bits for byte, bits in zip(magic, mask, strict=True))


@pytest.mark.parametrize("path", ["/a:b/qemu", f"/{'x' * 1900}/qemu"])
def test_a_path_that_the_kernel_cannot_take_is_an_error(path: str) -> None:
    with pytest.raises(EngineError, match="the kernel takes no emulator"):
        registration("equivec-x", FOREIGN["amd64"], Path(path))


def test_a_kernel_that_takes_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binfmt, "DIRECTORY", tmp_path / "not mounted")
    with pytest.raises(EngineError, match="cannot register qemu-aarch64: No such file"):
        binfmt.register("equivec-x", FOREIGN["amd64"], Path("/cache/bin/qemu-aarch64"))


def test_what_is_registered_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binfmt, "DIRECTORY", tmp_path)
    binfmt.register("equivec-x", FOREIGN["amd64"], Path("/qemu"))
    assert (tmp_path / "register").read_text().startswith(":equivec-x:M:")
    (tmp_path / "register").unlink()
    (tmp_path / "equivec-x").touch()
    binfmt.register("equivec-x", FOREIGN["amd64"], Path("/qemu"))
    assert not (tmp_path / "register").exists()


def _bytes(escaped: str) -> bytes:
    return escaped.encode().decode("unicode_escape").encode("latin-1")
