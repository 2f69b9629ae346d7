"""The watchdog: a process that ends the orchestrator's programs when it was killed itself.

It reads `+<group>` when a program starts and `-<group>` when it has ended. The end of that input is
the orchestrator's, in whatever way it came: the system closes its pipe. Groups that are still
listed then are killed, so that no orphan writes into a directory that the next run makes anew.

A signal at the parent's death (PR_SET_PDEATHSIG) would be Linux's alone, would reach a program but
not what it started, and would come when the *thread* ends that started it.

This file is run as a script, by itself: it imports nothing of the package.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable

ARGV = (sys.executable, "-I", "-S", __file__)


def remaining(lines: Iterable[str]) -> frozenset[int]:
    """Return the process groups that have started and not ended, once the lines are over."""
    groups: set[int] = set()
    for line in lines:
        sign, group = line[:1], int(line[1:])
        if sign == "+":
            groups.add(group)
        else:
            groups.discard(group)
    return frozenset(groups)


def main() -> None:
    """Wait for the orchestrator's end, then end what it has left."""
    for group in remaining(sys.stdin):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
