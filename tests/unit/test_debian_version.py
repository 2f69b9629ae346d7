"""Versions are ordered as dpkg orders them."""

from __future__ import annotations

import random
import shutil
import subprocess
from itertools import pairwise

import pytest

from builders.formats.debian_version import is_newer

ASCENDING = (
    *("0~~", "0~~a", "0~", "0", "0a", "0.1", "1~rc1-1", "1~rc1-1+b1", "1", "1-0.1", "1-1~bpo12+1"),
    *("1-1", "1-1+b1", "1-1+deb12u1", "1-1+deb12u2", "1-1+deb12u10", "1-1.1", "1-2", "1-10"),
    *("1A", "1Z", "1a", "1a1", "1aa", "1b", "1z", "1+", "1+dfsg-1", "1+dfsg1-1", "1-1-1", "1."),
    *("1.0a", "1.0+", "1.1", "1.2.3", "1.2.10", "2~a", "2", "9", "10", "2026a-0+deb12u1"),
    *("20260101", "1:0", "1:1-1", "1:1-2", "2:0.1~~", "2:0.1", "10:0"),
)
"""Each is older than the next."""

EQUAL = (
    *(("1", "1-0"), ("1.0", "1.00"), ("1.0", "1."), ("0:1", "1"), ("1-1", "1-01"), ("1", "01")),
    *(("1-0", "1-00"), ("00:1", "0:1"), ("1:1", "01:1"), ("1a", "1a0"), ("1~", "1~0")),
)

CHARACTERS = "0019ab.+~-Z"
MANY = 400


def dpkg_says(version: str, relation: str, other: str) -> bool:
    """Ask the original."""
    argv = ["dpkg", "--compare-versions", version, relation, other]
    found = subprocess.run(argv, check=False, capture_output=True)
    assert found.stderr == b"", "not versions"
    return found.returncode == 0


with_dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="no dpkg to compare with")


@pytest.mark.parametrize(("older", "newer"), list(pairwise(ASCENDING)))
def test_the_next_is_newer(older: str, newer: str) -> None:
    assert is_newer(newer, older)
    assert not is_newer(older, newer)


def test_the_order_is_total() -> None:
    for place, older in enumerate(ASCENDING):
        assert [is_newer(other, older) for other in ASCENDING] == [
            other > place for other in range(len(ASCENDING))
        ]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_versions_are_not_newer(one: str, other: str) -> None:
    assert not is_newer(one, other)
    assert not is_newer(other, one)


@pytest.mark.parametrize("malformed", ["", "-", ":", "a:1", "1-", "1:", "ü", "\u0661"])
def test_what_is_no_version_has_a_place_too(malformed: str) -> None:
    assert not is_newer(malformed, malformed)
    assert is_newer("999:1", malformed)


@with_dpkg
def test_dpkg_has_the_same_table() -> None:
    for older, newer in pairwise(ASCENDING):
        assert dpkg_says(newer, "gt", older), (older, newer)
    for one, other in EQUAL:
        assert dpkg_says(one, "eq", other), (one, other)


@with_dpkg
def test_dpkg_orders_made_up_versions_alike() -> None:
    made = random.Random(20260101)  # noqa: S311 (the same versions each time, and no secrets)

    def word(signs: str, length: int) -> str:
        return "".join(made.choices(signs, k=made.randint(0, length)))

    def version() -> str:
        epoch = made.choice(("", "", "0:", "1:"))
        revision = made.choice(("", "-" + made.choice("01a~") + word(CHARACTERS, 3)))
        # A hyphen in the upstream version needs a revision after it.
        signs = CHARACTERS if revision else CHARACTERS.replace("-", "")
        return f"{epoch}{made.choice('01')}{word(signs, 4)}{revision.rstrip('-')}"

    outcomes = set()
    for _ in range(MANY):
        one, other = version(), version()
        if made.random() < 1 / 4:  # often of one beginning, which strangers seldom share
            other = one.rstrip("-") + made.choice("0~a.+1")
        outcomes.add(expected := dpkg_says(one, "gt", other))
        assert is_newer(one, other) == expected, (one, other)
    assert outcomes == {True, False}
