"""Vendored code: the Python files that a model brings along, pinned by sha256 like its weights.

transformers' own way to such code (`trust_remote_code`) asks a hub for it when a model is loaded,
and has run one revision of the code with the weights of another.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from embedding_service.errors import ModelError
from embedding_service.recipe import Recipe

CODE = "code"
"""The folder of a model directory that holds its code."""

_REFERENCE = re.compile(r"(?:[\w.-]+/[\w.-]+--)?(\w+)\.(\w+)")
"""`file.Class`; where the code is in another repository, `owner/name--file.Class`."""


def model_class(config: Path, model_dir: Path, recipe: Recipe) -> Any:
    """Return the class of a model, as its configuration's `auto_map` names it.

    Args:
        config: The configuration.
        model_dir: The directory of the model, whose files have been verified.
        recipe: Its recipe.

    Raises:
        ModelError: The configuration cannot be read, names no class or one whose file is not part
            of the model, or the code cannot be imported.
    """
    file, name = references(config, recipe.files)["AutoModel"]
    module = _imported(file, model_dir, recipe)
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise ModelError(f"{config} wants {name}, and {CODE}/{file}.py has none") from error


def references(config: Path, files: Collection[str]) -> Mapping[str, tuple[str, str]]:
    """Return the module and class for each purpose that `auto_map` knows, `AutoModel` among them.

    Args:
        config: The configuration.
        files: The model's files, which each module must be one of.

    Raises:
        ModelError: See `model_class`.
    """
    try:
        auto_map = dict(json.loads(config.read_bytes()).get("auto_map") or {})
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise ModelError(f"{config} cannot be read: {error}") from error
    found = {}
    for purpose, reference in auto_map.items():
        matched = _REFERENCE.fullmatch(str(reference))
        if matched is None:
            raise ModelError(f"{config}: {reference!r} in auto_map is not FILE.CLASS")
        file = f"{CODE}/{matched[1]}.py"
        if file not in files:
            raise ModelError(
                f"{config} wants the code {reference}, and the model has no {file}: "
                "code is vendored when a model is pinned, and never fetched"
            )
        found[purpose] = (matched[1], matched[2])
    if "AutoModel" not in found:
        raise ModelError(f"{config} names no class of its own: its auto_map has no AutoModel")
    return found


def _imported(file: str, model_dir: Path, recipe: Recipe) -> ModuleType:
    """Import a module of the model's code, which may import others of it relatively.

    Their package is named by their digests: code of another model that the process has imported
    is not taken for it.
    """
    digests = sorted(item for item in recipe.files.items() if item[0].startswith(f"{CODE}/"))
    name = f"vendored_{hashlib.sha256(repr(digests).encode()).hexdigest()[:16]}"
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(model_dir / CODE)]
        sys.modules[name] = package
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return importlib.import_module(f"{name}.{file}")
    except ImportError as error:
        raise ModelError(f"the code of {recipe.name} cannot be imported: {error}") from error
    finally:
        sys.dont_write_bytecode = writes_none
