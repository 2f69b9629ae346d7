from __future__ import annotations

from pathlib import Path

from builders.report import github


def test_a_job_is_recognised() -> None:
    assert github.is_here({"GITHUB_ACTIONS": "true"})
    assert not github.is_here({"CI": "true"})


def test_an_error_is_one_line() -> None:
    assert github.error("cell: a, b", "100 % wrong\r\n::warning::x") == (
        "::error title=cell%3A a%2C b::100 %25 wrong%0D%0A::warning::x"
    )


def test_a_group_folds_its_lines() -> None:
    assert github.group("a\nb", ["one", "two"]) == "::group::a%0Ab\none\ntwo\n::endgroup::"


def test_the_summary_page_is_added_to(tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    github.add_summary({"GITHUB_STEP_SUMMARY": str(page)}, "| é |")
    assert page.read_text(encoding="utf-8") == "before\n| é |\n"


def test_without_a_summary_page_nothing_is_written() -> None:
    github.add_summary({}, "text")
    github.add_summary({"GITHUB_STEP_SUMMARY": ""}, "text")
