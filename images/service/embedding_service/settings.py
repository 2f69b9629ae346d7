"""The settings: everything that the operator decides, each of them one entry of `Settings`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from embedding_service import config_file
from embedding_service.processors import usable_processors
from embedding_service.server_settings import ServerSettings
from embedding_service.setting import (
    Setting,
    choice,
    number,
    of_environment,
    of_values,
    place,
    switch,
    words,
)
from embedding_service.supply.settings import SupplySettings
from embedding_service.upstreams.settings import UpstreamSettings


@dataclass(frozen=True, kw_only=True)
class Settings(ServerSettings, SupplySettings, UpstreamSettings):
    """What the operator decides; docs/service-settings.md is made from this.

    A field's name is the setting's name in the configuration file. To add a setting, add an entry
    here or in one of the parts that this is made of; then
    `PYTHONPATH=images/service python -m tests.unit.service.settings_page`.
    """

    config_file: Annotated[
        Path | None,
        Setting(
            "EMBEDDING_CONFIG_FILE",
            place("a file"),
            "a JSON object of settings by their names; what it has comes before the environment, "
            "and changes by request are kept in it",
        ),
    ] = None
    model_dir: Annotated[
        Path,
        Setting(
            "EMBEDDING_MODEL_DIR",
            place("a directory"),
            "the directory of `model.json` and the files that it names",
            changed_by="file",
        ),
    ] = Path("/opt/equivec/model")
    model: Annotated[
        str | None,
        Setting(
            "EMBEDDING_MODEL",
            words("a name"),
            "the name of the model to serve: the one in EMBEDDING_MODEL_DIR, or one of those in "
            "EMBEDDING_MODELS_DIR; another one is refused",
            changed_by="request",
            default="that of EMBEDDING_MODEL_DIR",
        ),
    ] = None
    models_dir: Annotated[
        Path | None,
        Setting(
            "EMBEDDING_MODELS_DIR",
            place("a directory"),
            "a directory of such directories, of which EMBEDDING_MODEL names one",
            changed_by="file",
        ),
    ] = None
    inventory: Annotated[
        Path,
        Setting(
            "EMBEDDING_INVENTORY",
            place("a file"),
            "the inventory of what the service is made of, a CycloneDX document, which `/credits` "
            "is made from",
        ),
    ] = Path("/opt/equivec/inventory.cdx.json")
    allow_space_change: Annotated[
        bool,
        Setting(
            "EMBEDDING_ALLOW_SPACE_CHANGE",
            switch(),
            "whether a start without the first upstreams, or a reload, may change the vector space;"
            " a request says it for itself",
            changed_by="file",
        ),
    ] = False
    threads: Annotated[
        int,
        Setting(
            "EMBEDDING_THREADS",
            number(most=1024),
            "how many threads compute one batch",
            changed_by="request",
            default="the processors that the process may use, by its affinity and its control "
            "group's quota",
        ),
    ] = field(default_factory=usable_processors)
    dimensions: Annotated[
        int | None,
        Setting(
            "EMBEDDING_DIMENSIONS",
            number(most=10**5),
            "how long vectors are where a request does not say it",
            changed_by="request",
            is_of_answers=True,
            default="as long as the model makes them",
        ),
    ] = None
    precision: Annotated[
        Literal["float32", "float16"],
        Setting(
            "EMBEDDING_PRECISION",
            choice("float32", "float16"),
            "of the numbers that are answered where a request does not say it",
            changed_by="request",
            is_of_answers=True,
        ),
    ] = "float32"
    queue: Annotated[
        int,
        Setting(
            "EMBEDDING_QUEUE",
            number(most=10**6),
            "how many inputs may wait to be computed",
            changed_by="request",
            is_of_answers=True,
        ),
    ] = 4096
    batch_inputs: Annotated[
        int,
        Setting(
            "EMBEDDING_BATCH_INPUTS",
            number(most=4096),
            "how many inputs are computed together at most",
            changed_by="request",
        ),
    ] = 16
    batch_tokens: Annotated[
        int,
        Setting(
            "EMBEDDING_BATCH_TOKENS",
            number(most=10**7),
            "how many tokens are computed together at most, padding included; it bounds the memory",
            changed_by="request",
        ),
    ] = 512
    max_inputs: Annotated[
        int,
        Setting(
            "EMBEDDING_MAX_INPUTS",
            number(most=10**5),
            "how many inputs a request may have",
            changed_by="request",
            is_of_answers=True,
        ),
    ] = 2048
    max_image_bytes: Annotated[
        int,
        Setting(
            "EMBEDDING_MAX_IMAGE_BYTES",
            number(most=10**9),
            "how long the file of an image may be",
        ),
    ] = 10**7

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings: the environment's, then those of the file that it names.

        Raises:
            SettingsError: A value cannot be used; the message names the variable, or the file.
        """
        settings = cls.of_variables(environment)
        if settings.config_file is None:
            return settings
        content = config_file.read(settings.config_file)
        return settings.changed(content, by="file", where=str(settings.config_file))

    @classmethod
    def of_variables(cls, environment: Mapping[str, str]) -> Settings:
        """Return the environment's settings alone.

        A variable that is set but empty counts as not set.

        Raises:
            SettingsError: A value cannot be used; the message names the variable.
        """
        given: dict[str, Any] = of_environment(entries(), environment)
        return cls(**given)

    def changed(
        self, values: Mapping[str, object], *, by: Literal["file", "request"], where: str
    ) -> Settings:
        """Return these settings with others in the place of some.

        Args:
            values: By the settings' names, as JSON has them; null: as it is.
            by: Who changes them.
            where: What an error says about where they are.

        Raises:
            SettingsError: There is no such setting, it may not be changed, or has another value.
        """
        given: dict[str, Any] = of_values(entries(), values, by=by, where=where)
        return dataclasses.replace(self, **given)

    def loads_as(self, other: Settings) -> bool:
        """Return whether a model is loaded alike by these and by other settings."""
        of_answers = {
            name: getattr(other, name) for name, each in entries().items() if each.is_of_answers
        }
        return dataclasses.replace(self, **of_answers) == other


@functools.cache
def entries() -> Mapping[str, Setting]:
    """Return what is to be known of each setting, by its name, in their order."""
    hints = get_type_hints(Settings, include_extras=True)
    parts = Settings.__mro__[:-1]
    names = [name for part in parts for name in inspect.get_annotations(part)]
    return {name: hints[name].__metadata__[0] for name in names}
