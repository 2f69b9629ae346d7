"""Whose vectors a cell's are held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import anchor, matrix, plan
from builders.matrix import Matrix, Tolerance
from builders.plan import Cell

HERE = "linux/amd64"
PLAIN = matrix.load(Path(__file__).with_name("matrix.yaml"))
EXACT, ROUNDED, ACROSS = (
    Tolerance(max_abs_difference=each, distance=each, overlap_at_10=1.0)
    for each in (1e-5, 1e-3, 2e-2)
)


@pytest.fixture
def several() -> Matrix:
    """Two backends, two vector spaces, and two precisions in one of them."""
    document: dict[str, Any] = PLAIN.model_dump(exclude_unset=True)
    model, backend = document["models"]["fixture-768"], document["backends"]["onnxruntime"]
    other = {**model, "weights": f"sha256:{'1' * 64}"}
    document["models"] = {
        "small-q8": {**model, "precision": "q8_0"},
        "small": model,
        "small-again": model,
        "other": other,
        "other-q8": {**other, "precision": "q8_0"},
        "alone-q8": {**model, "precision": "q8_0", "weights": f"sha256:{'2' * 64}"},
    }
    document["backends"]["llama-cpp"] = {
        **backend,
        "formats": ("gguf",),
        "cross_backend": {"small": ACROSS.model_dump()},
    }
    document["tolerances"] = {"float32": EXACT.model_dump(), "q8_0": ROUNDED.model_dump()}
    document["default"] = {"models": ("small",)}
    return Matrix.model_validate(document)


def cell(several: Matrix, backend: str, model: str, platform: str = "linux/arm64") -> Cell:
    return plan.cell(several, backend, model, platform)


@pytest.mark.parametrize(
    ("backend", "model", "expected"),
    [
        ("llama-cpp", "small", "small"),
        ("llama-cpp", "small-q8", "small"),  # another precision of the same space
        ("llama-cpp", "other-q8", "other"),  # another space has an anchor of its own
        ("onnxruntime", "small-again", "small"),  # the same space under another name
        ("llama-cpp", "alone-q8", None),  # a space without float32
        ("onnxruntime", "small", None),  # the anchor itself
    ],
)
def test_the_anchor_is_float32_of_the_same_space(
    several: Matrix, backend: str, model: str, expected: str | None
) -> None:
    found = anchor.of(several, cell(several, backend, model), HERE)
    named = found and (found.backend, found.model, found.platform)
    assert named == (expected and ("onnxruntime", expected, HERE))


def test_the_anchor_is_this_hosts_whatever_the_cells_platform(several: Matrix) -> None:
    found = anchor.of(several, cell(several, "llama-cpp", "small"), "darwin/arm64")
    assert found is not None
    assert (found.platform, found.kind) == ("darwin/arm64", "host")


def test_the_anchor_on_another_platform_is_the_anchor_itself(several: Matrix) -> None:
    for platform in ("linux/amd64", "linux/arm64", "darwin/arm64"):
        assert anchor.of(several, cell(several, "onnxruntime", "small", platform), HERE) is None


def test_a_matrix_without_an_anchor_has_none(several: Matrix) -> None:
    without = several.model_copy(update={"anchor": None})
    assert anchor.of(without, cell(without, "llama-cpp", "small"), HERE) is None


def test_an_anchor_that_cannot_read_the_model_is_none(several: Matrix) -> None:
    reads = several.backends["onnxruntime"].model_copy(update={"formats": ()})
    backends = {**several.backends, "onnxruntime": reads}
    unread = several.model_copy(update={"backends": backends})
    assert anchor.of(unread, cell(unread, "llama-cpp", "small"), HERE) is None


@pytest.mark.parametrize(
    ("backend", "model", "expected"),
    [
        ("llama-cpp", "small", ACROSS),  # its own gate
        ("llama-cpp", "other", EXACT),
        ("llama-cpp", "small-q8", ROUNDED),
        ("onnxruntime", "small", EXACT),
    ],
)
def test_the_gate_is_the_precisions_unless_the_backend_has_its_own(
    several: Matrix, backend: str, model: str, expected: Tolerance
) -> None:
    assert anchor.tolerance(several, cell(several, backend, model)) == expected
