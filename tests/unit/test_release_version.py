"""Versions of releases, and their tags."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.errors import ReleaseError
from builders.release.version import Version, newest, parse, read

# The example of https://semver.org, item 11, and what surrounds it.
ASCENDING = (
    "v0.9.9",
    "v1.0.0-alpha",
    "v1.0.0-alpha.1",
    "v1.0.0-alpha.beta",
    "v1.0.0-beta",
    "v1.0.0-beta.2",
    "v1.0.0-beta.11",
    "v1.0.0-rc.1",
    "v1.0.0",
    "v1.0.1",
    "v1.2.0",
    "v1.10.0",
    "v2.0.0",
)
NUMBERS = st.integers(min_value=0, max_value=10**6)
IDENTIFIERS = st.from_regex(r"\A(0|[1-9][0-9]{0,5}|[a-z-][0-9a-z-]{0,8})\Z")
VERSIONS = st.builds(
    Version,
    major=NUMBERS,
    minor=NUMBERS,
    patch=NUMBERS,
    pre=st.lists(IDENTIFIERS, max_size=3).map(".".join),
)


def test_versions_are_ordered_as_semver_says() -> None:
    for older, newer in pairwise(ASCENDING):
        assert parse(newer).is_newer_than(parse(older))
        assert not parse(older).is_newer_than(parse(newer))
        assert not parse(older).is_newer_than(parse(older))


@given(VERSIONS)
def test_a_version_is_read_as_it_is_written(version: Version) -> None:
    assert read(str(version)) == version


@given(VERSIONS, VERSIONS)
def test_of_two_versions_one_is_newer(one: Version, other: Version) -> None:
    assert (one == other) == (not one.is_newer_than(other) and not other.is_newer_than(one))


def test_a_version_has_a_tag_of_each_kind() -> None:
    version = parse("v1.2.3")

    assert [version.tag(kind) for kind in ("version", "minor", "major", "latest")] == [
        "v1.2.3",
        "1.2",
        "1",
        "latest",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("", "v1", "v1.2", "1.2.3", "v1.2.3.4", "v01.2.3", "v1.2.3-", "v1.2.3-01", "v1.2.3-a..b"),
        *("v1.2.3+build", "v1.2.3\n", "v1.2.3 ", "v1.2.٣", "latest", f"v1.2.3-{'a' * 130}"),
        "--dry-run",
    ],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    assert read(text) is None
    with pytest.raises(ReleaseError, match="is not a version"):
        parse(text)


def test_a_version_without_its_v_is_recognised() -> None:
    with pytest.raises(ReleaseError, match=r"did you mean v1\.2\.3\?"):
        parse("1.2.3")


def test_the_newest_release_that_has_the_same_tag() -> None:
    tags = ("latest", "1", "v1.2.3", "v1.2.10", "v1.3.0", "v1.4.0-rc.1", "v2.0.0", "sha256-ab.att")
    version = parse("v1.2.4")

    assert newest(tags, "minor", version) == parse("v1.2.10")
    assert newest(tags, "major", version) == parse("v1.3.0")
    assert newest(tags, "latest", version) == parse("v2.0.0")
    assert newest(("v2.0.0",), "major", version) is None
