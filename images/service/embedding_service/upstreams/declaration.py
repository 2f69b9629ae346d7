"""The declaration: what the operator says of the upstreams, and of the vectors that they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from embedding_service.recipe import Matryoshka, Recipe, VectorSpace


class DeclaredUpstream(BaseModel):
    """An API: where it is, and what it is asked with.

    A key is never part of a declaration, only where it is to be found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    url: Annotated[str, Field(description="of the interface; /embeddings is put behind it")]
    model: Annotated[
        str | None, Field(min_length=1, description="what it calls the model, if not as the space")
    ] = None
    key_file: Annotated[
        str | None, Field(min_length=1, description="the file that holds its key")
    ] = None
    key_variable: Annotated[
        str | None, Field(min_length=1, description="the environment variable that holds its key")
    ] = None

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        url = urlsplit(text)
        if url.username is not None or url.password is not None:
            raise ValueError("it holds a user's name or password: a key is given by itself")
        try:
            usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:  # of the port
            usable = False
        if not usable or url.query or url.fragment or not text.isascii() or " " in text:
            raise ValueError("it must be an address such as https://HOST:PORT/v1")
        return text

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if self.key_file and self.key_variable:
            raise ValueError("key_file and key_variable are both set: one of them is enough")
        return self

    @property
    def key_path(self) -> Path | None:
        """The file that holds its key."""
        return Path(self.key_file) if self.key_file else None


class DeclaredSpace(BaseModel):
    """A vector space, and the upstreams that make its vectors, the preferred one first.

    By naming several, the operator declares that each may replace the others at any time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    vector_space: VectorSpace
    model: Annotated[str, Field(min_length=1, description="the name that clients know")]
    dimension: Annotated[int, Field(gt=0, le=10**5)]
    upstreams: Annotated[tuple[DeclaredUpstream, ...], Field(min_length=1, strict=False)]
    precision: Annotated[
        str, Field(min_length=1, description="of the weights; the coarsest of all upstreams'")
    ] = "float32"
    normalize: Annotated[bool, Field(description="whether vectors have unit length")] = True
    prompts: Annotated[
        dict[str, str], Field(description="what is put before texts, by the type of input")
    ] = {}
    default_prompt: str | None = None
    max_tokens: Annotated[
        int, Field(gt=0, description="for people: tokens are counted by the upstream alone")
    ] = 8192
    matryoshka: Annotated[
        Matryoshka | None, Field(description="how vectors are shortened here, and to which spaces")
    ] = None
    licence: Annotated[
        str | None, Field(min_length=1, description="the model's, as an SPDX expression")
    ] = None
    shortened: Annotated[
        bool, Field(description="whether the upstream is asked for so many dimensions")
    ] = False

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        try:
            _ = self.recipe
        except ValidationError as error:
            reasons = (problem["msg"] for problem in error.errors(include_url=False))
            raise ValueError("; ".join(reasons)) from error
        asked = [(each.url.rstrip("/"), each.model) for each in self.upstreams]
        if len(set(asked)) != len(asked):
            raise ValueError("an upstream is named twice")
        return self

    @property
    def recipe(self) -> Recipe:
        """How the vectors are made, as far as it is known here."""
        return Recipe(
            name=self.model,
            dimension=self.dimension,
            max_tokens=self.max_tokens,
            pooling="model",
            normalize=self.normalize,
            prompts=self.prompts,
            default_prompt=self.default_prompt,
            vector_space=self.vector_space,
            precision=self.precision,
            format="openai",
            files={},
            matryoshka=self.matryoshka,
            licence=self.licence,
        )


_SPACES: TypeAdapter[tuple[DeclaredSpace, ...]] = TypeAdapter(
    Annotated[tuple[DeclaredSpace, ...], Field(min_length=1, strict=False)]
)


def declared_spaces(content: object) -> Sequence[DeclaredSpace]:
    """Return the vector spaces that the operator declares, the preferred one first.

    Args:
        content: The list as JSON has it.

    Raises:
        ValueError: It cannot be used; the message says where and why, and quotes no value.
    """
    try:
        spaces = _SPACES.validate_python(content)
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(step) for step in problem['loc']) or 'list'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise ValueError("; ".join(problems)) from error
    names = [space.vector_space for space in spaces]
    if len(set(names)) != len(names):
        raise ValueError("a vector space is declared twice: name its upstreams together")
    return spaces
