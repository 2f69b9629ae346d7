"""Tags as they are put: broken off at every step, repeated, and with another release between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from builders.errors import PublicationError, RegistryError, ReleaseError
from builders.release import plan, release
from builders.release.evidence import gather
from builders.release.plan import ReleasePlan
from builders.release.version import Version, parse
from builders.target import OciTarget, Target
from tests.unit.released import DEMANDS, NAMES, Shelf, wanted

KINDS = plan.ORDER
V1_2_3, V1_2_4 = parse("v1.2.3"), parse("v1.2.4")
STEPS = len(NAMES) * len(KINDS)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.publish(*NAMES)
    return made


def planned(target: Target, version: Version) -> ReleasePlan:
    indexes = target.indexes()
    published = {name: gather(target, name, indexes[name], None) for name in NAMES}
    images = [wanted(name) for name in NAMES]
    tags = {name: release.looked_at(target, name, version) for name in NAMES}
    return plan.of(
        *(version, KINDS, images, DEMANDS),
        published={target.where: published},
        tags={target.where: tags},
    )


def put(
    target: Target, version: Version, note: Callable[[str], None] = lambda _: None
) -> ReleasePlan:
    found = planned(target, version)
    release.put(found, [target], note=note)
    return found


def tags(target: Target) -> dict[str, dict[str, str]]:
    return {name: dict(target.tags(name)) for name in NAMES}


def every_tag(shelf: Shelf) -> dict[str, dict[str, str]]:
    return {
        name: dict.fromkeys(("v1.2.3", "1.2", "1", "latest"), shelf.index(name)) for name in NAMES
    }


class Failing(OciTarget):
    """A publication that fails at a step, before or after the tag is there."""

    def fail(self, step: int, *, before: bool) -> None:
        object.__setattr__(self, "_left", step)
        object.__setattr__(self, "_before", before)

    def put_tag(self, name: str, tag: str, digest: str) -> None:
        left: int = vars(self)["_left"]
        object.__setattr__(self, "_left", left - 1)
        if left == 0 and vars(self)["_before"]:
            raise RegistryError("the connection was cut")
        super().put_tag(name, tag, digest)
        if left == 0:
            raise RegistryError("the answer was lost")


def failing(target: OciTarget, step: int, *, before: bool) -> Failing:
    found = Failing(where=target.where, directory=target.directory, attested=target.attested)
    found.fail(step, before=before)
    return found


def test_every_tag_is_put_and_told(shelf: Shelf) -> None:
    told: list[str] = []

    put(shelf.target, V1_2_3, told.append)

    assert tags(shelf.target) == every_tag(shelf)
    assert len(told) == STEPS
    assert told[0] == f"oci:images equivec/a-b:v1.2.3 -> {shelf.index('equivec/a-b')}"


def test_nothing_is_left_to_do_the_second_time(shelf: Shelf) -> None:
    put(shelf.target, V1_2_3)
    before = (shelf.target.directory / "index.json").read_bytes()

    again = put(shelf.target, V1_2_3)

    assert again.steps == ()
    assert not again.refused
    assert (shelf.target.directory / "index.json").read_bytes() == before


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", range(STEPS))
def test_broken_off_at_any_step_it_is_finished_by_the_same_release(
    shelf: Shelf, step: int, *, before: bool
) -> None:
    with pytest.raises(RegistryError):
        put(failing(shelf.target, step, before=before), V1_2_3)

    between = tags(shelf.target)
    assert sum(map(len, between.values())) == (step if before else step + 1)
    for name in NAMES:
        assert set(between[name].values()) <= {shelf.index(name)}
    put(shelf.target, V1_2_3)
    assert tags(shelf.target) == every_tag(shelf)


def test_latest_moves_when_every_version_is_there(shelf: Shelf) -> None:
    for step in range(STEPS):
        with pytest.raises(RegistryError):
            put(failing(shelf.target, 0, before=False), V1_2_3)
        found = tags(shelf.target)
        if any("latest" in of for of in found.values()):
            assert all("v1.2.3" in of for of in found.values())
        assert sum(map(len, found.values())) == step + 1


def test_a_refused_release_puts_nothing(shelf: Shelf) -> None:
    shelf.target.put_tag(NAMES[1], "v1.2.3", shelf.index(NAMES[1]))
    shelf.publish(NAMES[1], content="second")

    with pytest.raises(ReleaseError, match="nothing was tagged"):
        put(shelf.target, V1_2_3)

    assert tags(shelf.target)[NAMES[0]] == {}


def test_an_index_that_is_gone_gets_no_tag(shelf: Shelf) -> None:
    found = planned(shelf.target, V1_2_3)
    shelf.publish(NAMES[0], content="second")  # the first is nobody's any more

    with pytest.raises(PublicationError, match="has no index"):
        release.put(found, [shelf.target], note=lambda _: None)

    assert tags(shelf.target)[NAMES[0]] == {}


def test_a_tag_that_has_moved_since_the_plan_is_left_alone(shelf: Shelf) -> None:
    first = shelf.index(NAMES[0])
    shelf.target.put_tag(NAMES[0], "v1.0.0", first)
    found = planned(shelf.target, V1_2_3)
    shelf.publish(NAMES[0], content="second")
    shelf.target.put_tag(NAMES[0], "v1.2.3", shelf.index(NAMES[0]))

    with pytest.raises(ReleaseError, match="another release came between"):
        release.put(found, [shelf.target], note=lambda _: None)

    assert shelf.target.tag(NAMES[0], "v1.2.3") == shelf.index(NAMES[0])


def between(shelf: Shelf, step: int) -> Callable[[str], None]:
    """Return what makes a newer release, whole, after a step of another."""
    told: Sequence[str] = []

    def note(text: str) -> None:
        nonlocal told
        told = (*told, text)
        if len(told) == step + 1:
            put(shelf.target, V1_2_4)

    return note


@pytest.mark.parametrize("step", range(STEPS))
def test_a_newer_release_between_any_two_steps_keeps_what_is_its_own(
    shelf: Shelf, step: int
) -> None:
    shelf.target.put_tag(NAMES[0], "v1.0.0", shelf.index(NAMES[0]))
    shelf.target.put_tag(NAMES[1], "v1.0.0", shelf.index(NAMES[1]))
    found = planned(shelf.target, V1_2_3)
    first = {name: shelf.index(name) for name in NAMES}
    shelf.publish(*NAMES, content="second")
    second = {name: shelf.index(name) for name in NAMES}

    try:
        release.put(found, [shelf.target], note=between(shelf, step))
    except ReleaseError as error:
        assert "another release came between" in str(error)  # noqa: PT017 (or it ends well)
        assert step < STEPS - 1

    for name in NAMES:
        assert shelf.target.tag(name, "v1.2.4") == second[name]
        assert shelf.target.tag(name, "latest") == second[name]
        assert shelf.target.tag(name, "1") == second[name]
        assert shelf.target.tag(name, "v1.2.3") in (None, first[name])
