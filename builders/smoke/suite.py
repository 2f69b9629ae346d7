"""The smoke suite: pytest with testinfra, run against a container."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.check import Check
from builders.errors import ProcessError, SmokeError
from builders.files import write_atomically
from builders.paths import ROOT
from builders.process import Completed, run
from builders.smoke import results as smoke_results

SUITE = ROOT / "tests" / "smoke"
"""The tests: ordinary pytest files."""

LAST_LINES = 20

_ALL_PASSED, _SOME_FAILED = 0, 1


@dataclass(frozen=True, kw_only=True)
class Records:
    """The files that a session leaves in a directory of its own."""

    directory: Path

    @property
    def facts(self) -> Path:
        """What the container must be: `--equivec-cell`."""
        return self.directory / "facts.json"

    @property
    def corpus(self) -> Path:
        """The texts that the container embeds."""
        return self.directory / "corpus.jsonl"

    @property
    def results(self) -> Path:
        """What each test found: `--equivec-results`."""
        return self.directory / "results.jsonl"

    @property
    def output(self) -> Path:
        """What pytest wrote."""
        return self.directory / "pytest.log"

    @property
    def log(self) -> Path:
        """What the container wrote."""
        return self.directory / "container.log"

    @property
    def upstream_log(self) -> Path:
        """What the container wrote that answered in the place of an API, if there was one."""
        return self.directory / "upstream.log"


def judge(
    container: str,
    records: Records,
    *,
    execution: str,
    environment: Mapping[str, str],
    timeout: float,
) -> tuple[Check, ...]:
    """Run the tests against a container; return a check for each.

    Args:
        container: Its id.
        records: Where the facts are, and where results and output go.
        execution: `native` or `emulated`: every check's details say so.
        environment: The environment in which `docker` uses the engine.
        timeout: Seconds for all tests together.

    Raises:
        SmokeError: The tests could not be run, or not to their end.
    """
    records.results.unlink(missing_ok=True)
    try:
        completed = run(
            pytest_argv(container, records),
            cwd=ROOT,
            env=pytest_environment(environment),
            timeout=timeout,
            check=False,
        )
    except ProcessError as error:
        done = [result.case for result in smoke_results.read(records.results)]
        raise SmokeError(
            f"the smoke tests were given up: {error.problem};"
            f" the last that ended was {done[-1] if done else 'none'}"
        ) from error
    write_atomically(records.output, (completed.stdout + completed.stderr).encode())
    checks = smoke_results.checks(smoke_results.read(records.results), execution=execution)
    _refuse_incomplete(completed, checks)
    return checks


def pytest_argv(container: str, records: Records) -> tuple[str, ...]:
    """Return the argument list that runs the tests against a container."""
    return (
        *(sys.executable, "-m", "pytest", str(SUITE)),
        *("--rootdir", str(ROOT), "--config-file", str(ROOT / "pyproject.toml")),
        *("-p", "testinfra.plugin", "-p", "no:cacheprovider"),
        *("--hosts", f"docker://{container}"),
        *("--equivec-cell", str(records.facts), "--equivec-results", str(records.results)),
        *("--verbose", "--tb", "short", "--color", "no"),
    )


def pytest_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the tests' environment: the engine's, without a user's own settings of pytest.

    Only the plugins that the argument list names are loaded, whatever else is installed.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _refuse_incomplete(completed: Completed, checks: tuple[Check, ...]) -> None:
    """Refuse results that are not pytest's own opinion: it may have failed to collect a file."""
    passed = all(check.passed for check in checks)
    if checks and completed.returncode == (_ALL_PASSED if passed else _SOME_FAILED):
        return
    lines = (completed.stdout + completed.stderr).splitlines()[-LAST_LINES:]
    tail = "\n".join(f"  | {line}" for line in lines)
    raise SmokeError(f"the smoke tests ended with exit status {completed.returncode}\n{tail}")
