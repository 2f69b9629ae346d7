"""Embed one text again and again in this process, and write down how long each time took.

Runs in an environment that holds a backend's wheels, with the service and the backend on its path.
"""

from __future__ import annotations

import json
import os
import sys
import time

from embedding_service import contract, recipe
from embedding_service.reading import Reader
from embedding_service.settings import Settings


def main() -> None:
    """Embed standard input's text; write a JSON document with the seconds of each time."""
    text, warm, times = sys.stdin.read(), int(sys.argv[1]), int(sys.argv[2])
    settings = Settings.from_environment(os.environ)
    chosen = recipe.read(settings.model_dir)
    backend = contract.load(settings.model_dir, chosen, contract.backend_class(), settings)
    reader = Reader(chosen, backend.tokenizer)
    seconds = []
    for _ in range(warm + times):
        begun = time.perf_counter()
        read = reader.read(text, index=0)
        contract.computed(backend, chosen, [read.given])
        seconds.append(time.perf_counter() - begun)
    backend.close()
    found = {
        "runtime": dict(backend.runtime),
        "seconds": seconds[warm:],
        "tokens": read.tokens,
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
