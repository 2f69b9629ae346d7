"""Of several wheels, the one is chosen that an installer on the platform would take."""

from __future__ import annotations

import platform
import sys

import pytest
from packaging.tags import Tag, sys_tags

from builders.errors import LockError
from builders.lock.wheel_tags import _ranks, best, fits, fits_python


@pytest.mark.parametrize(
    ("platform", "files", "expected"),
    [
        ("linux/amd64", ["py3-none-any", "cp310-abi3-manylinux2014_x86_64"], 1),
        ("linux/arm64", ["py3-none-any", "cp310-abi3-manylinux2014_x86_64"], 0),
        ("linux/amd64", ["cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
                         "cp311-cp311-manylinux_2_28_x86_64"], 1),
        ("linux/amd64", ["cp311-cp311-manylinux_2_39_x86_64", "cp38-abi3-manylinux1_x86_64"], 1),
        ("linux/arm64", ["cp39-abi3-manylinux_2_28_aarch64", "cp311-cp311-manylinux_2_17_aarch64"],
         1),
        ("linux/amd64", ["cp311-cp311-musllinux_1_2_x86_64", "py2.py3-none-any"], 1),
        ("linux/amd64", ["py3-none-linux_x86_64", "py3-none-any"], 0),
        ("darwin/arm64", ["cp311-cp311-macosx_14_0_arm64", "cp311-cp311-macosx_10_9_universal2"],
         0),
        ("darwin/arm64", ["cp310-abi3-macosx_10_9_universal2", "py3-none-any"], 0),
        ("darwin/arm64", ["cp311-cp311-macosx_15_0_arm64", "py3-none-any"], 1),
        ("darwin/amd64", ["cp311-cp311-macosx_11_0_arm64", "cp311-cp311-macosx_10_13_x86_64"], 1),
    ],
)  # fmt: skip
def test_the_closest(platform: str, files: list[str], expected: int) -> None:
    names = [f"x-1-{tags}.whl" for tags in files]
    assert best(names, platform) == names[expected]


def test_none_fits() -> None:
    with pytest.raises(LockError, match=r"x-1-cp312-cp312-win_amd64\.whl fits linux/amd64"):
        best(["x-1-cp312-cp312-win_amd64.whl"], "linux/amd64")


@pytest.mark.parametrize(
    ("tags", "platforms"),
    [
        ("py3-none-any", {"linux/amd64", "linux/arm64", "darwin/arm64"}),
        ("cp311-cp311-manylinux_2_28_aarch64", {"linux/arm64"}),
        ("cp311-cp311-manylinux_2_39_aarch64", set()),
        ("py3-none-macosx_11_0_arm64", {"darwin/arm64"}),
        ("cp312-cp312-manylinux_2_28_x86_64", set()),
    ],
)
def test_which_platforms_a_wheel_fits(tags: str, platforms: set[str]) -> None:
    every = ("linux/amd64", "linux/arm64", "darwin/arm64")
    assert {name for name in every if fits(f"x-1-{tags}.whl", name)} == platforms


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("cp311-cp311-win_amd64", True),
        ("cp39-abi3-musllinux_1_2_x86_64", True),
        ("py2.py3-none-macosx_10_9_universal2", True),
        ("cp312-cp312-manylinux_2_28_x86_64", False),
        ("cp312-abi3-manylinux_2_28_x86_64", False),
        ("cp310-cp310-manylinux_2_28_x86_64", False),
        ("pp311-pypy311_pp73-win_amd64", False),
    ],
)
def test_which_wheels_are_for_our_python(tags: str, expected: bool) -> None:  # noqa: FBT001
    assert fits_python(f"x-1-{tags}.whl") is expected


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11),
    reason="compares with this interpreter, which is another",
)
def test_the_order_is_the_interpreter_s_own() -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    own = [tag for tag in sys_tags() if _is_comparable(tag)]
    ours = [tag for tag in reversed(_ranks(f"linux/{machine}")) if _is_comparable(tag)]
    assert len(ours) > 500
    assert [tag for tag in own if tag in ours] == ours
    assert set(own) - set(ours) == set()


def _is_comparable(tag: Tag) -> bool:
    """Whether both know a tag: this host's C library may be newer, and of musl it knows more.

    Where a plain `linux` tag comes, installers disagree.
    """
    kind, *version = tag.platform.split("_")
    if kind == "manylinux":
        return version[0] == "2" and int(version[1]) <= 36
    return kind not in ("linux", "musllinux")
