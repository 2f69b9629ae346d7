"""Weights that torch loads: safetensors only, every tensor accounted for, nothing from a hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from embedding_service.errors import ModelError
from embedding_service.settings import Settings

PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
"""Endings of files that are programs to whoever loads them, and not weights alone."""

FILES = ("model.safetensors", "model.safetensors.index.json")
"""The weights, or the list of the files that they are split into."""

MOST_NAMES = 5
"""How many tensors an error names."""


def refuse_pickles(model_dir: Path) -> None:
    """Refuse a directory with pickles: to load one is to run whatever it says.

    Raises:
        ModelError: There is one, or there are no safetensors.
    """
    found = sorted(
        path.relative_to(model_dir).as_posix()
        for path in model_dir.rglob("*")
        if path.suffix in PICKLES
    )
    if found:
        raise ModelError(
            f"{model_dir} holds {', '.join(found)}: pickles, which run code when they are loaded; "
            "weights are taken from safetensors only"
        )
    if not any((model_dir / name).is_file() for name in FILES):
        raise ModelError(f"{model_dir} has no {' or '.join(FILES)}")


def refuse_random(
    model_dir: Path,
    *,
    missing: Iterable[str],
    unexpected: Iterable[str],
    without: re.Pattern[str],
    unused: re.Pattern[str],
) -> None:
    """Refuse weights that are not exactly those of their class.

    The libraries fill what is missing with random numbers, and only warn.

    Args:
        model_dir: Whose weights were loaded.
        missing: The tensors that the class has and the files have not.
        unexpected: The tensors that the files have and the class has not.
        without: What may be missing, since the vectors do not depend on it.
        unused: What may be left over, likewise.

    Raises:
        ModelError: Something else is missing or left over; the message names it.
    """
    problems = [
        f"{what} {_named(names)}"
        for what, names in (
            ("missing:", [name for name in missing if not without.fullmatch(name)]),
            ("unexpected:", [name for name in unexpected if not unused.fullmatch(name)]),
        )
        if names
    ]
    if problems:
        raise ModelError(
            f"the weights in {model_dir} are not those of their class; {'; '.join(problems)}"
        )


def prepare(settings: Settings) -> None:
    """Tell torch its threads, and the libraries to ask no hub: call it before importing them."""
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ[name] = "1"
    import torch  # noqa: PLC0415 -- takes seconds

    torch.set_num_threads(settings.threads)
    if torch.get_num_interop_threads() != 1:  # it can be set only once
        torch.set_num_interop_threads(1)


def _named(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(sorted(names)[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
