"""Parity: how far a container's vectors are from the reference, in figures and against limits."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from builders.check import Check
from builders.errors import ReferenceVectorsError
from builders.matrix import Tolerance
from builders.vectors import Vectors

NEIGHBOURS = 10
"""How many nearest neighbours of each text are compared."""

ARITHMETIC = 1e-4
"""The most that arithmetic alone may move a vector: the distance gate of float32 weights.

Neighbours whose similarities are closer than that can move them are tied, and trade places freely.
"""

WORST = 3
"""How many of the worst texts a check names."""


def compare(
    reference: Vectors, candidate: Vectors, tolerance: Tolerance, *, name: str = "parity"
) -> tuple[Check, ...]:
    """Compare the candidate's vectors with the reference's, each figure against its limit.

    All is computed in float64. The figures are the worst text's max abs difference of the vectors
    as they were served (so that a missing normalisation shows), the worst text's distance
    ‖a/‖a‖ - b/‖b‖‖₂, and the mean share of the nearest neighbours over the reference's corpus that
    stay neighbours.

    Args:
        reference: The vectors that are right, for at least the candidate's texts.
        candidate: The vectors to judge; they may be of another precision of the same space, if the
            tolerance is that precision's.
        tolerance: The limits.
        name: What the checks' names begin with.

    Raises:
        ReferenceVectorsError: The two cannot be compared: another vector space or dimension, texts
            that the reference lacks, or a reference of fewer than three texts.
    """
    _refuse_incomparable(reference, candidate)
    positions = [reference.ids.index(identifier) for identifier in candidate.ids]
    expected = reference.matrix.astype(np.float64)
    found = candidate.matrix.astype(np.float64)
    distances = _distances(expected[positions], found)
    return (
        *moved(expected[positions], found, tolerance, candidate.ids, name=name),
        _overlap(
            f"{name}:overlap-at-{NEIGHBOURS}",
            neighbour_overlap(expected, found, positions, moved=float(distances.max())),
            tolerance.overlap_at_10,
            candidate.ids,
        ),
    )


def moved(
    expected: NDArray[np.float64],
    found: NDArray[np.float64],
    tolerance: Tolerance,
    ids: Sequence[str],
    *,
    name: str,
) -> tuple[Check, ...]:
    """Check how far vectors are from those that are right: max abs difference, and distance.

    Args:
        expected: The vectors that are right, of shape (texts, dimension).
        found: The vectors to judge, of the same shape.
        tolerance: The limits.
        ids: The texts.
        name: What the checks' names begin with.
    """
    differences = np.abs(expected - found).max(axis=1)
    distances = _distances(expected, found)
    return (
        _at_most(f"{name}:max-abs-difference", differences, tolerance.max_abs_difference, ids),
        _at_most(f"{name}:distance", distances, tolerance.distance, ids),
    )


def libraries(
    reference: Vectors,
    candidate: Vectors,
    may_differ: Collection[str],
    *,
    there: str = "in the container",
) -> Check:
    """Check that both were made with the same versions of the libraries that decide vectors.

    Where they were not, it is the libraries that are compared, and not only the container: that has
    to be declared, and is named in any case.

    Args:
        reference: What the candidate is held against, made on this host with the same backend.
        candidate: The container's vectors, or another host's.
        may_differ: The libraries of which that is expected.
        there: Where the candidate was made, in words.

    Returns:
        The check; its figure is how many libraries are of other versions.
    """
    named = sorted(reference.libraries.keys() | candidate.libraries.keys())
    versions = {
        name: (
            reference.libraries.get(name, "not there"),
            candidate.libraries.get(name, "not there"),
        )
        for name in named
    }
    differing = {name: pair for name, pair in versions.items() if pair[0] != pair[1]}
    return Check(
        name="parity:libraries",
        passed=differing.keys() <= set(may_differ),
        figure=len(differing),
        details=tuple(
            f"{name}: {theirs} on the host, {own} {there}"
            + (", as declared" if name in may_differ else "")
            for name, (theirs, own) in differing.items()
        ),
    )


def neighbour_overlap(
    reference: NDArray[np.float64],
    candidate: NDArray[np.float64],
    positions: Sequence[int],
    *,
    moved: float,
) -> NDArray[np.float64]:
    """Return, for each candidate, the share of its nearest neighbours that are the reference's.

    The neighbours are looked for among all texts of the reference, each with the candidate's vector
    where there is one. A neighbour counts when the reference ranks it among the nearest too, or so
    close behind that the two are tied: a similarity moves by at most the sum of the two distances,
    and two similarities are compared, so 4 x `moved` (and no more than `ARITHMETIC` explains:
    without this cap no difference however large could ever fail, since each explains itself).
    Counting what is within an epsilon of the last neighbour is ann-benchmarks' recall.

    Args:
        reference: Vectors of shape (texts, dimension).
        candidate: Vectors of shape (n, dimension).
        positions: Which text of the reference each candidate is.
        moved: The largest distance between a candidate and its reference.

    Returns:
        Shares between 0 and 1, of shape (n,).

    Raises:
        ReferenceVectorsError: There are fewer than three texts: no ranking to compare.
    """
    count = _neighbours(len(reference))
    rows = np.arange(len(positions))
    index = _unit(reference)
    similarities = index[positions] @ index.T
    index[positions] = _unit(candidate)
    served = index[positions] @ index.T
    for matrix in (similarities, served):
        matrix[rows, positions] = -np.inf
    last = np.sort(similarities, axis=1)[:, -count]
    # 1e-12 is beyond what float64 rounds: identical texts are tied even at a distance of 0.
    threshold = last - 4 * min(moved, ARITHMETIC) - 1e-12
    nearest = np.argsort(-served, axis=1, kind="stable")[:, :count]
    kept = np.take_along_axis(similarities, nearest, axis=1) >= threshold[:, None]
    shares: NDArray[np.float64] = kept.mean(axis=1)
    return shares


def _neighbours(texts: int) -> int:
    """Return how many neighbours to compare: 10, or of a small corpus the nearer half.

    (If all others were neighbours, the comparison could not fail.)
    """
    count = min(NEIGHBOURS, (texts - 1) // 2)
    if count < 1:
        raise ReferenceVectorsError(
            f"{texts} texts have no ranking to compare",
            remedy="take a corpus of at least three texts",
        )
    return count


def _distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = np.linalg.norm(_unit(one) - _unit(other), axis=1)
    return distances


def _unit(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / lengths


def _at_most(name: str, figures: NDArray[np.float64], limit: float, ids: Sequence[str]) -> Check:
    order = np.argsort(-figures, kind="stable")[:WORST]
    figure = float(figures[order[0]])
    return Check(
        name=name,
        passed=figure <= limit,
        figure=figure,
        limit=limit,
        details=tuple(f"{ids[row]}: {figures[row]:.3g}" for row in order if figures[row] > 0),
    )


def _overlap(name: str, shares: NDArray[np.float64], limit: float, ids: Sequence[str]) -> Check:
    figure = float(shares.mean())
    order = [row for row in np.argsort(shares, kind="stable")[:WORST] if shares[row] < 1]
    return Check(
        name=name,
        passed=figure >= limit,
        figure=figure,
        limit=limit,
        details=tuple(f"{ids[row]}: {shares[row]:.3g}" for row in order),
    )


def _refuse_incomparable(reference: Vectors, candidate: Vectors) -> None:
    where = f"{reference.backend} and {candidate.backend}"
    if reference.vector_space != candidate.vector_space:
        raise ReferenceVectorsError(
            f"vectors of different spaces cannot be compared: {reference.model} is in"
            f" {reference.vector_space}, {candidate.model} in {candidate.vector_space}",
            where=where,
            remedy="compare vectors of the same weights, tokenizer, recipe and dimension",
        )
    if reference.matrix.shape[1] != candidate.matrix.shape[1]:
        raise ReferenceVectorsError(
            f"{candidate.matrix.shape[1]} dimensions, and {reference.matrix.shape[1]} in the"
            " reference",
            where=where,
            remedy="make the reference vectors anew with the same model",
        )
    lacking = sorted(set(candidate.ids) - set(reference.ids))
    if lacking:
        raise ReferenceVectorsError(
            f"the reference has no vectors of {', '.join(lacking)}",
            where=where,
            remedy="make the reference vectors anew from this corpus",
        )
