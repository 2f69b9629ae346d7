"""What ends the programs of an orchestrator that was killed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from builders import watchdog
from builders.paths import ROOT
from tests.unit.test_process import assert_gone

ORCHESTRATOR = """
import sys, threading, time
from builders import process
code = (
    "import os, subprocess, sys, time; child = subprocess.Popen(['sleep', '600']);"
    "print(os.getpid(), child.pid, file=sys.stderr, flush=True); time.sleep(600)"
)
process.run([sys.executable, "-c", "pass"])
process.run([sys.executable, "-c", code], on_line=lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize(
    ("lines", "groups"),
    [
        ([], set()),
        (["+7\n", "+8\n"], {7, 8}),
        (["+7\n", "+8\n", "-7\n"], {8}),
        (["+7\n", "-7\n", "+7\n"], {7}),
    ],
)
def test_what_remains(lines: list[str], groups: set[int]) -> None:
    assert watchdog.remaining(lines) == groups


def test_a_killed_orchestrator_s_programs_end_with_their_children() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORCHESTRATOR], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as orchestrator:
        assert orchestrator.stdout is not None
        pids = [int(word) for word in orchestrator.stdout.readline().split()]
        assert len(pids) == 2
        orchestrator.send_signal(signal.SIGKILL)

    for pid in pids:
        assert_gone(pid)
