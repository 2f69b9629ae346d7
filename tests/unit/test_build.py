"""The builder's argument list, and the key that an image is kept by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders.build import Context, Recipe, build, command
from builders.engine import Engine, Versions
from builders.errors import BuildError

RECIPE = Recipe(
    name="equivec/a-b:linux-arm64",
    platform="linux/arm64",
    dockerfile=Path("/checkout/images/Dockerfile"),
    directory=Path("/checkout/images/a"),
    files={"Dockerfile": "1" * 64},
    contexts={
        "wheels": Context(location="/cache/wheels", digest="sha256:w"),
        "base": Context(location="oci-layout:///cache/base@sha256:b", digest="sha256:b"),
    },
    labels={"io.equivec.backend": "a"},
    epoch=1704067200,
)
ENGINE = Engine(
    kind="private",
    host="unix:///run/docker.sock",
    environment={"PATH": "/usr/bin:/bin"},
    native="linux/amd64",
    platforms=("linux/amd64",),
    versions=Versions(docker="26", buildx="0.13", buildkit="1", containerd="1", runc="1", qemu=""),
)


def test_the_command_has_no_network_and_a_constant_time() -> None:
    argv = command(RECIPE, Path("/out"))

    assert argv[:3] == ("docker", "buildx", "build")
    assert argv[-1] == "/checkout/images/a"
    text = " ".join(argv)
    assert "--platform linux/arm64" in text
    assert "--file /checkout/images/Dockerfile" in text
    assert "--network none" in text
    assert "--build-arg SOURCE_DATE_EPOCH=1704067200" in text
    assert "--build-context base=oci-layout:///cache/base@sha256:b" in text
    assert "--build-context wheels=/cache/wheels" in text
    assert "--label io.equivec.backend=a" in text
    assert "dest=/out" in text
    assert "--no-cache" not in argv
    assert "--pull" not in text
    assert "--no-cache" in command(RECIPE, Path("/out"), use_cache=False)


@pytest.mark.parametrize(
    "changed",
    [
        replace(RECIPE, name="equivec/a-c:linux-arm64"),
        replace(RECIPE, platform="linux/amd64"),
        replace(RECIPE, files={"Dockerfile": "2" * 64}),
        replace(RECIPE, labels={"io.equivec.backend": "b"}),
        replace(RECIPE, epoch=1704067201),
        replace(
            RECIPE,
            contexts={**RECIPE.contexts, "wheels": Context(location="/cache/wheels", digest="x")},
        ),
    ],
)
def test_whatever_changes_the_image_changes_its_key(changed: Recipe) -> None:
    assert changed.key(ENGINE) != RECIPE.key(ENGINE)


def test_another_builder_is_another_key() -> None:
    newer = replace(ENGINE, versions=replace(ENGINE.versions, buildkit="2"))
    elsewhere = replace(ENGINE, native="linux/arm64")
    assert len({RECIPE.key(engine) for engine in (ENGINE, newer, elsewhere)}) == 3


def test_where_things_are_does_not_change_the_key() -> None:
    moved = replace(
        RECIPE,
        dockerfile=Path("/elsewhere/images/Dockerfile"),
        directory=Path("/elsewhere/images/a"),
        contexts={
            name: replace(context, location=f"/elsewhere/{name}")
            for name, context in RECIPE.contexts.items()
        },
    )
    assert moved.key(ENGINE) == RECIPE.key(ENGINE)


def test_a_failing_dockerfile_shows_its_last_lines_and_the_command(tmp_path: Path) -> None:
    """A stand-in for `docker` that fails as a build does."""
    docker = tmp_path / "docker"
    docker.write_text(
        "#!/bin/sh\n"
        "echo '#7 [site 1/1] RUN python3' >&2\n"
        "echo '#7 0.3 refused: two wheels hold shared.py' >&2\n"
        "exit 1\n"
    )
    docker.chmod(0o755)
    engine = replace(ENGINE, environment={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    notes: list[str] = []

    with pytest.raises(BuildError) as caught:
        build(RECIPE, engine, tmp_path / "out", note=notes.append)

    assert notes == ["site"]
    assert "images/Dockerfile failed for linux/arm64" in caught.value.problem
    assert "two wheels hold shared.py" in caught.value.problem
    assert caught.value.remedy.startswith("the whole build again: docker buildx build")


def test_a_builder_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    engine = replace(ENGINE, environment={"PATH": str(tmp_path)})
    with pytest.raises(BuildError, match=r"a-b:linux-arm64: cannot start docker.*\n.*install"):
        build(RECIPE, engine, tmp_path / "layout", note=print)
    assert not (tmp_path / "layout").exists()
