"""Completion: from a directory that lacks files to one that has them all, if that is allowed."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from embedding_service.errors import ModelError
from embedding_service.recipe import RECIPE_FILE, Recipe
from embedding_service.supply.settings import SupplySettings

FOLDER = "equivec"
"""In the cache: a directory of each completed model, by the sha256 of its recipe."""

_LONGEST_LINE = 500

logger = logging.getLogger(__name__)


def complete(model_dir: Path, recipe: Recipe, settings: SupplySettings) -> Path:
    """Return a directory that has all files of a model; their content is not looked at.

    It is the model's own, unless that lacks files which a hub has, and the settings allow to fetch
    them: then it is one in the cache, made at the first start. What is there asks no hub again.

    Args:
        model_dir: The model's directory.
        recipe: What it has to hold.
        settings: Whether files may be fetched, and where they are kept.

    Raises:
        ModelError: Files are missing that a hub has, and they may not or cannot be fetched.
    """
    missing = [name for name in recipe.files if not (model_dir / name).exists()]
    if not missing or not recipe.sources.keys() >= set(missing):
        return model_dir  # where a file is missing that is nowhere, the recipe's check says so
    named = ", ".join(sorted(missing))
    if not settings.allow_fetch:
        raise ModelError(
            f"{model_dir} lacks {named}, which {recipe.sources[missing[0]].repository} has; "
            "EMBEDDING_ALLOW_FETCH=true lets the service fetch what is missing"
        )
    digest = hashlib.sha256((model_dir / RECIPE_FILE).read_bytes()).hexdigest()
    target = settings.cache_dir / FOLDER / digest
    if not _is_whole(target, recipe):
        shutil.rmtree(target, ignore_errors=True)
        _fetch(model_dir, settings.cache_dir, target)
    return target


def _is_whole(target: Path, recipe: Recipe) -> bool:
    """Return whether a model was completed and is still there; its digests are checked later."""
    sizes = {name: place.size for name, place in recipe.sources.items()}
    for name in (RECIPE_FILE, *recipe.files):
        path = target / name
        if not path.is_file() or path.stat().st_size != sizes.get(name, path.stat().st_size):
            return False
    return True


def _fetch(model_dir: Path, cache: Path, target: Path) -> None:
    """Let a process of its own fetch what is missing, and tell what it says.

    Here, no library shall ever ask a hub, and the one that does needs 50 MB. The process ends
    when its standard input does, and so with this one, however that ends.
    """
    command = (sys.executable, "-m", "embedding_service.supply.fetch", model_dir, cache, target)
    said = ""
    with subprocess.Popen(
        command,
        env=_environment(cache),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        for line in child.stdout or ():
            if line.strip():
                said = line.strip()[:_LONGEST_LINE]
                logger.info("fetch: %s", said)
        status = child.wait()
    if status != 0:
        raise ModelError(f"the files of {model_dir} cannot be fetched: {said or status}")


def _environment(cache: Path) -> dict[str, str]:
    # What holds for the service, that no hub is asked, does not hold for that process.
    offline = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    kept = {name: value for name, value in os.environ.items() if name not in offline}
    return {
        **kept,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Plain HTTP: some images have no hf_xet, and a mirror has no such storage.
        "HF_HUB_DISABLE_XET": "1",
    }
