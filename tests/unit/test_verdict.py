"""Verdicts: written, read, and kept for later runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import verdict as verdicts
from builders.check import Check
from builders.errors import PublicationError
from builders.store import Store
from tests.unit.test_outcome import DISTANCE, WIDE, verdict

KEY = f"sha256:{'a' * 64}"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    count = Check(name="wheel-record", passed=True, figure=29, limit=29)
    judged = verdict(WIDE, count)

    path = verdicts.write(judged, tmp_path)

    assert path.name == f"{judged.cell}.json"
    assert verdicts.read(path) == judged
    assert '"figure": 29,' in path.read_text("utf-8")


def test_a_passing_verdict_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert verdicts.find(store, KEY) is None

    verdicts.keep(verdict(WIDE), store, KEY)

    assert verdicts.find(store, KEY) == verdict(WIDE)


def test_a_failing_verdict_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)

    verdicts.keep(verdict(DISTANCE), store, KEY)

    assert verdicts.find(store, KEY) is None


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 2}'])
def test_what_is_no_verdict_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "verdict.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(PublicationError, match="not a verdict of schema version 1"):
        verdicts.read(path)
