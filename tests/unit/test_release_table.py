"""A release as people see it, and its command's answers to what makes no sense."""

from __future__ import annotations

import io

import pytest

from builders.release.plan import ImageRelease, Move, ReleasePlan
from builders.release.version import parse
from builders.report import release_table, terminal
from tests.unit.test_cli import run

DIGEST, OLD = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
MOVES = (
    Move(tag="v1.2.3", kind="version", before=None, after=DIGEST),
    Move(tag="1.2", kind="minor", before=OLD, after=DIGEST),
    Move(tag="1", kind="major", before=DIGEST, after=DIGEST),
    Move(tag="latest", kind="latest", before=OLD, after=DIGEST, stays="v2.0.0 is newer"),
)
GOOD = ImageRelease(
    target="oci:dist/images",
    name="equivec/a-b",
    digest=DIGEST,
    says=("linux/amd64: native, 61 checks, signed by the key k",),
    moves=MOVES,
    refusals=(),
)
BAD = ImageRelease(
    target="docker://registry.example/acme",
    name="equivec/a-b",
    digest=None,
    says=(),
    moves=(),
    refusals=("it is not published there", "with \x1b[31mcolour"),
)


def plan(*images: ImageRelease, refusals: tuple[str, ...] = ()) -> ReleasePlan:
    return ReleasePlan(version=parse("v1.2.3"), revision="f" * 40, images=images, refusals=refusals)


def shown(release: ReleasePlan) -> list[str]:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    release_table.show(release, terminal.console(stream, {}))
    stream.seek(0)
    return [line.rstrip() for line in stream.read().splitlines() if line.strip()]


def test_what_becomes_of_every_tag_is_shown() -> None:
    assert shown(plan(GOOD)) == [
        " v1.2.3 of ffffffffffff",
        " ✓ equivec/a-b at oci:dist/images  sha256:111111111111",
        "     linux/amd64: native, 61 checks, signed by the key k",
        "     v1.2.3  new",
        "     1.2     moves from sha256:222222222222",
        "     1       is there already",
        "     latest  stays on sha256:222222222222: v2.0.0 is newer",
    ]


def test_every_reason_is_shown_without_what_would_move_the_cursor() -> None:
    assert shown(plan(GOOD, BAD, refusals=("the checkout is dirty",)))[1:2] == [
        " ✗ the checkout is dirty"
    ]
    assert shown(plan(BAD))[1:] == [
        " ✗ equivec/a-b at docker://registry.example/acme",
        "     it is not published there",
        "     with colour",
    ]


def test_the_same_is_told_on_a_summary_page() -> None:
    page = release_table.markdown(plan(GOOD, BAD, refusals=("the checkout is dirty",)))

    assert page.startswith("### v1.2.3\n\n- refused: the checkout is dirty\n")
    assert f"- equivec/a-b at oci:dist/images `{DIGEST}`" in page
    assert "  - `latest  stays on sha256:222222222222: v2.0.0 is newer`" in page
    assert "- equivec/a-b at docker://registry.example/acme `not published`" in page


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("1.2.3",), 31, "did you mean v1.2.3?"),
        (("latest",), 31, "'latest' is not a version"),
        (("v1.2.3", "--platform", "linux/amd64"), 11, "a tag is on an image's every platform"),
        (("v1.2.3", "--model", "fixture-678"), 11, "did you mean 'fixture-768'?"),
        (("v1.2.3", "--only", "*-darwin-arm64"), 11, "no image is selected"),
        ((), 2, "VERSION"),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], status: int, told: str) -> None:
    completed = run("release", *words)

    assert completed.returncode == status, completed.stderr
    assert told in completed.stderr
    assert "Traceback" not in completed.stderr
