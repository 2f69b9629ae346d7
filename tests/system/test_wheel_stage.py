"""The wheel stage, with a second source-only package: only its recipe tells how it is built."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from signal import SIGINT

import pytest

from builders import inputs
from builders.engine import Engine
from builders.errors import BuildError
from builders.files import sha256_of
from builders.formats import elf
from builders.formats.elf import Elf
from builders.inputs import Needs
from builders.lock import wheels as wheel_lock
from builders.paths import ROOT
from builders.project import Project
from builders.rootfs import kept
from builders.store import cache_directory
from builders.wheelhouse import stage
from builders.wheelhouse.build import KIND, WheelBuild
from tests.system import checkouts, tiny_source
from tests.system.tiny_source import LIBRARY, PLATFORMS

pytestmark = pytest.mark.engine

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


@pytest.fixture(scope="module")
def stocked(private: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the tests' own with the compilers: those of the user's, downloaded once."""
    scratch = tmp_path_factory.mktemp("stocked")
    users = tiny_source.checkout(scratch / "checkout", cache_directory())
    needs = Needs(
        roots=(),
        wheels=tuple(("tiny", platform) for platform in PLATFORMS),
        build_platform=private.native,
    )
    inputs.fetch(users, needs, progress=lambda *_: None)
    checkouts.links(users.store.cache / "store", scratch / "cache" / "store")
    return scratch / "cache"


@pytest.fixture(scope="module")
def project(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return tiny_source.checkout(tmp_path_factory.mktemp("tiny") / "checkout", stocked)


@pytest.fixture(scope="module", params=PLATFORMS)
def wheel(request: pytest.FixtureRequest, project: Project, private: Engine) -> tuple[str, Path]:
    """The wheel for a platform, and for which: one of the two is cross-compiled."""
    return request.param, tiny_source.built(project, request.param, private)


def kept_wheels(cache: Path) -> set[str]:
    """What there is among the kept wheels, also what is half-made."""
    return {path.name for path in (cache / "derived" / KIND).glob("*")}


def test_the_wheel_is_for_its_platform_and_named_as_auditwheel_finds(
    wheel: tuple[str, Path], project: Project, private: Engine, tmp_path: Path
) -> None:
    platform, path = wheel

    tag = re.fullmatch(
        rf"tiny-1\.0-py3-none-(manylinux_2_(\d+)_{MACHINES[platform]})\.whl", path.name
    )
    assert tag is not None
    assert auditwheels_tag(path, project, private, tmp_path) == tag[1]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with zipfile.ZipFile(path) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == {
            LIBRARY,
            "tiny/__init__.py",
        }
        content = archive.read(LIBRARY)
    library = elf.read(BytesIO(content))
    assert library is not None
    assert library.machine == platform.partition("/")[2]
    assert "libstdc++.so.6" in library.needed
    assert oldest_glibc(library) <= (2, int(tag[2]))
    # Where it was compiled is not in it: the path of an assertion's file is the source's.
    assert b"/source/tiny.cpp" in content
    assert b"/build/" not in content


def test_built_elsewhere_and_later_it_is_the_same(
    wheel: tuple[str, Path], stocked: Path, private: Engine, tmp_path: Path
) -> None:
    platform, path = wheel
    elsewhere = tiny_source.checkout(tmp_path / "another" / "checkout", stocked)
    build = tiny_source.planned(elsewhere, platform, private.native)

    compile_in("/another/and/deeper", build, elsewhere, private, tmp_path / "out")

    (again,) = (tmp_path / "out").iterdir()
    assert again.name == path.name
    assert sha256_of(again) == sha256_of(path)


def test_a_wheel_is_built_once(
    wheel: tuple[str, Path], stocked: Path, private: Engine, tmp_path: Path
) -> None:
    """Also for another checkout of the same inputs."""

    def asked() -> Engine:
        pytest.fail("an engine was asked for")

    platform, path = wheel
    other = tiny_source.checkout(tmp_path / "checkout", stocked)

    assert tiny_source.built(other, platform, private, asked=asked) == path


def test_a_wheel_without_a_promised_library_is_refused(
    stocked: Path, private: Engine, tmp_path: Path
) -> None:
    project = tiny_source.checkout(
        tmp_path / "checkout", stocked, libraries=["tiny/lib/libabsent.so"]
    )
    before = kept_wheels(stocked)

    with pytest.raises(BuildError, match=r"tiny/lib/libabsent\.so is missing"):
        tiny_source.built(project, private.native, private)

    assert kept_wheels(stocked) == before


def test_a_compile_error_is_shown(stocked: Path, private: Engine, tmp_path: Path) -> None:
    wrong = tiny_source.SOURCE.replace("whole.size()", "undeclared")
    project = tiny_source.checkout(tmp_path / "checkout", stocked, files={"tiny.cpp": wrong})
    before = kept_wheels(stocked)

    with pytest.raises(BuildError) as caught:
        tiny_source.built(project, private.native, private)

    assert re.search(r"tiny\.cpp:9:12: error: .undeclared. was not declared", str(caught.value))
    assert caught.value.where == f"tiny {private.native}"
    assert kept_wheels(stocked) == before


def test_a_build_that_downloads_fails(stocked: Path, private: Engine, tmp_path: Path) -> None:
    with server() as served:
        lines = (
            f'file(DOWNLOAD "http://127.0.0.1:{served.server_port}/" found STATUS status)',
            'message(FATAL_ERROR "the download ended with: ${status}")',
        )
        files = {"CMakeLists.txt": tiny_source.CMAKE + "\n".join(lines)}
        project = tiny_source.checkout(tmp_path / "checkout", stocked, files=files)

        with pytest.raises(BuildError, match=r"the download ended with: 7;.*[Cc]ould.?n.t connect"):
            tiny_source.built(project, private.native, private)

        assert served.asked == 0


def test_ctrl_c_leaves_nothing_half_made(
    stocked: Path, private: Engine, cache: Path, packages: Path, tmp_path: Path
) -> None:
    files = {"CMakeLists.txt": tiny_source.CMAKE + tiny_source.SLEEP}
    project = tiny_source.checkout(tmp_path / "checkout", stocked, files=files)
    before = kept_wheels(stocked)
    argv = [sys.executable, "-m", "tests.system.tiny_source"]
    argv += [str(project.root), str(stocked), str(cache), str(packages)]
    run = checkouts.Run(
        argv, ROOT, {**private.environment, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    )
    try:
        run.until("compiled 2 of 3 files")
        assert kept_wheels(stocked) > before
        until_asleep(expected=True)
        run.signal(SIGINT)
        assert run.wait(30) != 0
    finally:
        run.close()

    assert "KeyboardInterrupt" in run.output
    assert kept_wheels(stocked) == before
    until_asleep(expected=False)


def until_asleep(*, expected: bool) -> None:
    """Wait until the build's long last step runs, or runs no more."""
    deadline = time.monotonic() + 30
    while is_asleep() is not expected:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_asleep() -> bool:
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            commands.append(path.read_bytes())
    return any(b"\0".join((b"sleep", b"4321")) in command for command in commands)


def compile_in(
    directory: str, build: WheelBuild, project: Project, engine: Engine, out: Path
) -> None:
    """Run the stage with another directory inside it."""
    toolchain = tiny_source.toolchain(project, engine.native)
    lock = wheel_lock.read(build.recipe.directory, engine.native)
    *words, recipe = stage.command(
        build,
        stage=project.images / "toolchain",
        root=kept.root(project, toolchain, folder="toolchain"),
        requirements=project.store.gathered("wheels", lock.files),
        source=project.store.gathered("sources", {build.source.file: build.source.sha256}),
        destination=out,
    )
    stage.compile_wheel(
        (*words, "--build-arg", f"DIRECTORY={directory}", recipe), build, engine, note=print
    )


def auditwheels_tag(wheel: Path, project: Project, engine: Engine, scratch: Path) -> str:
    """Return what the locked auditwheel says of a wheel, here and not in the stage."""
    recipe = project.images / "tiny" / "wheels" / "tiny"
    for needed in wheel_lock.read(recipe, engine.native).wheels:
        if needed.name in ("auditwheel", "packaging", "pyelftools"):
            with zipfile.ZipFile(project.store.path(needed.sha256)) as archive:
                archive.extractall(scratch / "site")
    completed = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", "--json", str(wheel)],
        env={"PYTHONPATH": str(scratch / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(completed.stdout)["overall_tag"])


def oldest_glibc(library: Elf) -> tuple[int, ...]:
    """Return the oldest C library that has every symbol that a library needs."""
    newest = elf.newest(library.versions_needed, "GLIBC")
    assert newest is not None
    return elf.version_key(newest)


class Server(ThreadingHTTPServer):
    """A server on this host that counts who asks."""

    asked = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200)
        self.end_headers()


@contextmanager
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            served.shutdown()
            thread.join()
