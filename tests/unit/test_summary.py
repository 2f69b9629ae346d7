from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from builders.report.summary import Row, markdown, report

PASSED = Row(
    cell="onnxruntime-fixture-768-linux-amd64",
    result="passed",
    digest="sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    size_mb=62.14,
    emulated=False,
    parity=(3.1e-7, 1e-5),
    seconds=41.23,
)
EMULATED = Row(
    cell="onnxruntime-fixture-768-linux-arm64",
    result="unchanged",
    digest="sha256:1f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    size_mb=60.4,
    emulated=True,
    parity=(4.1e-7, 1e-5),
    seconds=0.1,
)
FAILED = Row(
    cell="onnxruntime-bge-linux-arm64",
    result="failed",
    seconds=3.0,
    reason="audit: wheel-record: 3 files differ from their RECORD | the first is <numpy>\n/x.py",
)
LEFT_OUT = Row(
    cell="onnxruntime-fixture-768-darwin-arm64",
    result="left out",
    reason="a darwin/arm64 host is needed; this is linux/amd64",
)
WIDE = """
cell                                   digest           size  runs      \
worst parity / limit   time  result
✓ onnxruntime-fixture-768-linux-amd64  9f86d081884c  62.1 MB  native    \
     3.1e-07 / 1e-05  41.2s  passed
✓ onnxruntime-fixture-768-linux-arm64  1f86d081884c  60.4 MB  emulated  \
     4.1e-07 / 1e-05   0.1s  unchanged
○ 2 cells left out: a darwin/arm64 host is needed; this is linux/amd64
      onnxruntime-fixture-768, onnxruntime-bge (darwin/arm64)
○ 1 cell left out: not in the default selection (use --all)
      onnxruntime-bge (linux/amd64)

1 passed, 1 unchanged, 3 left out in 41.3s"""
ROWS = (PASSED, EMULATED, FAILED, LEFT_OUT)


def printed(*rows: Row, width: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, markup=False, highlight=False)
    console.print(report(rows, console, "41.3s"))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_wide_console_shows_a_table() -> None:
    other = replace(LEFT_OUT, cell="onnxruntime-bge-darwin-arm64")
    unasked = replace(
        LEFT_OUT,
        cell="onnxruntime-bge-linux-amd64",
        reason="not in the default selection (use --all)",
    )
    rows = (PASSED, EMULATED, LEFT_OUT, unasked, other)
    assert "\n".join(printed(*rows, width=170)) == WIDE


def test_a_narrow_console_shows_lines_for_each_cell() -> None:
    lines = printed(*ROWS, width=80)
    assert lines == [
        "",
        "✓ onnxruntime-fixture-768-linux-amd64",
        "  9f86d081884c  62.1 MB  native  parity 3.1e-07 / 1e-05  41.2s",
        "✓ onnxruntime-fixture-768-linux-arm64",
        "  1f86d081884c  60.4 MB  emulated  parity 4.1e-07 / 1e-05  0.1s",
        "  unchanged",
        "✗ onnxruntime-bge-linux-arm64",
        "  3.0s",
        "  failed: audit: wheel-record: 3 files differ from their RECORD | the first is",
        "  <numpy>",
        "  /x.py",
        "○ 1 cell left out: a darwin/arm64 host is needed; this is linux/amd64",
        "      onnxruntime-fixture-768 (darwin/arm64)",
        "",
        "1 passed, 1 unchanged, 1 failed, 1 left out in 41.3s",
    ]


REFUSED = Row(cell="gpt4all-m-linux-arm64", result="refused", reason="no wheel for linux/arm64")


def test_an_expected_refusal_stays_with_its_reason() -> None:
    said = "refused, as expected: no wheel for linux/arm64"
    wide = printed(PASSED, REFUSED, LEFT_OUT, width=170)
    assert wide[3:5] == [f"○ 1 cell {said}", "      gpt4all-m (linux/arm64)"]
    assert wide[-1] == "1 passed, 1 refused, 1 left out in 41.3s"
    narrow = printed(PASSED, REFUSED, width=80)
    assert narrow[3:5] == wide[3:5]
    assert markdown([REFUSED], "1s").splitlines()[2].endswith(f"| {said} |")


def test_what_people_should_know_of_a_cell_that_passed_is_shown() -> None:
    possible = replace(PASSED, reason="it has become possible")
    said = "passed: it has become possible"
    assert printed(possible, width=170)[2].endswith(f"41.2s  {said}")
    assert printed(possible, width=80)[3] == f"  {said}"
    assert markdown([possible], "1s").splitlines()[2].endswith(f"| {said} |")


def test_no_line_is_wider_than_the_console() -> None:
    for width in (40, 80, 120, 140):
        assert max(map(len, printed(*ROWS, width=width))) <= width


def test_markdown_cannot_be_broken_by_a_reason() -> None:
    lines = markdown(ROWS, "41.3s").splitlines()
    assert lines[0] == ("| cell | digest | size | runs | worst parity / limit | time | result |")
    assert lines[3] == (
        "| onnxruntime-fixture-768-linux-arm64 | 1f86d081884c | 60.4 MB | emulated"
        " | 4.1e-07 / 1e-05 | 0.1s | unchanged |"
    )
    assert lines[4] == (
        "| onnxruntime-bge-linux-arm64 |  |  |  |  | 3.0s | failed: audit: wheel-record: 3 files"
        " differ from their RECORD &#124; the first is &lt;numpy> /x.py |"
    )
    assert len({line.count("|") for line in lines[:6]}) == 1
    assert lines[-1] == "1 passed, 1 unchanged, 1 failed, 1 left out in 41.3s"


def test_a_drifted_image_is_marked_in_every_form() -> None:
    drifted = replace(PASSED, drifted=True)
    assert printed(drifted, width=170)[2].endswith("41.2s  passed, drifted")
    assert printed(drifted, width=80)[3] == "  passed, drifted"
    assert markdown([drifted], "1s").splitlines()[2].endswith("| passed, drifted |")


def test_a_drifted_image_that_failed_says_why() -> None:
    failed = replace(FAILED, drifted=True, reason="audit")
    assert "  failed, drifted: audit" in printed(failed, width=80)


def test_what_nobody_brought_is_absent_and_is_not_called_left_out() -> None:
    absent = replace(LEFT_OUT, result="absent")
    lines = printed(PASSED, absent, width=170)
    assert "○ 1 cell absent: a darwin/arm64 host is needed; this is linux/amd64" in lines
    assert lines[-1] == "1 passed, 1 absent in 41.3s"
    assert "absent: a darwin/arm64 host is needed" in markdown([absent], "41.3s")
