"""What is fetched: the compilers only when a wheel is to be built, and nothing that is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders import inputs
from builders.errors import FetchError
from builders.inputs import Needs
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.network.mirrors import Mirrors
from builders.project import Project
from builders.wheelhouse import build
from tests.unit.wheel_builds import (
    AMD64,
    ARM64,
    MAC,
    checkout,
    debian_package,
    source,
    toolchain,
    wheel,
    write_lock,
)

COMPILERS = debian_package("gcc-12", b"compilers")
BASE = debian_package("libc6", b"libraries")
ASKED = "mirrors were looked for"


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package index is asked."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout, and a store that has all but the Debian packages."""
    made = checkout(tmp_path)
    for folder, package in (("toolchain", COMPILERS), ("base", BASE)):
        path = debian_lock.lock_path(made.images / folder, AMD64)
        path.parent.mkdir(parents=True)
        path.write_text(debian_lock.format_lock(toolchain(package)), encoding="utf-8")
        (made.images / folder / "packages.txt").write_text(f"{package.name}\n", encoding="utf-8")
        (made.images / folder / "test-packages.txt").touch()
    for content, locked in ((b"source", source()), (b"wheel", wheel("ninja"))):
        put(made, content, locked.sha256)
    return made


def put(project: Project, content: bytes, sha256: str) -> None:
    project.store.partial(sha256).write_bytes(content)
    assert project.store.add(sha256, project.store.partial(sha256)) is not None


def keep(project: Project, platform: str) -> None:
    """Let a platform's wheel be one that was built before."""
    lock = debian_lock.read(project.images / "toolchain", AMD64)
    (planned,) = build.planned(project, "pkg", platform, lock)
    project.store.derived(build.KIND, planned.key, lambda _directory: None)


def needs(*platforms: str, roots: tuple[str, ...] = ()) -> Needs:
    wheels = tuple(("pkg", platform) for platform in platforms)
    return Needs(roots=roots, wheels=wheels, build_platform=AMD64)


def builders(project: Project, *platforms: str) -> list[tuple[Path, str]]:
    lock = debian_lock.read(project.images / "toolchain", AMD64)
    found = inputs._builders(project, needs(*platforms), lock)
    return [(lock.path.parents[1], lock.platform) for lock in found]


def fetched(project: Project, wanted: Needs) -> inputs.InForce:
    def places() -> Mirrors:
        raise FetchError(ASKED, remedy="")

    return inputs.fetch(project, wanted, progress=lambda *_: None, places=places)


def test_wheels_are_built_with_what_the_build_platform_has(project: Project) -> None:
    recipe = project.images / "pkg" / "wheels" / "pkg"
    assert builders(project, AMD64, ARM64) == [(recipe, AMD64)]


def test_what_is_kept_needs_no_builders(project: Project) -> None:
    keep(project, AMD64)
    assert builders(project, AMD64) == []
    assert len(builders(project, AMD64, ARM64)) == 1


def test_a_host_without_a_stage_builds_with_its_own(project: Project) -> None:
    assert builders(project, MAC) == [(project.images / "pkg" / "wheels" / "pkg", MAC)]


def test_a_backend_with_wheels_only_needs_no_builders(project: Project) -> None:
    lock = write_lock(project.images / "other", wheel("ninja"), platform=AMD64)
    lock.path.with_name("wheels.json").write_text(wheel_lock.format_contents([lock]))
    wanted = Needs(roots=(), wheels=(("other", AMD64),), build_platform=AMD64)
    assert inputs._builders(project, wanted, toolchain()) == []


def test_the_compilers_are_fetched_for_a_wheel_that_is_to_be_built(project: Project) -> None:
    with pytest.raises(FetchError, match=ASKED):
        fetched(project, needs(AMD64))

    put(project, b"compilers", COMPILERS.sha256)
    assert fetched(project, needs(AMD64)).toolchain == toolchain(COMPILERS)


def test_the_compilers_are_not_fetched_for_a_kept_wheel(project: Project) -> None:
    keep(project, AMD64)
    found = fetched(project, needs(AMD64))
    # Their lock names the kept wheel all the same.
    assert found.toolchain == toolchain(COMPILERS)
    assert found.base == {}


def test_the_roots_of_images_are_fetched_too(project: Project) -> None:
    keep(project, AMD64)
    with pytest.raises(FetchError, match=ASKED):
        fetched(project, needs(AMD64, roots=(AMD64,)))

    put(project, b"libraries", BASE.sha256)
    assert fetched(project, needs(AMD64, roots=(AMD64,))).base == {AMD64: toolchain(BASE)}


def test_what_is_locked_for_the_stage_is_fetched(project: Project) -> None:
    """Not only the compilers: also the wheels that drive them."""
    put(project, b"compilers", COMPILERS.sha256)
    project.store.path(wheel("ninja").sha256).unlink()
    with pytest.raises(FetchError, match="ninja"):
        fetched(project, needs(AMD64))


def test_what_was_compiled_elsewhere_needs_no_builders(project: Project) -> None:
    wanted = replace(needs(AMD64), compiled=frozenset({("pkg", AMD64)}))
    assert inputs._builders(project, wanted, toolchain()) == []


def test_the_packages_of_an_image_that_was_built_elsewhere_are_fetched(project: Project) -> None:
    keep(project, AMD64)
    package = debian_package("libc6", b"newer libraries")
    wanted = replace(needs(AMD64), locks=(toolchain(package),))
    with pytest.raises(FetchError, match=ASKED):
        fetched(project, wanted)

    put(project, b"newer libraries", package.sha256)
    assert fetched(project, wanted).base == {}
