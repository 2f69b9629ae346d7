"""Programs of others that handle signatures and registries: found, or brought.

One on PATH is taken as it is. Where there is none, the distribution's own packages are unpacked
into the cache, as those of the private engine are; the system is not changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from builders.errors import EngineError, FetchError, ToolError
from builders.tools import bundles
from builders.tools.bundles import Bundle

__all__ = ["Name", "find", "present"]

Name = Literal["cosign", "oras", "skopeo", "docker-registry"]


def find(name: Name, cache: Path, *, note: Callable[[str], None]) -> Path:
    """Return a program; bring it into the cache if it is neither on PATH nor there.

    Args:
        name: What it is called.
        cache: The cache directory.
        note: Told what takes time.

    Raises:
        ToolError: It is not here, and this system's packages do not hold it or cannot be had; says
            what to install.
    """
    found = present(name, cache)
    if found is not None:
        return found
    bundle = _bundle(name)
    if bundle is None:
        raise ToolError(
            f"{name} is not installed, and is brought only on {bundles.SYSTEMS}",
            where=bundles.system(),
            remedy=_remedy(name),
        )
    try:
        return bundles.obtain(bundle, cache, note=note) / name
    except (EngineError, FetchError) as error:
        raise ToolError(
            f"{name} is not installed, and cannot be downloaded: {error.problem}",
            where=error.where,
            remedy=_remedy(name),
        ) from error


def present(name: Name, cache: Path) -> Path | None:
    """Return a program if it is on PATH or in the cache; nothing is downloaded."""
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path)
    bundle = _bundle(name)
    return None if bundle is None else bundles.existing(bundle, cache, name)


def _bundle(name: Name) -> Bundle | None:
    return next((bundle for bundle in bundles.here() if name in bundle.programs), None)


def _remedy(name: Name) -> str:
    wanted = {"cosign": "cosign 2 or 3", "oras": "oras 1.2 or newer"}.get(name, name)
    return f"install {wanted} and put it on PATH"
