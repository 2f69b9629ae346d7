"""Administration: other settings, or the model's files anew, while the service runs.

These routes are only there where an administrator's token is set; `keys` asks for it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from embedding_service.problems import ErrorAnswer
from embedding_service.reloading import Reloaded, Reloader
from embedding_service.routes.embedding import ConfigId, EmbeddingConfig
from embedding_service.settings import entries

PATH = "/admin/embedding/config"

REFUSALS = (400, 401, 408, 409, 413, 415, 422, 429, 503)
"""The statuses of what changes nothing."""

AllowSpaceChange = Annotated[
    bool, Field(description="whether vectors may be of another space from now on")
]


class ReloadRequest(BaseModel):
    """How to reload."""

    model_config = ConfigDict(extra="forbid", strict=True)

    allow_space_change: AllowSpaceChange = False


def _describe_settings(schema: dict[str, Any]) -> None:
    """Say in a JSON Schema which settings there are."""
    schema["additionalProperties"] = False
    for name, setting in entries().items():
        if setting.changed_by == "request":
            schema["properties"][name] = {
                "anyOf": [dict(setting.kind.schema), {"type": "null"}],
                "description": f"{setting.says}; null: as {setting.variable} says",
            }


class ChangeRequest(BaseModel):
    """Settings to change; the others stay. What each may be is checked by the settings' own rules.

    They last as long as the process, or are written to EMBEDDING_CONFIG_FILE where that is set.
    """

    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra=_describe_settings)

    allow_space_change: AllowSpaceChange = False


class ReloadAnswer(BaseModel):
    """What is served from now on."""

    config: EmbeddingConfig
    previous_config_id: ConfigId


def add_routes(app: FastAPI, reloader: Reloader) -> None:
    """Let an application be administrated."""
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer} for status in REFUSALS
    }

    @app.put(PATH, responses=refusals)
    async def change_config(request: ChangeRequest) -> ReloadAnswer:
        """Change settings; the answer comes when they are in force. What fails changes nothing."""
        changes = request.model_extra or {}
        return _answer(
            await reloader.reload(changes, allow_space_change=request.allow_space_change)
        )

    @app.post(f"{PATH}/reload", responses=refusals)
    async def reload_config(request: ReloadRequest | None = None) -> ReloadAnswer:
        """Read the configuration file and the model again, as SIGHUP does."""
        is_allowed = request is not None and request.allow_space_change
        return _answer(await reloader.reload({}, allow_space_change=is_allowed))


def _answer(reloaded: Reloaded) -> ReloadAnswer:
    return ReloadAnswer(
        config=EmbeddingConfig.of(reloaded.embedder), previous_config_id=reloaded.before.config_id
    )
