from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from builders import parity
from builders.check import Check
from builders.errors import ReferenceVectorsError
from builders.matrix import Tolerance
from builders.vectors import Vectors

TOLERANCE = Tolerance(max_abs_difference=1e-5, distance=1e-4, overlap_at_10=1.0)
SPACE = f"sha256:{'a' * 64}"


def unit(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / lengths


def made(matrix: NDArray[np.float64], *, first: int = 0) -> Vectors:
    return Vectors(
        ids=tuple(f"text-{first + row}" for row in range(len(matrix))),
        matrix=matrix.astype(np.float32),
        model="fixture",
        vector_space=SPACE,
        precision="float32",
        backend="onnxruntime",
        libraries={},
        architecture="x86_64",
        batch_size=1,
    )


def random(texts: int, *, seed: int = 1, dimension: int = 32) -> NDArray[np.float64]:
    return unit(np.random.default_rng(seed).standard_normal((texts, dimension)))


def compared(
    reference: Vectors, candidate: Vectors, tolerance: Tolerance = TOLERANCE
) -> dict[str, Check]:
    checks = parity.compare(reference, candidate, tolerance)
    return {check.name.removeprefix("parity:"): check for check in checks}


def figure(check: Check) -> float:
    assert isinstance(check.figure, float)
    return check.figure


def test_same_vectors_pass_with_figures_of_zero() -> None:
    vectors = made(random(40))
    checks = compared(vectors, vectors)
    assert list(checks) == ["max-abs-difference", "distance", "overlap-at-10"]
    assert all(check.passed for check in checks.values())
    assert (checks["max-abs-difference"].figure, checks["max-abs-difference"].limit) == (0, 1e-5)
    assert (checks["distance"].figure, checks["distance"].limit) == (0, 1e-4)
    assert (checks["overlap-at-10"].figure, checks["overlap-at-10"].limit) == (1, 1)
    assert {check.details for check in checks.values()} == {()}


def test_distance_is_computed_from_unit_vectors_in_float64() -> None:
    """The formula sqrt(2(1 - cos)) would give up to 5e-4 for equal float32 vectors."""
    reference = random(12)
    moved = reference.copy()
    moved[7, 0] += 3e-5
    checks = compared(made(reference), made(moved))
    assert checks["distance"].figure == pytest.approx(3e-5, rel=0.05)
    assert checks["distance"].passed
    assert checks["max-abs-difference"].figure == pytest.approx(3e-5, rel=0.01)
    assert not checks["max-abs-difference"].passed
    assert checks["max-abs-difference"].details[0].startswith("text-7: ")


def test_drift_of_1e_4_fails() -> None:
    reference = random(40)
    drifted = unit(reference + 1.2e-4 * random(40, seed=2))
    checks = compared(made(reference), made(drifted))
    assert not checks["distance"].passed
    assert not checks["max-abs-difference"].passed


def test_missing_normalisation_shows_in_the_vectors_as_served() -> None:
    reference = random(40)
    checks = compared(made(reference), made(3 * reference))
    assert not checks["max-abs-difference"].passed
    assert checks["distance"].passed
    assert checks["overlap-at-10"].passed


def test_other_vectors_fail_every_check() -> None:
    checks = compared(made(random(40)), made(random(40, seed=2)))
    assert not any(check.passed for check in checks.values())
    assert figure(checks["overlap-at-10"]) < 0.6
    assert all(len(check.details) == 3 for check in checks.values())


def test_one_wrong_text_fails_every_check_by_its_name() -> None:
    reference = random(40)
    wrong = reference.copy()
    wrong[5] = reference[6]
    checks = compared(made(reference), made(wrong))
    assert not any(check.passed for check in checks.values())
    assert checks["distance"].details[0].startswith("text-5: ")


def test_neighbours_within_the_gate_trade_places_freely() -> None:
    """Text 0's neighbours 10 and 11 are closer than the gate lets similarities move."""
    reference = np.zeros((24, 24))
    reference[:, 0] = np.linspace(1, 0.5, 24)
    reference[11, 0] = reference[10, 0] - 2e-5
    for row in range(1, 24):
        reference[row, row] = np.sqrt(1 - reference[row, 0] ** 2)
    moved = reference.copy()
    moved[11, 0] += 9e-5
    moved[11] /= np.linalg.norm(moved[11])
    loose = Tolerance(max_abs_difference=1e-3, distance=1e-4, overlap_at_10=1.0)
    checks = compared(made(reference), made(moved), loose)
    assert figure(checks["distance"]) > 5e-5
    assert all(check.passed for check in checks.values())
    assert swapped(reference, moved), "the neighbours have not traded places: nothing was shown"


def swapped(reference: NDArray[np.float64], moved: NDArray[np.float64]) -> bool:
    """Whether text 0's ten nearest differ, ties or not."""
    nearest = [set(np.argsort(-(matrix @ matrix[0]))[1:11]) for matrix in (reference, moved)]
    return nearest[0] != nearest[1]


def test_a_large_difference_does_not_explain_itself() -> None:
    """Were the tie as wide as the measured distances allow, no ranking could ever fail."""
    reference = random(40)
    coarse = unit(reference + 0.5 * random(40, seed=2))
    wide = Tolerance(max_abs_difference=2.0, distance=2.0, overlap_at_10=0.95)
    checks = compared(made(reference), made(coarse), wide)
    assert checks["distance"].passed
    assert not checks["overlap-at-10"].passed


def test_identical_texts_are_ties() -> None:
    """Text 0 has 20 equally near neighbours: any ten of them are right."""
    reference = np.zeros((40, 32))
    reference[:20, 0] = 1
    reference[20:] = random(20)
    moved = reference.copy()
    moved[3, 1] = 1e-6
    checks = compared(made(reference), made(unit(moved)))
    assert all(check.passed for check in checks.values())


def test_all_vectors_equal() -> None:
    vectors = made(np.tile(random(1), (20, 1)))
    assert all(check.passed for check in compared(vectors, vectors).values())


@pytest.mark.parametrize("texts", [3, 5, 10, 11])
def test_ranking_of_few_texts_can_still_fail(texts: int) -> None:
    reference = random(texts, dimension=64)
    assert all(check.passed for check in compared(made(reference), made(reference)).values())
    similarities = reference @ reference.T
    np.fill_diagonal(similarities, np.inf)
    farthest = int(similarities[0].argmin())
    wrong = reference.copy()
    wrong[0] = reference[farthest]
    assert not compared(made(reference), made(wrong))["overlap-at-10"].passed


def test_no_ranking_of_two_texts() -> None:
    vectors = made(random(2))
    with pytest.raises(ReferenceVectorsError, match="2 texts have no ranking"):
        parity.compare(vectors, vectors, TOLERANCE)


def test_subset_is_ranked_among_the_whole_reference() -> None:
    """An emulated container embeds a few texts: their neighbours are the reference's."""
    reference = random(60)
    assert all(
        check.passed for check in compared(made(reference), made(reference[7:12], first=7)).values()
    )
    checks = compared(made(reference), made(random(5, seed=3), first=7))
    assert not any(check.passed for check in checks.values())


def test_names_begin_as_the_caller_says() -> None:
    vectors = made(random(12))
    names = [check.name for check in parity.compare(vectors, vectors, TOLERANCE, name="batch")]
    assert names == ["batch:max-abs-difference", "batch:distance", "batch:overlap-at-10"]


def test_vector_spaces_never_mix() -> None:
    vectors = made(random(12))
    other = dataclasses.replace(vectors, vector_space=f"sha256:{'b' * 64}", model="other")
    with pytest.raises(ReferenceVectorsError, match="different spaces"):
        parity.compare(vectors, other, TOLERANCE)


TORCH = {"torch": "2.13.0+cpu", "numpy": "2.4.6"}


def with_libraries(versions: dict[str, str]) -> Vectors:
    return dataclasses.replace(made(random(3)), libraries=versions)


def test_the_same_libraries_pass() -> None:
    check = parity.libraries(with_libraries(TORCH), with_libraries(TORCH), ())
    assert (check.name, check.passed, check.figure) == ("parity:libraries", True, 0)
    assert check.details == ()


def test_another_version_of_a_library_fails_unless_it_is_declared() -> None:
    host, container = with_libraries(TORCH), with_libraries({**TORCH, "torch": "2.10.0"})
    named = "torch: 2.13.0+cpu on the host, 2.10.0 in the container"
    found = parity.libraries(host, container, ())
    assert (found.passed, found.figure, found.details) == (False, 1, (named,))
    declared = parity.libraries(host, container, ("torch",))
    assert (declared.passed, declared.figure) == (True, 1)
    assert declared.details == (f"{named}, as declared",)


@pytest.mark.parametrize("missing", ["host", "container"])
def test_a_declared_difference_excuses_no_other_library(missing: str) -> None:
    both = [with_libraries({"torch": "2.10.0"}), with_libraries(TORCH)]
    host, container = both if missing == "host" else reversed(both)
    check = parity.libraries(host, container, ("torch",))
    assert not check.passed
    assert any(detail.startswith("numpy: ") for detail in check.details)


def test_precisions_of_one_space_are_compared_within_the_gate_given() -> None:
    reference = made(random(40))
    half = dataclasses.replace(
        reference, precision="float16", matrix=reference.matrix.astype(np.float16).astype("f4")
    )
    assert not compared(reference, half)["distance"].passed
    wide = Tolerance(max_abs_difference=1e-3, distance=2e-3, overlap_at_10=0.9)
    assert all(check.passed for check in compared(reference, half, wide).values())


def test_reference_of_other_texts_or_dimension_is_refused() -> None:
    reference = made(random(12))
    with pytest.raises(ReferenceVectorsError, match="no vectors of text-12, text-13"):
        parity.compare(reference, made(random(4), first=10), TOLERANCE)
    with pytest.raises(ReferenceVectorsError, match="16 dimensions, and 32"):
        parity.compare(reference, made(random(12, dimension=16)), TOLERANCE)
