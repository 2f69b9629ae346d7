"""A release as people see it: what speaks for each image, or against it, and its tags."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from builders.release.plan import ImageRelease, Move, ReleasePlan
from builders.report import terminal

_SHORT = len("sha256:") + 12
_REVISION = 12


def show(release: ReleasePlan, console: Console) -> None:
    """Print what a release would do, or every reason why it is refused."""
    marks = terminal.marks(console)
    revision = (release.revision or "no revision")[:_REVISION]
    console.print(f"\n {release.version} of {revision}\n")
    for reason in release.refusals:
        console.print(Text(f" {marks.failed} {reason}", style="bold red"), soft_wrap=True)
    for image in release.images:
        mark, style = (marks.failed, "bold red") if image.refusals else (marks.passed, "green")
        console.print(
            Text.assemble((f" {mark} {_title(image)}", style), f"  {_digest(image.digest)}"),
            soft_wrap=True,
        )
        for line, line_style in _lines(image):
            console.print(Text(f"     {terminal.clean(line)}", style=line_style), soft_wrap=True)
    console.print()


def markdown(release: ReleasePlan) -> str:
    """Return a release as Markdown, for a job's summary page."""
    lines = [f"### {release.version}", "", *(f"- refused: {text}" for text in release.refusals)]
    for image in release.images:
        lines.append(f"- {_title(image)} `{image.digest or 'not published'}`")
        lines += [f"  - `{terminal.clean(line).strip()}`" for line, _ in _lines(image)]
    return "\n".join([*lines, ""])


def _title(image: ImageRelease) -> str:
    return f"{image.name} at {image.target}"


def _lines(image: ImageRelease) -> Iterator[tuple[str, str]]:
    """Yield what is to be told of an image, each line with its style."""
    for line in image.says:
        yield line, "dim"
    for reason in image.refusals:
        yield reason, "red"
    width = max((len(move.tag) for move in image.moves), default=0)
    for move in image.moves:
        yield f"{move.tag:<{width}}  {_what(move)}", "yellow" if move.stays else ""


def _what(move: Move) -> str:
    """Return what becomes of a tag."""
    if move.stays:
        return f"stays{'' if move.before is None else f' on {_digest(move.before)}'}: {move.stays}"
    if move.before == move.after:
        return "is there already"
    return "new" if move.before is None else f"moves from {_digest(move.before)}"


def _digest(digest: str | None) -> str:
    return "" if digest is None else digest[:_SHORT]
