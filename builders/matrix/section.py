"""What every mapping of matrix.yaml is made of: its base class, and the types of values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_Item = TypeVar("_Item", str, int)

Platform = Literal["linux/amd64", "linux/arm64", "darwin/arm64"]
Format = Literal["onnx", "sentence-transformers", "gguf", "transformers", "remote-code", "openai"]
"""What a backend reads: a file or directory of weights, or (`openai`) the address of an API."""

Input = Literal["text", "image"]

NAME = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
PREFIX = r"^([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$"
ENGINE = r"^(auto|private|(unix|tcp)://.+)$"
PUBLICATION = r"^(oci:.+|docker://[A-Za-z0-9._:\[\]-]+(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)$"
SOURCE = (
    r"^(fixture:[a-z0-9]+([._-][a-z0-9]+)*"
    r"|hub:[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*@[0-9a-f]{40}"
    r"|file:.+|openai:.+)$"
)
REPOSITORY = r"^hub:[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*@[0-9a-f]{40}$"
FILE = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
SHA256 = r"^[0-9a-f]{64}$"
PROMPT = r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$"
PAGE = r"^(https?|file)://\S+$"
ISSUER = r"^https://\S+$"

RULES: Mapping[str, str] = {
    NAME: "must be lower-case letters and digits, with single '-', '.' or '_' between them",
    DIGEST: "must be sha256: and 64 lower-case hexadecimal digits",
    PREFIX: "must be an image name's beginning: equivec, or ghcr.io/owner/equivec",
    ENGINE: "must be auto, private, or the URL of an engine: unix:///run/docker.sock",
    PUBLICATION: "must be oci: and a directory, or docker:// and a registry: docker://ghcr.io/acme",
    SOURCE: "must be fixture:NAME, hub:OWNER/NAME@COMMIT (40 hexadecimal digits: a branch moves),"
    " file:DIRECTORY, or openai:MODEL",
    REPOSITORY: "must be hub:OWNER/NAME@COMMIT (40 hexadecimal digits: a branch moves)",
    FILE: "must be the name of a file: letters, digits, '.', '_', '-', and '/' between folders",
    SHA256: "must be 64 lower-case hexadecimal digits",
    PROMPT: "must be letters and digits, with single '-' or '_' between them",
    PAGE: "must be the URL of a page that links to wheels: https://HOST/PATH",
    ISSUER: "must be the URL of an OpenID provider: https://HOST/PATH",
}
"""What each pattern means, in words."""


def unrepeated(names: tuple[_Item, ...]) -> tuple[_Item, ...]:
    """Refuse a list that says something twice."""
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"names {', '.join(repeated)} more than once")
    return names


_LIST = (
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(unrepeated),
)

# A cell's id, `<backend>-<model>-<os>-<arch>`, has to fit the 128 characters of an image's tag.
Name = Annotated[str, Field(pattern=NAME, max_length=50)]
Names = Annotated[tuple[Name, ...], *_LIST]
Platforms = Annotated[tuple[Platform, ...], *_LIST]
Formats = Annotated[tuple[Format, ...], *_LIST]
Inputs = Annotated[tuple[Input, ...], *_LIST]
Digest = Annotated[str, Field(pattern=DIGEST)]


class Section(BaseModel):
    """A mapping of matrix.yaml: frozen, without other keys or conversions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
