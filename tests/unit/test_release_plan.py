"""Which tags a release puts where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from builders.matrix.release import TagKind
from builders.release.evidence import Published
from builders.release.plan import Move, ReleasePlan, Tags, conflict, moves, of, unsettled
from builders.release.version import parse
from builders.release.wanted import Demands, Wanted
from builders.source import Source
from tests.unit.test_release_judgement import DEMANDS, WANTED, published, statements

NEW, OLD, NEWER = (f"sha256:{digit * 64}" for digit in "123")
VERSION = parse("v1.2.3")
NO_TAGS: Tags = {}
KINDS: tuple[TagKind, ...] = ("latest", "version", "major", "minor")


def tags_of(found: tuple[Move, ...]) -> list[tuple[str, str | None, bool]]:
    return [(move.tag, move.before, move.due) for move in found]


def image(digest: str = NEW) -> Published:
    return published(index=statements(digest=digest))


def planned(
    *at: tuple[str, Published],
    tags: Tags = NO_TAGS,
    images: Sequence[Wanted] = (WANTED,),
    demands: Demands = DEMANDS,
) -> ReleasePlan:
    found = {target: {WANTED.name: one} for target, one in at}
    there = {target: {WANTED.name: tags} for target, _ in at}
    return of(VERSION, KINDS, images, demands, published=found, tags=there)


def test_a_first_release_gets_every_tag_of_the_policy() -> None:
    assert tags_of(moves(VERSION, KINDS, NEW, {})) == [
        ("v1.2.3", None, True),
        ("1.2", None, True),
        ("1", None, True),
        ("latest", None, True),
    ]
    assert tags_of(moves(VERSION, ("version",), NEW, {})) == [("v1.2.3", None, True)]


def test_tags_move_from_the_last_release() -> None:
    tags = {"v1.2.2": OLD, "1.2": OLD, "1": OLD, "latest": OLD}

    assert tags_of(moves(VERSION, KINDS, NEW, tags)) == [
        ("v1.2.3", None, True),
        ("1.2", OLD, True),
        ("1", OLD, True),
        ("latest", OLD, True),
    ]


def test_no_tag_moves_back() -> None:
    tags = {"v1.3.0": NEWER, "1.3": NEWER, "1": NEWER, "latest": NEWER}

    found = moves(VERSION, KINDS, NEW, tags)

    assert [move.tag for move in found if move.due] == ["v1.2.3", "1.2"]
    assert [move.stays for move in found if move.stays] == ["v1.3.0 is newer"] * 2


def test_a_pre_release_gets_its_own_version_alone() -> None:
    found = moves(parse("v1.2.3-rc.1"), KINDS, NEW, {})

    assert [move.tag for move in found if move.due] == ["v1.2.3-rc.1"]
    assert {move.stays for move in found[1:]} == {"v1.2.3-rc.1 is a pre-release"}


def test_a_pre_release_keeps_no_tag_from_a_release() -> None:
    tags = {"v2.0.0-rc.1": NEWER}

    assert all(move.due for move in moves(VERSION, KINDS, NEW, tags))


def test_what_is_tagged_already_is_not_due() -> None:
    tags = {"v1.2.3": NEW, "1.2": NEW, "1": OLD}

    found = moves(VERSION, KINDS, NEW, tags)

    assert [move.tag for move in found if move.due] == ["1", "latest"]


def test_a_version_never_moves() -> None:
    assert conflict(VERSION, NEW, {}) is None
    assert conflict(VERSION, NEW, {"v1.2.3": NEW}) is None
    assert OLD in (conflict(VERSION, NEW, {"v1.2.3": OLD}) or "")

    found = planned(("oci:here", image()), tags={"v1.2.3": OLD})
    assert found.refused
    assert found.steps == ()


def test_every_version_comes_before_every_tag_that_moves() -> None:
    found = planned(("oci:here", image()), ("docker://there", image()))

    assert not found.refused
    assert [(one.target, move.tag) for one, move in found.steps] == [
        ("oci:here", "v1.2.3"),
        ("docker://there", "v1.2.3"),
        ("oci:here", "1.2"),
        ("docker://there", "1.2"),
        ("oci:here", "1"),
        ("docker://there", "1"),
        ("oci:here", "latest"),
        ("docker://there", "latest"),
    ]


def test_publications_that_differ_are_refused() -> None:
    found = planned(("oci:here", image(NEW)), ("docker://there", image(OLD)))

    assert [len(one.refusals) for one in found.images] == [1, 1]
    assert found.images[0].refusals[0] == f"docker://there has {OLD}: publish it again"


def test_one_refusal_refuses_the_whole_release() -> None:
    other = replace(WANTED, name="equivec/other")
    found = planned(("oci:here", image()), images=(WANTED, other))

    assert found.images[0].refusals == ()
    assert found.images[1].refusals == ("it is not published there",)
    assert found.refused


def test_a_dirty_checkout_refuses_the_whole_release() -> None:
    dirty = replace(DEMANDS, source=Source(revision="1" * 40, clean=False))
    found = planned(("oci:here", image()), demands=dirty)

    assert found.images[0].refusals == ()
    assert found.refused


def test_a_tag_that_was_put_and_is_there_is_settled() -> None:
    for move in moves(VERSION, KINDS, NEW, {}):
        assert unsettled(VERSION, move, {"v1.2.3": NEW, move.tag: NEW}) is None


def test_a_tag_that_was_put_and_is_elsewhere_is_told() -> None:
    for move in moves(VERSION, KINDS, NEW, {}):
        assert OLD in (unsettled(VERSION, move, {"v1.2.3": NEW, move.tag: OLD}) or "")
        assert "None" in (unsettled(VERSION, move, {}) or "")


def test_a_newer_release_may_take_the_tags_that_move() -> None:
    version, minor, _, latest = moves(VERSION, KINDS, NEW, {})
    tags = {"v1.2.3": NEW, "1.2": NEW, "v2.0.0": NEWER, "latest": NEWER}

    assert [unsettled(VERSION, move, tags) for move in (version, minor, latest)] == [None] * 3


def test_a_newer_release_that_lost_its_tag_to_this_one_is_told() -> None:
    latest = moves(VERSION, KINDS, NEW, {})[-1]
    tags = {"v1.2.3": NEW, "v2.0.0": NEWER, "latest": NEW}

    assert "v2.0.0 was released meanwhile" in (unsettled(VERSION, latest, tags) or "")
