from __future__ import annotations

import sys
from pathlib import Path

import pytest

from builders.engine import Engine, Versions
from builders.errors import BuildError
from builders.image import Root
from builders.wheelhouse import build, stage
from builders.wheelhouse.build import WheelBuild
from tests.unit.wheel_builds import ARM64, checkout, toolchain

ENGINE = Engine(
    kind="private",
    host="unix:///run/docker.sock",
    environment={"PATH": "/usr/bin:/bin"},
    native="linux/amd64",
    platforms=("linux/amd64",),
    versions=Versions(docker="26", buildx="0.13", buildkit="1", containerd="1", runc="1", qemu=""),
)


@pytest.fixture
def planned(tmp_path: Path) -> WheelBuild:
    (found,) = build.planned(checkout(tmp_path), "pkg", ARM64, toolchain())
    return found


def test_the_command(planned: WheelBuild) -> None:
    root = Root(directory=Path("/cache/roots/1"), digest="sha256:2", lock="sha256:3")

    found = stage.command(
        planned,
        stage=Path("/checkout/images/toolchain"),
        root=root,
        requirements=Path("/cache/requirements"),
        source=Path("/cache/source"),
        destination=Path("/cache/out"),
    )

    assert found == (
        *("docker", "buildx", "build", "--platform", "linux/arm64"),
        *("--file", "/checkout/images/toolchain/Dockerfile"),
        *("--network", "none", "--provenance", "false", "--sbom", "false"),
        *("--progress", "plain", "--no-cache"),
        *("--build-arg", "SOURCE_DATE_EPOCH=1704067200"),
        *("--output", "type=local,dest=/cache/out"),
        *("--build-context", "requirements=/cache/requirements"),
        *("--build-context", "source=/cache/source"),
        *("--build-context", "toolchain=oci-layout:///cache/roots/1@sha256:2"),
        *("--build-context", "tools=/checkout/images/toolchain"),
        str(planned.recipe.directory),
    )


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("#12 33.9 [107/327] /usr/bin/x86_64-linux-gnu-g++-12 -DX -c x.cpp", ("107", "327")),
        ("#7 0.4 [1/2] Building CXX object x.o", ("1", "2")),
        ("#7 [wheel 1/2] RUN --network=none", None),
        ("#12 33.9 building pkg [1/2] ", None),
        ("[1/2] Building CXX object x.o", None),
        ("#12 33.9 [107/327]", None),
    ],
)
def test_progress_is_read(line: str, count: tuple[str, str] | None) -> None:
    found = stage.COMPILED.match(line)
    assert (found and found.groups()) == count


def program(*lines: str, status: int) -> tuple[str, ...]:
    code = f"import sys; print({chr(10).join(lines)!r}, file=sys.stderr); sys.exit({status})"
    return (sys.executable, "-c", code)


def test_progress_is_noted(planned: WheelBuild) -> None:
    notes: list[str] = []
    lines = ("#7 0.4 [1/2] Building x.o", "#7 0.5 a warning", "#7 1.4 [2/2] Linking x.so")

    stage.compile_wheel(program(*lines, status=0), planned, ENGINE, note=notes.append)

    assert notes == ["compiled 1 of 2 files", "compiled 2 of 2 files"]


def test_a_failure_shows_what_was_printed_last_and_the_command(planned: WheelBuild) -> None:
    """Not what BuildKit repeats of it."""
    lines = (
        *(f"#7 {number}.5 line {number}" for number in range(100)),
        "#7 100.0   x.cpp:1: error: no",
        "#7 100.1 ",
        "#7 ERROR: exit code: 1",
        "------",
        " > [wheel 1/1] RUN --network=none:",
        "100.0   x.cpp:1: error: no",
        "ERROR: failed to solve: exit code: 1",
    )

    with pytest.raises(BuildError) as caught:
        stage.compile_wheel(program(*lines, status=1), planned, ENGINE, note=print)

    assert caught.value.problem.splitlines() == [
        "the wheel stage failed:",
        *(f"  | line {number}" for number in range(76, 100)),
        "  |   x.cpp:1: error: no",
        "  | ERROR: failed to solve: exit code: 1",
    ]
    assert caught.value.where == "pkg linux/arm64"
    assert sys.executable in caught.value.remedy


def test_a_failure_before_anything_is_compiled_is_shown(planned: WheelBuild) -> None:
    lines = (*(f"#{number} [internal] load" for number in range(100)), "ERROR: no such context")

    with pytest.raises(BuildError) as caught:
        stage.compile_wheel(program(*lines, status=1), planned, ENGINE, note=print)

    assert caught.value.problem.splitlines()[-2:] == [
        "  | #99 [internal] load",
        "  | ERROR: no such context",
    ]


def test_a_program_that_is_not_there_is_said(planned: WheelBuild) -> None:
    with pytest.raises(BuildError, match="cannot start no-such-docker"):
        stage.compile_wheel(("no-such-docker",), planned, ENGINE, note=print)


@pytest.mark.parametrize("names", [(), ("a-1-py3-none-any.whl", "b-1-py3-none-any.whl")])
def test_one_wheel_must_come_out(
    planned: WheelBuild, names: tuple[str, ...], tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(BuildError, match=f"the wheel stage left {len(names)} wheels"):
        stage._only_wheel(tmp_path, planned)
