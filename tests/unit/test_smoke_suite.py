from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from builders.check import Check
from builders.errors import SmokeError
from builders.process import Completed
from builders.smoke import suite as smoke_suite
from builders.smoke.suite import Records
from tests.unit.test_smoke_cell import CELL

RECORDS = Records(directory=Path("/records"))


def test_argument_list() -> None:
    argv = smoke_suite.pytest_argv("0123abc", RECORDS)
    assert argv[:4] == (sys.executable, "-m", "pytest", str(smoke_suite.SUITE))
    assert argv[argv.index("--hosts") + 1] == "docker://0123abc"
    assert argv[argv.index("--equivec-cell") + 1] == "/records/facts.json"
    assert argv[argv.index("--equivec-results") + 1] == "/records/results.jsonl"


def test_environment_holds_the_engine_and_none_of_a_users_pytest_settings() -> None:
    environment = smoke_suite.pytest_environment(
        {"DOCKER_HOST": "unix:///x", "PATH": "/p", "PYTEST_ADDOPTS": "-x --pdb"}
    )
    assert environment == {
        "DOCKER_HOST": "unix:///x",
        "PATH": "/p",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def test_each_program_runs_once_in_the_container(tmp_path: Path) -> None:
    # Under emulation, importing all that a backend needs takes minutes.
    records = Records(directory=tmp_path)
    wheels = tuple(CELL.wheels[0].model_copy(update={"name": name}) for name in ("a", "b", "c"))
    records.facts.write_text(CELL.model_copy(update={"wheels": wheels}).model_dump_json())
    planned = subprocess.run(
        [*smoke_suite.pytest_argv("0123abc", records), "--setup-plan"],
        env=smoke_suite.pytest_environment(os.environ),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    programs = re.findall(r"SETUP +. (\w+) \(fixtures used: .*run_inside", planned)
    inside = [path.stem for path in (smoke_suite.SUITE / "inside").glob("*.py")]
    assert len(programs) == len(inside)
    assert set(re.findall(r"test_wheel\[\w+-(\w)\]", planned)) == {"a", "b", "c"}


def completed(returncode: int) -> Completed:
    return Completed(argv=("pytest",), returncode=returncode, stdout="says pytest", stderr="")


def check(*, passed: bool) -> Check:
    return Check(name="smoke:x", passed=passed)


@pytest.mark.parametrize(("returncode", "passed"), [(0, True), (1, False)])
def test_complete_results_are_taken(returncode: int, passed: bool) -> None:  # noqa: FBT001
    smoke_suite._refuse_incomplete(completed(returncode), (check(passed=passed),))


@pytest.mark.parametrize(
    ("returncode", "checks"),
    [
        (0, ()),  # no test was found
        (5, ()),
        (0, (check(passed=False),)),
        (1, (check(passed=True),)),  # a file could not be collected, the others passed
        (2, (check(passed=True),)),
        (-9, (check(passed=True),)),
    ],
)
def test_results_that_pytest_contradicts_are_refused(
    returncode: int, checks: tuple[Check, ...]
) -> None:
    with pytest.raises(SmokeError, match=rf"exit status {returncode}\n  \| says pytest"):
        smoke_suite._refuse_incomplete(completed(returncode), checks)
