"""The private engine's places and configuration: nothing of it is where a system's Docker is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RUN = Path("/run/equivec")
"""Sockets and pid files are below it: a socket's path may have 107 bytes, a cache's often has more.
It is empty after a reboot, as are the pids in it."""

KEPT_BUILD_CACHE = "20GB"

Daemon = Literal["containerd", "dockerd"]

DAEMONS: tuple[Daemon, ...] = ("containerd", "dockerd")
"""In the order in which they are started."""

# Variables by which a service manager talks to the process that it started: not to these daemons.
_NOT_INHERITED = frozenset({"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where one private engine keeps everything.

    Attributes:
        root: What is kept: images, build cache, logs, configuration.
        run: What lives as long as the daemons: sockets, pid files, mounts.
        packages: Unpacked programs, which several engines may share.
    """

    root: Path
    run: Path
    packages: Path

    @property
    def name(self) -> str:
        """What distinguishes this engine from those of other caches."""
        return self.run.name

    @property
    def host(self) -> str:
        """The daemon's address, as DOCKER_HOST takes it."""
        return f"unix://{self.run}/docker.sock"

    @property
    def docker_config(self) -> Path:
        """The command line's own configuration directory (DOCKER_CONFIG)."""
        return self.root / "docker"

    def config(self, daemon: Daemon) -> Path:
        """Return a daemon's configuration file."""
        return self.root / {"containerd": "containerd.toml", "dockerd": "dockerd.json"}[daemon]

    def log(self, daemon: Daemon) -> Path:
        """Return the file that holds what a daemon says."""
        return self.root / f"{daemon}.log"

    def pid(self, daemon: Daemon) -> Path:
        """Return the file that holds a daemon's process id."""
        return self.run / f"{daemon}.pid"


def places(cache: Path, *, packages: Path | None = None) -> Places:
    """Return the places of the private engine of a cache directory."""
    root = cache.resolve() / "engine"
    name = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    # The real path, which is what the system says of a running program: see remains.belongs.
    programs = (packages or root / "packages").resolve()
    return Places(root=root, run=RUN / name, packages=programs)


def containerd_toml(places: Places) -> str:
    """Return containerd's configuration: its own directories, and no Kubernetes."""
    # A JSON string is a TOML basic string.
    return f"""\
version = 2
root = {json.dumps(str(places.root / "containerd"))}
state = {json.dumps(str(places.run / "containerd"))}
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
address = {json.dumps(str(places.run / "containerd.sock"))}

[plugins."io.containerd.internal.v1.opt"]
path = {json.dumps(str(places.root / "opt"))}
"""


def dockerd_json(places: Places, init: Path) -> str:
    """Return dockerd's configuration: its own directories, and no networking at all."""
    return json.dumps(
        {
            "data-root": str(places.root / "docker-root"),
            "exec-root": str(places.run / "exec"),
            "pidfile": str(places.run / "docker.pid"),
            "hosts": [places.host],
            "containerd": str(places.run / "containerd.sock"),
            "init-path": str(init),
            "features": {"containerd-snapshotter": True},
            "builder": {"gc": {"enabled": True, "defaultKeepStorage": KEPT_BUILD_CACHE}},
            "bridge": "none",
            "iptables": False,
            "ip6tables": False,
            "ip-forward": False,
            "ip-masq": False,
            "userland-proxy": False,
        },
        indent=1,
    )


def docker_config_json(plugins: Path) -> str:
    """Return the command line's configuration: where it finds buildx."""
    return json.dumps({"cliPluginsExtraDirs": [str(plugins)]}, indent=1)


def daemon_argv(places: Places, daemon: Daemon, program: Path) -> tuple[str, ...]:
    """Return the command that starts a daemon in a session of its own, and does not wait for it.

    start-stop-daemon is part of dpkg, so it is wherever this engine can be.
    """
    option = {"containerd": "--config", "dockerd": "--config-file"}[daemon]
    return (
        *("start-stop-daemon", "--start", "--quiet", "--background", "--chdir", "/"),
        *("--make-pidfile", "--pidfile", str(places.pid(daemon))),
        *("--output", str(places.log(daemon)), "--exec", str(program)),
        *("--", option, str(places.config(daemon))),
    )


def daemon_environment(inherited: Mapping[str, str], programs: Path) -> dict[str, str]:
    """Return the environment of the daemons: they find each other's programs first on PATH."""
    kept = {name: value for name, value in inherited.items() if name not in _NOT_INHERITED}
    return {**kept, "PATH": search_path(inherited, programs)}


def client_environment(
    places: Places, inherited: Mapping[str, str], programs: Path
) -> dict[str, str]:
    """Return the whole environment in which `docker` and `docker buildx` use this engine.

    What the user set for another one (contexts, certificates, builders) is left out.
    """
    foreign = ("DOCKER_", "BUILDX_", "BUILDKIT_")
    return {
        **{name: value for name, value in inherited.items() if not name.startswith(foreign)},
        "PATH": search_path(inherited, programs),
        "DOCKER_HOST": places.host,
        "DOCKER_CONFIG": str(places.docker_config),
        "BUILDX_CONFIG": str(places.docker_config / "buildx"),
        # Named, or a builder chosen by the user elsewhere would be taken.
        "BUILDX_BUILDER": "default",
    }


def search_path(inherited: Mapping[str, str], programs: Path) -> str:
    """Return a PATH on which the unpacked programs come first, and the system's tools are."""
    return f"{programs}:{inherited.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
