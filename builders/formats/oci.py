"""The documents of the OCI image specification, as far as Equivec reads them.

https://github.com/opencontainers/image-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


class Document(BaseModel):
    """A part of a document of the specification, which allows fields of other origin."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Version(Document):
    """`oci-layout`: the version of the layout itself."""

    image_layout_version: str = Field(alias="imageLayoutVersion")


class Platform(Document):
    """What a manifest runs on."""

    architecture: str
    os: str
    variant: str | None = None

    @property
    def name(self) -> str:
        """`linux/arm64`: v8 is what every arm64 is, and not said."""
        plain = f"{self.os}/{self.architecture}"
        known = not self.variant or (self.architecture, self.variant) == ("arm64", "v8")
        return plain if known else f"{plain}/{self.variant}"


class Descriptor(Document):
    """A reference to a blob."""

    media_type: str = Field(alias="mediaType")
    digest: Digest
    size: int = Field(ge=0)
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class Index(Document):
    """`index.json`, or an index that it refers to."""

    schema_version: int = Field(alias="schemaVersion", ge=2, le=2)
    manifests: tuple[Descriptor, ...]


class Manifest(Document):
    """One image of one platform."""

    schema_version: int = Field(alias="schemaVersion", ge=2, le=2)
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] | None = None


class Run(Document):
    """How a container is started."""

    user: str = Field(default="", alias="User")
    entrypoint: tuple[str, ...] | None = Field(default=None, alias="Entrypoint")
    command: tuple[str, ...] | None = Field(default=None, alias="Cmd")
    environment: tuple[str, ...] | None = Field(default=None, alias="Env")
    working_directory: str = Field(default="", alias="WorkingDir")
    labels: dict[str, str] | None = Field(default=None, alias="Labels")


class RootFileSystem(Document):
    """The layers, by what they unpack to."""

    diff_ids: tuple[Digest, ...]


class Step(Document):
    """What made a layer, or only changed the configuration."""

    created: datetime | None = None
    created_by: str = ""
    empty_layer: bool = False


class Config(Platform):
    """The image's configuration."""

    created: datetime | None = None
    config: Run = Field(default_factory=lambda: Run.model_validate({}))
    rootfs: RootFileSystem
    history: tuple[Step, ...] | None = None
