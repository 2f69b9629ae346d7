"""One image from its inputs: `docker buildx` builds it to an OCI image layout, without network."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.engine import Engine
from builders.errors import BuildError, ProcessError
from builders.files import digest_of
from builders.process import Completed, run

TIME_LIMIT = 30 * 60.0
"""Seconds after which a build is given up."""

STEP = re.compile(r"#\d+ \[(?P<stage>[\w-]+) +\d+/\d+\] (?:RUN|COPY)")
"""How BuildKit tells that an instruction begins: `#12 [site 1/1] RUN …`."""

LAST_LINES = 25
"""How many lines of a failed build its error shows."""

OUTPUT = (
    "type=oci",
    "tar=false",
    "oci-mediatypes=true",
    "compression=zstd",
    "compression-level=19",
    "force-compression=true",
)
"""How BuildKit exports. No `rewrite-timestamp`: it compresses every layer a second time, and its
failure is only a warning. Layers are assembled with the epoch's times, and the audit reads them."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """A named build context: where it is, and the digest of what is in it.

    Attributes:
        location: A directory, or `oci-layout://DIRECTORY@sha256:…`.
        digest: Names the content, so that a build's key needs no second reading of it.
    """

    location: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines an image.

    Attributes:
        name: What the image is called in its layout, with a tag.
        platform: The target platform.
        dockerfile: What is done with them.
        directory: The main build context.
        files: The sha256 of the Dockerfile, and of each file of the main context that the build may
            read, by its path.
        contexts: The named contexts.
        labels: The image's labels.
        epoch: The newest time that anything in the image bears, in seconds since 1970.
    """

    name: str
    platform: str
    dockerfile: Path
    directory: Path
    files: Mapping[str, str]
    contexts: Mapping[str, Context]
    labels: Mapping[str, str]
    epoch: int

    def key(self, engine: Engine) -> str:
        """Return the digest of all that determines the image's bytes, the builder included."""
        return digest_of(
            {
                "build": [*OUTPUT, "network=none"],
                "builder": [engine.native, engine.versions.buildkit, engine.versions.buildx],
                "contexts": {name: context.digest for name, context in self.contexts.items()},
                "epoch": self.epoch,
                "files": dict(self.files),
                "labels": dict(self.labels),
                "name": self.name,
                "platform": self.platform,
            }
        )


def build(
    recipe: Recipe,
    engine: Engine,
    destination: Path,
    *,
    note: Callable[[str], None],
    use_cache: bool = True,
) -> None:
    """Build an image to an OCI image layout in a directory that must not exist yet.

    Raises:
        BuildError: The Dockerfile failed: its last lines are in the message.
    """
    arguments = command(recipe, destination, use_cache=use_cache)
    told: set[str] = set()

    def show(line: str) -> None:
        step = STEP.match(line)
        if step and step["stage"] not in told:
            told.add(step["stage"])
            note(step["stage"])

    try:
        completed = run(
            arguments, env=engine.environment, timeout=TIME_LIMIT, on_line=show, check=False
        )
    except ProcessError as error:
        raise BuildError(error.problem, where=recipe.name, remedy=error.remedy) from error
    if completed.returncode != 0:
        raise _failure(recipe, completed)


def command(recipe: Recipe, destination: Path, *, use_cache: bool = True) -> tuple[str, ...]:
    """Return the argument list of a build."""
    words = [
        *("docker", "buildx", "build"),
        *("--platform", recipe.platform),
        *("--file", str(recipe.dockerfile)),
        *("--network", "none"),
        *("--provenance", "false"),
        *("--sbom", "false"),
        *("--progress", "plain"),
        *("--build-arg", f"SOURCE_DATE_EPOCH={recipe.epoch}"),
        *("--output", ",".join([*OUTPUT, f"name={recipe.name}", f"dest={destination}"])),
    ]
    for name, context in sorted(recipe.contexts.items()):
        words += ["--build-context", f"{name}={context.location}"]
    for name, value in sorted(recipe.labels.items()):
        words += ["--label", f"{name}={value}"]
    if not use_cache:
        words.append("--no-cache")
    return (*words, str(recipe.directory))


def _failure(recipe: Recipe, completed: Completed) -> BuildError:
    """Return the error of a failed build: what BuildKit said last."""
    lines = [line for line in completed.stderr.splitlines() if line.strip()]
    tail = "\n".join(f"  | {line}" for line in lines[-LAST_LINES:])
    file = f"{recipe.dockerfile.parent.name}/{recipe.dockerfile.name}"
    return BuildError(
        f"{file} failed for {recipe.platform}:\n{tail}",
        where=recipe.name,
        remedy=f"the whole build again: {shlex.join(completed.argv)}",
    )
