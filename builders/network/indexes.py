"""The package indexes, asked through uv with the settings of this machine's pip.

Nothing but wheels is taken, except of the projects that are named as sources: of these nothing but
the source archive is, whether there are wheels or not. That is decided by whoever writes a recipe
for one, not by what an index happens to have on a day.

To choose, uv reads what an archive states that it requires; where it states nothing (before
metadata 2.2), uv runs the project's own build backend. To locate a locked one, nothing is run.

A project may have a page of its own with wheels that no index has, such as torch's builds for CPUs
(matrix.yaml, `find_links`). Only what the configured places cannot serve is looked for there: a
machine with such wheels at hand needs no page, and one with the page needs nothing configured.

https://docs.astral.sh/uv/pip/compile/
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from uv import find_uv_bin

from builders.errors import FetchError, LockError
from builders.lock import wheel_tags
from builders.network import pip_settings
from builders.network.pip_settings import PipSettings
from builders.network.uv_settings import pages_of, uv_environment, with_pages
from builders.process import run

TARGETS = {
    "linux/amd64": f"x86_64-manylinux_2_{wheel_tags.GLIBC_MINOR}",
    "linux/arm64": f"aarch64-manylinux_2_{wheel_tags.GLIBC_MINOR}",
    "darwin/amd64": "x86_64-apple-darwin",
    "darwin/arm64": "aarch64-apple-darwin",
}
"""uv's names of platforms, with the C library of Debian bookworm."""

RESOLVE_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A wheel or source archive that an index offers.

    Attributes:
        name: The project's normalised name.
        version: Its version.
        file: The file's name.
        url: Where the index has it; may hold credentials.
        sha256: As the index states it; empty if it does not.
    """

    name: str
    version: str
    file: str
    url: str
    sha256: str

    @property
    def is_source(self) -> bool:
        """Whether it is a source archive."""
        return not self.file.endswith(".whl")


class NoSolutionError(LockError):
    """No set of files satisfies the requirements on a platform."""


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """The indexes that this machine is configured for.

    Attributes:
        settings: pip's.
        environment: uv's whole environment.
        find_links: The page of a project, by its name.
    """

    settings: PipSettings
    environment: Mapping[str, str]
    find_links: Mapping[str, str] = field(default_factory=dict)

    def resolve(
        self, requirements: Path, platform: str, sources: Iterable[str] = ()
    ) -> tuple[Candidate, ...]:
        """Choose a file for every requirement of a file, and for all that these require.

        Args:
            requirements: The file.
            platform: For which to choose wheels.
            sources: The projects of which the source archive is taken, and no wheel.

        Raises:
            NoSolutionError: There is no such set of files; the problem is in uv's words.
            LockError: What an archive requires cannot be told.
            FetchError: An index cannot be reached.
        """
        offered: dict[str, list[Candidate]] = {}
        command = compile_command(requirements, platform, sources)
        for candidate in self._compile(command, requirements.read_text(encoding="utf-8")):
            offered.setdefault(candidate.name, []).append(candidate)
        return tuple(closest(candidates, platform) for candidates in offered.values())

    def locate(
        self, lock: Path, platform: str, sources: Iterable[str] = ()
    ) -> tuple[Candidate, ...]:
        """Find where the indexes have the files that a hashed requirements file names.

        Args:
            lock: The requirements file.
            platform: For which it is.
            sources: The projects of which it names the source archive.

        Returns:
            Every fitting file of the locked versions, the locked ones among them.

        Raises:
            NoSolutionError: The indexes no longer have them all.
            FetchError: An index cannot be reached.
        """
        command = [*compile_command(lock, platform, sources), "--no-deps"]
        return self._compile(command, lock.read_text(encoding="utf-8"))

    def wheels(self, name: str, version: str) -> tuple[Candidate, ...]:
        """Return the wheels of a version for any platform at all, and Python 3.11.

        Raises:
            FetchError: An index cannot be reached.
        """
        try:
            found = self._compile(universal_command(), f"{name}=={version}\n")
        except NoSolutionError:
            return ()
        return tuple(candidate for candidate in found if wheel_tags.fits_python(candidate.file))

    def _compile(self, command: list[str], requirements: str) -> tuple[Candidate, ...]:
        """Ask the configured places; what they cannot serve, the pages of the projects as well."""
        if self.settings.no_index:
            # The one setting for which uv has no variable.
            return self._run([*command, "--no-index"], requirements, self.environment)
        try:
            return self._run(command, requirements, self.environment)
        except NoSolutionError:
            pages = pages_of(requirements, self.find_links)
            if not pages:
                raise
        return self._run(command, requirements, with_pages(self.environment, pages))

    def _run(
        self, command: Sequence[str], requirements: str, environment: Mapping[str, str]
    ) -> tuple[Candidate, ...]:
        completed = run(
            command, env=environment, stdin=requirements, timeout=RESOLVE_SECONDS, check=False
        )
        if completed.returncode == 0:
            return parse_pylock(completed.stdout, credentials=self.settings.urls)
        raise compile_failure(completed.stderr)


def configured(
    cache: Path,
    environment: Mapping[str, str] = os.environ,
    *,
    find_links: Mapping[str, str],
) -> Indexes:
    """Return the indexes of this machine's configuration.

    Args:
        cache: The cache directory: uv's own goes below it.
        environment: The process's.
        find_links: The page of a project, by its name (matrix.yaml).

    Raises:
        FetchError: pip's configuration is malformed.
    """
    settings = pip_settings.read(environment)
    return Indexes(
        settings=settings,
        environment=uv_environment(settings, cache, environment),
        find_links=find_links,
    )


def compile_command(requirements: Path, platform: str, sources: Iterable[str] = ()) -> list[str]:
    """Return uv's argument list: it prints the chosen files as a pylock.toml (PEP 751)."""
    return [
        *_compile_words(),
        *("--python-platform", TARGETS[platform]),
        *(word for name in sources for word in ("--no-binary", name)),
        str(requirements),
    ]


def universal_command() -> list[str]:
    """Return uv's argument list: it prints the wheels of all platforms, of what it reads."""
    return [*_compile_words(), "--universal", "--no-deps", "-"]


def parse_pylock(text: str, *, credentials: Iterable[str] = ()) -> tuple[Candidate, ...]:
    """Read the files of a pylock.toml: the wheels of each package, or its source archive.

    Args:
        text: Its content.
        credentials: URLs with a user name, for files of the same host.

    Raises:
        LockError: A package is not a file of an index.
    """
    users = {
        parts.hostname: parts.netloc.rpartition("@")[0]
        for parts in map(urlsplit, credentials)
        if parts.username
    }
    candidates = []
    for package in tomllib.loads(text).get("packages", ()):
        files = package.get("wheels") or [package[key] for key in ("sdist",) if key in package]
        if not files or "version" not in package:
            raise LockError(
                f"{package['name']} is not a file of an index",
                remedy="require a released version, and no URL or path",
            )
        candidates += [
            _candidate(package["name"], package["version"], file, users) for file in files
        ]
    return tuple(candidates)


def closest(candidates: Sequence[Candidate], platform: str) -> Candidate:
    """Return the one of a version's wheels that an installer would take, or its source archive.

    Raises:
        LockError: None fits the platform.
    """
    if candidates[0].is_source:
        return candidates[0]
    file = wheel_tags.best([candidate.file for candidate in candidates], platform)
    return next(candidate for candidate in candidates if candidate.file == file)


def compile_failure(output: str) -> LockError | FetchError:
    """Return the error that uv's failure is, from what it printed."""
    text = re.sub(r"\s+", " ", output).strip().removeprefix("error: ")
    if "No solution found" in text and "network was disabled" not in text:
        reason = text.partition("cause: ")[2].partition(" hint: ")[0] or text
        return NoSolutionError(
            reason.replace(", we can conclude that your requirements are unsatisfiable", ""),
            remedy="relax the requirements, or leave the platform out of the backend's",
        )
    if "Failed to build" in text:
        return LockError(
            f"what a source archive requires cannot be told: {text}",
            remedy="require a version whose archive states it (metadata 2.2)",
        )
    return FetchError(
        f"uv cannot ask the package indexes: {text}",
        remedy="check the network, and pip's index, certificate and proxy settings",
    )


def _compile_words() -> list[str]:
    return [
        find_uv_bin(),
        *("pip", "compile", "--quiet", "--no-header", "--format", "pylock.toml"),
        *("--python", sys.executable),  # any will do: no wheel is built
        *("--python-version", _dotted(wheel_tags.PYTHON)),
        *("--only-binary", ":all:"),
    ]


def _candidate(
    name: str, version: str, file: Mapping[str, Any], users: Mapping[str | None, str]
) -> Candidate:
    url: str = file.get("url") or file["path"]
    parts = urlsplit(url)
    user = users.get(parts.hostname)
    if user and "@" not in parts.netloc:
        url = parts._replace(netloc=f"{user}@{parts.netloc}").geturl()
    return Candidate(
        name=name,
        version=version,
        file=file.get("name") or unquote(parts.path.rpartition("/")[2]),
        url=url,
        sha256=file.get("hashes", {}).get("sha256", ""),
    )


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
