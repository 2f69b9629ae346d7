"""Where this machine's pip finds packages: pip's own configuration, read as pip reads it.

uv ignores it. A company's index, certificate or folder of wheels is configured for pip, and without
it other files (torch's CUDA builds, for one) would be found.
https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.errors import FetchError

SECTIONS = ("global", "install")
"""What applies to `pip install`: the later section wins, and the environment over both."""

PREFIX = "PIP_"


@dataclass(frozen=True, kw_only=True)
class PipSettings:
    """Where packages are found. Every field may be empty: then pip's default holds.

    Attributes:
        index_url: The index in place of PyPI.
        extra_index_urls: Further indexes; pip takes the best version of all.
        find_links: Directories or pages of wheels.
        no_index: Only `find_links` count.
        certificate: The bundle of authorities to trust.
        client_certificate: What to identify with.
        trusted_hosts: Hosts whose certificates are not checked.
        proxy: The URL of a proxy.
        timeout: Seconds, as written.
    """

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    certificate: str = ""
    client_certificate: str = ""
    trusted_hosts: tuple[str, ...] = ()
    proxy: str = ""
    timeout: str = ""

    @property
    def urls(self) -> tuple[str, ...]:
        """Every place that may have packages."""
        return (self.index_url, *self.extra_index_urls, *self.find_links)


DEFAULTS = PipSettings()
"""What holds where nothing is configured."""


def read(environment: Mapping[str, str] = os.environ) -> PipSettings:
    """Read the settings that hold for this interpreter's pip.

    Raises:
        FetchError: A configuration file is malformed.
    """
    files = configuration_files(
        environment, system=sys.platform, home=Path.home(), prefix=Path(sys.prefix)
    )
    return settings(files, environment)


def settings(files: Iterable[Path], environment: Mapping[str, str]) -> PipSettings:
    """Return the settings of configuration files, the later over the earlier, and variables.

    Raises:
        FetchError: A configuration file is malformed.
    """
    values = dict(_file_values(files))
    for variable, value in environment.items():
        if variable.startswith(PREFIX) and value:
            values[_key(variable.removeprefix(PREFIX))] = value

    def words(key: str) -> tuple[str, ...]:
        return tuple(values.get(key, "").split())

    return PipSettings(
        index_url=values.get("index-url", ""),
        extra_index_urls=words("extra-index-url"),
        find_links=words("find-links"),
        no_index=values.get("no-index", "").lower() in ("1", "true", "yes", "on", "y", "t"),
        certificate=values.get("cert", ""),
        client_certificate=values.get("client-cert", ""),
        trusted_hosts=words("trusted-host"),
        proxy=values.get("proxy", ""),
        timeout=values.get("timeout", values.get("default-timeout", "")),
    )


def configuration_files(
    environment: Mapping[str, str], *, system: str, home: Path, prefix: Path
) -> tuple[Path, ...]:
    """Return where pip looks for configuration, the file that wins at the end."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return ()
    user_place = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    if system == "darwin":
        everyone = [Path("/Library/Application Support/pip/pip.conf")]
        application_support = home / "Library" / "Application Support"
        if (application_support / "pip").is_dir():
            user_place = application_support
    else:
        directories = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        everyone = [Path(directory) / "pip/pip.conf" for directory in directories.split(":")]
        everyone.append(Path("/etc/pip.conf"))
    user = [home / ".pip/pip.conf", user_place / "pip/pip.conf"]
    if named and Path(named).exists():
        return (*everyone, prefix / "pip.conf", Path(named))
    return (*everyone, *user, prefix / "pip.conf")


def _file_values(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield what holds of each file's sections, in the order in which the later wins."""
    parsers = [_parse(file) for file in files]
    for section in SECTIONS:
        for parser in parsers:
            if parser.has_section(section):
                for key, value in parser.items(section):
                    yield _key(key), value


def _parse(file: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise FetchError(
            f"pip's configuration is malformed: {error}",
            where=str(file),
            remedy="correct it (pip config debug shows what pip makes of it)",
        ) from error
    return parser


def _key(name: str) -> str:
    return name.lower().replace("_", "-")
