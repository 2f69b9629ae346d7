"""The private engine's programs: the distribution's own packages, unpacked into a directory."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from builders.errors import EngineError
from builders.files import digest_of
from builders.network.apt import Index
from builders.network.mirrors import DEBIAN, UBUNTU, Distribution, mirrors
from builders.process import run

UNPACK_SECONDS = 300.0
_PARTIAL = ".partial-"
_VERSIONS = "packages.json"
KEYRING_PACKAGE = "debian-archive-keyring"


Suites = tuple[tuple[str, tuple[str, ...]], ...]
"""Code names of suites, each with names of its packages."""

RELEASES: Mapping[tuple[str, str], tuple[Distribution, Suites]] = {
    # bookworm's own BuildKit cannot export OCI layouts and its qemu crashes; trixie's work on it,
    # except for runc, which needs a newer libc. The keyring comes first: older ones lack trixie's.
    ("debian", "bookworm"): (
        DEBIAN,
        (
            ("bookworm", (KEYRING_PACKAGE, "runc")),
            (
                "trixie",
                ("docker.io", "docker-cli", "docker-buildx", "containerd", "tini", "qemu-user"),
            ),
        ),
    ),
    ("debian", "trixie"): (
        DEBIAN,
        (
            (
                "trixie",
                (
                    *("docker.io", "docker-cli", "docker-buildx", "containerd", "runc", "tini"),
                    "qemu-user",
                ),
            ),
        ),
    ),
    # Ubuntu's docker.io holds the command line too, and its qemu-user is linked dynamically.
    ("ubuntu", "noble"): (
        UBUNTU,
        (
            (
                "noble",
                ("docker.io", "docker-buildx", "containerd", "runc", "tini", "qemu-user-static"),
            ),
        ),
    ),
}
"""Which packages make an engine, by the distribution and code name of the host."""

PROGRAMS = (
    "docker",
    "docker-buildx",
    "dockerd",
    "containerd",
    "containerd-shim-runc-v2",
    "runc",
    "tini-static",
    "qemu-aarch64",
    "qemu-x86_64",
)
"""The engine itself, and qemu: for foreign images, and to be an older or newer processor."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What makes an engine on one host.

    Attributes:
        suites: Taken in this order.
        architecture: Debian's name of the host's, such as amd64.
    """

    distribution: Distribution
    suites: Suites
    architecture: str

    @property
    def name(self) -> str:
        """The name of its folder: another recipe's programs do not pass for this one's."""
        digest = digest_of([self.suites, PROGRAMS]).removeprefix("sha256:")
        return f"{self.distribution.name}-{self.architecture}-{digest[:12]}"


@dataclass(frozen=True, kw_only=True)
class Programs:
    """An unpacked engine: `bin/` with its programs, and the versions of its packages."""

    directory: Path
    versions: Mapping[str, str]

    @property
    def bin(self) -> Path:
        """Where the programs are."""
        return self.directory / "bin"


def recipe(release: Mapping[str, str], *, architecture: str) -> Recipe:
    """Return the recipe for a host.

    Args:
        release: The fields of its /etc/os-release.
        architecture: Debian's name of its architecture.

    Raises:
        EngineError: There is none for it.
    """
    found = RELEASES.get((release.get("ID", ""), release.get("VERSION_CODENAME", "")))
    if found is None:
        known = ", ".join(" ".join(key) for key in RELEASES)
        raise EngineError(
            f"no private engine can be made on {release.get('PRETTY_NAME', 'this system')}",
            remedy=f"install Docker 26 or newer with buildx, or use one of: {known}",
        )
    distribution, suites = found
    return Recipe(distribution=distribution, suites=suites, architecture=architecture)


def obtain(directory: Path, recipe: Recipe, *, note: Callable[[str], None]) -> Programs:
    """Return the unpacked programs of a recipe; download them if they are not there.

    The caller sees to it that no other process does the same.

    Args:
        directory: Where unpacked engines are kept, one folder for each recipe.
        recipe: What to unpack.
        note: Told what takes time.

    Raises:
        EngineError: A package lacks an expected program.
        FetchError: The packages cannot be downloaded.
    """
    programs = existing(directory, recipe)
    if programs is not None:
        return programs
    directory.mkdir(parents=True, exist_ok=True)
    for stale in directory.glob(f"{_PARTIAL}*"):
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=directory) as name:
        made = _make(recipe, Path(name), note)
        made.rename(directory / recipe.name)
    return _programs(directory / recipe.name)


def existing(directory: Path, recipe: Recipe) -> Programs | None:
    """Return the unpacked programs of a recipe if they are there."""
    target = directory / recipe.name
    return _programs(target) if target.is_dir() else None


def _programs(directory: Path) -> Programs:
    versions = json.loads((directory / _VERSIONS).read_text(encoding="utf-8"))
    return Programs(directory=directory, versions=versions)


def _make(recipe: Recipe, scratch: Path, note: Callable[[str], None]) -> Path:
    """Download and unpack the packages of a recipe; return a directory that is complete."""
    tree, versions = unpacked(
        recipe.distribution,
        recipe.suites,
        architecture=recipe.architecture,
        scratch=scratch,
        note=note,
    )
    complete = scratch / "complete"
    gather(tree, complete / "bin", PROGRAMS)
    text = json.dumps(versions, indent=1, sort_keys=True)
    (complete / _VERSIONS).write_text(text, encoding="utf-8")
    return complete


def unpacked(
    distribution: Distribution,
    suites: Suites,
    *,
    architecture: str,
    scratch: Path,
    note: Callable[[str], None],
) -> tuple[Path, Mapping[str, str]]:
    """Download packages, verified against the distribution's signed lists, and unpack them.

    Args:
        distribution: Whose they are.
        suites: Code names, each with names of packages, taken in this order.
        architecture: Debian's name of it.
        scratch: A directory for what is downloaded, and the tree.
        note: Told what takes time.

    Returns:
        The tree that they make together, and the version of each package.

    Raises:
        FetchError: They cannot be downloaded.
    """
    served = mirrors(distribution)
    tree = scratch / "unpacked"
    versions: dict[str, str] = {}
    for suite, names in suites:
        index = Index(
            directory=scratch / "apt" / suite,
            mirrors=served,
            suite=suite,
            architecture=architecture,
            components=distribution.components,
        )
        note(f"reading the package lists of {suite}")
        index.update()
        packages = index.show(names)
        megabytes = sum(package.size for package in packages) / 1e6
        note(f"downloading {len(packages)} packages of {suite} ({megabytes:.0f} MB)")
        files = index.download(packages, scratch / "debs")
        _unpack(files.values(), tree)
        versions |= {package.name: package.version for package in packages}
        if KEYRING_PACKAGE in names:
            keyring = tree / served.keyring.relative_to("/")
            served = replace(served, keyring=keyring.resolve())
    return tree, versions


def _unpack(files: Iterable[Path], directory: Path) -> None:
    """Unpack .deb files into one tree; their maintainer scripts are not run."""
    directory.mkdir(exist_ok=True)

    def unpack(file: Path) -> None:
        run(["dpkg-deb", "--extract", file, directory], timeout=UNPACK_SECONDS)

    with ThreadPoolExecutor() as threads:
        list(threads.map(unpack, files))


def gather(tree: Path, directory: Path, names: Iterable[str]) -> None:
    """Move the programs of these names from wherever a distribution puts them into a directory.

    A name may carry the suffix `-static` in the tree, as Ubuntu's qemu does.

    Raises:
        EngineError: A program is missing.
    """
    directory.mkdir(parents=True)
    found = {
        path.name: path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()
    }
    for name in names:
        path = found.get(name) or found.get(f"{name}-static")
        if path is None:
            raise EngineError(
                f"the packages hold no program {name}",
                remedy="report this with your distribution's name and release",
            )
        path.rename(directory / name)
