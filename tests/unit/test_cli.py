"""The command line: help, exit statuses, and what errors look like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders.cli import COMMANDS
from builders.errors import LayoutError, MergeError, ModelError
from builders.paths import ROOT


def run(*words: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"EQUIVEC_CACHE": str(cache)} if cache else {})}
    return subprocess.run(
        [sys.executable, "-m", "builders", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str) -> None:
    completed = run(command, "--help")

    assert completed.returncode == 0, completed.stderr
    assert f"usage: nox -s {command} --" in completed.stdout
    assert f"examples:\n  nox -s {command}" in completed.stdout


def test_every_command_has_a_session_of_its_name() -> None:
    sessions = (ROOT / "noxfile.py").read_text("utf-8")
    for command in COMMANDS:
        assert f'@session(name="{command}")' in sessions


def test_an_unknown_command_names_those_there_are() -> None:
    completed = run("biuld-matrix")

    assert completed.returncode == 2
    assert "build-matrix" in completed.stderr


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (("plan", "--backend", "onnxruntim"), 11, "did you mean 'onnxruntime'?"),
        (("build-matrix", "--platform", "linux/arm"), 11, "did you mean"),
        (("smoke", "--model", "fixture-678"), 11, "did you mean 'fixture-768'?"),
        (("build-matrix", "--only", "nothing-*"), 11, "no cell's id matches"),
        (("build-matrix", "--jobs", "0"), 2, "must be at least 1"),
        (("build-matrix", "--layouts", "/nowhere"), LayoutError.exit_code, "holds no built image"),
        (("build",), 2, "the following arguments are required: --to"),
        (("build", "--platform", "darwin/arm64", "--to", "x"), 11, "none of the selected cells"),
        (("merge",), 2, "the following arguments are required: DIR"),
        (("merge", "/nowhere"), MergeError.exit_code, "/nowhere: is no directory"),
        (("serve", "--port", "70000"), 2, "must be between 1 and 65535"),
        (("serve", "--port", "0x", "--model", "fixture-768"), 2, "invalid port value"),
        (
            ("serve", "--backend", "sentence-transformers", "--model", "bge-base-en-v1.5"),
            ModelError.exit_code,
            "model bge-base-en-v1.5 needs the hub: `nox -s fetch -- --model bge-base-en-v1.5`",
        ),
    ],
)
def test_bad_arguments(words: tuple[str, ...], status: int, expected: str, tmp_path: Path) -> None:
    completed = run(*words, cache=tmp_path)

    assert completed.returncode == status
    assert expected in completed.stderr
    assert "Traceback" not in completed.stderr


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    completed = run("build-matrix", cache=tmp_path / "file" / "cache")

    assert completed.returncode == 15
    assert "EQUIVEC_CACHE" in completed.stderr


def test_the_plan_is_a_document_for_programs() -> None:
    completed = run("plan", "--json", "--all")

    document = json.loads(completed.stdout)
    assert document["schema_version"] == 1
    assert {cell["platform"] for cell in document["cells"]} >= {"linux/amd64", "linux/arm64"}


def test_no_engine_is_started_to_show_its_status(tmp_path: Path) -> None:
    environment = {**os.environ, "EQUIVEC_CACHE": str(tmp_path), "DOCKER_HOST": "unix:///nowhere"}
    completed = subprocess.run(
        [sys.executable, "-m", "builders", "engine"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert completed.returncode == 0, completed.stderr
    assert "no engine runs that builds could use" in completed.stdout
