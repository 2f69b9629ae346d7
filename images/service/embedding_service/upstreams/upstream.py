"""An upstream as it is asked: with its key, which is read once and never shown."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from embedding_service.errors import SettingsError
from embedding_service.upstreams.declaration import DeclaredSpace, DeclaredUpstream

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """An API, and what it is asked with.

    Attributes:
        url: Of the interface; `/embeddings` is below it.
        model: What it calls the model.
        key: Is sent, and never shown; empty if none is.
    """

    url: SplitResult
    model: str
    key: str = field(repr=False)

    @property
    def address(self) -> str:
        """What it is called in messages."""
        return self.url.geturl()


def upstream(
    declared: DeclaredUpstream, space: DeclaredSpace, environment: Mapping[str, str]
) -> Upstream:
    """Return a declared upstream with its key.

    Args:
        declared: What the operator says of it.
        space: The vector space that it is of.
        environment: Where a variable with its key may be.

    Raises:
        SettingsError: The key cannot be read or used; the message does not hold it.
    """
    found = Upstream(
        url=urlsplit(declared.url),
        model=declared.model or space.model,
        key=_key(declared, environment),
    )
    if found.key and found.url.scheme == "http":
        logger.warning("the API key is sent to %s unencrypted", found.url.netloc)
    return found


def _key(declared: DeclaredUpstream, environment: Mapping[str, str]) -> str:
    if declared.key_path:
        place = str(declared.key_path)
        try:
            key = declared.key_path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"the key of {declared.url}: {place} cannot be read") from error
    elif declared.key_variable:
        place = declared.key_variable
        key = environment.get(place, "")
    else:
        return ""
    if not key:
        raise SettingsError(f"the key of {declared.url}: {place} is empty")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(
            f"the key of {declared.url}: {place} holds what no key has: "
            "spaces, line ends or accents"
        )
    return key
