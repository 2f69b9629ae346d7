"""Whether a Docker engine can do what is needed: shown by doing it, once, in small.

Versions do not tell: distributions' BuildKits call themselves `v0.0.0+unknown`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker import DockerClient

from builders.engine import images as engine_images
from builders.engine.connection import engine_errors
from builders.errors import EngineError, ProcessError
from builders.formats import layer, layout
from builders.formats.layout import Layout
from builders.process import run

EPOCH = 946684800
"""2000-01-01: earlier than any file that the probe writes."""

_BUILD_SECONDS = 300.0
_REMEDY = "use Docker 26 or newer with buildx 0.13 or newer, or engine: private on Debian"

_OUTPUT = (
    "type=oci,tar=false,rewrite-timestamp=true,oci-mediatypes=true,"
    "compression=zstd,force-compression=true"
)


def probe(
    client: DockerClient, environment: Mapping[str, str], *, platform: str, directory: Path
) -> None:
    """Build two tiny images and load one.

    Args:
        client: The engine.
        environment: That in which `docker buildx` uses it.
        platform: The engine's own, as linux/amd64.
        directory: An empty one, for the images' layouts.

    Raises:
        EngineError: It cannot do something that is needed; says what.
    """
    with engine_errors("ask the engine what it is"):
        description = client.info()
    if not keeps_digests(description):
        raise EngineError(
            "the engine does not use the containerd image store",
            remedy='set "features": {"containerd-snapshotter": true} in its daemon.json and'
            " restart it (Docker Desktop: Settings, General, Use containerd)",
        )
    first = _build(
        environment, "FROM scratch\nCOPY --from=files /file /first\n", directory / "first", platform
    )
    base = f"oci-layout://{first.directory}@{first.manifest_digest}"
    second = _build(
        environment,
        "FROM base\nCOPY --link --from=files /file /second\n",
        directory / "second",
        platform,
        base=base,
    )
    check_layers(second)
    engine_images.load(client, second)
    engine_images.discard(client, second.manifest_digest)


def keeps_digests(description: Mapping[str, Any]) -> bool:
    """Say whether `docker info` tells of the containerd image store: others change digests."""
    status = description.get("DriverStatus") or []
    return ["driver-type", "io.containerd.snapshotter.v1"] in [list(pair) for pair in status]


def build_argv(
    context: Path, destination: Path, *, platform: str, contexts: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the command of a build as the real ones are: named contexts, clamped times, zstd."""
    named = [f"--build-context={name}={place}" for name, place in contexts.items()]
    return (
        *("docker", "buildx", "build", "--platform", platform, "--network", "none"),
        *("--provenance", "false", "--sbom", "false", "--progress", "plain"),
        *("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}"),
        *("--output", f"{_OUTPUT},name=equivec/probe:probe,dest={destination}"),
        *(*named, str(context)),
    )


def check_layers(image: Layout) -> None:
    """Check that an image has both layers, compressed as asked, with no time after the epoch.

    Raises:
        EngineError: It has not.
    """
    types = [found.media_type for found in image.layers]
    if types != [layer.TAR_ZSTD, layer.TAR_ZSTD]:
        raise EngineError(f"the engine wrote other layers: {types}", remedy=_REMEDY)
    for found in image.layers:
        with tempfile.TemporaryFile() as file:
            blob = layout.blob_path(image.directory, found.digest)
            for chunk in layer.unpacked(blob, found.media_type):
                file.write(chunk)
            members = layer.read(file, where=found.digest)
        late = [member.path for member in members if member.newest > EPOCH]
        if late:
            raise EngineError(
                f"the engine does not rewrite times: {', '.join(late)}", remedy=_REMEDY
            )


def _build(
    environment: Mapping[str, str],
    dockerfile: str,
    directory: Path,
    platform: str,
    **contexts: str,
) -> Layout:
    """Build an image of one file beside what its Dockerfile begins with; return its layout."""
    context = directory / "context"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    (context / "file").write_text(directory.name, encoding="utf-8")
    destination = directory / "layout"
    argv = build_argv(
        context, destination, platform=platform, contexts={"files": str(context), **contexts}
    )
    try:
        run(argv, env=environment, timeout=_BUILD_SECONDS)
    except ProcessError as error:
        raise EngineError(
            f"the engine cannot build as is needed: {error.problem}", remedy=_REMEDY
        ) from error
    layout.remove_ingest(destination)
    return layout.read(destination)
