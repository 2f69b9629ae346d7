"""The plan as people see it."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from builders import preflight
from builders.plan import Cell, Plan
from builders.report import left_out, terminal


def show(planned: Plan, console: Console) -> None:
    """Print every cell: how it runs, or by reasons, why it is left out."""
    marks = terminal.marks(console)
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for cell in planned.chosen:
        table.add_row(Text(f"{marks.chosen} {cell.id}", style="bold"), _runs(cell))
    console.print(Padding(table, (1, 1), expand=False))
    others = [(cell.id, f"left out: {cell.left_out}") for cell in planned.cells if cell.left_out]
    for line in left_out.lines(others, width=console.width - 3):
        mark = " " if line.startswith(" ") else marks.left_out
        console.print(Text(f" {mark} {line}", style="dim"), soft_wrap=True)
    console.print()
    total = len(planned.cells)
    console.print(f" {len(planned.chosen)} of {total} cells, on a {planned.host} host\n")


def _runs(cell: Cell) -> Text:
    if cell.refused is not None:
        if cell.refusal_expected:
            return Text(terminal.clean(f"refused, as expected: {cell.refused}"), style="yellow")
        return Text(terminal.clean(f"refused: {cell.refused}"), style="red")
    if cell.kind == "host":
        runs, style = "reference vectors of this host", "green"
    elif cell.native:
        runs, style = "native", "green"
    else:
        runs, style = "emulated", "yellow"
    if cell.refusal_expected:
        return Text(f"{runs}; {preflight.became_possible(cell)}", style="bold yellow")
    return Text(runs, style=style)
