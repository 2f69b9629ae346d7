"""Checkouts with a backend, `pkg`, whose one requirement is built from source; and its build."""

from __future__ import annotations

import hashlib
from pathlib import Path

from builders import matrix
from builders.formats.wheel import Contents
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock, Libraries
from builders.lock.wheels import Source, Wheel, WheelLock
from builders.network.apt import DebianPackage
from builders.project import Project
from builders.store import Store

AMD64, ARM64, MAC = "linux/amd64", "linux/arm64", "darwin/arm64"
STAGE = ("Dockerfile", "build_wheel.py", "prune.txt")


def debian_package(name: str, content: bytes = b"") -> DebianPackage:
    return DebianPackage(
        name=name,
        version="1",
        architecture="amd64",
        archive="main",
        path=f"pool/{name}_1_amd64.deb",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )


def toolchain(*packages: DebianPackage, platform: str = AMD64) -> DebianLock:
    return DebianLock(
        platform=platform,
        libraries=Libraries(glibc="2.36", glibcxx="3.4.30"),
        root=packages or (debian_package("gcc-12"),),
        test=(),
    )


def source(content: bytes = b"source") -> Source:
    return Source(
        name="pkg",
        version="1.0",
        sha256=hashlib.sha256(content).hexdigest(),
        file="pkg-1.0.tar.gz",
        size=len(content),
        wheels=(),
    )


def wheel(name: str, content: bytes = b"wheel") -> Wheel:
    return Wheel(
        name=name,
        version="1.0",
        sha256=hashlib.sha256(content).hexdigest(),
        file=f"{name}-1.0-py3-none-any.whl",
        size=len(content),
        contents=Contents(binaries=(), glibc=None, glibcxx=None, names=(name,)),
    )


def write_lock(folder: Path, *locked: Wheel | Source, platform: str) -> WheelLock:
    lock = WheelLock(
        path=wheel_lock.lock_path(folder, platform),
        platform=platform,
        wheels=tuple(one for one in locked if isinstance(one, Wheel)),
        sources=tuple(one for one in locked if isinstance(one, Source)),
    )
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    lock.path.write_text(wheel_lock.format_requirements(lock), encoding="utf-8")
    return lock


def checkout(directory: Path) -> Project:
    """Make a checkout in which `pkg` is built with `ninja`."""
    project = Project(
        root=directory / "checkout",
        matrix=matrix.load(Path(__file__).with_name("matrix.yaml")),
        store=Store(directory / "cache"),
    )
    backend = project.images / "pkg"
    recipe = backend / "wheels" / "pkg"
    for folder, locked in ((backend, source()), (recipe, wheel("ninja"))):
        locks = [write_lock(folder, locked, platform=each) for each in (AMD64, ARM64, MAC)]
        locks[0].path.with_name(wheel_lock.CONTENTS).write_text(
            wheel_lock.format_contents(locks), encoding="utf-8"
        )
    (recipe / "recipe.toml").write_text('libraries = ["pkg/lib/*.so"]\n', encoding="utf-8")
    stage = project.images / "toolchain"
    stage.mkdir()
    for name in STAGE:
        (stage / name).touch()
    return project
