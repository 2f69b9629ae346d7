"""Preflight tells from the locks alone which cells cannot exist, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from builders.errors import LockError
from builders.formats.wheel import Contents
from builders.lock.debian import Libraries
from builders.lock.wheels import Source, Wheel, WheelLock
from builders.preflight import read_requirements, reasons, situation

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
        ("linux/arm64", ("mach-o arm64",), "holds mach-o arm64, not elf arm64"),
        ("linux/arm64", ("elf amd64",), "holds elf amd64, not elf arm64"),
        ("linux/amd64", ("pe amd64",), "holds pe amd64, not elf amd64"),
        ("darwin/arm64", ("mach-o amd64",), "holds mach-o amd64, not mach-o arm64"),
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
