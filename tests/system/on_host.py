"""Backends on this host, outside of any image: with their real libraries, in one process."""

from __future__ import annotations

import subprocess
from pathlib import Path

from builders import host, inputs, project, report, stages
from builders.inputs import Needs
from builders.paths import ROOT
from builders.wheelhouse.gather import Toolchain

SECONDS = 600


def interpreter(backend: str) -> Path:
    """Return the interpreter of the host's environment with a backend's wheels."""
    checkout = project.load()
    needs = Needs(
        roots=(), wheels=((backend, host.current()),), build_platform=host.build_platform()
    )
    locks = inputs.fetch(checkout, needs, progress=lambda *_: None)
    with report.reporter([]) as reporter:
        toolchain = Toolchain(
            lock=locks.toolchain, engine=lambda: stages.find_engine(checkout, reporter)
        )
        return stages.host_python(checkout, backend, toolchain, reporter)


def run(python: Path, *words: str | Path, backend: str, scratch: Path) -> str:
    """Run a program that imports `backend`; return what it said on standard error.

    It must succeed, and leave nothing in its home directory.
    """
    images = ROOT / "images"
    home = scratch / "home"
    ended = subprocess.run(
        [python, *words],
        env={
            "PYTHONPATH": f"{images / 'service'}:{images / backend}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(home),
            "TMPDIR": str(scratch),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not home.exists(), "it wrote into the home directory"
    return ended.stderr
