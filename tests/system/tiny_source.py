"""A source-only package that nothing in Equivec knows of, in a checkout of its own: one library."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from builders import engine, process
from builders.engine import Engine
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.lock.wheels import Source, WheelLock
from builders.matrix import load
from builders.paths import ROOT
from builders.project import Project
from builders.store import Store
from builders.wheelhouse import build, stage
from builders.wheelhouse.build import WheelBuild

PLATFORMS = ("linux/amd64", "linux/arm64")
LIBRARY = "tiny/lib/libtiny.so"
SLEEP = "add_custom_target(slow ALL COMMAND ${CMAKE_COMMAND} -E sleep 4321 DEPENDS tiny)\n"

PYPROJECT = """\
[build-system]
requires = ["scikit-build-core"]
build-backend = "scikit_build_core.build"

[project]
name = "tiny"
version = "1.0"

[tool.scikit-build]
wheel.py-api = "py3"
wheel.packages = ["tiny"]
"""
CMAKE = """\
cmake_minimum_required(VERSION 3.20)
project(tiny LANGUAGES CXX)
add_library(tiny SHARED tiny.cpp)
install(TARGETS tiny LIBRARY DESTINATION tiny/lib)
"""
SOURCE = """\
#undef NDEBUG
#include <cassert>
#include <string>

extern "C" int tiny_length(const char *text, int times) {
    assert(text != nullptr);
    std::string whole;
    while (times-- > 0) whole.append(text);
    return whole.size();
}
"""
MODULE = """\
import ctypes
from pathlib import Path

length = ctypes.CDLL(str(Path(__file__).parent / "lib" / "libtiny.so")).tiny_length
"""
FILES: Mapping[str, str] = {
    "pyproject.toml": PYPROJECT,
    "CMakeLists.txt": CMAKE,
    "tiny.cpp": SOURCE,
    "tiny/__init__.py": MODULE,
}
NONE: Mapping[str, str] = {}


def checkout(
    root: Path, cache: Path, *, files: Mapping[str, str] = NONE, libraries: Sequence[str] = ()
) -> Project:
    """Make a checkout whose one backend, `tiny`, is locked as a source archive, and has a recipe.

    Args:
        root: Where.
        cache: Gets the source archive.
        files: Of the source archive, other than usual.
        libraries: What its recipe promises beside the library.
    """
    project = Project(root=root, matrix=load(ROOT / "matrix.yaml"), store=Store(cache))
    shutil.copytree(
        ROOT / "images" / "toolchain",
        project.images / "toolchain",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    recipe = project.images / "tiny" / "wheels" / "tiny"
    llama = ROOT / "images" / "llama-cpp" / "wheels" / "llama-cpp-python"
    shutil.copytree(llama / "locks", recipe / "locks")
    (recipe / "recipe.toml").write_text(f"libraries = {[LIBRARY, *libraries]}\n")
    source = _stored(project.store, sdist({**FILES, **files}))
    locks = [
        WheelLock(
            path=wheel_lock.lock_path(project.images / "tiny", platform),
            platform=platform,
            wheels=(),
            sources=(source,),
        )
        for platform in PLATFORMS
    ]
    for lock in locks:
        lock.path.parent.mkdir(exist_ok=True)
        lock.path.write_text(wheel_lock.format_requirements(lock))
        lock.path.with_name(wheel_lock.CONTENTS).write_text(wheel_lock.format_contents(locks))
    return project


def sdist(files: Mapping[str, str]) -> bytes:
    """Return a source archive; of the same files, the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in {**files, "PKG-INFO": "Name: tiny\nVersion: 1.0\n"}.items():
            member = tarfile.TarInfo(f"tiny-1.0/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def toolchain(project: Project, platform: str) -> DebianLock:
    """Return the lock of the compilers, of a build platform."""
    return debian_lock.read(project.images / "toolchain", platform)


def planned(project: Project, platform: str, on: str) -> WheelBuild:
    """Return the one build that the checkout asks for."""
    (found,) = build.planned(project, "tiny", platform, toolchain(project, on))
    return found


def built(
    project: Project,
    platform: str,
    running: Engine,
    *,
    asked: Callable[[], Engine] | None = None,
    note: Callable[[str], None] = print,
) -> Path:
    """Return the wheel, as an image's build gets it.

    Args:
        project: A checkout.
        platform: What it is for.
        running: The engine that builds.
        asked: Hands it out.
        note: Told how far it is.
    """
    return stage.built(
        project,
        planned(project, platform, running.native),
        toolchain(project, running.native),
        asked or (lambda: running),
        note=note,
    )


def _stored(store: Store, content: bytes) -> Source:
    """Put a source archive into the store."""
    sha256 = hashlib.sha256(content).hexdigest()
    store.partial(sha256).write_bytes(content)
    assert store.add(sha256, store.partial(sha256)) is not None
    return Source(
        name="tiny",
        version="1.0",
        sha256=sha256,
        file="tiny-1.0.tar.gz",
        size=len(content),
        wheels=(),
    )


def main(root: str, cache: str, engines: str, packages: str) -> None:
    """Build the wheel of a checkout that is there, as a program that can be interrupted.

    It ends its programs as the command line does.
    """
    project = Project(root=Path(root), matrix=load(ROOT / "matrix.yaml"), store=Store(Path(cache)))
    # A shell's background jobs ignore it, and hand that on to what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = engine.find(Path(engines), named="private", note=print, packages=Path(packages))
        built(project, running.native, running, note=print)
    finally:
        process.shut_down()


if __name__ == "__main__":
    main(*sys.argv[1:])
