from __future__ import annotations

from builders.matrix.spelling import suggestion


def test_a_near_name_is_suggested() -> None:
    assert suggestion("fixture-786", ["fixture-768", "other"]) == "; did you mean 'fixture-768'?"


def test_no_name_is_better_than_a_far_one() -> None:
    assert suggestion("bge-base", ["fixture-768"]) == ""
    assert suggestion("x", []) == ""
