"""Resolve the exact inputs anew (Debian packages, wheels, models) and write the locks.

It prints what changes; a lock that says the same is left alone. With --check, nothing is written,
and the exit status tells whether something has moved.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from builders import model, project, report
from builders.errors import LockError
from builders.lock import session
from builders.lock.renewal import Renewal
from builders.pretrained.source import is_fetched

EXAMPLES = ("", "--check")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"write nothing; the exit status is {LockError.exit_code} when something has moved",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the locks that are due, or only tell which."""
    checkout = project.load()
    renewals = _renewals(checkout)
    due = [renewal for renewal in renewals if renewal.is_due]
    if not due:
        _say(f"all {len(renewals)} locks say what they should")
    for renewal in due:
        if not arguments.check:
            renewal.write()
        _say(f"{'moved' if arguments.check else 'written'}: {_name(renewal.path, checkout.root)}")
        for change in renewal.changes:
            _say(f"  {change}")
    return LockError.exit_code if due and arguments.check else 0


def _renewals(checkout: project.Project) -> list[Renewal]:
    """Return every lock as it would be now; nothing of the checkout is written."""
    with report.reporter([]) as reporter, reporter.step("lock") as step:
        return [
            *session.renewals(
                checkout.images,
                {name: backend.platforms for name, backend in checkout.matrix.backends.items()},
                checkout.store,
                note=step.note,
                progress=step.progress,
                find_links=checkout.matrix.find_links,
            ),
            *_models(checkout),
        ]


def _models(checkout: project.Project) -> list[Renewal]:
    found = []
    for name, entry in checkout.matrix.models.items():
        if is_fetched(entry):
            continue  # `nox -s fetch` writes its lock
        with tempfile.TemporaryDirectory(dir=checkout.store.cache) as scratch:
            renewed = model.make_lock(checkout.matrix, name, Path(scratch))
        found.append(
            Renewal(
                path=model.lock_path(checkout.root, name),
                text=renewed.to_json(),
                changes=model.lock_changes(_locked(checkout.root, name), renewed),
            )
        )
    return found


def _locked(root: Path, name: str) -> model.ModelLock:
    try:
        return model.read_lock(root, name)
    except LockError:  # missing or malformed: then everything is new
        return model.ModelLock(formats={})


def _name(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
