"""llama-cpp-python's own server, with the variant of our wheel that fits this processor.

Runs in an environment that holds what that server requires, with the library on Python's path. A
wheel without variants, as pip compiles it, has nothing to load first.
"""

from __future__ import annotations

import importlib
import os


def main() -> None:
    """Load the library's variants, then serve by the arguments."""
    ggml = importlib.import_module("llama_cpp._ggml")
    ggml.libggml.ggml_backend_load_all_from_path(os.fsencode(ggml.libggml_base_path))
    importlib.import_module("llama_cpp.server.__main__").main()


if __name__ == "__main__":
    main()
