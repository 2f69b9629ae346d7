"""Secrets that are planted, and the search for them: in files, layers, statements and processes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from builders.errors import ArchiveError
from builders.formats import layer

COMPRESSED = {b"\x1f\x8b": layer.TAR_GZIP, b"\x28\xb5\x2f\xfd": layer.TAR_ZSTD}
"""What compressed files begin with."""

RECORDING = """\
import json, os, sys
record = open(sys.argv[1], "a", buffering=1, encoding="utf-8")
def listen(event, arguments):
    if event == "subprocess.Popen":
        record.write(json.dumps([os.fsdecode(word) for word in arguments[1]]) + "\\n")
sys.addaudithook(listen)
from builders.cli import main
sys.exit(main(sys.argv[2:]))
"""
"""Runs the program, and writes down the argument list of every program that it starts."""


def recorded(record: Path, *words: str) -> tuple[str, ...]:
    """Return the argument list of a recorded run of the program."""
    return (sys.executable, "-c", RECORDING, str(record), *words)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Secrets by what they open. Each is long and of letters and digits, and nowhere by chance."""

    secrets: Mapping[str, str]

    def in_bytes(self, content: bytes) -> list[str]:
        """Name the secrets that bytes hold, in any form that programs write them in."""
        return [
            name
            for name, text in self.secrets.items()
            if any(form in content for form in forms(text))
        ]

    def in_file(self, path: Path) -> list[str]:
        """Name the secrets that a file holds, compressed or not."""
        found = self.in_bytes(path.read_bytes()) + self.in_bytes(unpacked(path))
        return [f"{name} in {path}" for name in dict.fromkeys(found)]

    def in_tree(self, *directories: Path) -> list[str]:
        """Name the secrets that files below directories hold; of the same content, the first."""
        paths = (path for directory in directories for path in sorted(directory.rglob("*")))
        files: dict[bytes, Path] = {}
        for path in paths:
            if path.is_file() and not path.is_symlink():
                files.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
        return [line for path in files.values() for line in self.in_file(path)]

    def in_processes(self, lines: Iterable[str]) -> list[str]:
        """Name the secrets that argument lists show."""
        return [f"{name} in: {line}" for line in lines for name in self.in_bytes(line.encode())]


def forms(text: str) -> Iterator[bytes]:
    """Yield what a secret looks like: as it is, in a URL, and in base64, wherever it begins."""
    yield text.encode()
    yield quote(text).encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + text.encode())
        # The first characters depend on what is before it, the last ones on what follows.
        yield encoded[4:-4]


def unpacked(path: Path) -> bytes:
    """Return what a compressed file was made of; nothing of another one."""
    with path.open("rb") as file:
        beginning = file.read(4)
    for magic, kind in COMPRESSED.items():
        if beginning.startswith(magic):
            with contextlib.suppress(ArchiveError):  # It only looked like it.
                return b"".join(layer.unpacked(path, kind))
    return b""


@dataclass
class Watch:
    """The argument lists of all processes that were seen."""

    lines: set[str] = field(default_factory=set)

    def look(self) -> None:
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                words = (directory / "cmdline").read_bytes()
            except OSError:
                continue  # It has ended.
            if words:
                self.lines.add(words.replace(b"\0", b" ").decode(errors="replace"))


@contextmanager
def watching(seconds: float = 0.05) -> Iterator[Watch]:
    """Look at the process list, again and again, for as long as the block lasts."""
    watch, stop = Watch(), threading.Event()

    def work() -> None:
        while not stop.wait(seconds):
            watch.look()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()


def recorded_lines(record: Path) -> list[str]:
    """Return the argument lists that a recorded run wrote down."""
    return [" ".join(json.loads(line)) for line in record.read_text("utf-8").splitlines()]


def token() -> str:
    """Return a new secret."""
    return os.urandom(24).hex()
