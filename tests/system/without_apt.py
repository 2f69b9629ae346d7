"""A host without apt: its programs are a stand-in for `docker`, and nothing else.

No image can be pulled where this is tested. The stand-in runs what follows the image in its
argument list on this host, which has the same apt; the container's directory is a new one here.
"""

from __future__ import annotations

from pathlib import Path

from builders.network.contained_apt import DIRECTORY
from builders.network.mirrors import IMAGE


class Programs:
    """The directory that is such a host's PATH."""

    def __init__(self, directory: Path) -> None:
        self._calls = directory / "calls"
        self.path = directory / "bin"
        self.path.mkdir(parents=True)
        docker = self.path / "docker"
        docker.write_text(
            "#!/bin/sh -eu\n"
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
            f'echo "$*" >>{self._calls}\n'
            f"scratch=$(mktemp -d {directory}/container.XXXXXX)\n"
            f'while [ "$1" != {IMAGE} ]; do shift; done\n'
            "shift\n"
            f'sed "s#{DIRECTORY}#$scratch#g" | "$@"\n'
        )
        docker.chmod(0o755)

    def calls(self) -> list[str]:
        """The argument lists that `docker` was run with."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []
