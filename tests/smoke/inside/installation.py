"""Runs inside the container: import every wheel's modules, then dlopen every shared library.

Each step is announced before it is taken, so that a crash of the interpreter names its culprit.
"""

import ctypes
import importlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

# What a module prints when it is imported must not get among the answers.
answers = os.fdopen(os.dup(1), "w", encoding="ascii")
os.dup2(2, 1)


def main() -> None:
    facts = json.loads(sys.argv[1])
    header = Path(sys.executable).resolve().read_bytes()[:20]
    elf = int.from_bytes(header[18:20], "little")
    answer({"step": "machine", "kernel": platform.machine(), "elf": elf})
    for wheel in facts["wheels"]:
        answer({"step": "begin", "name": f"importing {wheel['name']}"})
        answer({"step": "wheel", "name": wheel["name"], **installed(wheel)})
        for library in wheel["libraries"]:
            answer({"step": "promised", "name": library, "elf": machine_of(wheel["name"], library)})
    for library in facts["libraries"]:
        answer({"step": "begin", "name": f"loading {library}"})
        answer({"step": "library", "name": library, "error": loading_error(library)})
    answer({"step": "end"})


def installed(wheel: dict[str, Any]) -> dict[str, Any]:
    errors = [error for module in wheel["modules"] if (error := importing_error(module))]
    try:
        return {"version": importlib.metadata.version(wheel["name"]), "errors": errors}
    except importlib.metadata.PackageNotFoundError:
        return {"version": None, "errors": errors}


def machine_of(wheel: str, library: str) -> int | None:
    """Return the number of the machine that a library of a wheel is for; None without the file."""
    path = Path(str(importlib.metadata.distribution(wheel).locate_file(library)))
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except FileNotFoundError:
        return None
    return int.from_bytes(header[18:20], "little") if header.startswith(b"\x7fELF") else 0


def importing_error(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever it raises is the finding)
        return f"{module}: {type(error).__name__}: {error}"
    return None


def loading_error(library: str) -> str | None:
    try:
        ctypes.CDLL(library, mode=os.RTLD_NOW)
    except OSError as error:
        return str(error)
    return None


def answer(record: dict[str, Any]) -> None:
    answers.write(json.dumps(record) + "\n")
    answers.flush()


main()
