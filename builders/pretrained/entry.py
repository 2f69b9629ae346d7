"""The entry of a model in matrix.yaml, written into the file beside what people wrote there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from builders import matrix
from builders.errors import ModelError
from builders.files import write_atomically
from builders.pretrained.description import Description
from builders.pretrained.making import TOKENIZER, WEIGHTS

_TOP = re.compile(r"^models:[ \t]*(#.*)?$", re.MULTILINE)
_NEXT = re.compile(r"^[A-Za-z]", re.MULTILINE)


def text(described: Description) -> str:
    """Return an entry as YAML, indented as it stands below `models`."""
    return "".join(f"{line}\n" for line in _lines(described))


def add(path: Path, described: Description) -> None:
    """Write an entry at the end of a matrix.yaml's models; every other line stays as it is.

    Raises:
        ModelError: There is a model of that name, or no place for it.
        MatrixError: The file is wrong, or would be with the entry; then it stays as it was.
    """
    if described.name in matrix.load(path).models:
        raise ModelError(
            f"there is a model {described.name} already",
            where=str(path),
            remedy="choose another name: --name NAME",
        )
    whole = inserted(path.read_text(encoding="utf-8"), text(described), where=str(path))
    tried = path.with_name(f".{path.name}.new")
    try:
        tried.write_text(whole, encoding="utf-8")
        matrix.load(tried)
    finally:
        tried.unlink(missing_ok=True)
    write_atomically(path, whole.encode())


def inserted(content: str, entry: str, *, where: str = "matrix.yaml") -> str:
    """Return a matrix.yaml with an entry after its last model.

    Raises:
        ModelError: `models` is not written as a block.
    """
    top = _TOP.search(content)
    if top is None:
        raise ModelError(
            "it has no line `models:` with the models below it",
            where=where,
            remedy="write them as a block, or put the entry in by hand",
        )
    following = _NEXT.search(content, top.end())
    block = content[: following.start()] if following else content
    # What stands at the margin before the next key belongs to that.
    lines = block.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()
    kept = "".join(lines)
    if not kept.endswith("\n"):
        kept += "\n"
    return f"{kept}\n{entry}{content[len(''.join(lines)) :]}"


def _lines(described: Description) -> Iterator[str]:
    yield f"  {described.name}:"
    yield f"    source: {_plain(described.source)}"
    yield f"    licence: {described.licence}"
    yield f"    dimension: {described.dimension}"
    yield f"    max_tokens: {described.max_tokens}"
    yield "    precision: float32"
    yield f"    weights: sha256:{described.files[WEIGHTS].sha256}"
    yield f"    tokenizer: sha256:{described.files[TOKENIZER].sha256}"
    yield f"    formats: [{', '.join(described.formats)}]"
    yield "    files:"
    for path, content in described.files.items():
        yield f"      {path}: {{sha256: {content.sha256}, size: {content.size}}}"
    yield f"    pooling: {described.pooling}"
    yield f"    normalize: {json.dumps(described.normalize)}"
    if described.dense_layers:
        yield "    dense_layers: true"
    if described.prompts:
        yield "    prompts:"
        for key, prompt in described.prompts.items():
            yield f"      {key}: {json.dumps(prompt, ensure_ascii=False)}"
        default = described.default_prompt
        yield f"    default_prompt: {'null' if default is None else default}"
    if described.shorter:
        yield f"    matryoshka: {{dimensions: {list(described.shorter)}}}"


def _plain(value: str) -> str:
    """Return a text as YAML reads it: a directory's name may hold what means something there."""
    return value if re.fullmatch(r"[\w./:@-]+", value) else json.dumps(value, ensure_ascii=False)
