"""A run's mark tells whether it lives, however it ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from builders.engine.run_mark import ended_runs, forget, mark

KILLED = """
import os, signal, sys
from pathlib import Path
from builders.engine.run_mark import mark
with mark(Path(sys.argv[1])) as run:
    print(run.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_living_run_is_not_ended(tmp_path: Path) -> None:
    assert ended_runs(tmp_path) == ()
    with mark(tmp_path) as run:
        assert ended_runs(tmp_path) == ()
    assert ended_runs(tmp_path) == (run.id,)


def test_a_killed_run_is(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9
    assert ended_runs(tmp_path) == (killed.stdout.strip(),)


def test_a_forgotten_run_is_nothing(tmp_path: Path) -> None:
    with mark(tmp_path) as run:
        pass
    forget(tmp_path, run.id)
    forget(tmp_path, run.id)
    assert ended_runs(tmp_path) == ()


def test_runs_have_different_ids(tmp_path: Path) -> None:
    with mark(tmp_path) as first, mark(tmp_path) as second:
        assert first.id != second.id
