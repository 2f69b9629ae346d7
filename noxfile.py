"""The sessions: `nox --list` names them, `nox -s NAME -- --help` explains each one's arguments."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["build-matrix"]

ROOT = Path(__file__).parent
REQUIREMENTS = ROOT / "builders" / "requirements.txt"
ENVIRONMENT = ROOT / ".nox" / "equivec"
BY_FILE = ("--dist", "loadfile")
"""How processes share the tests: what a file's tests have in common is made once."""
CODE = ("builders", "images", "tests", "noxfile.py")

# Sessions share one environment (nox has one per session): installed once, started at once.
session = functools.partial(nox.session, venv_backend="none")


def run(session: nox.Session, *command: str) -> None:
    """Run a program of the shared environment, which is made first if its lock has changed.

    The time limits leave it room to remove its containers after Ctrl-C.
    """
    programs = ENVIRONMENT / "bin"
    install(session, programs)
    session.run(
        str(programs / command[0]),
        *command[1:],
        env={"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        external=True,
        interrupt_timeout=60,
        terminate_timeout=30,
    )


def install(session: nox.Session, programs: Path) -> None:
    """Install the locked requirements, unless the environment already holds them."""
    stamp = ENVIRONMENT / "requirements.sha256"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    session.log("installing the orchestrator's requirements (once)")
    session.run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT), external=True)
    session.run(
        *(str(programs / "python"), "-m", "pip", "install", "-qq", "--require-hashes"),
        *("--disable-pip-version-check", "--requirement", str(REQUIREMENTS)),
        external=True,
    )
    stamp.write_text(digest, encoding="utf-8")


def orchestrate(session: nox.Session, command: str) -> None:
    """Run a command of the orchestrator with the session's arguments."""
    run(session, "python", "-m", "builders", command, *session.posargs)


@session(name="build-matrix")
def build_matrix(session: nox.Session) -> None:
    """Build, prove and publish the images of the selected cells."""
    orchestrate(session, "build-matrix")


@session(name="build")
def build(session: nox.Session) -> None:
    """Build the images of the selected cells for other machines to prove."""
    orchestrate(session, "build")


@session(name="merge")
def merge(session: nox.Session) -> None:
    """Put together and publish what several machines have proved."""
    orchestrate(session, "merge")


@session(name="plan")
def plan(session: nox.Session) -> None:
    """Print every cell of the matrix, the left-out ones with the reason."""
    orchestrate(session, "plan")


@session(name="preflight")
def preflight(session: nox.Session) -> None:
    """Tell which cells, or packages on a platform, cannot exist, and why."""
    orchestrate(session, "preflight")


@session(name="lock")
def lock(session: nox.Session) -> None:
    """Resolve the exact inputs anew and write the locks."""
    orchestrate(session, "lock")


@session(name="fetch")
def fetch(session: nox.Session) -> None:
    """Fetch models from a hub (or read them from a directory), check and lock them."""
    orchestrate(session, "fetch")


@session(name="model")
def model(session: nox.Session) -> None:
    """Write a model's entry by reading and hashing its files, or a directory of it to mount."""
    orchestrate(session, "model")


@session(name="smoke")
def smoke(session: nox.Session) -> None:
    """Run the smoke tests and the parity of the selected cells' images again."""
    orchestrate(session, "smoke")


@session(name="rebuild")
def rebuild(session: nox.Session) -> None:
    """Build selected cells, or a published image, from nothing, and compare bit for bit."""
    orchestrate(session, "rebuild")


@session(name="verify")
def verify(session: nox.Session) -> None:
    """Tell whether a published image is what is said of it, and who says so."""
    orchestrate(session, "verify")


@session(name="release")
def release(session: nox.Session) -> None:
    """Put a version's tags on published images that have passed: nothing is rebuilt."""
    orchestrate(session, "release")


@session(name="reference")
def reference(session: nox.Session) -> None:
    """Write this host's reference vectors to a file, or compare another host's with them."""
    orchestrate(session, "reference")


@session(name="serve")
def serve(session: nox.Session) -> None:
    """Run the embedding service on this host, as the images run it."""
    orchestrate(session, "serve")


@session(name="keys")
def keys(session: nox.Session) -> None:
    """Make a key pair that signs what is found out about images."""
    orchestrate(session, "keys")


@session(name="engine")
def engine(session: nox.Session) -> None:
    """Show, start or stop the Docker engine that builds use."""
    orchestrate(session, "engine")


@session(name="clean")
def clean(session: nox.Session) -> None:
    """Bound what the cache holds, and tell what that freed."""
    orchestrate(session, "clean")


@session(name="bench")
def bench(session: nox.Session) -> None:
    """Measure and write docs/benchmarks.md."""
    orchestrate(session, "bench")


@session(name="lint")
def lint(session: nox.Session) -> None:
    """Check format, style and types, and the workflows."""
    run(session, "ruff", "format", "--check", *CODE)
    run(session, "ruff", "check", *CODE)
    run(session, "mypy", "builders", "images/service/embedding_service", "tests", "noxfile.py")
    for backend in sorted(ROOT.glob("images/*/backend.py")):
        run(session, "mypy", str(backend.relative_to(ROOT)))
    run(session, "python", "-m", "tests.lint.workflows")


@session(name="unit")
def unit(session: nox.Session) -> None:
    """Run the fast tests: no engine, no network."""
    everything = (*BY_FILE, "--numprocesses", "auto", "tests/unit", "tests/parity")
    run(session, "pytest", *(session.posargs or everything))


@session(name="tests")
def tests(session: nox.Session) -> None:
    """Run everything: lint, the fast tests, and the real engine end to end on both platforms."""
    lint(session)
    unit(session)
    # Two at a time, on however many processors: each works on two cells at a time, and waits much.
    # The order is that of tests/system/conftest.py.
    in_order = (*BY_FILE, "--no-loadscope-reorder", "--numprocesses", "2", "--durations", "30")
    run(session, "pytest", *in_order, "tests/system", *session.posargs)
