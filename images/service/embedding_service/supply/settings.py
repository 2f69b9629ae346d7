"""The settings of model supply: the part of `embedding_service.settings` on where models are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from embedding_service.setting import Setting, number, place, switch


@dataclass(frozen=True, kw_only=True)
class SupplySettings:
    """What the operator decides of files that are not in the model's directory."""

    allow_fetch: Annotated[
        bool,
        Setting(
            "EMBEDDING_ALLOW_FETCH",
            switch(),
            "whether files that the model's directory lacks are fetched from the hub that its "
            "`model.json` names; without it, nothing of the service asks any hub",
        ),
    ] = False
    cache_dir: Annotated[
        Path,
        Setting(
            "EMBEDDING_CACHE_DIR",
            place("a directory"),
            "where what is fetched is kept: a Hugging Face cache (an HF_HOME), on a volume that "
            "may be shared with other programs",
        ),
    ] = Path("/var/cache/huggingface")
    disk_warning: Annotated[
        int,
        Setting(
            "EMBEDDING_DISK_WARNING",
            number(most=100),
            "from how many percent on the use of the cache's file system is called a warning",
        ),
    ] = 80
    disk_critical: Annotated[
        int,
        Setting(
            "EMBEDDING_DISK_CRITICAL",
            number(most=100),
            "from how many percent on it is called critical",
        ),
    ] = 95
