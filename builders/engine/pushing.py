"""Images from the engine to a registry: the very ones that were tested, there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from docker import DockerClient
from docker.errors import ImageNotFound

from builders.engine.connection import engine_errors
from builders.errors import RegistryError
from builders.registry.faults import RegistryFault, fault_of
from builders.registry.reference import Reference

_PUSHED = re.compile(r"^\S+: digest: (sha256:[0-9a-f]{64}) ")


def push(client: DockerClient, digest: str, reference: Reference) -> None:
    """Push an image that the engine holds to where a tag names; what is there is not sent again.

    Credentials are those of Docker's own configuration, whichever engine it is.

    Args:
        client: The engine.
        digest: Of the image's manifest.
        reference: A tag, which the engine needs: it pushes nothing by digest.

    Raises:
        RegistryError: The registry refused it, or holds something else now.
        EngineError: The engine failed.
    """
    repository, tag = str(reference.repository), reference.tag or ""
    with engine_errors(f"push {digest}"):
        client.images.get(digest).tag(repository, tag)
        try:
            messages = client.api.push(repository, tag=tag, stream=True, decode=True)
            pushed = _followed(messages, str(reference))
        finally:
            with contextlib.suppress(ImageNotFound):
                client.api.remove_image(str(reference))
    if pushed != digest:
        raise RegistryError(
            f"the engine has pushed {pushed or 'nothing'}, {digest} was tested",
            where=str(reference),
            remedy="let the engine use the containerd image store",
        )


def _followed(messages: Iterable[Mapping[str, Any]], where: str) -> str | None:
    """Return the digest that the engine says it has pushed, once it has said everything."""
    digest, failure = None, ""
    for message in messages:
        failure = failure or str(message.get("error", ""))
        if found := _PUSHED.search(str(message.get("status", ""))):
            digest = found[1]
    if failure:
        raise RegistryFault(fault_of(failure), failure, where=where)
    return digest
