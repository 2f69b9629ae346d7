"""The images: from a cell's inputs to an OCI image layout that is kept by its inputs' digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import unpacked_sizes
from builders.build import Context, Recipe, build
from builders.engine import Engine
from builders.files import digest_of, sha256_of, tree_digests
from builders.formats import layout
from builders.formats.layout import Layout
from builders.matrix import Backend, Model
from builders.model import ModelDirectory
from builders.space import vector_space
from builders.store import Store
from builders.wheelhouse.wheels import Wheels

LABELS = "io.equivec"
"""The prefix of the labels that are Equivec's own."""


@dataclass(frozen=True, kw_only=True)
class Root:
    """The unpacked Debian packages of a platform, as an OCI image layout.

    Attributes:
        directory: The layout.
        digest: Of its manifest.
        lock: `sha256:…` of the Debian lock.
    """

    directory: Path
    digest: str
    lock: str

    @property
    def context(self) -> Context:
        """The build context that is this layout."""
        return Context(location=f"oci-layout://{self.directory}@{self.digest}", digest=self.digest)


@dataclass(frozen=True, kw_only=True)
class Base:
    """The image that every backend's image begins with.

    Attributes:
        layout: What was built.
        lock: `sha256:…` of the Debian lock.
    """

    layout: Layout
    lock: str

    @property
    def context(self) -> Context:
        """The build context that is this image."""
        digest = self.layout.manifest_digest
        return Context(location=f"oci-layout://{self.layout.directory}@{digest}", digest=digest)


def base_recipe(images: Path, *, platform: str, root: Root, build_root: Root, epoch: int) -> Recipe:
    """Return the recipe of the base image: the root file system and its byte code.

    Args:
        images: The checkout's folder of that name.
        platform: The target platform.
        root: The target platform's packages.
        build_root: The build platform's.
        epoch: The newest time in the image.
    """
    folder = images / "base"
    return Recipe(
        name=f"equivec/base:{platform.replace('/', '-')}",
        platform=platform,
        dockerfile=folder / "Dockerfile",
        directory=folder,
        files={name: sha256_of(folder / name) for name in ("Dockerfile", "assemble.py")},
        contexts={"root": root.context, "build-root": build_root.context},
        labels={},
        epoch=epoch,
    )


def backend_recipe(
    images: Path,
    *,
    name: str,
    platform: str,
    backend: tuple[str, Backend],
    model: tuple[str, Model],
    base: Base,
    build_root: Root,
    wheels: Wheels,
    model_directory: ModelDirectory,
    notices: Context,
    epoch: int,
) -> Recipe:
    """Return the recipe of a backend's image.

    Args:
        images: The checkout's folder of that name.
        name: `<prefix>/<backend>-<model>`.
        platform: The target platform.
        backend: Its key and entry in matrix.yaml.
        model: Its key and entry in matrix.yaml.
        base: The target platform's base image.
        build_root: The build platform's root file system, whose Python assembles the layers.
        wheels: The backend's, for the target platform.
        model_directory: What goes to /opt/equivec/model.
        notices: The inventory of all this, which goes to /opt/equivec.
        epoch: The newest time in the image.
    """
    folder = images / backend[0]
    service = images / "service"
    sources = tree_digests(folder, leave_out=("__pycache__", "locks"))
    dockerfile = images / "Dockerfile"
    tools = images / "base" / "assemble.py"
    return Recipe(
        name=f"{name}:{platform.replace('/', '-')}",
        platform=platform,
        dockerfile=dockerfile,
        directory=folder,
        files={**sources, dockerfile.name: sha256_of(dockerfile)},
        contexts={
            "base": base.context,
            "build-root": build_root.context,
            "model": Context(location=str(model_directory.path), digest=model_directory.digest),
            "notices": notices,
            "service": Context(
                location=str(service), digest=digest_of(dict(tree_digests(service)))
            ),
            "tools": Context(
                location=str(tools.parent), digest=digest_of({tools.name: sha256_of(tools)})
            ),
            "wheels": Context(location=str(wheels.directory), digest=wheels.digest),
        },
        labels=labels(
            name=name,
            platform=platform,
            backend=backend,
            model=model,
            base=base.layout.manifest_digest,
            debian_lock=base.lock,
            wheel_lock=wheels.lock,
            model_lock=model_directory.digest,
        ),
        epoch=epoch,
    )


def labels(
    *,
    name: str,
    platform: str,
    backend: tuple[str, Backend],
    model: tuple[str, Model],
    base: str,
    debian_lock: str,
    wheel_lock: str,
    model_lock: str,
) -> Mapping[str, str]:
    """Return the labels of a backend's image; the arguments after its model are digests."""
    return {
        "org.opencontainers.image.title": name.rpartition("/")[2],
        "org.opencontainers.image.licenses": f"{backend[1].licence} AND {model[1].licence}",
        "org.opencontainers.image.base.name": f"equivec/base:{platform.replace('/', '-')}",
        "org.opencontainers.image.base.digest": base,
        f"{LABELS}.backend": backend[0],
        f"{LABELS}.model": model[0],
        f"{LABELS}.dimension": str(model[1].dimension),
        f"{LABELS}.vector-space": vector_space(model[1]),
        f"{LABELS}.precision": model[1].precision,
        f"{LABELS}.lock.debian": debian_lock,
        f"{LABELS}.lock.wheels": wheel_lock,
        f"{LABELS}.lock.model": model_lock,
    }


def built(
    recipe: Recipe,
    engine: Engine,
    store: Store,
    *,
    note: Callable[[str], None],
    rebuild: bool = False,
) -> Layout:
    """Return the layout of an image, built unless the same inputs were built before.

    Args:
        recipe: What determines it.
        engine: What builds it.
        store: Where it is kept.
        note: Told what the builder does.
        rebuild: Build it anyway, and without the builder's own cache.

    Raises:
        BuildError: The build failed.
        LayoutError: The builder wrote something malformed.
    """

    def make(directory: Path) -> None:
        build(recipe, engine, directory, note=note, use_cache=not rebuild)
        layout.remove_ingest(directory)

    derive = store.rederived if rebuild else store.derived
    directory = derive("images", recipe.key(engine).removeprefix("sha256:"), make)
    return unpacked_sizes.read(store, directory)
