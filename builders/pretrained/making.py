"""A real model in a format: its own files where it has them, or converted from its safetensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from builders.conversion import checkpoint, gguf, onnx_graph, sentence_transformers, wordpiece
from builders.conversion.architecture import Architecture
from builders.conversion.checkpoint import Checkpoint
from builders.conversion.onnx_file import Chunk
from builders.conversion.wordpiece import WordPiece
from builders.errors import ModelError
from builders.matrix import Format, Model
from builders.store import link_or_copy

WEIGHTS, CONFIGURATION, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
MODULES = "modules.json"

OWN_FILES: Mapping[Format, str] = {"onnx": "model.onnx", "gguf": "model.gguf"}
"""A format's own file: where a model has it, it is taken; where not, it is converted."""

_LARGEST_ONNX = 1 << 31
"""Bytes: protobuf's limit."""


def make(name: str, model: Model, form: Format, files: Mapping[str, Path], target: Path) -> None:
    """Write all files of a format, except model.json, into an empty directory.

    What is converted is the same, byte for byte, wherever and whenever it is.

    Args:
        name: The model's key in matrix.yaml.
        model: Its entry.
        form: The format.
        files: Where each of the model's files is, by its name in the entry.
        target: The directory.

    Raises:
        ModelError: A file is missing, is not what the entry says, or cannot be converted.
    """
    try:
        _make(name, model, form, files, target)
    except ModelError as error:
        where = f"models.{name}: {error.where}" if error.where else f"models.{name}"
        raise ModelError(error.problem, where=where, remedy=error.remedy) from error


def _make(name: str, model: Model, form: Format, files: Mapping[str, Path], target: Path) -> None:
    own = OWN_FILES.get(form)
    if own in files or form == "remote-code":
        _place(_of_format(form, files), files, target)
    elif form == "transformers" or (form == "sentence-transformers" and MODULES in files):
        _refuse_remote_code(files)
        _place(_of_format(form, files), files, target)
    elif form == "sentence-transformers":
        _sentence_transformers(model, files, target)
    elif own is not None:
        _convert(name, model, form, files, target / own)
        _place([TOKENIZER], files, target)
    else:
        raise ModelError(f"it cannot be had as {form}", remedy="correct `formats` of its entry")


def _of_format(form: Format, files: Mapping[str, Path]) -> tuple[str, ...]:
    """Return which of a model's files a format consists of."""
    if own := OWN_FILES.get(form):
        # An ONNX file may have its weights in another one beside it.
        return tuple(name for name in files if name.startswith(own) or name == TOKENIZER)
    others = tuple(OWN_FILES.values()) if form == "sentence-transformers" else ()
    return tuple(name for name in files if not name.startswith(others))


def _sentence_transformers(model: Model, files: Mapping[str, Path], target: Path) -> None:
    """Write the configuration by the recipe; a known architecture's is that of its native class."""
    if model.dense_layers:
        raise ModelError(
            "its dense layers are not among its files",
            remedy="list modules.json, and all that it names, under `files`",
        )
    config = _file(files, CONFIGURATION).read_bytes()
    written = sentence_transformers.modules(
        dimension=model.dimension,
        pooling=_pooling(model),
        normalize=model.normalize,
        max_tokens=model.max_tokens,
        prompts=model.prompts,
    )
    if checkpoint.model_type(config) in checkpoint.KNOWN:
        found, tokenizer = _checkpoint(model, files)
        written |= sentence_transformers.encoder(
            found.architecture, tokenizer, max_tokens=model.max_tokens
        )
        _place((WEIGHTS, TOKENIZER), files, target)
    else:
        _refuse_remote_code(files)
        _place(_of_format("sentence-transformers", files), files, target)
    for path, content in written.items():
        (target / path).parent.mkdir(exist_ok=True)
        (target / path).write_bytes(content)


def _convert(name: str, model: Model, form: Format, files: Mapping[str, Path], path: Path) -> None:
    """Write a checkpoint as ONNX or GGUF."""
    precisions = tuple(gguf.PRECISIONS) if form == "gguf" else ("float32",)
    if model.precision not in precisions:
        raise ModelError(
            f"it is converted to {form} as {', '.join(precisions)}, not as {model.precision}",
            remedy=f"list its own {OWN_FILES[form]} under `files`, or give another precision",
        )
    if model.dense_layers:
        raise ModelError(
            f"dense layers are not converted to {form}",
            remedy=f"list its own {OWN_FILES[form]} under `files`",
        )
    found, tokenizer = _checkpoint(model, files)
    _write(path, _chunks(name, model, form, found, tokenizer))


def _chunks(
    name: str, model: Model, form: Format, found: Checkpoint, tokenizer: WordPiece
) -> Iterable[Chunk]:
    if form == "onnx":
        size = sum(numbers.nbytes for numbers in found.weights.values())
        if size >= _LARGEST_ONNX:
            raise ModelError(f"its weights have {size} bytes; an ONNX file holds 2 GiB")
        return onnx_graph.chunks(name, found.architecture, found.weights)
    return gguf.chunks(
        name,
        found.architecture,
        found.weights,
        tokenizer,
        precision=model.precision,
        pooling=_pooling(model),
    )


def _checkpoint(model: Model, files: Mapping[str, Path]) -> tuple[Checkpoint, WordPiece]:
    """Read a checkpoint of a known architecture, and hold it against the entry."""
    config = _file(files, CONFIGURATION).read_bytes()
    _check_sizes(model, checkpoint.architecture(config))
    tokenizer = wordpiece.read(_file(files, TOKENIZER).read_bytes())
    return checkpoint.read(config, _file(files, WEIGHTS)), tokenizer


def _check_sizes(model: Model, sizes: Architecture) -> None:
    if sizes.dimension != model.dimension:
        raise ModelError(
            f"its vectors have {sizes.dimension} numbers; matrix.yaml declares {model.dimension}",
            where=CONFIGURATION,
            remedy="correct `dimension` of the entry: it is another vector space then",
        )
    if sizes.positions < model.max_tokens:
        raise ModelError(
            f"it has positions for {sizes.positions} tokens; matrix.yaml declares"
            f" {model.max_tokens}",
            where=CONFIGURATION,
            remedy="lower `max_tokens` of the entry",
        )


def _refuse_remote_code(files: Mapping[str, Path]) -> None:
    if checkpoint.wants_remote_code(_file(files, CONFIGURATION).read_bytes()):
        raise ModelError(
            "it wants to run Python code of its own (auto_map)",
            where=CONFIGURATION,
            remedy="code of a model is only run by the backend nomic, vendored and pinned; choose a"
            " model of an architecture that transformers has itself",
        )


def _pooling(model: Model) -> Literal["mean", "cls"]:
    if model.pooling == "model":
        raise ModelError(
            "its pooling is a part of the model itself, which is not converted",
            remedy="list a file that has it (model.onnx, model.gguf), or modules.json with all that"
            " it names, under `files`",
        )
    return model.pooling


def _file(files: Mapping[str, Path], name: str) -> Path:
    if name not in files:
        raise ModelError(
            f"{name} is not among its files",
            remedy="list it under `files`: what is not there is converted from model.safetensors,"
            " by config.json and tokenizer.json",
        )
    return files[name]


def _place(names: Iterable[str], files: Mapping[str, Path], target: Path) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(_file(files, name), target / name)


def _write(path: Path, chunks: Iterable[Chunk]) -> None:
    with path.open("wb") as file:
        file.writelines(chunks)
