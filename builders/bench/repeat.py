"""Embed one text again and again in this process, and write down how long each time took.

Runs in an environment that holds a backend's wheels, with the service and the backend on its path.
"""

from __future__ import annotations

import json
import os
import sys
import time

from embedding_service import contract, recipe, tokens
from embedding_service.settings import Settings


def main() -> None:
    """Embed standard input's text; write a JSON document with the seconds of each time."""
    text, warm, times = sys.stdin.read(), int(sys.argv[1]), int(sys.argv[2])
    settings = Settings.from_environment(os.environ)
    chosen = recipe.read(settings.model_dir)
    backend = contract.load(settings.model_dir, chosen, contract.backend_class(), settings)
    seconds = []
    for _ in range(warm + times):
        begun = time.perf_counter()
        contract.embed(backend, chosen, [text])
        seconds.append(time.perf_counter() - begun)
    backend.close()
    tokenizer = tokens.tokenizer(settings.model_dir)
    (encoding,) = tokens.encodings(tokenizer, [text], limit=chosen.max_tokens)
    found = {
        "runtime": dict(backend.runtime),
        "seconds": seconds[warm:],
        "tokens": len(encoding.ids),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
