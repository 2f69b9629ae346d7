"""The terminal: whether the service still has the one that it was started in."""

from __future__ import annotations

import os


def is_there() -> bool:
    """Return whether a standard stream is a terminal. One that was closed is none any more."""
    return any(os.isatty(descriptor) for descriptor in (0, 1, 2))
