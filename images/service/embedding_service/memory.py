"""Memory: what is not needed any more, given back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys
import traceback


def trim() -> None:
    """Return unused pages to the system.

    glibc keeps pages that it may need again: of a model that was read, or is no longer served, as
    many as the model has: https://github.com/microsoft/onnxruntime/issues/26831.
    """
    if sys.platform == "linux":
        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries lack it
        if malloc_trim is not None:
            malloc_trim(0)


def free() -> None:
    """Free what only cycles of references hold, then return unused pages."""
    gc.collect()
    trim()


def forget(error: BaseException) -> None:
    """Let go of what the functions held that an error came through, such as half a model."""
    each: BaseException | None = error
    while each is not None:
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__
