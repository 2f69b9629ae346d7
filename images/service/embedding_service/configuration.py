"""The configuration: the settings in force, and what changes of them while the service runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from embedding_service import config_file
from embedding_service.errors import SettingsError
from embedding_service.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Settings that are not in force yet.

    Attributes:
        settings: All of them.
        kept: Of these, the values that are not the environment's, by their names as JSON has them.
        is_kept: Whether nothing else is kept already.
    """

    settings: Settings
    kept: Mapping[str, object]
    is_kept: bool


class Configuration:
    """The environment's settings, and above them the configuration file's.

    Where no file is named, the changes that requests make are kept here, as long as the process
    lives.

    Args:
        environment: The process's.

    Raises:
        SettingsError: A variable cannot be used.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._base = Settings.of_variables(environment)
        self._changes: Mapping[str, object] = {}

    @property
    def kept_in(self) -> Literal["file", "process"]:
        """Where changes are kept."""
        return "file" if self._base.config_file else "process"

    def proposed(self, changes: Mapping[str, object]) -> Proposal:
        """Return the settings as they would be now, with some changed by a request.

        Args:
            changes: By the settings' names; null: what the environment says, or the default.

        Raises:
            SettingsError: The file cannot be read, or a value of it or of these cannot be used.
        """
        path = self._base.config_file
        kept = self._changes if path is None else config_file.read(path)
        settings = self._base.changed(kept, by="file", where=str(path))
        settings.changed(changes, by="request", where="request")
        _check_declaration(settings, changes)
        merged = {name: value for name, value in {**kept, **changes}.items() if value is not None}
        return Proposal(
            settings=self._base.changed(merged, by="file", where=str(path)),
            kept=merged,
            is_kept=merged == kept,
        )

    def keep(self, proposal: Proposal) -> None:
        """Keep what has come in force.

        A file that says it already is not written: it is often mounted read-only.

        Raises:
            SettingsError: The file cannot be written.
        """
        if proposal.is_kept:
            return
        if self._base.config_file is None:
            self._changes = proposal.kept
        else:
            config_file.write(self._base.config_file, proposal.kept)


def _check_declaration(settings: Settings, changes: Mapping[str, object]) -> None:
    """Check that no request changes of what a vector space is declared to be.

    Another model of an upstream, or another length, would go on under the same space.
    """
    if settings.provider == "openai" and not settings.upstreams:
        declared = sorted(changes.keys() & {"model", "dimensions"})
        if declared:
            raise SettingsError(
                f"request: {', '.join(declared)}: EMBEDDING_OPENAI_VECTOR_SPACE is declared of it; "
                "the configuration file changes both together"
            )
