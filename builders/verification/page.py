"""A report for people: what was asked, and what came out, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from builders.report import terminal
from builders.report.terminal import Marks, clean
from builders.verification.answer import Answer, Examined, Report, Result

STYLES = {Result.TRUE: "green", Result.UNSIGNED: "yellow", Result.WRONG: "bold red"}

_WIDTH = 13
"""Of the longest question."""


def show(report: Report, console: Console) -> None:
    """Print a report. What images and attestations say is printed without control characters."""
    marks = terminal.marks(console)
    for line in _lines(report, marks):
        console.print(line, soft_wrap=True)


def _lines(report: Report, marks: Marks) -> Iterator[Text]:
    yield Text(clean(report.image), style="bold")
    yield Text(clean(report.reference))
    for who in report.trusted or ("nobody: who signed is not looked at",):
        yield Text(f"trusted: {clean(who)}")
    for examined in report.examined:
        yield Text()
        yield from _examined(examined, marks)
    yield Text()
    yield _end(report)


def _examined(examined: Examined, marks: Marks) -> Iterator[Text]:
    yield Text.assemble((clean(examined.title), "bold"), "  ", (examined.digest, "cyan"))
    for answer in examined.answers:
        yield from _answer(answer, marks)


def _answer(answer: Answer, marks: Marks) -> Iterator[Text]:
    mark = {
        Result.TRUE: marks.passed,
        Result.UNSIGNED: marks.left_out,
        Result.WRONG: marks.failed,
    }[answer.result]
    style = STYLES[answer.result]
    yield Text.assemble(
        "  ", (f"{mark} {answer.what:{_WIDTH}}", style), clean(answer.text).replace("\n", " ")
    )
    for detail in answer.details:
        yield Text(f"      {clean(detail)}".replace("\n", "\n      "), style=style)


def _end(report: Report) -> Text:
    if report.wrong:
        return Text("refused: it is not what is said of it", style=STYLES[Result.WRONG])
    if report.unsigned:
        return Text(
            "unsigned: all of it agrees, and nobody who is trusted says so",
            style=STYLES[Result.UNSIGNED],
        )
    return Text("verified: all of it agrees, and who is trusted says so", style="bold green")
