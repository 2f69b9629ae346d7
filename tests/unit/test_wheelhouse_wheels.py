from __future__ import annotations

from pathlib import Path

import pytest

from builders.wheelhouse.wheels import Wheels
from tests.unit.wheel_builds import wheel

LOCK = f"sha256:{'1' * 64}"


def wheels(lock: str = LOCK, **built: str) -> Wheels:
    return Wheels(
        directory=Path("/cache/wheels/1"),
        lock=lock,
        wheels=(wheel("idna"), wheel("numpy")),
        built=built,
        promised={},
    )


def test_without_built_wheels_the_lock_says_all() -> None:
    assert wheels().digest == LOCK


def test_with_built_wheels_the_digest_is_of_both() -> None:
    digest = wheels(pkg="2").digest
    assert digest.startswith("sha256:")
    assert digest == wheels(pkg="2").digest
    assert len({digest, LOCK, wheels(pkg="3").digest, wheels("sha256:0", pkg="2").digest}) == 4


def test_the_order_of_built_wheels_does_not_count() -> None:
    assert wheels(a="1", b="2").digest == wheels(b="2", a="1").digest


def test_versions_are_by_project() -> None:
    assert wheels().versions == {"idna": "1.0", "numpy": "1.0"}


@pytest.mark.parametrize("where", ["/elsewhere", "/cache/wheels/2"])
def test_the_directory_does_not_count(where: str) -> None:
    other = Wheels(directory=Path(where), lock=LOCK, wheels=(), built={"pkg": "2"}, promised={})
    assert other.digest == wheels(pkg="2").digest
