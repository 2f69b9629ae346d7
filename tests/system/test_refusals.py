"""Cells that preflight refuses, in the whole program: no engine is needed for them.

And one that matrix.yaml expects it to refuse, though nothing speaks against it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from builders import publication, verdict
from builders.engine import Engine
from builders.errors import CellsFailedError, PreflightError
from tests.system import checkouts
from tests.system.checkouts import Checkout

CELL = "gpt4all-fixture-768-linux-arm64"
REFUSED = "    refused: [linux/arm64]\n"
PROGRAM = (sys.executable, "-m", "builders")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A copy whose engine is nowhere: who looks for one fails."""
    nowhere = {"EQUIVEC_ENGINE": f"unix://{tmp_path}/nowhere.sock"}
    return checkouts.copy(tmp_path / "checkout", tmp_path / "cache", nowhere)


def unexpected(checkout: Checkout) -> None:
    """Let matrix.yaml no longer expect the refusal."""
    file = checkout.root / "matrix.yaml"
    text = file.read_text()
    assert text.count(REFUSED) == 1
    file.write_text(text.replace(REFUSED, ""))


def said(checkout: Checkout, *words: str, status: int = 0) -> str:
    with checkout.running(*words, argv=PROGRAM) as run:
        assert run.wait() == status, run.output
        return run.output


def test_an_expected_refusal_is_told_and_fails_nothing(checkout: Checkout) -> None:
    output = checkout.build("--only", CELL)
    reason = "refused, as expected: no wheels for linux/arm64: Because gpt4all==2.8.2 has no wheels"
    assert output.count(reason) == 2  # as it happens, and in the summary
    assert "1 refused" in output
    assert "failed" not in output
    assert not (checkout.root / "dist" / "verdicts").exists()


def test_an_unexpected_refusal_fails_the_run(checkout: Checkout) -> None:
    unexpected(checkout)
    output = checkout.build("--only", CELL, status=CellsFailedError.exit_code)
    assert "failed: no wheels for linux/arm64: Because gpt4all==2.8.2 has no wheels" in output
    assert "as expected" not in output
    assert "1 failed" in output


@pytest.mark.parametrize(("expected", "status"), [(True, 0), (False, PreflightError.exit_code)])
def test_preflight_and_plan_say_the_same(
    checkout: Checkout, *, expected: bool, status: int
) -> None:
    if not expected:
        unexpected(checkout)
    for command, wanted in (("plan", 0), ("preflight", status)):
        document = json.loads(said(checkout, command, "--only", CELL, "--json", status=wanted))
        (cell,) = [each for each in document["cells"] if each["id"] == CELL]
        assert cell["refusal_expected"] is expected
        assert "gpt4all==2.8.2 has no wheels" in str(cell.get("refused") or cell.get("reasons"))


def test_a_rebuild_has_nothing_to_compare(checkout: Checkout) -> None:
    output = said(checkout, "rebuild", "--only", CELL, status=11)
    assert "refused, as expected: no wheels for linux/arm64" in output
    assert "only images can be rebuilt" in output
    unexpected(checkout)
    said(checkout, "rebuild", "--only", CELL, status=PreflightError.exit_code)


@pytest.mark.engine
def test_a_cell_that_became_possible_is_built_and_said(
    store: Path, private: Engine, tmp_path: Path
) -> None:
    checkouts.links(store, tmp_path / "cache" / "store")
    environment = checkouts.environment_of(private)
    checkout = checkouts.copy(tmp_path / "checkout", tmp_path / "cache", environment)
    checkouts.reduce(checkout.root)
    file = checkout.root / "matrix.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    content["backends"]["onnxruntime"]["refused"] = [private.native]
    file.write_text(yaml.safe_dump(content), "utf-8")

    cell = f"onnxruntime-fixture-768-{private.native.replace('/', '-')}"
    place = "backends.onnxruntime in matrix.yaml"
    said = f"it has become possible: take {private.native} out of `refused` of {place}"
    output = checkout.build("--only", cell)
    assert output.count(said) == 2  # as it happens, and in the summary
    assert "1 passed" in output
    judged = verdict.read(checkout.root / "dist" / "verdicts" / f"{cell}.json")
    assert judged.passed
    images = checkout.root / "dist" / "images"
    published = publication.published_digest(
        images, "equivec/onnxruntime-fixture-768", private.native
    )
    assert published == judged.subject.digest

    # It is said until somebody has done it.
    again = checkout.build("--only", cell)
    assert "1 unchanged" in again
    assert again.count(said) == 2
