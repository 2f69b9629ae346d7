"""What the cache can do without: nothing that the checkout needs, or that was used of late."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import host, model, verdict
from builders.attestation import notary
from builders.errors import EquivecError
from builders.files import sha256_of
from builders.lock import debian as debian_lock
from builders.project import Project
from builders.rootfs.kept import TOOLCHAIN
from builders.store import remove_tree
from builders.wheelhouse import build as wheel_build

Needed = Mapping[str, frozenset[str]]
"""The digests that are needed, by the kind of derived directory."""

BASE_LABEL = "org.opencontainers.image.base.digest"

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_LISTS = frozenset({".json", ".toml", ".txt"})


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the cache: what goes and what stays.

    Attributes:
        name: What it holds.
        removed: Files and directories that go.
        kept: How many stay.
        size: Bytes that are free when they are gone. A file that has another name stays.
    """

    name: str
    removed: tuple[Path, ...]
    kept: int
    size: int


def parts(project: Project, keep: int) -> tuple[Part, ...]:
    """Return what of the cache goes and what stays.

    Args:
        project: The checkout, whose locks and verdicts say what is needed.
        keep: How many of each derived kind stay, those that were used last, needed or not.

    Raises:
        LockError: A lock is malformed.
    """
    cache = project.store.cache
    digests = locked(project.root)
    derived = _derived(cache, keep, needed(project, digests))
    found = {
        **{f"derived/{kind}": split for kind, split in derived.items()},
        "inputs": _split(cache.glob("store/*/*"), digests),
        "broken-off downloads": _split(cache.glob("partial/*"), digests),
        "what the resolver downloaded": _split(cache.glob("uv"), ()),
    }
    return tuple(
        Part(name=name, removed=tuple(removed), kept=kept, size=freed(removed))
        for name, (removed, kept) in found.items()
    )


def remove(part: Part) -> None:
    """Delete what goes. A killed deletion leaves what the next run's sweep deletes."""
    for path in part.removed:
        if path.is_dir():
            gone = path.with_name(f".{path.name}.old")
            remove_tree(gone)
            path.rename(gone)
            remove_tree(gone)
        else:
            path.unlink(missing_ok=True)


def locked(root: Path) -> frozenset[str]:
    """Return every sha256 that the locks of a checkout name, and matrix.yaml."""
    images = (path for path in (root / "images").rglob("*") if path.suffix in _LISTS)
    return frozenset(
        digest
        for path in (root / "matrix.yaml", *images)
        for digest in _DIGEST.findall(path.read_text(encoding="utf-8", errors="replace"))
    )


def needed(project: Project, digests: Collection[str]) -> Needed:
    """Return what the checkout's locks and verdicts need of what was derived.

    What is made anew in seconds (unpacked Debian packages, directories of wheels, answers of
    engines) is not looked into.

    Args:
        project: The checkout.
        digests: Of its locks.
    """
    cache = project.store.cache / "derived"
    judged = _judged(project)
    wheels = _built_wheels(project)
    built = {sha256_of(file) for key in wheels for file in (cache / "built-wheels" / key).glob("*")}
    return {
        "built-wheels": wheels,
        "hosts": _hosts(cache / "hosts", {*digests, *built}),
        "images": _images(cache / "images", judged),
        "models": _models(project),
        "signatures": _signatures(project, cache / notary.KEPT),
        "verdicts": frozenset(
            path.parent.name
            for path in (cache / "verdicts").glob("[!.]*/verdict.json")
            if (found := _verdict(path)) is not None and found.subject.digest in judged
        ),
    }


def images(cache: Path, gone: Collection[Path]) -> frozenset[str]:
    """Return the manifest digests of the images that a cache keeps, without those that go."""
    there = (cache / "derived" / "images").glob("[!.]*")
    kept = (path for path in there if path not in gone)
    return frozenset(found.manifest for path in kept if (found := _image(path)) is not None)


def freed(paths: Iterable[Path]) -> int:
    """Return how many bytes are free when files and directories are gone.

    A file that has a name elsewhere takes its room still.
    """
    names: Counter[tuple[int, int]] = Counter()
    rooms: dict[tuple[int, int], tuple[int, int]] = {}
    for path in paths:
        for file in (path, *path.rglob("*")) if path.is_dir() else (path,):
            found = file.lstat()
            inode = (found.st_dev, found.st_ino)
            names[inode] += 1
            links = 1 if file.is_dir() and not file.is_symlink() else found.st_nlink
            rooms[inode] = (links, 512 * found.st_blocks)
    return sum(room for inode, (links, room) in rooms.items() if names[inode] >= links)


def _split(paths: Iterable[Path], kept: Collection[str]) -> tuple[list[Path], int]:
    """Return the paths whose names are not to be kept, and how many are."""
    found = sorted(paths)
    removed = [path for path in found if path.name not in kept]
    return removed, len(found) - len(removed)


def _derived(cache: Path, keep: int, need: Needed) -> dict[str, tuple[list[Path], int]]:
    found = {}
    for folder in sorted((cache / "derived").glob("[!.]*")):
        # `Store.derived` sets the time of what is used.
        newest = sorted(folder.glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True)
        kept = {path.name for path in newest[:keep]} | need.get(folder.name, frozenset())
        found[folder.name] = _split(newest, kept)
    return found


def _judged(project: Project) -> frozenset[str]:
    """Return the manifest digests that the checkout's present verdicts are about."""
    found = (_verdict(path) for path in project.verdicts.glob("*.json"))
    return frozenset(each.subject.digest for each in found if each is not None)


def _verdict(path: Path) -> verdict.Verdict | None:
    try:
        return verdict.read(path)
    except EquivecError:  # of an earlier version: then it serves nobody
        return None


def _images(folder: Path, judged: Collection[str]) -> frozenset[str]:
    """Return the kept images that verdicts are about, and those that they are based on."""
    found = {path.name: image for path in folder.glob("[!.]*") if (image := _image(path))}
    bases = {image.base for image in found.values() if image.manifest in judged}
    return frozenset(name for name, image in found.items() if image.manifest in {*judged, *bases})


@dataclass(frozen=True, kw_only=True)
class _Image:
    """The manifest digest of a kept image, and of the one that it is based on, if any."""

    manifest: str
    base: str | None


def _image(directory: Path) -> _Image | None:
    """Read which image a layout holds, and not whether it is sound."""

    def blob(descriptor: Any) -> Any:
        name = descriptor["digest"].removeprefix("sha256:")
        return json.loads((directory / "blobs" / "sha256" / name).read_bytes())

    try:
        (descriptor,) = json.loads((directory / "index.json").read_bytes())["manifests"]
        labels = blob(blob(descriptor)["config"])["config"].get("Labels") or {}
        return _Image(manifest=descriptor["digest"], base=labels.get(BASE_LABEL))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _built_wheels(project: Project) -> frozenset[str]:
    """Return the keys of the wheels that the locks ask to be built, on this machine."""
    toolchain = debian_lock.read(project.images / TOOLCHAIN, host.build_platform())
    return frozenset(
        build.key
        for name, backend in project.matrix.backends.items()
        for platform in backend.platforms
        if platform.startswith("linux/")
        for build in wheel_build.planned(project, name, platform, toolchain)
    )


def _hosts(folder: Path, wheels: Collection[str]) -> frozenset[str]:
    """Return the environments that hold nothing but wheels of the locks."""
    return frozenset(
        path.parent.name
        for path in folder.glob("[!.]*/requirements.txt")
        if set(_DIGEST.findall(path.read_text(encoding="utf-8"))) <= set(wheels)
    )


def _signatures(project: Project, folder: Path) -> frozenset[str]:
    """Return the kept signatures that the checkout's attestations bear."""
    used = {sha256_of(path) for path in project.attestations.glob("*/*.dsse.json")}
    kept = folder.glob(f"[!.]*/{notary.ENVELOPE}")
    return frozenset(path.parent.name for path in kept if sha256_of(path) in used)


def _models(project: Project) -> frozenset[str]:
    """Return the model directories that the models' locks describe."""
    return frozenset(
        model.recipe_digest(project, name, form)
        for name in project.matrix.models
        if model.lock_path(project.root, name).exists()
        for form in model.read_lock(project.root, name).formats
    )
