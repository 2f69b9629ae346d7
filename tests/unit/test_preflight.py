"""Preflight tells from the locks alone which cells cannot exist, and why."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from builders.commands import preflight as command
from builders.errors import LockError
from builders.formats.wheel import Contents
from builders.lock.debian import Libraries
from builders.lock.wheels import (
    Source,
    Wheel,
    WheelLock,
    format_contents,
    format_requirements,
    lock_path,
)
from builders.paths import ROOT
from builders.plan import Cell, Plan
from builders.preflight import (
    Answer,
    asked,
    judge,
    read_requirements,
    reasons,
    selected,
    situation,
)

BOOKWORM = Libraries(glibc="2.36", glibcxx="3.4.30")


def wheel(
    *binaries: str, name: str = "x", glibc: str | None = None, glibcxx: str | None = None
) -> Wheel:
    return Wheel(
        name=name,
        version="1.0",
        sha256="a" * 64,
        file=f"{name}-1.0-py3-none-any.whl",
        size=1,
        contents=Contents(binaries=binaries, glibc=glibc, glibcxx=glibcxx, names=(name,)),
    )


def source(*wheels: str) -> Source:
    return Source(
        name="llama-cpp-python",
        version="0.3.36",
        sha256="b" * 64,
        file="llama_cpp_python-0.3.36.tar.gz",
        size=1,
        wheels=tuple(f"llama_cpp_python-0.3.36-{tags}.whl" for tags in wheels),
    )


def lock(
    *locked: Wheel | Source, platform: str = "linux/arm64", no_solution: str = ""
) -> WheelLock:
    return WheelLock(
        path=Path("images/llama-cpp/locks") / f"{platform.replace('/', '-')}.txt",
        platform=platform,
        wheels=tuple(one for one in locked if isinstance(one, Wheel)),
        sources=tuple(one for one in locked if isinstance(one, Source)),
        no_solution=no_solution,
    )


@pytest.mark.parametrize(
    ("platform", "binaries"),
    [
        ("linux/arm64", ()),
        ("linux/arm64", ("elf arm64",)),
        ("linux/amd64", ("elf amd64",)),
        ("darwin/arm64", ("mach-o amd64", "mach-o arm64")),
    ],
)
def test_wheels_that_fit(platform: str, binaries: tuple[str, ...]) -> None:
    locked = lock(wheel(*binaries, glibc="2.36", glibcxx="3.4.30"), platform=platform)
    assert reasons([Requirement("x")], locked, BOOKWORM) == ()


@pytest.mark.parametrize(
    ("platform", "binaries", "said"),
    [
        (
            "linux/arm64",
            ("mach-o arm64",),
            "holds macOS binaries (mach-o arm64), not Linux's (elf arm64)",
        ),
        (
            "linux/arm64",
            ("elf amd64",),
            "holds elf amd64, not elf arm64",
        ),
        (
            "linux/amd64",
            ("pe amd64",),
            "holds Windows binaries (pe amd64), not Linux's (elf amd64)",
        ),
        (
            "darwin/arm64",
            ("mach-o amd64",),
            "holds mach-o amd64, not mach-o arm64",
        ),
    ],
)
def test_machine_code_of_another_platform(
    platform: str, binaries: tuple[str, ...], said: str
) -> None:
    assert reasons([], lock(wheel(*binaries), platform=platform), None) == (
        f"x-1.0-py3-none-any.whl {said}",
    )


def test_a_newer_c_library() -> None:
    assert reasons([], lock(wheel("elf arm64", glibc="2.38")), BOOKWORM) == (
        "x-1.0-py3-none-any.whl asks for GLIBC_2.38, and the image has GLIBC_2.36",
    )


def test_a_newer_c_plus_plus_library() -> None:
    assert reasons([], lock(wheel("elf arm64", glibcxx="3.4.32")), BOOKWORM) == (
        "x-1.0-py3-none-any.whl asks for GLIBCXX_3.4.32, and the image has GLIBCXX_3.4.30",
    )


@pytest.mark.parametrize(
    "name", ["nvidia-cublas-cu12", "nvidia-nccl-cu13", "triton", "cuda-pathfinder"]
)
def test_a_wheel_for_an_accelerator_is_refused(name: str) -> None:
    (reason,) = reasons([], lock(wheel("elf arm64", name=name)), BOOKWORM)
    assert reason == (
        f"{name}-1.0-py3-none-any.whl is for an accelerator, and images compute on the CPU:"
        " pin a CPU build"
    )
    assert reasons([], lock(wheel("mach-o arm64", name=name), platform="darwin/arm64"), None) == ()


def test_versions_are_compared_as_numbers() -> None:
    assert reasons([], lock(wheel("elf arm64", glibc="2.4", glibcxx="3.4.9")), BOOKWORM) == ()


def test_a_host_s_own_libraries_are_not_judged() -> None:
    assert reasons([], lock(wheel("elf arm64", glibc="2.99")), None) == ()


def test_a_requirement_without_a_wheel() -> None:
    wanted = [Requirement("x"), Requirement("GPT4All>=2")]
    assert reasons(wanted, lock(wheel()), BOOKWORM) == (
        "no wheel of GPT4All for linux/arm64 is locked",
    )


def test_a_requirement_that_the_lock_no_longer_meets() -> None:
    assert reasons([Requirement("x>=2")], lock(wheel()), BOOKWORM) == (
        "x>=2 is required, 1.0 is locked",
    )


@pytest.mark.parametrize(
    ("marker", "platform", "is_wanted"),
    [
        ("sys_platform == 'darwin'", "linux/arm64", False),
        ("sys_platform == 'darwin'", "darwin/arm64", True),
        ("platform_machine == 'aarch64'", "linux/arm64", True),
        ("platform_machine == 'aarch64'", "linux/amd64", False),
        ("platform_machine == 'arm64'", "darwin/arm64", True),
        ("platform_machine == 'x86_64'", "darwin/amd64", True),
        ("python_version >= '3.12'", "linux/arm64", False),
    ],
)
def test_markers_are_the_target_s(marker: str, platform: str, is_wanted: bool) -> None:  # noqa: FBT001
    found = reasons([Requirement(f"y; {marker}")], lock(platform=platform), None)
    assert bool(found) is is_wanted


def test_no_solution_is_told_in_the_resolver_s_words() -> None:
    locked = lock(no_solution="Because gpt4all==2.8.2 has no wheels for it.")
    assert reasons([Requirement("gpt4all")], locked, BOOKWORM) == (
        "no wheels for linux/arm64: Because gpt4all==2.8.2 has no wheels for it.",
    )


def test_what_is_built_from_source_meets_its_requirement() -> None:
    wanted = [Requirement("llama_cpp_python>=0.3")]
    assert reasons(wanted, lock(source()), BOOKWORM, recipes=["llama-cpp-python"]) == ()
    wanted = [Requirement("llama-cpp-python>=0.4")]
    assert reasons(wanted, lock(source()), BOOKWORM, recipes=["llama-cpp-python"]) == (
        "llama-cpp-python>=0.4 is required, 0.3.36 is locked",
    )


@pytest.mark.parametrize(
    ("wheels", "said"),
    [
        ((), "no wheel for any platform"),
        (("py3-none-win_amd64", "py3-none-macosx_11_0_arm64"), "no wheel for linux/arm64"),
        (("py3-none-manylinux_2_28_aarch64",), "its wheel for linux/arm64 is not taken"),
    ],
)
def test_a_source_archive_that_nothing_builds(wheels: tuple[str, ...], said: str) -> None:
    missing = "images/llama-cpp/wheels/llama-cpp-python is missing"
    assert reasons([], lock(source(*wheels)), BOOKWORM, recipes=["other"]) == (
        f"llama-cpp-python 0.3.36: {said}, and no wheel stage builds it from source ({missing})",
    )


@pytest.mark.parametrize(
    ("wheels", "platform", "said"),
    [
        (
            (),
            "linux/amd64",
            "no wheel for any platform; built from source by this image's wheel stage",
        ),
        ((), "darwin/arm64", "no wheel for any platform; built from source on this host"),
        (
            ("py3-none-win_amd64",),
            "linux/amd64",
            "no wheel for linux/amd64; built from source by this image's wheel stage",
        ),
        (
            ("py3-none-any",),
            "linux/amd64",
            "its wheel for linux/amd64 is not taken; built from source by this image's wheel stage",
        ),
    ],
)
def test_the_situation_is_told(wheels: tuple[str, ...], platform: str, said: str) -> None:
    locked = lock(wheel(), source(*wheels), platform=platform)
    assert situation(locked) == (f"llama-cpp-python 0.3.36: {said}",)


def test_nothing_is_told_of_wheels() -> None:
    assert situation(lock(wheel())) == ()


def test_every_reason_is_given() -> None:
    locked = lock(wheel("elf amd64", name="a", glibc="2.40"), wheel("pe amd64", name="b"))
    assert len(reasons([Requirement("c")], locked, BOOKWORM)) == 4


def test_requirements_are_read(tmp_path: Path) -> None:
    path = tmp_path / "requirements.in"
    path.write_text("# the backend\nnumpy\nfastapi>=0.165 # bodies are limited\n")
    assert read_requirements(path) == (Requirement("numpy"), Requirement("fastapi>=0.165"))


def test_a_malformed_requirement_is_named(tmp_path: Path) -> None:
    path = tmp_path / "requirements.in"
    path.write_text("-r other.in\n")
    with pytest.raises(LockError, match="not a requirement: -r other") as caught:
        read_requirements(path)
    assert caught.value.where == str(path)


def locked_backend(images: Path, platform: str, *locked: Wheel | Source) -> None:
    """Write a backend's folder: it requires x, and these are locked."""
    directory = images / "some"
    (directory / "locks").mkdir(parents=True)
    (directory / "requirements.in").write_text("x\n")
    made = lock(*locked, platform=platform)
    lock_path(directory, platform).write_text(format_requirements(made))
    (directory / "locks" / "wheels.json").write_text(format_contents([made]))


def test_a_backend_is_judged_by_its_folder(tmp_path: Path) -> None:
    locked_backend(tmp_path, "darwin/arm64", wheel("mach-o arm64"))
    assert judge(tmp_path, "some", "darwin/arm64") == Answer(reasons=(), how=())
    with pytest.raises(LockError, match="some has no lock for linux/arm64"):
        judge(tmp_path, "some", "linux/arm64")


def test_a_backend_for_linux_is_held_against_the_base_s_libraries(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "images" / "base", tmp_path / "base")
    locked_backend(tmp_path, "linux/arm64", wheel("elf arm64", glibc="2.38"))
    answer = judge(tmp_path, "some", "linux/arm64")
    assert answer.reasons == (
        "x-1.0-py3-none-any.whl asks for GLIBC_2.38, and the image has GLIBC_2.36",
    )
    assert not answer.possible


def test_how_is_told_of_what_is_possible_only(tmp_path: Path) -> None:
    locked_backend(tmp_path, "darwin/arm64", wheel("mach-o arm64"), source())
    assert judge(tmp_path, "some", "darwin/arm64").how == ()  # there is no recipe
    recipe = tmp_path / "some" / "wheels" / "llama-cpp-python" / "recipe.toml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("")
    assert judge(tmp_path, "some", "darwin/arm64") == Answer(
        reasons=(),
        how=("llama-cpp-python 0.3.36: no wheel for any platform; built from source on this host",),
    )


def cell(platform: str, *, is_selected: bool = True, left_out: str | None = None) -> Cell:
    return Cell(
        id=f"some-m-{platform.replace('/', '-')}",
        backend="some",
        model="m",
        platform=platform,
        kind="host",
        image="equivec/some-m",
        format="onnx",
        runner=None if left_out else platform,
        native=True,
        selected=is_selected,
        left_out=left_out,
    )


def test_every_selected_cell_has_an_answer(tmp_path: Path) -> None:
    locked_backend(tmp_path, "darwin/arm64", wheel("pe amd64"))
    cells = (
        cell("darwin/arm64"),
        cell("linux/amd64", is_selected=False),  # its lock, which is missing, is not read
        cell("linux/arm64", left_out="no common format"),
    )
    refused, left_out = selected(tmp_path, Plan(host="linux/amd64", cells=cells))
    assert (refused.status, left_out.status) == ("refused", "left out")
    (reason,) = refused.reasons
    assert reason.startswith("x-1.0-py3-none-any.whl holds Windows binaries (pe amd64)")
    assert left_out.reasons == ("no common format",)


def test_a_plan_whose_cells_are_asked_says_which_are_refused(tmp_path: Path) -> None:
    locked_backend(tmp_path, "darwin/arm64", wheel("pe amd64"))
    cells = (
        cell("darwin/arm64", is_selected=False),
        cell("linux/amd64"),  # without a lock
        cell("linux/arm64", left_out="no common format"),
    )
    refused, unlocked, left_out = asked(tmp_path, Plan(host="linux/amd64", cells=cells)).cells
    assert (refused.refused or "").startswith("x-1.0-py3-none-any.whl holds Windows binaries")
    assert unlocked.refused == "some has no lock for linux/amd64"
    assert left_out.refused is None


def test_a_plan_whose_cells_are_possible_says_nothing(tmp_path: Path) -> None:
    locked_backend(tmp_path, "darwin/arm64", wheel("mach-o arm64"))
    planned = Plan(host="linux/amd64", cells=(cell("darwin/arm64"),))
    assert asked(tmp_path, planned) == planned


@pytest.mark.parametrize(
    ("binary", "expected", "code", "said"),
    [
        ("elf", False, 0, "every requirement has a wheel"),
        ("pe", False, 13, "x-1.0-py3-none-any.whl holds Windows binaries"),
        ("pe", True, 0, "refused, as expected: x-1.0-py3-none-any.whl holds Windows binaries"),
        ("elf", True, 0, "it has become possible: take linux/amd64 out of `refused` of"),
    ],
)
def test_the_exit_status_tells_whether_a_cell_is_refused(
    binary: str,
    code: int,
    said: str,
    tmp_path: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    expected: bool,
) -> None:
    images = tmp_path / "images"
    shutil.copytree(ROOT / "images" / "base", images / "base")
    locked_backend(images, "linux/amd64", wheel(f"{binary} amd64"))
    (images / "some").rename(images / "onnxruntime")
    text = (ROOT / "matrix.yaml").read_text()
    if expected:
        text = text.replace(
            "    budget_mb: 80\n", "    budget_mb: 80\n    refused: [linux/amd64]\n", 1
        )
    (tmp_path / "matrix.yaml").write_text(text)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["--only", "onnxruntime-fixture-768*-linux-amd64"]
    assert command.run(parser.parse_args([*words, "--json"])) == code
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    first, *others = document["cells"]
    assert first["id"] == "onnxruntime-fixture-768-linux-amd64"
    is_possible = binary == "elf"
    assert first["status"] == ("possible" if is_possible else "refused")
    assert first["refusal_expected"] is expected
    assert bool(first["reasons"]) is not is_possible
    # What matrix.yaml itself leaves out is told, and refuses nothing.
    assert {one["status"] for one in others} == {"left out"}
    assert command.run(parser.parse_args(words)) == code
    printed = capsys.readouterr().out
    assert said in printed
    assert ("it has become possible" in printed) is (is_possible and expected)
    assert f"{int(is_possible)} of {len(document['cells'])} cells are possible" in printed
