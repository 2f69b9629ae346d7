"""Checkouts of their own, in which the real program runs as people run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, Signals

import yaml

from builders.engine import Engine, remains
from builders.engine.connection import connect
from builders.engine.containers import RUN_LABEL
from builders.paths import ROOT

NEEDED = ("builders", "images", "matrix.yaml", "noxfile.py", "pyproject.toml", "tests/smoke")
CORPUS = "tests/corpus"
AMD64 = ("--backend", "onnxruntime", "--platform", "linux/amd64")
"""A cell for which no wheel has to be compiled."""
SECONDS = 600
"""The limit of one run: other tests, and compilers, may work beside it."""
NOTHING: Mapping[str, str] = {}


class Run:
    """One run of the program: its process, and every line that it has printed so far."""

    def __init__(self, argv: list[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def until(self, text: str) -> None:
        """Wait until it has printed a text."""
        deadline = time.monotonic() + SECONDS
        while text not in self.output:
            assert self._process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.01)

    def signal(self, number: Signals) -> None:
        """Send the process a signal, and nobody else."""
        os.kill(self.pid, number)

    def signal_group(self, number: Signals) -> None:
        """Send a signal to all of a terminal's foreground programs, as Ctrl-C does."""
        os.killpg(self.pid, number)

    def wait(self, seconds: float = SECONDS) -> int:
        """Wait for its end, and return the exit status."""
        try:
            returncode = self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"no end after {seconds} s:\n{self.output}") from error
        self._reader.join(10)
        return returncode

    def close(self) -> None:
        """End it if a test has failed to."""
        if self._process.poll() is None:
            os.killpg(self.pid, SIGKILL)
            self._process.wait()
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))


class Checkout:
    """A copy of the checkout, with a cache and an engine that may be others'."""

    def __init__(self, root: Path, cache: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.cache = cache
        self._environment = {**os.environ, **environment, "EQUIVEC_CACHE": str(cache)}
        # What a terminal or a CI job says about itself changes what is printed.
        for name in ("CI", "GITHUB_ACTIONS", "FORCE_COLOR"):
            self._environment.pop(name, None)

    @contextmanager
    def running(
        self, *words: str, argv: tuple[str, ...] = (), variables: Mapping[str, str] = NOTHING
    ) -> Iterator[Run]:
        """Run `build-matrix`, or what `argv` says, for as long as the block lasts."""
        run = Run(
            [*(argv or (sys.executable, "-m", "builders", "build-matrix")), *words],
            self.root,
            {**self._environment, **variables},
        )
        try:
            yield run
        finally:
            run.close()

    def build(self, *words: str, status: int = 0, variables: Mapping[str, str] = NOTHING) -> str:
        """Run `build-matrix` to its end; return what it printed."""
        with self.running(*words, variables=variables) as run:
            assert run.wait() == status, run.output
            return run.output

    def processes(self) -> list[str]:
        """The processes that work for this checkout: its programs, and what they started."""
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                words = (directory / "cmdline").read_text(errors="replace").split("\0")
                where = (directory / "cwd").readlink()
            except OSError:
                continue  # It has ended.
            mine = where == self.root or any(str(self.root) in word for word in words)
            if mine and remains.lives(int(directory.name)):
                found.append(" ".join(words))
        return found

    def processes_end(self) -> None:
        """Fail unless every process ends by itself, soon."""
        deadline = time.monotonic() + 5
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []

    def halves(self) -> list[str]:
        """Files and directories that are unfinished, in the cache and in dist/."""
        places = [self.cache / "derived", self.cache / "store", self.root / "dist"]
        hidden = [path for place in places for path in place.rglob(".*")]
        environments = self.cache / "derived" / "hosts"
        found = [
            path
            for path in (*hidden, *(self.root / "dist").rglob("*.partial"))
            # What uv and wheels put into an environment is its own affair.
            if not (path.is_relative_to(environments) and path.parent != environments)
        ]
        return [str(path) for path in found]


def copy(root: Path, cache: Path, environment: Mapping[str, str]) -> Checkout:
    """Copy what the program needs of this checkout."""
    root.mkdir(parents=True)
    for name in (*NEEDED, CORPUS):
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return Checkout(root, cache, environment)


def reduce(root: Path, backend: str = "onnxruntime", model: str = "fixture-768") -> None:
    """Leave one backend and one model in a copy: what is done for each of them takes its time."""
    file = root / "matrix.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    content["backends"] = {backend: content["backends"][backend]}
    content["models"] = {model: content["models"][model]}
    content["default"] = {}
    file.write_text(yaml.safe_dump(content), "utf-8")


def environment_of(engine: Engine) -> dict[str, str]:
    """Return the environment in which the program uses an engine that runs already."""
    variables = ("PATH", "DOCKER_CONFIG", "BUILDX_CONFIG")
    return {"EQUIVEC_ENGINE": engine.host, **{name: engine.environment[name] for name in variables}}


def links(source: Path, target: Path) -> None:
    """Show a directory's files a second time, without copying their bytes."""
    shutil.copytree(source, target, copy_function=os.link, symlinks=True)


def containers(environment: Mapping[str, str]) -> list[str]:
    """The containers of all runs, in an engine that no one else uses."""
    with connect(environment) as client:
        found = client.containers.list(all=True, filters={"label": RUN_LABEL})
        return [str(container.id) for container in found]
