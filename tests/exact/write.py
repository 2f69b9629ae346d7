"""`python -m tests.exact.write`: compute the fixtures' exact answers, and write their files."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from builders import exact_answers, matrix
from builders.files import write_atomically
from builders.paths import ROOT
from tests.exact import answers


def main() -> None:
    """Write a file for each vector space of a fixture."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, model in answers.models(matrix.load(ROOT / "matrix.yaml")):
            written = answers.checkpoint(model, Path(scratch) / name)
            document = answers.compute(model, written, answers.answered(model))
            path = ROOT / exact_answers.COMMITTED / f"{name}.json"
            write_atomically(path, document.model_dump_json(indent=1).encode() + b"\n")
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
