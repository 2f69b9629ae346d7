"""The library called directly: onnxruntime and tokenizers, with nothing of the service.

Runs in an environment that holds them. It reads orders from standard input and answers each with a
line. What is done to a text is what the service does: its tokens, the encoder, the mean of the
tokens or the first one, and unit length.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread computes
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from tokenizers import Tokenizer


class Library:
    """A model in the ONNX format, with its tokenizer, computed by one thread.

    Args:
        directory: Of `model.onnx`, `tokenizer.json` and `model.json`.
    """

    def __init__(self, directory: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(directory / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._names = [node.name for node in self._session.get_inputs()]
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.enable_padding()
        self._pooling = json.loads((directory / "model.json").read_bytes())["pooling"]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, computed together: of shape (texts, dimension)."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        fields = {
            "input_ids": np.array([each.ids for each in encodings], dtype=np.int64),
            "attention_mask": np.array([each.attention_mask for each in encodings], dtype=np.int64),
            "token_type_ids": np.array([each.type_ids for each in encodings], dtype=np.int64),
        }
        feeds = {name: fields[name] for name in self._names}
        hidden: NDArray[np.float32] = self._session.run(["last_hidden_state"], feeds)[0]
        if self._pooling == "cls":
            vectors = hidden[:, 0]
        else:
            mask = fields["attention_mask"].astype(np.float32)
            vectors = np.einsum("ts,tsd->td", mask, hidden) / mask.sum(axis=1, keepdims=True)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def tokens(self, text: str) -> int:
        """Return how many tokens a text has, the special ones included."""
        return len(self._tokenizer.encode(text).ids)


def main() -> None:
    """Carry out each order of standard input; the arguments are the model's directory and texts.

    The texts are a file with lists of them by name. An order names one (`texts`), how many of it to
    embed (`count`, beginning again after the last) and how many together (`batch`); or where to put
    the vectors of all, each computed alone (`vectors`).
    """
    library = Library(Path(sys.argv[1]))
    named: dict[str, list[str]] = json.loads(Path(sys.argv[2]).read_bytes())
    for line in sys.stdin:
        order = json.loads(line)
        texts = named[order["texts"]]
        document = (
            _saved(library, texts, order) if "vectors" in order else _timed(library, texts, order)
        )
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


def _saved(library: Library, texts: Sequence[str], order: dict[str, Any]) -> dict[str, Any]:
    np.save(order["vectors"], np.concatenate([library.embed([text]) for text in texts]))
    return {"tokens": [library.tokens(text) for text in texts]}


def _timed(library: Library, texts: Sequence[str], order: dict[str, Any]) -> dict[str, Any]:
    count, batch = order["count"], order["batch"]
    seconds = []
    begun_processor, begun = time.process_time(), time.perf_counter()
    for start in range(0, count, batch):
        chosen = [texts[place % len(texts)] for place in range(start, min(start + batch, count))]
        before = time.perf_counter()
        library.embed(chosen)
        seconds.append(time.perf_counter() - before)
    return {
        "seconds": time.perf_counter() - begun,
        "processor": time.process_time() - begun_processor,
        "latencies": seconds,
    }


if __name__ == "__main__":
    main()
