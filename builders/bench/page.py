"""docs/benchmarks.md: the record in words, in a form that depends on the record alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from builders.bench.claim import Claim, Measurement
from builders.bench.record import Figure, Measured, Record, Suite

_HEAD = """\
# Benchmarks

Made by `nox -s bench -- build` and `nox -s bench -- serve` from `benchmarks.json`; do not edit it
by hand. Each part says by which command, on which machine and from which revision it was measured;
`--only NAME` measures a part anew.
"""

Suites = Mapping[Suite, Sequence[Measurement]]
"""All measurements, in the page's order."""

_NOT_MEASURED = "not measured"

WIDTH = 100
"""Of a line of text, in characters; tables are as wide as they are."""


def page(record: Record, suites: Suites) -> str:
    """Return the page: a summary, then a section for each measurement, measured or not."""
    parts = [_HEAD, "\n".join(_summary(record, suites))]
    parts += [
        _section(suite, each, record.find(suite, each.name))
        for suite, measurements in suites.items()
        for each in measurements
    ]
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def lines(measured: Measured, measurements: Sequence[Measurement]) -> Iterator[str]:
    """Yield a line for each figure of a measurement, for people at a terminal."""
    (measurement,) = (each for each in measurements if each.name == measured.measurement)
    for figure in measured.figures:
        claim = measurement.claim(figure.claim)
        said = standing(claim, figure).replace("*", "")
        wanted = f" ({_bound(claim, claim.target)}: {said})" if said else ""
        yield f"{_text(claim, figure)}: {value(figure, claim.unit)}{wanted}"


def standing(claim: Claim, figure: Figure) -> str:
    """Say in a word whether a figure is what it has to be; nothing if nothing is asked of it."""
    if claim.target is None:
        return ""
    if _reaches(claim, figure, claim.target):
        return "met"
    if figure.bound == "at least" and claim.better == "higher":
        return "**not shown**: it was cut off"
    if claim.limit is not None and _reaches(claim, figure, claim.limit):
        return "within the limit, **target missed**"
    return "**missed**"


def value(figure: Figure, unit: str) -> str:
    """Return a figure with its unit, three or more digits of it."""
    words = [number(figure.value), unit]
    if figure.bound == "at least":
        words.insert(0, "at least")
    return " ".join(word for word in words if word)


def number(amount: float) -> str:
    """Return a number with as many digits as it deserves."""
    if amount == int(amount) or abs(amount) >= 100:  # noqa: PLR2004 (three digits)
        return f"{amount:.0f}"
    return f"{amount:.1f}" if abs(amount) >= 10 else f"{amount:.2f}"  # noqa: PLR2004


def _reaches(claim: Claim, figure: Figure, bound: float) -> bool:
    if claim.better == "higher":
        return figure.value >= bound
    return figure.bound == "exact" and figure.value <= bound


def _summary(record: Record, suites: Suites) -> Iterator[str]:
    """Yield a table of every claim of which something is asked."""
    yield "| claim | measured | target | |"
    yield "|---|---|---|---|"
    for suite, measurements in suites.items():
        for measurement in measurements:
            yield from _rows(measurement, record.find(suite, measurement.name))


def _rows(measurement: Measurement, measured: Measured | None) -> Iterator[str]:
    for claim in measurement.claims:
        if claim.target is None:
            continue
        figures = [f for f in measured.figures if f.claim == claim.name] if measured else []
        for figure in figures:
            yield (
                f"| {_text(claim, figure)} | {value(figure, claim.unit)}"
                f" | {_bound(claim, claim.target)} | {standing(claim, figure)} |"
            )
        if not figures:
            yield f"| {claim.text} | {_NOT_MEASURED} | {_bound(claim, claim.target)} | |"


def _section(suite: Suite, measurement: Measurement, measured: Measured | None) -> str:
    text = [f"## {measurement.title}", "", _wrapped(measurement.method), ""]
    if measured is None:
        command = f"nox -s bench -- {suite} --only {measurement.name}"
        return "\n".join([*text, f"Not measured yet: `{command}`."])
    machine = measured.machine
    text += [
        f"- command: `{measured.command}`",
        f"- machine: {machine.cpu}, {machine.cores} cores, {machine.platform}, {machine.system}",
        f"- load of the machine before it began: {machine.load:.2f}",
        f"- taken: {measured.taken}, revision {measured.revision}",
        "",
        "| figure | measured | single runs | limit | target | |",
        "|---|---|---|---|---|---|",
    ]
    for figure in measured.figures:
        claim = measurement.claim(figure.claim)
        cells = (
            _text(claim, figure),
            value(figure, claim.unit),
            ", ".join(number(sample) for sample in figure.samples),
            _bound(claim, claim.limit),
            _bound(claim, claim.target),
            standing(claim, figure),
        )
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def _wrapped(method: str) -> str:
    paragraphs = method.split("\n\n")
    return "\n\n".join(
        textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
        for paragraph in paragraphs
    )


def _text(claim: Claim, figure: Figure) -> str:
    return f"{claim.text}, {figure.subject}" if figure.subject else claim.text


def _bound(claim: Claim, bound: float | None) -> str:
    if bound is None:
        return ""
    sign = "≥" if claim.better == "higher" else "≤"
    return " ".join(word for word in (sign, number(bound), claim.unit) if word)
