"""What was installed works: each wheel is there and imports, shared libraries really load."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from builders.smoke.cell import SmokeCell, SmokeWheel

MACHINES = {"linux/amd64": ("x86_64", 62), "linux/arm64": ("aarch64", 183)}
"""The kernel's name of each platform's machine, and its number in an ELF header."""

Answers = list[dict[str, Any]]


@pytest.fixture(scope="session")
def answers(run_inside: Callable[..., Answers], cell: SmokeCell) -> Answers:
    """One start of the interpreter for all: under emulation each costs a second."""
    facts = cell.model_dump(mode="json", include={"wheels", "libraries"})
    found = run_inside("installation", json.dumps(facts))
    assert found[-1] == {"step": "end"}, f"the interpreter left early, after {found[-1]}"
    return found


def test_machine(answers: Answers, cell: SmokeCell) -> None:
    machine = next(answer for answer in answers if answer["step"] == "machine")
    assert (machine["kernel"], machine["elf"]) == MACHINES[cell.platform]


def test_wheel(answers: Answers, cell: SmokeCell, wheel: SmokeWheel) -> None:
    found = next(
        answer for answer in answers if answer["step"] == "wheel" and answer["name"] == wheel.name
    )
    assert found["version"] is not None, f"{wheel.name} is not installed{errors(found)}"
    problem = f"{wheel.name} is of version {found['version']}, locked {wheel.version}"
    assert found["version"] == wheel.version, problem + errors(found)
    assert not found["errors"], f"{wheel.name} does not import{errors(found)}"


def test_promised_libraries(answers: Answers, cell: SmokeCell) -> None:
    """A compilation can leave out a library, silently: what its recipe promises is there.

    That they load, with what the image has, is for the test of all shared libraries.
    """
    promised = [library for wheel in cell.wheels for library in wheel.libraries]
    found = {answer["name"]: answer["elf"] for answer in answers if answer["step"] == "promised"}
    expected = MACHINES[cell.platform][1]
    wrong = [
        f"{library}: {found.get(library)}" for library in promised if found.get(library) != expected
    ]
    assert not wrong, f"missing, or not for machine {expected}: {', '.join(wrong)}"
    unloaded = [
        library
        for library in promised
        if not any(loaded.endswith(f"/{library}") for loaded in cell.libraries)
    ]
    assert not unloaded, f"not among the libraries that are loaded: {', '.join(unloaded)}"


def errors(found: dict[str, Any]) -> str:
    return "".join(f"; {error}" for error in found["errors"])


def test_shared_libraries_load(answers: Answers, cell: SmokeCell) -> None:
    loaded = [answer for answer in answers if answer["step"] == "library"]
    assert [answer["name"] for answer in loaded] == list(cell.libraries)
    failed = [f"{answer['name']}: {answer['error']}" for answer in loaded if answer["error"]]
    assert not failed, "; ".join(failed)
