"""Licences that are not open need an explicit acceptance before weights are handed on."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from builders import licences, publishing, report
from builders.errors import PublicationError
from builders.formats.layout import Layout
from builders.matrix import Matrix, load
from builders.outcome import Outcome
from builders.paths import ROOT
from builders.pipeline import Finished
from builders.plan import plan
from builders.project import Project
from builders.selection import Selection
from builders.store import Store
from tests.unit import attested

MODEL = "fixture-768"


def matrix(licence: str, *accepted: str) -> Matrix:
    whole = load(ROOT / "tests" / "unit" / "matrix.yaml")
    entry = whole.models[MODEL].model_copy(update={"licence": licence})
    return whole.model_copy(
        update={"models": {**whole.models, MODEL: entry}, "accept_licences": accepted}
    )


@pytest.mark.parametrize(
    ("expression", "accepted", "missing"),
    [
        ("Apache-2.0", (), ()),
        ("MIT AND (BSD-3-Clause OR Apache-2.0)", (), ()),
        ("GPL-2.0-only WITH Classpath-exception-2.0", (), ()),
        ("LicenseRef-Gemma", (), ("LicenseRef-Gemma",)),
        ("LicenseRef-Gemma", ("LicenseRef-Gemma",), ()),
        ("MIT AND LicenseRef-Gemma", ("LicenseRef-Llama",), ("LicenseRef-Gemma",)),
        ("CC-BY-NC-4.0", (), ("CC-BY-NC-4.0",)),
        ("anything", (), ("anything",)),
    ],
)
def test_what_is_neither_open_nor_accepted_is_named(
    expression: str, accepted: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    assert licences.unaccepted(expression, accepted) == missing


def test_the_refusal_says_how_to_accept() -> None:
    error = licences.refusal(matrix("LicenseRef-Gemma"), MODEL)

    assert isinstance(error, PublicationError)
    assert "under LicenseRef-Gemma, which is not open" in str(error)
    assert "accept_licences: [LicenseRef-Gemma]" in str(error)


def test_weights_of_an_api_are_not_handed_on() -> None:
    whole = matrix("LicenseRef-Terms")
    served = whole.models[MODEL].model_copy(update={"source": "openai:model"})
    assert licences.refusal(whole.model_copy(update={"models": {MODEL: served}}), MODEL) is None


@pytest.mark.parametrize("accepted", [(), ("LicenseRef-Gemma",)])
def test_an_image_that_passed_is_withheld_until_its_licence_is_accepted(
    accepted: tuple[str, ...], tmp_path: Path
) -> None:
    whole = matrix("LicenseRef-Gemma", *accepted)
    planned = plan(whole, Selection(all=True), "linux/amd64")
    passed = tuple(
        Outcome(cell=cell, layout=cast("Layout", object()))
        for cell in planned.cells
        if cell.platform == "linux/amd64"
    )
    checkout = Project(root=tmp_path, matrix=whole, store=Store(tmp_path / "cache"))
    with report.reporter([]) as reporter:
        finished = Finished(outcomes=passed, engine=None, notary=attested.unsigned(checkout))
        found = publishing._licensed(checkout, finished, reporter)

    errors = {outcome.cell.model: outcome.error for outcome in found.outcomes}
    assert errors["fixture-bert-384"] is None
    assert (errors[MODEL] is None) == bool(accepted)
    assert found.failed != bool(accepted)
