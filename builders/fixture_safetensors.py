"""The safetensors format: https://github.com/huggingface/safetensors#format.

Written by hand: eight bytes of length, a JSON header, the numbers. So no library's version decides
a byte of a file whose digest is the source of a vector space.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from builders.fixture_weights import Weights

_ALIGNMENT = 8


def chunks(weights: Weights) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a file that holds the tensors, sorted by name, as float32."""
    tensors = [(name, weights[name]) for name in sorted(weights)]
    # transformers refuses a file that does not say which framework's layout it has.
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, values in tensors:
        begin, end = end, end + values.nbytes
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": (begin, end)}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    yield len(text).to_bytes(8, "little")
    yield text
    for _, values in tensors:
        yield values.data
