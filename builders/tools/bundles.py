"""Which of a distribution's packages hold the tools, and how they are unpacked."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import host
from builders.engine import packages
from builders.engine.packages import KEYRING_PACKAGE, Suites
from builders.files import digest_of
from builders.network.mirrors import DEBIAN, os_release
from builders.store import Store

_PARTIAL = ".partial-"
_VERSIONS = "packages.json"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Tools that are brought together.

    Attributes:
        suites: The packages, by suite, in this order.
        programs: What they are for. With other packages' libraries, each is started by a script
            that tells the linker where those are.
    """

    suites: Suites
    programs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its folder: another bundle's programs do not pass for this one's."""
        digest = digest_of([self.suites, self.programs, _architecture()])
        return f"{self.programs[0]}-{digest.removeprefix('sha256:')[:12]}"


RELEASES: Mapping[tuple[str, str], tuple[Bundle, ...]] = {
    # bookworm has no cosign and no oras; trixie's are Go programs, which run on its older libc. The
    # keyring comes first: older ones lack trixie's. trixie's skopeo needs a newer libc.
    ("debian", "bookworm"): (
        Bundle(
            suites=(("bookworm", (KEYRING_PACKAGE,)), ("trixie", ("cosign", "oras"))),
            programs=("cosign", "oras"),
        ),
        Bundle(
            suites=(
                (
                    "bookworm",
                    (
                        *("docker-registry", "skopeo"),
                        *("libgpgme11", "libassuan0", "libdevmapper1.02.1"),
                    ),
                ),
            ),
            programs=("docker-registry", "skopeo"),
        ),
    ),
    ("debian", "trixie"): (
        Bundle(suites=(("trixie", ("cosign", "oras")),), programs=("cosign", "oras")),
        Bundle(
            suites=(
                (
                    "trixie",
                    (
                        *("docker-registry", "skopeo"),
                        *("libgpgme11t64", "libassuan9", "libsqlite3-0", "libdevmapper1.02.1"),
                    ),
                ),
            ),
            programs=("docker-registry", "skopeo"),
        ),
    ),
}
"""The bundles by the distribution and code name of the host."""

SYSTEMS = ", ".join(" ".join(release) for release in RELEASES)
"""Where tools are brought, for people."""


def here() -> tuple[Bundle, ...]:
    """Return what can be brought on this host."""
    release = os_release()
    return RELEASES.get((release.get("ID", ""), release.get("VERSION_CODENAME", "")), ())


def system() -> str:
    """Return what this host's system calls itself."""
    return os_release().get("PRETTY_NAME", host.current())


def existing(bundle: Bundle, cache: Path, program: str) -> Path | None:
    """Return a program of a bundle if it is in the cache."""
    path = _place(bundle, cache) / "bin" / program
    return path if path.is_file() else None


def obtain(bundle: Bundle, cache: Path, *, note: Callable[[str], None]) -> Path:
    """Return the directory of a bundle's programs; download them if they are not there.

    Raises:
        EngineError: A package lacks an expected program.
        FetchError: The packages cannot be downloaded.
    """
    place = _place(bundle, cache)
    with Store(cache).exclusive(f"tools-{bundle.name}"):
        if place.is_dir():
            return place / "bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        for stale in place.parent.glob(f"{_PARTIAL}{bundle.name}-*"):
            shutil.rmtree(stale)
        with tempfile.TemporaryDirectory(
            prefix=f"{_PARTIAL}{bundle.name}-", dir=place.parent
        ) as scratch:
            made = _make(bundle, Path(scratch), note)
            made.rename(place)
    return place / "bin"


def arrange(tree: Path, programs: tuple[str, ...], directory: Path) -> None:
    """Move programs from where a distribution puts them to `bin`, and libraries to `lib`.

    Raises:
        EngineError: A program is missing.
    """
    libraries = [path for path in tree.rglob("*.so.*") if path.is_file()]
    if not libraries:
        packages.gather(tree, directory / "bin", programs)
        return
    packages.gather(tree, directory / "libexec", programs)
    (directory / "lib").mkdir()
    for library in libraries:
        shutil.copyfile(library, directory / "lib" / library.name)
    (directory / "bin").mkdir()
    for program in programs:
        starter = directory / "bin" / program
        starter.write_text(_STARTER.format(program=program), encoding="utf-8")
        starter.chmod(0o755)


_STARTER = """\
#!/bin/sh
here=$(dirname "$0")
LD_LIBRARY_PATH="$here/../lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" \\
    exec "$here/../libexec/{program}" "$@"
"""


def _make(bundle: Bundle, scratch: Path, note: Callable[[str], None]) -> Path:
    """Download and unpack the packages of a bundle; return a directory that is complete."""
    tree, versions = packages.unpacked(
        DEBIAN, bundle.suites, architecture=_architecture(), scratch=scratch, note=note
    )
    complete = scratch / "complete"
    arrange(tree, bundle.programs, complete)
    (complete / _VERSIONS).write_text(json.dumps(versions, indent=1, sort_keys=True), "utf-8")
    return complete


def _place(bundle: Bundle, cache: Path) -> Path:
    return cache / "tools" / bundle.name


def _architecture() -> str:
    """Return Debian's name of this machine's architecture."""
    return host.current().partition("/")[2]
