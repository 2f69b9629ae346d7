"""The scripts in the workflows, run as GitHub runs them; `nox` and `gh` only note their words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_workflows import FILES, GITHUB, jobs, read, steps

HOSTILE = "a b;$(touch pwned)`touch pwned`*"
"""What somebody from outside might type, or call a tag."""

NOTE = """#!{python}
import json, os, sys
with open(os.environ["NOTED"], "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
print(os.environ.get("ANSWER", ""))
"""


class Runner:
    """A machine of GitHub's, as far as a script sees it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.outputs = directory / "outputs"
        self._noted = directory / "noted"
        self._programs = directory / "programs"
        self._programs.mkdir()
        for name in ("nox", "gh"):
            program = self._programs / name
            program.write_text(NOTE.format(python=sys.executable), encoding="utf-8")
            program.chmod(0o755)

    def run(
        self, script: str, environment: Mapping[str, str], cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.directory),
            "NOTED": str(self._noted),
            "RUNNER_TEMP": str(self.directory),
            "GITHUB_OUTPUT": str(self.outputs),
            "GITHUB_SHA": "0" * 40,
            **environment,
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=cwd or self.directory,
            env=given,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def noted(self) -> list[list[str]]:
        """The words of every call, in their order."""
        lines = self._noted.read_text("utf-8").splitlines() if self._noted.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def environment(part: Mapping[str, Any], value: str) -> dict[str, str]:
    """Return variables, with one value for every expression."""
    return {
        name: re.sub(r"\$\{\{.*?\}\}", lambda _: value, str(text))
        for name, text in part.get("env", {}).items()
    }


def scripts() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every script that starts a session, with the hostile value in all of its variables."""
    for path in FILES:
        parts = jobs(path).values() if "workflows" in path.parts else [read(path)["runs"]]
        for part in parts:
            for step in part["steps"]:
                if "nox -s" in step.get("run", ""):
                    given = environment(part, HOSTILE) | environment(step, HOSTILE)
                    yield path.name, step["run"], given


@pytest.mark.parametrize(("file", "script", "given"), sorted(scripts(), key=str))
def test_what_comes_from_outside_is_one_word_and_never_a_command(
    runner: Runner, file: str, script: str, given: dict[str, str]
) -> None:
    ended = runner.run(script, given)

    assert ended.returncode == 0, (file, ended.stderr)
    assert not list(runner.directory.rglob("pwned"))
    (first, *_) = runner.noted
    assert first[:2] == ["nox", "-s"]
    used = [name for name in given if f"${name}" in script or f"${{{name}" in script]
    for name in used:
        if name != "MODELS":  # names in matrix.yaml, which has no others than plain ones
            assert any(HOSTILE in word for word in first), name


def test_a_script_that_does_not_quote_or_that_evaluates_is_noticed(runner: Runner) -> None:
    runner.run("nox -s plan -- $ONLY", {"ONLY": HOSTILE})
    assert not any(HOSTILE in word for word in runner.noted[0])
    runner.run('eval "nox -s plan -- $ONLY"', {"ONLY": HOSTILE})
    assert list(runner.directory.rglob("pwned"))


def test_without_a_glob_the_default_selection_is_planned(runner: Runner) -> None:
    script = step("build-matrix.yml", "plan", "nox")["run"]
    runner.run(script, {"ONLY": "", "ANSWER": "build=[]"})
    runner.run(script, {"ONLY": "onnx*"})
    assert runner.noted == [
        ["nox", "-s", "plan", "--", "--github"],
        ["nox", "-s", "plan", "--", "--github", "--only", "onnx*"],
    ]
    assert "build=[]\n" in runner.outputs.read_text("utf-8")


def test_each_model_is_fetched(runner: Runner) -> None:
    (found,) = steps(GITHUB / "actions" / "models" / "action.yml")
    assert runner.run(found["run"], {"MODELS": ""}).returncode == 0
    assert runner.noted == []
    runner.run(found["run"], {"MODELS": "a b"})
    assert [words[-1] for words in runner.noted] == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "job", "said"),
    [
        ("release.yml", "release", "build-matrix.yml has not succeeded for 0000"),
        ("rebuild.yml", "plan", "build-matrix.yml has published nothing yet"),
    ],
)
def test_the_run_that_published_is_found_or_asked_for(
    runner: Runner, file: str, job: str, said: str
) -> None:
    script = step(file, job, "gh run list")["run"]
    assert runner.run(script, {"BRANCH": "main", "ANSWER": "4711"}).returncode == 0
    assert runner.outputs.read_text("utf-8") == "run=4711\n"

    ended = runner.run(script, {"BRANCH": "main", "ANSWER": ""})

    assert ended.returncode == 1
    assert said in ended.stdout


def test_renewed_locks_become_a_branch_and_a_pull_request(runner: Runner) -> None:
    script = step("rebuild.yml", "renew", "gh pr create")["run"]
    checkout, remote = runner.directory / "checkout", runner.directory / "remote"
    # A locked-down HOME has no identity: the script sets its own.
    git = "git -c init.defaultBranch=main -c user.name=x -c user.email=x@localhost"
    prepared = runner.run(
        f"git init --quiet --bare {remote}; git clone --quiet {remote} {checkout}; cd {checkout};"
        f"mkdir images; echo old > images/lock; git add .; {git} commit --quiet -m first",
        {},
    )
    assert prepared.returncode == 0, prepared.stderr

    unchanged = runner.run(script, {}, checkout)
    assert unchanged.returncode == 0, unchanged.stderr
    assert runner.noted == []

    (checkout / "images" / "lock").write_text("new", encoding="utf-8")
    (checkout / "images" / "another").write_text("new", encoding="utf-8")
    renewed = runner.run(script, {}, checkout)
    assert renewed.returncode == 0, renewed.stderr
    assert [words[:3] for words in runner.noted] == [
        ["gh", "auth", "setup-git"],
        ["gh", "pr", "create"],
        ["gh", "workflow", "run"],
    ]
    shown = runner.run("git show --stat renewed-locks", {}, remote).stdout
    assert "Renew the locks" in shown
    assert "images/another" in shown


def step(file: str, job: str, words: str) -> dict[str, Any]:
    """Return the first step of a job whose script has these words."""
    found = jobs(GITHUB / "workflows" / file)[job]["steps"]
    return next(each for each in found if words in each.get("run", ""))
