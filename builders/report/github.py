"""GitHub Actions: what its log and its summary page understand.

Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def is_here(environment: Mapping[str, str]) -> bool:
    """Return whether this is a job of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


def error(title: str, text: str) -> str:
    """Return the line that marks a failure."""
    name = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::error title={name}::{_escaped(text)}"


def group(title: str, lines: Sequence[str]) -> str:
    """Return lines that the log shows folded."""
    return "\n".join([f"::group::{_escaped(title)}", *lines, "::endgroup::"])


def add_summary(environment: Mapping[str, str], markdown: str) -> None:
    """Add to the job's summary page, where there is one."""
    file = environment.get("GITHUB_STEP_SUMMARY")
    if file:
        with Path(file).open("a", encoding="utf-8") as page:
            page.write(markdown + "\n")


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
