"""Which packages are for accelerators: images compute on the CPU, and such cost gigabytes."""

from __future__ import annotations

import re

from packaging.utils import canonicalize_name

_PACKAGE = re.compile(r"nvidia|cuda|cupy|(^|-)triton")


def is_for_one(project: str) -> bool:
    """Whether a project, by its name, is CUDA's or for CUDA: `nvidia-cublas-cu12`, `triton`."""
    return _PACKAGE.search(canonicalize_name(project)) is not None
