"""Images in the engine, by digest: loaded from their layouts, named when they have passed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable

from docker import DockerClient
from docker.errors import ImageNotFound

from builders.engine.connection import engine_errors
from builders.errors import EngineError
from builders.formats.layout import Layout
from builders.formats.layout_stream import stream

OURS = "io.equivec.backend"
"""The label that tells Equivec's images from others."""

UNTESTED = "equivec/untested"
"""What an image is called from when it is loaded until it has passed."""


def has(client: DockerClient, digest: str) -> bool:
    """Say whether the engine holds an image of this manifest digest."""
    with engine_errors("look up an image"):
        try:
            return bool(client.images.get(digest).id == digest)
        except ImageNotFound:
            return False


def load(client: DockerClient, layout: Layout) -> str:
    """Give the engine the image of a layout; return its manifest digest, which is its id.

    It gets no readable name: that is for images that have passed.

    Raises:
        EngineError: The engine did not keep the digest, as without the containerd image store.
    """
    digest = layout.manifest_digest
    if has(client, digest):
        return digest
    with engine_errors(f"load {layout.directory}"):
        messages = client.api.load_image(  # type: ignore[no-untyped-call]
            stream(layout, _untested(digest))
        )
        for message in messages:
            if "error" in message:
                raise EngineError(f"cannot load the image: {message['error']}", where=digest)
    if not has(client, digest):
        raise EngineError(
            "the engine holds no image of the digest that was loaded",
            where=digest,
            remedy="let it use the containerd image store",
        )
    return digest


def tag(client: DockerClient, digest: str, name: str) -> None:
    """Give an image that has passed its readable name, such as `equivec/x:linux-arm64`."""
    repository, _, word = name.rpartition(":")
    with engine_errors(f"tag {digest}"):
        client.images.get(digest).tag(repository, word)
    discard(client, digest)


def discard(client: DockerClient, digest: str) -> None:
    """Take away the name it was loaded under: with no other, the engine deletes the image."""
    name = _untested(digest)
    with engine_errors(f"remove {name}"), contextlib.suppress(ImageNotFound):
        client.api.remove_image(name)


def superfluous(client: DockerClient, kept: Collection[str], prefix: str) -> tuple[str, ...]:
    """Return the names of Equivec's images in the engine that are not to be kept.

    Args:
        client: The engine.
        kept: The manifest digests of those that are.
        prefix: The beginning of the names that images get which have passed. Other names of the
            same images are somebody else's.
    """
    with engine_errors("list images"):
        ours = [
            *client.images.list(filters={"label": OURS}),
            *client.images.list(filters={"reference": UNTESTED}),
        ]
    names = (name for image in ours if image.id not in kept for name in image.tags)
    given = (f"{prefix}/", f"{UNTESTED}:")
    return tuple(dict.fromkeys(name for name in names if name.startswith(given)))


def remove(client: DockerClient, names: Iterable[str]) -> None:
    """Take names of images away: with its last name, the engine deletes an image."""
    for name in names:
        with engine_errors(f"remove {name}"), contextlib.suppress(ImageNotFound):
            client.api.remove_image(name)


def shrink_build_cache(client: DockerClient, most: int) -> int:
    """Let the engine's build cache shrink to a number of bytes; return how many it gave free."""
    with engine_errors("shrink the build cache"):
        answer = client.api.prune_builds(keep_storage=most, all=True)
    return int(answer["SpaceReclaimed"])


def _untested(digest: str) -> str:
    return f"{UNTESTED}:{digest.removeprefix('sha256:')}"
