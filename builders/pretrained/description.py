"""What a model's own files say of it: its sizes, pooling, prompts and licence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from builders import licences
from builders.conversion import checkpoint, wordpiece
from builders.errors import ModelError
from builders.matrix import PICKLES, PROMPT, Format
from builders.pretrained.arrival import Content
from builders.pretrained.making import CONFIGURATION, MODULES, TOKENIZER, WEIGHTS
from builders.pretrained.place import Place

_CONVERTED: tuple[Format, ...] = ("onnx", "sentence-transformers", "gguf")
_SETTINGS = "config_sentence_transformers.json"
_LENGTH = "sentence_bert_config.json"
_CARD = "README.md"
_LICENCES = {"gemma": "LicenseRef-Gemma", **{name.lower(): name for name in licences.OPEN}}
"""What model cards call licences, and their SPDX identifiers."""

Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What an entry says.

    Attributes:
        formats: Which it can be had in, converted ones too.
        files: What has to be fetched for that.
        shorter: To which lengths its vectors may be cut, where it says so; the longest first.
        notes: What a person should know of it.
    """

    source: str
    name: str
    licence: str
    dimension: int
    max_tokens: int
    formats: tuple[Format, ...]
    files: Mapping[str, Content]
    pooling: Pooling
    normalize: bool
    dense_layers: bool
    prompts: Mapping[str, str]
    default_prompt: str | None
    shorter: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Modules:
    """What comes after the encoder."""

    pooling: Pooling
    normalize: bool
    dense: tuple[str, ...]
    files: tuple[str, ...]
    dimension: int | None


def describe(place: Place, *, name: str | None, pooling: Pooling | None) -> Description:
    """Read a model.

    Args:
        place: Where it is.
        name: Its key in matrix.yaml; None: from its own name.
        pooling: How it pools, if its files do not say.

    Raises:
        ModelError: It has no safetensors, wants code of its own, or does not say what it is.
        FetchError: A file cannot be had.
    """
    _refuse_other_weights(place)
    config = place.read(CONFIGURATION)
    modules = _modules(place, pooling)
    obstacle = _obstacle(place, config, modules)
    if obstacle and checkpoint.wants_remote_code(config):
        raise ModelError(
            "it wants to run Python code of its own (auto_map)",
            where=f"{place.source}: {CONFIGURATION}",
            remedy="code of a model is only run by the backend nomic, vendored and pinned; choose a"
            " model of an architecture that transformers has itself",
        )
    settings = _json(place, _SETTINGS)
    prompts = {
        key: text
        for key, text in (settings.get("prompts") or {}).items()
        if re.fullmatch(PROMPT, key)
    }
    default = settings.get("default_prompt_name")
    paths = (WEIGHTS, CONFIGURATION, TOKENIZER, *(modules.files if obstacle else ()))
    licence = _licence(place)
    return Description(
        source=place.source,
        name=name or _name(place),
        licence=licence,
        dimension=modules.dimension or _dimension(config),
        max_tokens=_max_tokens(place, config),
        formats=("sentence-transformers",) if obstacle else _CONVERTED,
        files={path: place.content(path) for path in paths},
        pooling=modules.pooling,
        normalize=modules.normalize,
        dense_layers=bool(modules.dense),
        prompts=prompts,
        default_prompt=default if default in prompts else None,
        shorter=_shorter(config, modules.dimension or _dimension(config)),
        notes=(
            *((f"not converted to ONNX and GGUF: {obstacle}",) if obstacle else ()),
            *_licence_notes(licence),
        ),
    )


def _name(place: Place) -> str:
    """Return a place's own name, as far as matrix.yaml allows: `bge-base-en-v1.5`.

    Raises:
        ModelError: Nothing is left of it.
    """
    between = re.sub(
        r"[^a-z0-9]+", lambda run: run[0] if run[0] in "._" else "-", place.name.lower()
    )
    if name := between.strip("-._"):
        return name
    raise ModelError(
        f"no key of matrix.yaml can be made of the name {place.name!r}",
        where=place.source,
        remedy="choose one: --name NAME",
    )


def _refuse_other_weights(place: Place) -> None:
    if WEIGHTS in place.files:
        missing = [path for path in (CONFIGURATION, TOKENIZER) if path not in place.files]
        if missing:
            raise ModelError(f"it has no {' and no '.join(missing)}", where=place.source)
        return
    pickles = sorted(path for path in place.files if path.endswith(PICKLES))
    if pickles:
        raise ModelError(
            f"its weights are a pickle ({pickles[0]}), which may run any program when it is loaded",
            where=place.source,
            remedy=f"use a revision that has {WEIGHTS}, or convert it where you trust its author",
        )
    raise ModelError(
        f"it has no {WEIGHTS}",
        where=place.source,
        remedy="of a GGUF or ONNX file alone, write the entry by hand: docs/models.md",
    )


def _obstacle(place: Place, config: bytes, modules: _Modules) -> str:
    """Return why a model is not converted; nothing if it is."""
    if modules.dense:
        return "it has dense layers"
    try:
        checkpoint.architecture(config)
        wordpiece.read(place.read(TOKENIZER))
    except ModelError as error:
        return error.problem
    return ""


def _modules(place: Place, pooling: Pooling | None) -> _Modules:
    if MODULES not in place.files:
        if pooling is None:
            raise ModelError(
                "it does not say how the vectors of a text's tokens become one",
                where=place.source,
                remedy="say it: --pooling mean or --pooling cls",
            )
        return _Modules(pooling=pooling, normalize=True, dense=(), files=(), dimension=None)
    listed = [
        (str(module["type"]).rpartition(".")[2], str(module["path"]))
        for module in json.loads(place.read(MODULES))
    ]
    folders = {kind: path for kind, path in listed if path}
    if "Pooling" not in folders:
        raise ModelError(f"it pools by none of the known modules: {listed}", where=place.source)
    dense = tuple(path for kind, path in listed if kind == "Dense")
    files = [
        f"{path}/{file}"
        for path in folders.values()
        for file in (CONFIGURATION, WEIGHTS)
        if f"{path}/{file}" in place.files
    ]
    optional = [path for path in (_LENGTH, _SETTINGS) if path in place.files]
    last = _json(place, f"{dense[-1]}/{CONFIGURATION}") if dense else {}
    return _Modules(
        pooling=_pooling(place, f"{folders['Pooling']}/{CONFIGURATION}"),
        normalize="Normalize" in dict(listed),
        dense=dense,
        files=(MODULES, *optional, *files),
        dimension=last.get("out_features"),
    )


def _pooling(place: Place, path: str) -> Pooling:
    settings = _json(place, path)
    modes = [settings["pooling_mode"]] if "pooling_mode" in settings else []
    modes += [key for key, value in settings.items() if key.startswith("pooling_mode_") and value]
    known = {
        "mean": "mean",
        "cls": "cls",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
    }
    found = {known.get(str(mode)) for mode in modes}
    if len(found) != 1 or None in found:
        raise ModelError(
            f"it pools by {', '.join(map(str, modes)) or 'nothing'}; known are mean and cls",
            where=f"{place.source}: {path}",
        )
    return cast("Pooling", found.pop())


def _dimension(config: bytes) -> int:
    document = json.loads(config)
    for key in ("hidden_size", "n_embd", "d_model", "dim"):
        if isinstance(document.get(key), int):
            return int(document[key])
    raise ModelError("it does not say how many numbers a vector has", where=CONFIGURATION)


def _shorter(config: bytes, dimension: int) -> tuple[int, ...]:
    """Return what `matryoshka_dimensions` says, the one name for it that several models share."""
    said = json.loads(config).get("matryoshka_dimensions")
    listed = said if isinstance(said, list) else []
    lengths = {each for each in listed if type(each) is int and 0 < each < dimension}
    return tuple(sorted(lengths, reverse=True))


def _max_tokens(place: Place, config: bytes) -> int:
    length = _json(place, _LENGTH).get("max_seq_length")
    document = json.loads(config)
    positions = document.get("max_position_embeddings") or document.get("n_positions")
    if found := [number for number in (length, positions) if isinstance(number, int)]:
        return min(found)
    raise ModelError(
        "it does not say how many tokens a text may have",
        where=place.source,
        remedy=f"write a {_LENGTH} with max_seq_length",
    )


def _licence(place: Place) -> str:
    """Return what the card says, as an SPDX identifier; one that is not open if it says nothing."""
    card = place.read(_CARD).decode(errors="replace") if _CARD in place.files else ""
    header = card.split("\n---", 1)[0] if card.startswith("---") else ""
    named = re.search(r"^license:\s*['\"]?([\w.+-]+)", header, re.MULTILINE)
    said = named[1].lower() if named else "unknown"
    return _LICENCES.get(said, f"LicenseRef-{said}")


def _licence_notes(licence: str) -> tuple[str, ...]:
    if not licences.unaccepted(licence, ()):
        return ()
    said = f"{licence} is not open: images with these weights are not published"
    return (f"{said}, unless `licence` is corrected, or accept_licences names it",)


def _json(place: Place, path: str) -> dict[str, Any]:
    if path not in place.files:
        return {}
    try:
        document = json.loads(place.read(path))
    except ValueError as error:
        raise ModelError(f"not JSON: {error}", where=f"{place.source}: {path}") from error
    return document if isinstance(document, dict) else {}
