from __future__ import annotations

from builders.report.left_out import lines, named

PLATFORMS = ("linux-amd64", "linux-arm64")
CELLS = tuple(
    f"{backend}-m{number}-{platform}"
    for backend in ("a", "b")
    for number in range(3)
    for platform in PLATFORMS
)


def test_what_is_left_out_on_the_same_platforms_stands_in_one_line() -> None:
    assert named((*CELLS, "a-m9-linux-arm64")) == (
        "a-m0, a-m1, a-m2, b-m0, b-m1, b-m2 (linux/amd64, linux/arm64)",
        "a-m9 (linux/arm64)",
    )


def test_of_many_it_is_told_how_many_more_there_are() -> None:
    assert named((*CELLS, "a-m9-linux-arm64"), most=2) == (
        "a-m0, a-m1 (linux/amd64, linux/arm64)",
        "and 5 more: `nox -s plan` names them",
    )
    assert named(CELLS, most=6) == named(CELLS)


def test_each_reason_stands_once_and_lines_are_not_too_wide() -> None:
    cells = [
        *((cell, "left out: too old") for cell in CELLS),
        ("c-m-darwin-arm64", "left out: elsewhere"),
    ]
    assert list(lines(cells, width=30)) == [
        "12 cells left out: too old",
        "    a-m0, a-m1, a-m2, b-m0,",
        "    b-m1, b-m2 (linux/amd64,",
        "    linux/arm64)",
        "1 cell left out: elsewhere",
        "    c-m (darwin/arm64)",
    ]
