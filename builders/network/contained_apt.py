"""Debian's signed index for hosts without Debian's apt or its keys: read in the official image.

The container gets a script on its standard input and answers on its output. Nothing of the host is
mounted: no file's owner, folder that is not shared with the engine, or remote engine is in the way,
and nothing is left behind. So apt's lists, some 10 MB, are downloaded each time.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.errors import FetchError, ProcessError
from builders.network import apt, pip_settings
from builders.network.apt import DebianPackage, NotListedError
from builders.network.download import trust
from builders.network.mirrors import IMAGE, MIRROR_VARIABLE, PULL_SECONDS, Mirrors
from builders.process import Completed, failure, run

DIRECTORY = Path("/tmp/equivec-apt")  # noqa: S108 (in a container of its own)
"""Where apt's state is in the container."""

NOT_LISTED = 44
"""The script's exit status when the index was read, but lacks a name; apt and docker use others."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
"""Variables that apt reads; it knows no others."""

_REMEDY = (
    "see to it that `docker run` works and reaches the network, or install apt and"
    f" debian-archive-keyring where there are such, or name another mirror in {MIRROR_VARIABLE}"
)


@dataclass(frozen=True, kw_only=True)
class ContainedIndex:
    """The packages of one suite (with its updates and security fixes) for one architecture.

    Attributes:
        mirrors: With the keyring's path in the image.
        suite: The code name, such as bookworm.
        architecture: Debian's name for it, such as arm64.
    """

    mirrors: Mirrors
    suite: str
    architecture: str

    def show(self, names: Iterable[str]) -> tuple[DebianPackage, ...]:
        """Return the newest version of each package, in the order of the names.

        Raises:
            NotListedError: A name is not in the suite.
            FetchError: There is no Docker, the image or a mirror cannot be reached, or the mirror's
                signature is not by the keyring.
        """
        wanted = tuple(dict.fromkeys(names))
        if not wanted:
            return ()
        where = f"{self.suite}/{self.architecture}"
        _refuse_unreachable(self.mirrors, where)
        completed = self._run(wanted, where)
        problem = failure(completed).problem
        if completed.returncode == NOT_LISTED:
            raise NotListedError(problem, where=where, remedy="check the package names")
        if completed.returncode != 0:
            raise FetchError(problem, where=where, remedy=_REMEDY)
        return apt.named(wanted, apt.parse_uris(completed.stdout, self.mirrors), where=where)

    def _run(self, names: Iterable[str], where: str) -> Completed:
        proxies = proxies_of(os.environ)
        authorities = trust(pip_settings.read()).get_ca_certs(binary_form=True)
        bundle = "".join(map(ssl.DER_cert_to_PEM_cert, authorities))
        try:
            return run(
                argv(platform.system(), proxies),
                env={**os.environ, **proxies},
                stdin=script(self.mirrors, self.suite, self.architecture, names, bundle),
                timeout=PULL_SECONDS + apt.UPDATE_SECONDS,
                check=False,
            )
        except ProcessError as error:
            raise FetchError(error.problem, where=where, remedy=_REMEDY) from error


def argv(system: str, proxies: Iterable[str]) -> tuple[str, ...]:
    """Return the argument list of a container that runs what it reads.

    Args:
        system: The host's. On Linux, a mirror or proxy at `localhost` is the host's own; elsewhere,
            containers are in a virtual machine, which has no part in the host's network.
        proxies: The variables to hand on: by name, since values may hold passwords.
    """
    network = ("--network", "host") if system == "Linux" else ()
    variables = (word for name in proxies for word in ("--env", name))
    # As the first process, it would ignore the signal that Ctrl-C leads to: hence --init. And a
    # container outlives a `docker` that was killed: hence a time limit of its own.
    return (
        *("docker", "run", "--rm", "--init", "--interactive", *network, *variables),
        *(IMAGE, "timeout", f"{apt.UPDATE_SECONDS:.0f}", "sh", "-eu"),
    )


def script(
    mirrors: Mirrors, suite: str, architecture: str, names: Iterable[str], authorities: str
) -> str:
    """Return what is run: apt's lists are brought and verified, then packages are named.

    Args:
        mirrors: With the keyring's path in the image.
        suite: The code name.
        architecture: Debian's name for it.
        names: Of packages.
        authorities: Certificates to trust, in PEM. The image has none.
    """
    bundle = DIRECTORY / "authorities.pem"
    trusting = f'Acquire::https::CAInfo "{bundle}";\n'
    files = {
        "status": "",
        "sources.list": apt.sources(mirrors, suite, architecture),
        bundle.name: authorities,
        "apt.conf": apt.configuration(DIRECTORY, architecture) + trusting,
    }
    # What the script starts must not read on in its place.
    apt_get = f"</dev/null LC_ALL=C apt-get -q -c {DIRECTORY / 'apt.conf'}"
    return "\n".join(
        (
            f"mkdir -p {' '.join(str(DIRECTORY / part) for part in apt.DIRECTORIES)}",
            *(f"printf %s {shlex.quote(text)} >{DIRECTORY / name}" for name, text in files.items()),
            f"{apt_get} --error-on=any update >&2",
            f"{apt_get} download --print-uris {shlex.join(names)} || exit {NOT_LISTED}",
            "",
        )
    )


def proxies_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name proxies, in lower case: other programs read either."""
    found = {name: environment.get(name) or environment.get(name.upper()) for name in PROXIES}
    return {name: value for name, value in found.items() if value}


def _refuse_unreachable(mirrors: Mirrors, where: str) -> None:
    if shutil.which("docker") is None:
        raise FetchError(
            "this host has no apt with Debian's keys to verify the archive's signed index, and"
            " there is no Docker to run one in",
            where=where,
            remedy="install Docker; or, on Debian and its relatives, apt and"
            " debian-archive-keyring",
        )
    for base in (mirrors.main, mirrors.security or ""):
        if base.startswith("file:"):
            raise FetchError(
                f"a container cannot read {base}",
                where=where,
                remedy=f"serve it over HTTP and name that in {MIRROR_VARIABLE}",
            )
