"""Mirrors of a distribution's archives: those that the client's own apt uses."""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builders.errors import FetchError, ProcessError
from builders.process import run

MIRROR_VARIABLE = "EQUIVEC_DEBIAN_MIRROR"
"""One base URL of a Debian mirror, or two: the second of the security archive."""

LIST_SECONDS = 60.0
PULL_SECONDS = 600.0

# Asked without release files, apt names what is configured, downloaded or not.
TARGETS = (
    *("apt-get", "indextargets", "--no-release-info"),
    *("--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"),
)

IMAGE = (
    "debian:bookworm-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251"
)
"""The official image. Its apt, the keys and the mirrors in it count; locked packages are held to
their sha256, whoever serves them."""

_REMEDY = (
    f"set {MIRROR_VARIABLE} to the base URL of a Debian mirror (and, after a space, of its"
    " security archive), or run this on Debian"
)

Archive = Literal["main", "security"]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """What is particular to the archives of one distribution."""

    name: str
    keyring: Path
    components: tuple[str, ...]


DEBIAN = Distribution(
    name="debian",
    keyring=Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    components=("main",),
)
UBUNTU = Distribution(
    name="ubuntu",
    keyring=Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
    components=("main", "universe"),
)


@dataclass(frozen=True, kw_only=True)
class Mirrors:
    """Base URLs, without a slash at the end: a package is at `<base>/<path>`."""

    main: str
    security: str | None
    keyring: Path

    def url(self, archive: Archive, path: str) -> str:
        """Return where a file of an archive is, given its path as the archive's index has it.

        Raises:
            FetchError: It is in the security archive, and no mirror of that is known.
        """
        if archive == "main":
            return f"{self.main}/{path}"
        if self.security is None:
            raise FetchError(
                f"no mirror of the security archive, which holds {path}",
                remedy=f"name it as the second URL in {MIRROR_VARIABLE}, or in apt's sources",
            )
        return f"{self.security}/{path}"


def mirrors(distribution: Distribution = DEBIAN) -> Mirrors:
    """Find the mirrors of a distribution.

    Debian's are those that EQUIVEC_DEBIAN_MIRROR names, or those of this host's apt, or, where
    that is not Debian's (macOS, Ubuntu), those of the official Debian image's.

    Raises:
        FetchError: There is nobody to ask.
    """
    named = os.environ.get(MIRROR_VARIABLE, "").split()
    if named and distribution == DEBIAN:
        return Mirrors(
            main=named[0].rstrip("/"),
            security=named[1].rstrip("/") if len(named) > 1 else None,
            keyring=distribution.keyring,
        )
    release = os_release()
    if release.get("ID") == distribution.name and shutil.which("apt-get"):
        listed = run(TARGETS, timeout=LIST_SECONDS).stdout
        return parse_targets(listed, release.get("VERSION_CODENAME", ""), distribution)
    if distribution == DEBIAN and shutil.which("docker"):
        return _of_the_image()
    raise FetchError(
        f"this host's apt is not {distribution.name.title()}'s, and there is no Docker to ask",
        where=release.get("PRETTY_NAME", platform.system()),
        remedy=_REMEDY,
    )


def image_argv() -> tuple[str, ...]:
    """Return the argument list that asks the apt of the official image for its mirrors."""
    return ("docker", "run", "--rm", "--network", "none", IMAGE, *TARGETS)


def _of_the_image() -> Mirrors:
    try:
        listed = run(image_argv(), timeout=PULL_SECONDS).stdout
    except ProcessError as error:
        raise FetchError(
            f"Debian's mirrors are unknown: {error.problem}", where=IMAGE, remedy=_REMEDY
        ) from error
    return parse_targets(listed, "bookworm", DEBIAN)


def parse_targets(listed: str, codename: str, distribution: Distribution) -> Mirrors:
    """Find the mirrors in the lines `<base URL> <suite> <component>` that apt lists.

    Raises:
        FetchError: No line serves the code name's main component.
    """
    bases: dict[str, str] = {}
    for line in listed.splitlines():
        uri, suite, component = line.split()
        if component == "main" and not uri.startswith("cdrom:"):
            bases.setdefault(suite, _concrete(uri))
    if codename not in bases:
        raise FetchError(
            f"apt's sources name no mirror of {codename or 'this release'}",
            where="/etc/apt",
            remedy=f"add one, or set {MIRROR_VARIABLE} to a mirror's base URL",
        )
    return Mirrors(
        main=bases[codename],
        security=bases.get(f"{codename}-security"),
        keyring=distribution.keyring,
    )


def os_release() -> dict[str, str]:
    """Return the fields of /etc/os-release; none on a system without it."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _concrete(uri: str) -> str:
    """Return a base URL; of a list of mirrors (as cloud images have), the first."""
    if not uri.startswith("mirror+file:"):
        return uri.rstrip("/")
    path = Path(re.sub("^mirror[+]file:/*", "/", uri).rstrip("/"))
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if words:
            return words[0].rstrip("/")
    raise FetchError("names no mirror", where=str(path), remedy=f"or set {MIRROR_VARIABLE}")
