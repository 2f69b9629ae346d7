"""The configuration file: settings that outlive the process, and change while it runs."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from embedding_service.errors import SettingsError


def read(path: Path) -> dict[str, object]:
    """Return the values of a configuration file by their names.

    Raises:
        SettingsError: It cannot be read, or is no JSON object; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; it may be {{}}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} is no JSON object of settings by their names")
    return content


def write(path: Path, values: Mapping[str, object]) -> None:
    """Write a configuration file: whole, or not at all.

    Raises:
        SettingsError: It cannot be written; it is as it was.
    """
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, path.stat().st_mode)  # who could read it still can
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}; "
            "mount its directory, not the file alone, where the service may write to it"
        ) from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands there twice")
    return values
