"""The workflows: every session, option, action and artefact that they name is there."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import cli, matrix
from builders.jobs import ImageJob, Job, Jobs
from builders.network import mirrors
from builders.paths import ROOT
from tests.unit.test_shown_commands import SESSIONS, parse

GITHUB = ROOT / ".github"
WORKFLOWS = tuple(sorted(GITHUB.glob("workflows/*.yml")))
FILES = (*WORKFLOWS, *sorted(GITHUB.glob("actions/*/action.yml")))
SESSION = re.compile(r"nox -s (?P<session>\S+)(?: -- (?P<words>[^|;\n]*))?")
PINNED = re.compile(r"uses: (?P<action>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40}) # v\d+(\.\d+)+\n")


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return document


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(path).get("jobs", {})
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    """Every step of a workflow, or of an action."""
    document = read(path)
    for part in (*document.get("jobs", {}).values(), document.get("runs", {})):
        yield from part.get("steps", ())


def plain(words: str) -> str:
    """The words of a command, with a name in the place of what the shell puts there."""
    optional = re.sub(r"\$\{\w+:\+([^}]*)\}", r"\1", words)
    return re.sub(r"\$\w+", "x", optional.replace("$VERSION", "v1.2.3"))


def commands(script: str) -> Iterator[tuple[str, str]]:
    for found in SESSION.finditer(script):
        yield found["session"], plain(found["words"] or "").strip()


def named() -> Iterator[tuple[str, str, str]]:
    for path in FILES:
        for step in steps(path):
            for session, words in commands(step.get("run", "")):
                yield path.name, session, words


def test_the_workflows_are_those_of_the_documentation() -> None:
    documented = re.findall(
        r"^\| `([\w-]+\.yml)`", (ROOT / "docs" / "ci.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(documented) == [path.name for path in WORKFLOWS]


@pytest.mark.parametrize(("file", "session", "words"), sorted(set(named())))
def test_a_session_that_is_named_is_there_and_takes_its_options(
    file: str, session: str, words: str
) -> None:
    assert session in SESSIONS, file
    if session in cli.COMMANDS:
        parse(session, words)
    else:
        assert not words


def test_every_kind_of_work_is_a_session() -> None:
    sessions = {session for _, session, _ in named()}
    assert sessions >= {
        *("lint", "unit", "plan", "fetch", "build", "build-matrix", "reference"),
        *("merge", "verify", "release", "rebuild", "lock", "engine"),
    }


def test_all_tests_are_run_as_the_readme_says_on_the_debian_that_is_pinned() -> None:
    job = jobs(GITHUB / "workflows" / "ci.yml")["system"]
    assert job["steps"][-1]["run"] == "bash .ci/run"
    assert job["container"]["image"] == mirrors.IMAGE
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "<!-- test command -->" in script


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (
            'nox -s plan -- --github ${ONLY:+--only "$ONLY"} | tee x',
            ("plan", '--github --only "x"'),
        ),
        ('for m in $M; do nox -s fetch -- --model "$m"; done', ("fetch", '--model "x"')),
        ('nox -s release -- "$VERSION"', ("release", '"v1.2.3"')),
        ("nox -s lint", ("lint", "")),
    ],
)
def test_commands_are_found_in_scripts(script: str, found: tuple[str, str]) -> None:
    assert list(commands(script)) == [found]


@pytest.mark.parametrize("words", ["--githbu", "--only", "--layouts x"])
def test_an_option_that_is_not_there_is_noticed(words: str) -> None:
    with pytest.raises(SystemExit):
        parse("plan", words)


def test_one_commit_of_an_action_is_used_everywhere() -> None:
    found: dict[str, set[str]] = {}
    for path in FILES:
        text = path.read_text("utf-8")
        pinned = list(PINNED.finditer(text))
        assert len(pinned) == len(re.findall(r"uses: (?!\./)", text)), path
        for each in pinned:
            found.setdefault(each["action"], set()).add(each["commit"])
    assert {name for name, commits in found.items() if len(commits) > 1} == set()
    assert "actions/checkout" in found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_action_of_this_repository_is_there_and_gets_what_it_takes(path: Path) -> None:
    for step in steps(path):
        uses = step.get("uses", "")
        if uses.startswith("./"):
            inputs = read(ROOT / uses / "action.yml").get("inputs", {})
            given = set(step.get("with", {}))
            required = {name for name, each in inputs.items() if each.get("required")}
            assert required <= given <= set(inputs), uses


def test_nox_is_locked_as_it_is_for_everybody() -> None:
    """CONTRIBUTING.md has the command that writes it."""
    part, whole = (
        {entry.partition(" ")[0]: entry for entry in re.split(r"\n(?=\w)", path.read_text("utf-8"))}
        for path in (GITHUB / "actions/nox/requirements.txt", ROOT / "builders/requirements.txt")
    )
    assert any(name.startswith("nox==") for name in part)
    assert {entry.strip() for entry in part.values()} <= {entry.strip() for entry in whole.values()}


def artefacts(path: Path, action: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each name or pattern of an artefact, with the step; expressions are any text."""
    for step in steps(path):
        if step.get("uses", "").startswith(action):
            settings = step["with"]
            name = settings.get("name") or settings["pattern"]
            yield re.sub(r"\$\{\{.*?\}\}", "x", name), settings


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_artefact_that_is_taken_was_put_there(path: Path) -> None:
    everywhere = {
        name for each in WORKFLOWS for name, _ in artefacts(each, "actions/upload-artifact@")
    }
    here = {name for name, _ in artefacts(path, "actions/upload-artifact@")}
    for name, settings in artefacts(path, "actions/download-artifact@"):
        offered = everywhere if "run-id" in settings else here
        assert any(fnmatchcase(each, name) for each in offered), name


def test_every_platform_has_a_runner() -> None:
    found = jobs(GITHUB / "workflows" / "build-matrix.yml")
    assert found["prove"]["runs-on"] == (
        "${{ matrix.job.platform == 'linux/arm64' && 'ubuntu-24.04-arm' || 'ubuntu-24.04' }}"
    )
    assert found["reference"]["runs-on"] == "macos-15"
    platforms = matrix.load(ROOT / "matrix.yaml").platforms
    assert set(platforms) == {"linux/amd64", "linux/arm64", "darwin/arm64"}


def test_a_job_uses_what_is_in_a_plan() -> None:
    """Each list of jobs, and each field of a job, is one that `plan --github` prints."""
    lists = {field.name for field in dataclasses.fields(Jobs)}
    fields = {field.name for kind in (Job, ImageJob) for field in dataclasses.fields(kind)}
    for path in WORKFLOWS:
        text = path.read_text("utf-8")
        assert set(re.findall(r"steps\.plan\.outputs\.(\w+)", text)) <= lists
        assert set(re.findall(r"matrix\.job\.(\w+)", text)) <= fields
    used = "".join(path.read_text("utf-8") for path in WORKFLOWS)
    assert all(f"steps.plan.outputs.{name}" in used for name in lists)


def test_each_job_has_a_time_limit_and_only_the_rights_that_it_names() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {}, path
        for name, job in jobs(path).items():
            assert job["timeout-minutes"] <= 180, (path, name)
            assert job["permissions"]["contents"] in ("read", "write"), (path, name)


def test_nothing_but_a_merge_a_release_or_a_renewal_may_write() -> None:
    writing = {
        (path.name, name, right)
        for path in WORKFLOWS
        for name, job in jobs(path).items()
        for right, how in job["permissions"].items()
        if how == "write"
    }
    assert writing == {
        ("build-matrix.yml", "prove", "id-token"),
        ("build-matrix.yml", "merge", "id-token"),
        ("build-matrix.yml", "merge", "packages"),
        ("release.yml", "release", "packages"),
        ("rebuild.yml", "renew", "actions"),
        ("rebuild.yml", "renew", "contents"),
        ("rebuild.yml", "renew", "pull-requests"),
    }
