"""Resolve the exact inputs anew (Debian packages, wheels, models) and write the locks.

It prints what changes; a lock that says the same is left alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from builders import lock, model, project, report
from builders.lock.renewal import Renewal

EXAMPLES = ("",)


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(_arguments: argparse.Namespace) -> int:
    """Write the locks that are due."""
    checkout = project.load()
    with report.reporter([]) as reporter, reporter.step("lock") as step:
        renewals = [
            *lock.renewals(
                checkout.images,
                {name: backend.platforms for name, backend in checkout.matrix.backends.items()},
                checkout.store,
                note=step.note,
                progress=step.progress,
            ),
            *_models(checkout),
        ]
    due = [renewal for renewal in renewals if renewal.is_due]
    for renewal in due:
        renewal.write()
        _say(f"written: {os.path.relpath(renewal.path, checkout.root)}")
        for change in renewal.changes:
            _say(f"  {change}")
    if not due:
        _say(f"all {len(renewals)} locks say what they should")
    return 0


def _models(checkout: project.Project) -> list[Renewal]:
    found = []
    for name in checkout.matrix.models:
        with tempfile.TemporaryDirectory(dir=checkout.store.cache) as scratch:
            renewed = model.make_lock(checkout.matrix, name, Path(scratch))
        found.append(
            Renewal(
                path=model.lock_path(checkout.root, name),
                text=renewed.model_dump_json(indent=2) + "\n",
            )
        )
    return found


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
