"""A backend's module, loaded by its path: every backend's has the same name."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from builders.paths import ROOT


def load(backend: str) -> ModuleType:
    """Return the module of `images/<backend>/backend.py`."""
    path = ROOT / "images" / backend / "backend.py"
    spec = spec_from_file_location(f"{backend.replace('-', '_')}_backend", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for it
    spec.loader.exec_module(module)
    return module
