r"""Smoke tests: ordinary pytest-testinfra files that look at a running container.

`nox -s smoke` runs them. By hand, with a container started as Equivec starts its own (the shell is
for testinfra; a static busybox of the image's platform will do):

    docker run --detach --init --network none --read-only --cap-drop ALL \
        --security-opt no-new-privileges --volume BUSYBOX:/usr/bin/sh:ro IMAGE
    pytest tests/smoke --hosts=docker://CONTAINER \
        --equivec-cell dist/records/CELL/facts.json

`nox -s smoke` leaves the facts (builders/smoke/cell.py) there, and the container's log beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from builders.smoke import cell as smoke_cell
from builders.smoke.cell import SmokeCell
from builders.smoke.results import SmokeResult

INSIDE = Path(__file__).parent / "inside"

RunInside = Callable[..., list[dict[str, Any]]]
"""Runs a program of `inside/` in the container: its name, its arguments -> its JSON lines."""

_cell = pytest.StashKey[SmokeCell]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("equivec")
    group.addoption("--equivec-cell", type=Path, help="JSON file with the facts of the cell")
    group.addoption("--equivec-results", type=Path, help="JSON Lines file for each test's result")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--equivec-cell", default=None)
    hosts = config.getoption("hosts")
    if path is None or not str(hosts or "").startswith("docker://"):
        raise pytest.UsageError(
            "the smoke tests look at a container: --hosts=docker://CONTAINER --equivec-cell FILE"
        )
    config.stash[_cell] = smoke_cell.read(path)


def pytest_report_header(config: pytest.Config) -> str:
    cell = config.stash[_cell]
    how = "EMULATED" if cell.emulated else "native"
    return f"equivec: {cell.id}, {cell.platform}, {how}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cell = metafunc.config.stash[_cell]
    how = "emulated" if cell.emulated else "native"
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", [cell], ids=[how], scope="session")
    if "wheel" in metafunc.fixturenames:
        metafunc.parametrize("wheel", cell.wheels, ids=[wheel.name for wheel in cell.wheels])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    path = item.config.getoption("--equivec-results")
    if path is not None:
        result = SmokeResult(
            test=item.name.partition("[")[0],
            case=item.name,
            passed=report.passed,
            seconds=report.duration,
            problem="" if call.excinfo is None else call.excinfo.exconly(tryshort=True),
        )
        # Each line at once: what is there when the time limit ends the run is not lost.
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{result.model_dump_json()}\n")
    return report


@pytest.fixture(scope="session")
def run_inside(pytestconfig: pytest.Config) -> RunInside:
    # Of the session, as what asks by it: pytest groups tests by their parameters, and so returns to
    # a file several times. (testinfra's own `host` is a module's.)
    host: Host = testinfra.get_host(pytestconfig.getoption("hosts"))
    cell = pytestconfig.stash[_cell]

    def run(program: str, *arguments: str) -> list[dict[str, Any]]:
        source = (INSIDE / f"{program}.py").read_text("utf-8")
        # testinfra knows no time limits (pytest-testinfra#716), and a crash under qemu looks like
        # a hang; KILL, since a process that qemu has lost hears nothing else.
        command = f"timeout -s KILL {cell.seconds} /usr/bin/python3 -c %s"
        result = host.run(command + " %s" * len(arguments), source, *arguments)
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        if result.rc != 0:
            last = json.dumps(answers[-1]) if answers else "nothing"
            pytest.fail(
                f"{program} in the container: exit status {result.rc} (137: killed, or no end after"
                f" {cell.seconds} s); its last answer was {last}; {result.stderr[-2000:]}",
                pytrace=False,
            )
        return answers

    return run
