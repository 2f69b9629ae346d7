from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import SmokeError
from builders.smoke import results as smoke_results
from builders.smoke.results import SmokeResult


def result(test: str, case: str = "", *, problem: str = "", seconds: float = 0.25) -> SmokeResult:
    return SmokeResult(
        test=test, case=case or test, passed=not problem, seconds=seconds, problem=problem
    )


def test_a_check_for_each_test_in_their_order() -> None:
    checks = smoke_results.checks(
        [result("test_no_network"), result("test_health"), result("test_health")],
        execution="native",
    )
    assert [check.name for check in checks] == ["smoke:no-network", "smoke:health"]
    assert all(check.passed for check in checks)
    assert checks[1].details == ("native, 0.5 s",)
    assert checks[1].figure is None


def test_emulation_is_marked() -> None:
    (check,) = smoke_results.checks([result("test_health")], execution="emulated")
    assert check.details == ("emulated, 0.2 s",)


def test_cases_are_counted_and_one_that_fails_fails_the_check() -> None:
    (check,) = smoke_results.checks(
        [
            result("test_wheel", "test_wheel[numpy]"),
            result("test_wheel", "test_wheel[numpy]", problem="numpy does not import"),
            result("test_wheel", "test_wheel[h11]"),
        ],
        execution="native",
    )
    assert (check.passed, check.figure, check.limit) == (False, 1, 2)
    assert check.details[1:] == ("numpy does not import",)


def test_cases_that_share_what_failed_say_it_once() -> None:
    (check,) = smoke_results.checks(
        [result("test_wheel", str(number), problem="it crashed") for number in range(30)],
        execution="native",
    )
    assert (check.figure, check.limit) == (0, 30)
    assert check.details[1:] == ("it crashed",)


def test_failed_setup_fails_the_check() -> None:
    """A test whose fixture failed has no result of its own but that one."""
    (check,) = smoke_results.checks([result("test_x", problem="no answer")], execution="native")
    assert not check.passed


def test_written_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    written = (result("test_x"), result("test_y", problem="é\nsecond line"))
    path.write_text("".join(f"{line.model_dump_json()}\n" for line in written), encoding="utf-8")
    assert smoke_results.read(path) == written


def test_nothing_written_is_no_result(tmp_path: Path) -> None:
    assert smoke_results.read(tmp_path / "results.jsonl") == ()


def test_malformed_lines_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text('{"test": "test_x"}\n', encoding="utf-8")
    with pytest.raises(SmokeError, match="cannot be read"):
        smoke_results.read(path)
