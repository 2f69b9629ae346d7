"""Small Debian packages, made for tests with nothing but tarfile and the compressors."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path

import zstandard

from tests.unit.images import Item, file, tar

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda archive: archive,
    ".gz": lambda archive: gzip.compress(archive, mtime=0),
    ".xz": lzma.compress,
    ".zst": lambda archive: bytes(zstandard.ZstdCompressor().compress(archive)),
}


def deb(
    directory: Path,
    name: str,
    items: Sequence[Item],
    *,
    architecture: str = "amd64",
    compression: str = ".xz",
) -> Path:
    """Write a package as dpkg-deb would."""
    control = f"Package: {name}\nVersion: 1:2.3-4\nArchitecture: {architecture}\n"
    return write(
        directory / f"{name}_2.3-4_{architecture}.deb",
        [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{compression}", COMPRESS[compression](tar([file("./control", control)]))),
            (f"data.tar{compression}", COMPRESS[compression](tar(items))),
        ],
    )


def write(path: Path, parts: Sequence[tuple[str, bytes]]) -> Path:
    """Write an ar archive."""
    archive = b"!<arch>\n"
    for name, content in parts:
        archive += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        archive += content + b"\n" * (len(content) % 2)
    path.write_bytes(archive)
    return path
