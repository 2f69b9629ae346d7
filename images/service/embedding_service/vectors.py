"""`python -m embedding_service.vectors`: embed a corpus with the backend itself, without HTTP."""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from embedding_service import contract, document, recipe
from embedding_service.corpus import Entry, read_corpus
from embedding_service.document import VectorDocument
from embedding_service.errors import EmbeddingError, InputError, ModelError, StartError
from embedding_service.inputs import kind
from embedding_service.settings import Settings


def main(words: Sequence[str] | None = None) -> int:
    """Embed the corpus that the arguments name; return the exit code (see `errors`)."""
    parser = argparse.ArgumentParser(
        prog="python -m embedding_service.vectors",
        description="Embed a corpus with the backend itself and write a vector document.",
    )
    parser.add_argument(
        "--corpus",
        type=Path,
        required=True,
        metavar="FILE",
        help='JSON lines {"id", "text"} or {"id", "image"}',
    )
    parser.add_argument(
        "--batch-size", type=int, required=True, metavar="N", help="inputs embedded at a time"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="the document (default: standard output)"
    )
    arguments = parser.parse_args(words)
    if arguments.batch_size < 1:
        parser.error("--batch-size must be at least 1")
    try:
        settings = Settings.from_environment(os.environ)
        entries = read_corpus(arguments.corpus)
        document.write(embed_corpus(settings, entries, arguments.batch_size), arguments.output)
    except StartError as error:
        sys.stderr.write(f"embedding_service.vectors: {error}\n")
        return error.exit_code
    return 0


def embed_corpus(settings: Settings, entries: Sequence[Entry], batch_size: int) -> VectorDocument:
    """Embed a corpus in its order, `batch_size` inputs at a time.

    Raises:
        ModelError: The model or its backend is not what the recipe declares, or an input cannot
            be embedded; the message holds its id.
    """
    model_recipe = recipe.read(settings.model_dir)
    backend = contract.backend_class()
    model = contract.load(settings.model_dir, model_recipe, backend, settings)
    vectors: dict[str, str] = {}
    remaining = iter(entries)
    while batch := list(itertools.islice(remaining, batch_size)):
        try:
            rows = contract.embed(model, model_recipe, [entry.input for entry in batch])
        except InputError as error:
            refused = batch[error.index]
            raise ModelError(f"{kind(refused.input)} {refused.id!r}: {error}") from error
        except EmbeddingError as error:
            ids = ", ".join(entry.id for entry in batch)
            raise ModelError(f"inputs {ids}: {error}") from error
        for entry, row in zip(batch, rows, strict=True):
            vectors[entry.id] = document.encoded(row.astype("<f4").tobytes())
    model.close()
    return VectorDocument(
        backend=backend.name,
        libraries=contract.library_versions(backend),
        model=model_recipe.name,
        dimension=model_recipe.dimension,
        vector_space=model_recipe.vector_space,
        precision=model_recipe.precision,
        architecture=platform.machine(),
        batch_size=batch_size,
        vectors=vectors,
    )


if __name__ == "__main__":
    sys.exit(main())
