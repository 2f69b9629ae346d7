"""Containers of the real engine: confined, limited in time, removed whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from builders.engine import Engine, containers
from builders.engine import images as engine_images
from builders.engine.connection import connect
from builders.engine.containers import Container, Limits, ReadOnlyMount
from builders.engine.run_mark import RunMark, mark
from builders.errors import EngineError, SmokeError
from builders.formats.layout import Layout
from tests.system.conftest import Images

pytestmark = pytest.mark.engine

BUSYBOX = "/bin/busybox"

KILLED = """
import os, signal, sys
from pathlib import Path
from builders.engine import containers
from builders.engine.connection import connect
from builders.engine.run_mark import mark
with connect(os.environ) as client, mark(Path(sys.argv[1])) as run:
    containers.start(client, sys.argv[2], platform=sys.argv[3], run=run.id)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def client(private: Engine) -> Iterator[DockerClient]:
    with connect(private.environment) as connected:
        yield connected


@pytest.fixture(scope="module")
def run(cache: Path) -> Iterator[RunMark]:
    with mark(cache) as marked:
        yield marked


@pytest.fixture(params=["native", "foreign"])
def image(request: pytest.FixtureRequest, images: Images, client: DockerClient) -> Layout:
    chosen: Layout = getattr(images, request.param)
    assert engine_images.load(client, chosen) == chosen.manifest_digest
    return chosen


def start(
    client: DockerClient,
    image: Layout,
    run: RunMark,
    *argv: str,
    network_of: Container | None = None,
    mounts: tuple[ReadOnlyMount, ...] = (),
    limits: Limits | None = None,
) -> Container:
    return containers.start(
        client,
        image.manifest_digest,
        platform=image.platform,
        run=run.id,
        argv=argv or None,
        network_of=network_of,
        mounts=mounts,
        limits=limits,
        environment={"GREETING": "grüß"},
    )


def shell(container: Container, script: str) -> str:
    found = container.execute([BUSYBOX, "sh", "-c", script], timeout=30)
    assert found.returncode == 0, found
    return found.stdout


def test_the_digest_is_the_id(client: DockerClient, image: Layout) -> None:
    found = client.images.get(image.manifest_digest)
    assert found.id == image.manifest_digest
    assert f"{found.attrs['Os']}/{found.attrs['Architecture']}" == image.platform


def test_a_container_is_confined(
    client: DockerClient, image: Layout, run: RunMark, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)  # the container's user is not this one
    (tmp_path / "corpus").write_text("text")
    mount = ReadOnlyMount(source=tmp_path, target="/mounted")
    with start(client, image, run, mounts=(mount,)) as container:
        machine = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[image.platform]
        assert shell(container, "uname -m") == f"{machine}\n"
        assert shell(container, "id -u; id -g").split() == ["65532", "65532"]
        assert shell(container, "ls /sys/class/net").split() == ["lo"]
        assert shell(container, "cat /mounted/corpus; echo $GREETING") == "textgrüß\n"
        rights = dict(
            line.split() for line in shell(container, "grep Cap /proc/self/status").splitlines()
        )
        assert set(rights.values()) == {"0" * 16}
        assert "1" in shell(container, "grep NoNewPrivs /proc/self/status")
        for place in ("/x", "/bin/x", "/mounted/x"):
            touched = container.execute([BUSYBOX, "touch", place], timeout=30)
            assert touched.returncode != 0
            assert "Read-only file system" in touched.stderr
        assert {change.path for change in container.diff()} <= {
            *("/mounted", "/sbin", "/sbin/docker-init")
        }


def test_output_and_exit_code_come_back(client: DockerClient, image: Layout, run: RunMark) -> None:
    with start(client, image, run) as container:
        script = "echo out; echo err >&2; exit 3"
        found = container.execute([BUSYBOX, "sh", "-c", script], timeout=30)
        assert (found.returncode, found.stdout, found.stderr) == (3, "out\n", "err\n")
        missing = container.execute(["/no/such/program"], timeout=30)
        assert missing.returncode in {126, 127}


def test_a_program_that_hangs_is_given_up(
    client: DockerClient, image: Layout, run: RunMark
) -> None:
    with start(client, image, run) as container:
        began = time.monotonic()
        with pytest.raises(SmokeError, match="no end after 1 s: /bin/busybox sleep 60"):
            container.execute([BUSYBOX, "sleep", "60"], timeout=1)
        assert time.monotonic() - began < 10
        assert container.state().exit_code == 137


def test_a_service_is_asked_to_end(client: DockerClient, image: Layout, run: RunMark) -> None:
    script = "trap 'echo bye; exit 7' TERM; echo up; while true; do busybox sleep 0.1; done"
    with start(client, image, run, BUSYBOX, "sh", "-c", script) as container:
        wait_for(container, "up")
        assert container.stop(timeout=20) == 7
        assert container.logs() == "up\nbye\n"


def test_one_that_does_not_end_is_killed(client: DockerClient, image: Layout, run: RunMark) -> None:
    script = "trap '' TERM; echo up; while true; do busybox sleep 0.1; done"
    with start(client, image, run, BUSYBOX, "sh", "-c", script) as container:
        wait_for(container, "up")
        assert container.stop(timeout=1) == 137


def test_a_crash_ends_the_container(client: DockerClient, image: Layout, run: RunMark) -> None:
    with start(client, image, run, BUSYBOX, "sh", "-c", "kill -SEGV $$") as container:
        assert container.wait(timeout=30) == 139


def test_waiting_has_a_limit(client: DockerClient, image: Layout, run: RunMark) -> None:
    with start(client, image, run) as container, pytest.raises(SmokeError, match="still runs"):
        container.wait(timeout=0.2)


def test_a_container_is_removed_whatever_happens(
    client: DockerClient, image: Layout, run: RunMark
) -> None:
    with pytest.raises(KeyboardInterrupt), start(client, image, run) as container:
        raise KeyboardInterrupt
    assert container.id not in {found.id for found in client.containers.list(all=True)}
    container.remove()  # a second time
    with pytest.raises(EngineError, match="No such container"):
        container.inspect()


def test_two_containers_share_loopback(client: DockerClient, image: Layout, run: RunMark) -> None:
    serve = (BUSYBOX, "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/etc")
    with (
        start(client, image, run, *serve) as server,
        start(client, image, run, network_of=server) as other,
    ):
        fetch = "wget -qO- 127.0.0.1:8080/hostname"
        script = f"for i in 1 2 3 4 5 6 7 8 9; do {fetch} && exit; sleep 0.3; done"
        assert shell(other, script) == shell(server, "cat /etc/hostname")


def test_memory_is_limited(client: DockerClient, image: Layout, run: RunMark) -> None:
    script = "busybox dd if=/dev/zero of=/dev/null bs=512M count=1"
    limits = Limits(memory_bytes=64 * 2**20, cpus=1.0)
    with start(client, image, run, BUSYBOX, "sh", "-c", script, limits=limits) as container:
        assert container.wait(timeout=60) == 137
        assert container.state().out_of_memory


def test_an_unknown_image_is_an_error(client: DockerClient, run: RunMark) -> None:
    digest = f"sha256:{'0' * 64}"
    assert not engine_images.has(client, digest)
    with pytest.raises(EngineError, match="cannot start"):
        containers.start(client, digest, platform="linux/amd64", run=run.id)


def test_a_killed_runs_containers_are_swept_and_a_living_ones_are_not(
    client: DockerClient, private: Engine, images: Images, run: RunMark, cache: Path
) -> None:
    digest = engine_images.load(client, images.native)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(cache), digest, images.native.platform],
        env={**private.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    with start(client, images.native, run) as living:
        assert containers.sweep(client, cache) == 1
        assert [found.id for found in client.containers.list(all=True)] == [living.id]
    assert containers.sweep(client, cache) == 0


def test_only_what_passed_gets_a_name(client: DockerClient, images: Images) -> None:
    digest = engine_images.load(client, images.foreign)
    assert names(client, digest) == [f"{engine_images.UNTESTED}:{digest.removeprefix('sha256:')}"]
    engine_images.tag(client, digest, "equivec/busybox:passed")
    assert names(client, digest) == ["equivec/busybox:passed"]
    assert engine_images.load(client, images.foreign) == digest  # it is there
    engine_images.discard(client, digest)
    assert names(client, digest) == ["equivec/busybox:passed"]
    client.api.remove_image("equivec/busybox:passed")
    assert not engine_images.has(client, digest)
    engine_images.load(client, images.foreign)
    engine_images.discard(client, digest)
    assert not engine_images.has(client, digest)


def names(client: DockerClient, digest: str) -> list[str]:
    return list(client.images.get(digest).tags)


def wait_for(container: Container, line: str) -> None:
    deadline = time.monotonic() + 30
    while line not in container.logs().splitlines():
        assert time.monotonic() < deadline
        time.sleep(0.05)
