"""Debian packages through the client's own apt, with a state of its own.

apt verifies the archive's signatures and knows the client's mirrors, proxies and certificates; so
it is asked, with lists, caches and sources that are ours: the system's apt state is never touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from builders.errors import FetchError, ProcessError
from builders.network.mirrors import DEBIAN, MIRROR_VARIABLE, Archive, Mirrors
from builders.process import run

UPDATE_SECONDS = 300.0
DOWNLOAD_SECONDS = 1800.0

DIRECTORIES = ("state/lists/partial", "cache/archives/partial")
"""What must be below apt's own directory (see `configuration`), beside its files."""


class NotListedError(FetchError):
    """The signed index has no package of a name."""


@dataclass(frozen=True, kw_only=True)
class DebianPackage:
    """One version of one package.

    Attributes:
        architecture: Debian's name for it: amd64, arm64 or all.
        archive: Which of the mirrors serves it.
        path: Its file, relative to that mirror's base URL.
        sha256: Of the file, 64 hexadecimal digits.
        size: Of the file, in bytes.
    """

    name: str
    version: str
    architecture: str
    archive: Archive
    path: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Index:
    """The packages of one suite (with its updates and security fixes) for one architecture.

    Attributes:
        directory: Where apt's lists and caches for it are kept.
        suite: The code name, such as bookworm.
        architecture: Debian's name for it, such as arm64.
    """

    directory: Path
    mirrors: Mirrors
    suite: str
    architecture: str
    components: tuple[str, ...] = DEBIAN.components

    def update(self) -> None:
        """Download the lists of packages.

        Raises:
            FetchError: A mirror cannot be reached, or its signature is not by the keyring.
        """
        if not self.mirrors.keyring.is_file():
            raise FetchError(
                "the keys that the archive is signed with are not installed",
                where=str(self.mirrors.keyring),
                remedy=f"apt-get install {self.mirrors.keyring.stem}",
            )
        root = self.directory.resolve()
        for part in DIRECTORIES:
            (root / part).mkdir(parents=True, exist_ok=True)
        (root / "status").write_text("", encoding="utf-8")
        (root / "sources.list").write_text(
            sources(self.mirrors, self.suite, self.architecture, self.components), encoding="utf-8"
        )
        (root / "apt.conf").write_text(configuration(root, self.architecture), encoding="utf-8")
        self._apt_get("--error-on=any", "update", timeout=UPDATE_SECONDS)

    def show(self, names: Iterable[str]) -> tuple[DebianPackage, ...]:
        """Return the newest version of each package, in the order of the names.

        Raises:
            NotListedError: A name is not in the suite.
        """
        wanted = tuple(dict.fromkeys(names))
        if not wanted:
            return ()
        try:
            lines = self._apt_get("download", "--print-uris", *wanted, timeout=UPDATE_SECONDS)
        except FetchError as error:
            raise NotListedError(
                error.problem, where=error.where, remedy="check the package names"
            ) from error
        where = f"{self.suite}/{self.architecture}"
        return named(wanted, parse_uris(lines, self.mirrors), where=where)

    def download(
        self, packages: Sequence[DebianPackage], directory: Path
    ) -> dict[DebianPackage, Path]:
        """Download packages, verified by apt against the signed lists; return their files."""
        directory.mkdir(parents=True, exist_ok=True)
        words = [f"{package.name}={package.version}" for package in packages]
        self._apt_get("download", *words, cwd=directory, timeout=DOWNLOAD_SECONDS)
        return {package: directory / deb_name(package) for package in packages}

    def _apt_get(self, *words: str, timeout: float, cwd: Path | None = None) -> str:
        config = self.directory.resolve() / "apt.conf"
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        try:
            return run(
                ["apt-get", "-q", "-c", config, *words], cwd=cwd, env=environment, timeout=timeout
            ).stdout
        except ProcessError as error:
            raise FetchError(
                error.problem,
                where=f"{self.suite}/{self.architecture}",
                remedy=f"check apt's mirrors and proxy, or name a mirror in {MIRROR_VARIABLE}",
            ) from error


def sources(
    mirrors: Mirrors, suite: str, architecture: str, components: tuple[str, ...] = DEBIAN.components
) -> str:
    """Return a sources.list for a suite, its updates and its security fixes."""
    options = f"[arch={architecture} signed-by={mirrors.keyring} target=Packages]"
    served = [(mirrors.main, suite), (mirrors.main, f"{suite}-updates")]
    if mirrors.security is not None:
        served.append((mirrors.security, f"{suite}-security"))
    return "".join(f"deb {options} {base} {name} {' '.join(components)}\n" for base, name in served)


def configuration(root: Path, architecture: str) -> str:
    """Return the apt.conf that moves apt's state to `root` and keeps the rest of the client's.

    apt reads it after its own configuration, so the proxy and certificates stay in force. The hooks
    of other packages are cleared: they would clean or announce the *system's* state.
    """
    return f"""\
Dir::State "{root}/state";
Dir::State::lists "{root}/state/lists";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Cache::archives "{root}/cache/archives";
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
APT::Default-Release "";
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
Acquire::Retries "3";
"""


_URI = re.compile(
    r"^'(?P<base>\S+?)/(?P<path>pool/\S+)' "
    r"(?P<name>[^\s_]+)_(?P<version>[^\s_]+)_(?P<architecture>[^\s_.]+)\.deb "
    r"(?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$"
)


def parse_uris(lines: str, mirrors: Mirrors) -> tuple[DebianPackage, ...]:
    """Read what `apt-get download --print-uris` prints; lines of another form are passed over."""
    security = None if mirrors.security is None else _comparable(mirrors.security)
    packages = []
    for line in lines.splitlines():
        match = _URI.match(line)
        if match is None:
            continue
        archive: Archive = "security" if _comparable(match["base"]) == security else "main"
        packages.append(
            DebianPackage(
                name=match["name"],
                version=unquote(match["version"]),
                architecture=match["architecture"],
                archive=archive,
                path=unquote(match["path"]),
                sha256=match["sha256"],
                size=int(match["size"]),
            )
        )
    return tuple(packages)


def named(
    names: Sequence[str], packages: Iterable[DebianPackage], *, where: str
) -> tuple[DebianPackage, ...]:
    """Return the package of each name.

    Raises:
        NotListedError: There is none.
    """
    found = {package.name: package for package in packages}
    missing = [name for name in names if name not in found]
    if missing:
        raise NotListedError(
            f"apt named no file for {', '.join(missing)}",
            where=where,
            remedy="check the package names",
        )
    return tuple(found[name] for name in names)


def deb_name(package: DebianPackage) -> str:
    """Return the file name apt gives a downloaded package: an epoch's colon is escaped."""
    version = package.version.replace(":", "%3a")
    return f"{package.name}_{version}_{package.architecture}.deb"


def _comparable(base: str) -> str:
    return re.sub("^file:/+", "file:/", unquote(base).rstrip("/"))
