"""Another host: this one's reference vectors, as if a Mac had made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from builders import plan, project
from builders.references import host

PLATFORM = "darwin/arm64"
PROCESSOR = "Apple M4"
BACKEND, MODEL = "onnxruntime", "fixture-768"
CELL = f"{BACKEND}-{MODEL}-darwin-arm64"
SELECTED = ("--backend", BACKEND, "--model", MODEL)


def brought(exported: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this host exported of the cell, as the other host's document."""
    checkout = project.load()
    cell = plan.cell(checkout.matrix, BACKEND, MODEL, PLATFORM)
    document: dict[str, Any] = json.loads(json.dumps(exported))
    (reference,) = document["references"]
    reference |= {"cell": CELL, "platform": PLATFORM, "processor": PROCESSOR}
    reference["made_from"] = asdict(host.made_from(checkout, cell, PLATFORM))
    return document
