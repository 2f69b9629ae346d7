"""A lock file as it would be written now, and what that changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """The new content of one lock file.

    Attributes:
        path: The file.
        text: What it should hold.
        changes: What that means, for people: `numpy 2.4.5 -> 2.4.6`.
    """

    path: Path
    text: str
    changes: tuple[str, ...] = ()

    @property
    def is_due(self) -> bool:
        """Whether the file is missing or holds something else."""
        try:
            return self.path.read_text(encoding="utf-8") != self.text
        except (FileNotFoundError, UnicodeDecodeError):
            return True

    def write(self) -> None:
        """Write the file in one step."""
        write_atomically(self.path, self.text.encode())


Versions = Mapping[str, tuple[str, str]]
"""The version and the file's sha256 of packages, by their names."""


def changes(old: Versions, new: Versions) -> tuple[str, ...]:
    """Compare packages by name.

    Returns:
        A line for each that was added (`+ name version`), removed (`- …`) or changed.
    """
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"+ {name} {new[name][0]}")
        elif name not in new:
            lines.append(f"- {name} {old[name][0]}")
        elif old[name][0] != new[name][0]:
            lines.append(f"{name} {old[name][0]} -> {new[name][0]}")
        elif old[name] != new[name]:
            lines.append(f"{name} {new[name][0]}: another file of the same version")
    return tuple(lines)
