"""The answers of preflight, as people see them and as a document for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from builders import preflight
from builders.package import PackageAnswer
from builders.preflight import CellAnswer
from builders.report import terminal

SCHEMA_VERSION = 1
"""Of the JSON documents; docs/preflight.md says when it changes."""


def show_cells(answers: Sequence[CellAnswer], console: Console) -> None:
    """Print for every cell whether it can exist: how, or why not."""
    table = _table()
    for answer in answers:
        lines = answer.reasons or answer.how or ("every requirement has a wheel",)
        status: str = answer.status
        if status == "refused" and answer.cell.refusal_expected:
            status, lines = "expected", (f"refused, as expected: {lines[0]}", *lines[1:])
        if answer.became_possible:
            lines = (*lines, preflight.became_possible(answer.cell))
        _add(table, console, answer.cell.id, status, lines)
    console.print(Padding(table, (1, 1), expand=False))
    possible = sum(answer.status == "possible" for answer in answers)
    console.print(f" {possible} of {len(answers)} cells are possible\n")


def show_package(package: str, answers: Sequence[PackageAnswer], console: Console) -> None:
    """Print for every platform whether a package can be had: how, or why not, and what instead."""
    table = _table()
    for answer in answers:
        lines = [*answer.reasons, *answer.how]
        if answer.alternatives:
            lines.append(
                f"backends of this matrix that run on {answer.platform}:"
                f" {', '.join(answer.alternatives)}"
            )
        status = "possible" if answer.possible else "refused"
        _add(table, console, f"{package} on {answer.platform}", status, lines)
    console.print(Padding(table, (1, 1), expand=False))


def cells_json(answers: Sequence[CellAnswer]) -> str:
    """Return the answers on cells as the document that docs/preflight.md describes."""
    cells = [
        {
            "id": answer.cell.id,
            "backend": answer.cell.backend,
            "model": answer.cell.model,
            "platform": answer.cell.platform,
            "kind": answer.cell.kind,
            "status": answer.status,
            "refusal_expected": answer.cell.refusal_expected,
            "reasons": answer.reasons,
            "how": answer.how,
        }
        for answer in answers
    ]
    return _document({"cells": cells})


def package_json(package: str, answers: Sequence[PackageAnswer]) -> str:
    """Return the answers on a package as the document that docs/preflight.md describes."""
    platforms = [
        {
            "platform": answer.platform,
            "status": "possible" if answer.possible else "refused",
            "version": answer.version,
            "reasons": answer.reasons,
            "how": answer.how,
            "wheel": answer.wheel
            and {
                "file": answer.wheel.file,
                "sha256": answer.wheel.sha256,
                "size": answer.wheel.size,
                "binaries": answer.wheel.contents.binaries,
                "glibc": answer.wheel.contents.glibc,
                "glibcxx": answer.wheel.contents.glibcxx,
            },
            "offered": answer.offered,
            "source": answer.source,
            "recipes": answer.recipes,
            "alternatives": answer.alternatives,
        }
        for answer in answers
    ]
    return _document({"package": package, "platforms": platforms})


def _table() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _add(table: Table, console: Console, name: str, status: str, lines: Sequence[str]) -> None:
    marks = terminal.marks(console)
    mark, style = {
        "possible": (marks.passed, "green"),
        "refused": (marks.failed, "red"),
        "expected": (marks.left_out, "yellow"),
        "left out": (marks.left_out, "dim"),
    }[status]
    text = terminal.clean("\n".join(lines))
    table.add_row(Text(f"{mark} {name}", style=style), Text(text, style=style))


def _document(content: Mapping[str, Any]) -> str:
    return json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=2) + "\n"
