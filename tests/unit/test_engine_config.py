"""The private engine's configuration keeps to its own places."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from builders.engine import configuration as engine_config
from builders.engine.configuration import Places, places

SOCKET_LIMIT = 107


@pytest.fixture
def own(tmp_path: Path) -> Places:
    return places(tmp_path / "a cache")


def test_a_long_cache_path_still_has_short_sockets(tmp_path: Path) -> None:
    long = places(tmp_path / ("x" * 200) / ("y" * 200))
    assert len(long.host.removeprefix("unix://")) < SOCKET_LIMIT
    # libnetwork's and containerd's sockets lie deeper.
    assert len(str(long.run)) < SOCKET_LIMIT - 50


def test_each_cache_has_an_engine_of_its_own(tmp_path: Path) -> None:
    assert places(tmp_path / "a").run != places(tmp_path / "b").run
    assert places(tmp_path / "a").run == places(tmp_path / "b" / ".." / "a").run


def test_packages_may_be_shared(tmp_path: Path) -> None:
    assert places(tmp_path, packages=tmp_path / "p").packages == tmp_path / "p"
    assert places(tmp_path).packages == tmp_path.resolve() / "engine" / "packages"


def test_programs_are_known_by_their_real_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "p")
    assert places(tmp_path, packages=tmp_path / "link").packages == tmp_path.resolve() / "p"


def test_containerd_has_its_own_directories(own: Places) -> None:
    config = tomllib.loads(engine_config.containerd_toml(own))
    assert config["version"] == 2
    assert config["root"] == str(own.root / "containerd")
    assert config["state"] == str(own.run / "containerd")
    assert config["grpc"]["address"] == f"{own.run}/containerd.sock"
    opt = config["plugins"]["io.containerd.internal.v1.opt"]["path"]
    assert opt == str(own.root / "opt")


def test_dockerd_has_its_own_places_and_no_network(own: Places) -> None:
    config = json.loads(engine_config.dockerd_json(own, Path("/bin/init")))
    for key in ("data-root", "exec-root", "pidfile", "containerd"):
        assert config[key].startswith((f"{own.root}/", f"{own.run}/")), key
    assert config["hosts"] == [own.host]
    assert config["features"] == {"containerd-snapshotter": True}
    assert config["bridge"] == "none"
    for key in ("iptables", "ip6tables", "ip-forward", "ip-masq"):
        assert config[key] is False, key


def test_daemons_are_started_in_the_background(own: Places) -> None:
    argv = engine_config.daemon_argv(own, "dockerd", Path("/p/dockerd"))
    assert argv[0] == "start-stop-daemon"
    assert "--background" in argv
    end = argv.index("--")
    assert argv[end - 2 : end] == ("--exec", "/p/dockerd")
    assert argv[end + 1 :] == ("--config-file", str(own.root / "dockerd.json"))
    containerd = engine_config.daemon_argv(own, "containerd", Path("/p/containerd"))
    assert containerd[-2:] == ("--config", str(own.root / "containerd.toml"))


def test_daemons_do_not_talk_to_a_service_manager() -> None:
    inherited = {"NOTIFY_SOCKET": "/run/x", "LISTEN_FDS": "3", "HTTP_PROXY": "p", "PATH": "/bin"}
    environment = engine_config.daemon_environment(inherited, Path("/p"))
    assert set(environment) == {"HTTP_PROXY", "PATH"}
    assert environment["PATH"].split(":")[:2] == ["/p", "/bin"]


def test_clients_use_this_engine_alone(own: Places) -> None:
    inherited = {"DOCKER_HOST": "tcp://elsewhere", "HOME": "/root", "DOCKER_TLS_VERIFY": "1"}
    environment = engine_config.client_environment(own, inherited, Path("/p"))
    assert environment["DOCKER_HOST"] == own.host
    assert environment["DOCKER_CONFIG"] == str(own.root / "docker")
    assert environment["BUILDX_CONFIG"].startswith(str(own.root))
    assert environment["HOME"] == "/root"
    assert "DOCKER_TLS_VERIFY" not in environment


def test_buildx_is_found() -> None:
    config = json.loads(engine_config.docker_config_json(Path("/p")))
    assert config == {"cliPluginsExtraDirs": ["/p"]}
