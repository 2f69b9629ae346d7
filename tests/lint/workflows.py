"""The lint of `.github`, without GitHub: schemas, security, expressions.

`python -m tests.lint.workflows` lints the checkout's.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from builders.errors import EquivecError
from builders.paths import ROOT
from builders.process import run
from builders.store import Store, cache_directory

Argv = tuple[str, ...]

PACKAGES = Path(__file__).parent / "actionlint"
"""The lock of actionlint's WebAssembly build and of what shows its findings."""

PROGRAM = Path("node_modules", "@tktco", "node-actionlint", "bin", "node-actionlint.js")

_SECONDS = 600.0


def main() -> int:
    """Lint the checkout's, and print what was found."""
    try:
        found = findings(ROOT / ".github", actionlint(Store(cache_directory())))
    except EquivecError as error:
        found = (str(error),)
    sys.stdout.writelines(f"{text}\n" for text in found)
    return 1 if found else 0


def findings(directory: Path, linter: Path) -> tuple[str, ...]:
    """Return what each program that found something says.

    Args:
        directory: A folder `.github`.
        linter: actionlint's program.

    Raises:
        ProcessError: A program is not installed, or does not end.
    """
    ended = (run(argv, timeout=_SECONDS, check=False) for argv in commands(directory, linter))
    return tuple(
        f"{each.argv[0]} says:\n{each.stdout}{each.stderr}" for each in ended if each.returncode
    )


def commands(directory: Path, linter: Path) -> tuple[Argv, ...]:
    """Return what is run; each fails if it finds something.

    Args:
        directory: A folder `.github`.
        linter: actionlint's program.
    """
    return (
        *_schema("github-workflows", _files(directory, "workflows/*.y*ml")),
        *_schema("github-actions", _files(directory, "actions/*/action.y*ml")),
        *_schema("dependabot", _files(directory, "dependabot.y*ml")),
        (
            *("zizmor", "--offline", "--no-progress", "--strict-collection"),
            *("--persona", "pedantic", str(directory)),
        ),
        ("node", str(linter), f"{directory}/workflows/*.{{yml,yaml}}"),
    )


def actionlint(store: Store) -> Path:
    """Return actionlint's program; install it first, as it is locked, if it is not there.

    Raises:
        ProcessError: npm cannot get it.
    """
    lock = (PACKAGES / "package-lock.json").read_bytes()

    def make(directory: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(PACKAGES / name, directory / name)
        quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
        run(("npm", "ci", *quietly), cwd=directory, timeout=_SECONDS)

    return store.derived("actionlint", hashlib.sha256(lock).hexdigest(), make) / PROGRAM


def _schema(name: str, files: Sequence[str]) -> tuple[Argv, ...]:
    """Return the command that holds files against a schema; none without files."""
    return (("check-jsonschema", "--builtin-schema", f"vendor.{name}", *files),) if files else ()


def _files(directory: Path, pattern: str) -> tuple[str, ...]:
    return tuple(str(path) for path in sorted(directory.glob(pattern)))


if __name__ == "__main__":
    sys.exit(main())
