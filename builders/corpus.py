"""The corpus: the texts and images whose vectors are compared."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders.errors import ReferenceVectorsError
from builders.matrix import Model

COMMITTED = Path("tests", "corpus", "corpus.jsonl")
"""Where the texts are in the checkout."""

IMAGES = Path("tests", "corpus", "images.jsonl")
"""Where the list of the images is in the checkout; the folder `images` is beside it."""

USUAL_TOKENS = 512
"""Models that take so many tokens take every text of the corpus."""

SPECIAL_TOKENS = 2
"""The most that a tokenizer puts around a text."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text of the corpus."""

    id: str
    text: str
    emulated: bool


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image of the corpus: the bytes of a file."""

    id: str
    content: bytes
    emulated: bool


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Texts and images in their order, the texts first, each with an id of its own."""

    texts: tuple[Text, ...] = ()
    images: tuple[Picture, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the texts and images, in their order."""
        return (*(text.id for text in self.texts), *(image.id for image in self.images))

    @property
    def digest(self) -> str:
        """The sha256 of what is embedded: ids and inputs, whatever else the file says of them."""
        return hashlib.sha256(self.to_jsonl()).hexdigest()

    def emulated(self) -> Corpus:
        """Return the few small inputs that an emulated container can embed in good time."""
        return Corpus(
            texts=tuple(text for text in self.texts if text.emulated),
            images=tuple(image for image in self.images if image.emulated),
        )

    def without(self, ids: Collection[str]) -> Corpus:
        """Return all but the texts of some ids."""
        return replace(self, texts=tuple(text for text in self.texts if text.id not in ids))

    def only(self, ids: Collection[str]) -> Corpus:
        """Return the texts of some ids.

        Raises:
            ReferenceVectorsError: There is no text of such an id.
        """
        lacking = [identifier for identifier in ids if identifier not in self.ids]
        if lacking:
            raise ReferenceVectorsError(
                f"the corpus has no {', '.join(lacking)}",
                remedy="correct `refused_texts` in matrix.yaml",
            )
        return Corpus(texts=tuple(text for text in self.texts if text.id in ids))

    def to_jsonl(self) -> bytes:
        r"""Return the JSON Lines that the service's commands read.

        Each is `{"id", "text"}` or `{"id", "image"}`, the latter in base64.
        """
        lines = [
            *({"id": text.id, "text": text.text} for text in self.texts),
            *(
                {"id": image.id, "image": base64.b64encode(image.content).decode("ascii")}
                for image in self.images
            ),
        ]
        return "".join(f"{json.dumps(line)}\n" for line in lines).encode("ascii")


def committed(root: Path, model: Model) -> Corpus:
    """Return what of the checkout's corpus a model takes.

    Args:
        root: The checkout.
        model: Its inputs decide whether texts and images are among them. One of few tokens gets the
            texts that are short enough for any tokenizer: a token stands for a byte at least.

    Raises:
        ReferenceVectorsError: The corpus cannot be used.
    """
    texts = read(root / COMMITTED).texts if "text" in model.inputs else ()
    if model.max_tokens < USUAL_TOKENS:
        most = model.max_tokens - SPECIAL_TOKENS
        texts = tuple(text for text in texts if len(text.text.encode()) <= most)
    images = read_images(root / IMAGES).images if "image" in model.inputs else ()
    return Corpus(texts=texts, images=images)


def read(path: Path) -> Corpus:
    r"""Read texts from JSON Lines: `{"id", "text", "kind", "emulated"?}` a line.

    Raises:
        ReferenceVectorsError: A line is malformed, an id occurs twice, or no text is there at all,
            or none for emulated containers.
    """
    texts = [
        Text(id=line.id, text=line.text, emulated=line.emulated)
        for line, _ in _lines(path, _TextLine)
    ]
    return _sound(Corpus(texts=tuple(texts)), path)


def read_images(path: Path) -> Corpus:
    r"""Read images from JSON Lines: `{"id", "kind", "file", "sha256", "emulated"?}` a line.

    Raises:
        ReferenceVectorsError: A line is malformed, an id occurs twice, a file is missing or not the
            one that was listed, or no image is there at all, or none for emulated containers.
    """
    folder = path.with_suffix("")
    images = [
        Picture(
            id=line.id, content=_content(folder / line.file, line, where), emulated=line.emulated
        )
        for line, where in _lines(path, _ImageLine)
    ]
    return _sound(Corpus(images=tuple(images)), path)


class _Line(BaseModel):
    """A line of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = Field(min_length=1)
    kind: str
    emulated: bool = False


class _TextLine(_Line):
    text: str


class _ImageLine(_Line):
    file: str = Field(pattern=r"^[a-z0-9-]+\.(png|jpg|gif|webp)$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


_AnyLine = TypeVar("_AnyLine", bound=_Line)


def _lines(path: Path, form: type[_AnyLine]) -> Iterator[tuple[_AnyLine, str]]:
    """Yield each line with its place."""
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ReferenceVectorsError(
            f"the corpus cannot be read: {error}", where=str(path), remedy="restore the file"
        ) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _parsed(line, form, where=f"{path}:{number}"), f"{path}:{number}"


def _parsed(line: str, form: type[_AnyLine], *, where: str) -> _AnyLine:
    try:
        return form.model_validate_json(line)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'line'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ReferenceVectorsError(
            f"malformed line of the corpus: {problems}", where=where, remedy="mend the line"
        ) from error


def _content(file: Path, line: _ImageLine, where: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ReferenceVectorsError(
            f"{line.file} cannot be read: {error.strerror}", where=where, remedy="restore the file"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != line.sha256:
        raise ReferenceVectorsError(
            f"{line.file} is another image: its sha256 is {found}",
            where=where,
            remedy="restore the file, or list this one if the change is meant",
        )
    return content


def _sound(corpus: Corpus, path: Path) -> Corpus:
    _refuse_duplicates(corpus.ids, where=str(path))
    if not corpus.emulated().ids:
        raise ReferenceVectorsError(
            "the corpus has nothing for emulated containers",
            where=str(path),
            remedy='mark a few small inputs with "emulated": true',
        )
    return corpus


def _refuse_duplicates(ids: Sequence[str], *, where: str) -> None:
    twice = sorted({identifier for identifier in ids if ids.count(identifier) > 1})
    if twice:
        raise ReferenceVectorsError(
            f"ids of the corpus occur twice: {', '.join(twice)}",
            where=where,
            remedy="give each input an id of its own",
        )
