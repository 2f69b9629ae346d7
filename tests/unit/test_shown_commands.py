"""Every command that the documents show is one: its session is there, and takes its arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module

import pytest

from builders import cli
from builders.paths import ROOT

DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
SHOWN = re.compile(r"nox -s (?P<session>[a-z-]+)(?: -- (?P<words>[^`#>|\n]*))?")
"""As far as a code span, a comment or a redirection."""
SESSIONS = set(re.findall(r'@session\(name="([a-z-]+)"', (ROOT / "noxfile.py").read_text("utf-8")))


def shown() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for found in SHOWN.finditer(document.read_text("utf-8")):
            yield found["session"], (found["words"] or "").strip()
    for session in cli.COMMANDS:
        for example in module(session).EXAMPLES:
            yield session, example


def module(session: str) -> cli.Command:
    command: cli.Command = import_module(f"builders.commands.{session.replace('-', '_')}")
    return command


def parse(session: str, words: str) -> None:
    cli._parser(session, module(session)).parse_args(shlex.split(words))


def test_the_readme_shows_most_commands() -> None:
    assert len({session for session, words in shown() if words}) >= 10


@pytest.mark.parametrize(("session", "words"), sorted(set(shown())))
def test_a_command_that_is_shown_is_one(session: str, words: str) -> None:
    if session in cli.COMMANDS:
        # Named in a sentence, a command may want arguments all the same.
        if words:
            parse(session, words)
        return
    assert session in SESSIONS


@pytest.mark.parametrize(
    ("session", "words"),
    [("fetch", "--modle x"), ("clean", "--keep few"), ("model", "remove x"), ("engine", "kill")],
)
def test_a_command_that_is_none_would_be_noticed(session: str, words: str) -> None:
    with pytest.raises(SystemExit):
        parse(session, words)
