"""The private engine: started, shared, killed, started again, stopped without a trace."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders import engine
from builders.engine import Engine, containers
from builders.engine import images as engine_images
from builders.engine import remains as engine_remains
from builders.engine.configuration import DAEMONS, Daemon
from builders.engine.connection import connect
from builders.engine.run_mark import mark
from builders.errors import EngineError
from builders.network.apt import Index
from builders.network.mirrors import mirrors
from tests.system.conftest import Images, Own

pytestmark = pytest.mark.engine

FIND = """
import sys
from pathlib import Path
from builders import engine
found = engine.find(Path(sys.argv[1]), named="private", note=print, packages=Path(sys.argv[2]))
print(found.host)
"""

SYSTEM = (
    *("/run/docker", "/run/docker.sock", "/run/docker.pid", "/run/containerd", "/run/runc"),
    *("/var/lib/docker", "/var/lib/containerd", "/etc/docker", "/etc/containerd"),
    *("/opt/containerd", "/etc/cni", "/etc/nri", "/opt/nri"),
    *("/var/lib/dockershim", "/root/.docker", "/run/xtables.lock"),
)


def system() -> tuple[set[str], list[Path], str]:
    """What a system's Docker would have, the network interfaces, and whether packets pass on."""
    return (
        {path for path in SYSTEM if Path(path).exists()},
        sorted(Path("/sys/class/net").iterdir()),
        Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    )


def test_it_builds_natively_and_runs_both_platforms(private: Engine) -> None:
    assert private.kind == "private"
    assert {"linux/amd64", "linux/arm64"} <= set(private.platforms)
    assert private.versions.docker
    assert private.versions.buildx
    assert "unknown" not in private.versions.buildkit


def test_the_system_is_left_as_it_was(own: Own, images: Images) -> None:
    before = system()
    own.find()
    assert own.stop()
    assert system() == before
    assert own.traces() == []
    assert not own.stop()


def test_it_is_reused_quickly(own: Own) -> None:
    own.find()
    pids = own.pids()
    began = time.monotonic()
    own.find()
    assert time.monotonic() - began < 10  # 0.25 s on an idle machine
    assert own.pids() == pids


def test_it_outlives_who_started_it_and_two_may_start_it_at_once(own: Own) -> None:
    argv = [sys.executable, "-c", FIND, str(own.cache), str(own.packages)]
    starters = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [starter.communicate(timeout=120)[0] for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0]
    assert all(output.splitlines()[-1] == own.places.host for output in outputs)
    assert sum("starting containerd" in output for output in outputs) == 1
    status = own.status()
    assert status.private
    assert status.engine is not None
    assert sorted(engine_remains.processes(own.places)) == sorted(own.pids().values())


def test_killed_it_starts_again_and_nothing_of_the_old_one_runs(own: Own, images: Images) -> None:
    found = own.find()
    with connect(found.environment) as client, mark(own.cache) as run:
        for image in (images.native, images.foreign):
            digest = engine_images.load(client, image)
            containers.start(client, digest, platform=image.platform, run=run.id)
    old = engine_remains.processes(own.places)
    assert len(old) > len(DAEMONS)
    own.kill(*DAEMONS)
    assert not own.status().private

    found = own.find()
    assert not set(old) & set(engine_remains.processes(own.places))
    with connect(found.environment) as client:
        assert engine_images.has(client, images.native.manifest_digest)
        assert containers.sweep(client, own.cache) == 2
        assert client.containers.list(all=True) == []
    assert own.stop()
    assert own.traces() == []


@pytest.mark.parametrize("daemon", DAEMONS)
def test_one_killed_daemon_is_recovered_from(own: Own, daemon: Daemon, images: Images) -> None:
    own.find()
    own.kill(daemon)
    assert not own.status().private
    found = own.find()
    with connect(found.environment) as client, mark(own.cache) as run:
        digest = engine_images.load(client, images.native)
        with containers.start(
            client, digest, platform=images.native.platform, run=run.id
        ) as container:
            assert container.state().running


def test_a_pid_file_of_somebody_else_harms_nobody(own: Own) -> None:
    own.find()
    own.stop()
    own.places.run.mkdir(parents=True)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        for daemon in DAEMONS:
            own.places.pid(daemon).write_text(f"{bystander.pid}\n")
        own.find()
        assert own.status().private
        own.stop()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_daemon_that_does_not_start_says_why_and_leaves_nothing(own: Own) -> None:
    own.places.root.mkdir(parents=True)
    (own.places.root / "docker-root").write_text("in the way")
    with pytest.raises(EngineError, match="dockerd ended at once") as caught:
        own.find()
    assert "docker-root" in caught.value.problem
    assert own.traces() == []


INTERRUPTED = """
import sys
from pathlib import Path
from builders import process
from builders.engine import private as private_engine
launch = private_engine._launch
def interrupted(places, daemon, programs):
    if daemon == "dockerd":
        process.shut_down()
    launch(places, daemon, programs)
private_engine._launch = interrupted
private_engine.start(Path(sys.argv[1]), note=print, packages=Path(sys.argv[2]))
"""


def test_interrupted_while_it_starts_it_leaves_nothing(own: Own) -> None:
    argv = [sys.executable, "-c", INTERRUPTED, str(own.cache), str(own.packages)]
    interrupted = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "the run was interrupted" in interrupted.stderr
    assert own.places.log("containerd").exists()
    assert own.traces() == []


def test_stopping_ends_running_containers(own: Own, images: Images) -> None:
    found = own.find()
    with connect(found.environment) as client, mark(own.cache) as run:
        digest = engine_images.load(client, images.foreign)
        container = containers.start(client, digest, platform=images.foreign.platform, run=run.id)
        assert container.state().running
    assert own.stop()
    assert own.traces() == []


def test_a_long_cache_path_is_no_obstacle(tmp_path: Path, packages: Path) -> None:
    long = Own(tmp_path / ("long " * 20) / ("y" * 100), packages)
    with contextlib.ExitStack() as stack:
        stack.callback(long.stop)
        assert "linux/arm64" in long.find().platforms


def test_status_starts_nothing(own: Own) -> None:
    status = own.status()
    assert status.engine is None
    assert not status.private
    assert own.traces() == []


def test_two_caches_have_engines_side_by_side(own: Own, private: Engine) -> None:
    assert own.find().host != private.host
    own.stop()
    with connect(private.environment) as client:
        assert client.ping()
    assert "linux/arm64" in engine.parse_builder(inspect(private))[1]


def test_apt_of_the_system_is_left_alone(tmp_path: Path) -> None:
    before = apt_state()
    index = Index(directory=tmp_path, mirrors=mirrors(), suite="bookworm", architecture="arm64")
    index.update()
    packages = index.show(["busybox-static", "tzdata"])
    assert [package.architecture for package in packages] == ["arm64", "all"]
    for package, file in index.download(packages, tmp_path / "debs").items():
        assert file.stat().st_size == package.size
    assert apt_state() == before


def apt_state() -> str:
    """Names, sizes and times of all that apt and dpkg keep."""
    found = {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for root in ("/var/lib/apt", "/var/cache/apt", "/etc/apt", "/var/lib/dpkg")
        for path in sorted(Path(root).rglob("*"))
    }
    return json.dumps(found)


def inspect(found: Engine) -> str:
    return subprocess.run(
        ["docker", "buildx", "inspect"],
        env=dict(found.environment),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
