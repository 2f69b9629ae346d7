"""Reference vectors: what this host makes of the corpus, with the backend file of the images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import corpus as corpora
from builders import host, model
from builders import vectors as documents
from builders.corpus import Corpus
from builders.errors import ProcessError, ReferenceVectorsError
from builders.files import digest_of, sha256_of, tree_digests, write_atomically
from builders.plan import Cell
from builders.process import run
from builders.project import Project
from builders.vectors import Vectors

_SECONDS = 1800.0
_KEPT_VARIABLES = ("HOME", "PATH", "TMPDIR")
_DOCUMENT = "vectors.json"


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """What makes the vectors.

    Attributes:
        name: What errors call it: the backend and the model.
        python: The interpreter of an environment that holds the backend's wheels.
        service: The folder of the package embedding_service.
        backend: The folder of backend.py.
        model: The model directory.
        corpus: The texts and images.
    """

    name: str
    python: Path
    service: Path
    backend: Path
    model: Path
    corpus: Corpus


def corpus(project: Project, cell: Cell) -> Corpus:
    """Return the texts and images that a cell's backend embeds with its model."""
    return corpora.committed(project.root, project.matrix.models[cell.model]).without(
        project.matrix.backends[cell.backend].refused_texts
    )


def vectors(project: Project, cell: Cell, python: Path) -> Vectors:
    """Return this host's vectors of the corpus: see `document`."""
    return documents.read(document(project, cell, python), corpus(project, cell).ids)


def document(project: Project, cell: Cell, python: Path) -> Path:
    """Return the document of this host's vectors, made once for all that they depend on.

    Args:
        project: The checkout.
        cell: Whose backend, model and format; its platform does not matter.
        python: The interpreter of an environment that holds the backend's wheels.

    Raises:
        LockError: The model's lock is missing or malformed.
        ModelError: The model is not what its lock says.
        ReferenceVectorsError: The vectors cannot be made, or are unusable.
    """
    directory = model.directory(project, cell.model, cell.format)
    embedding = Embedding(
        name=f"{cell.backend} with {cell.model} on {host.current()}",
        python=python,
        service=project.images / "service",
        backend=project.images / cell.backend,
        model=directory.path,
        corpus=corpus(project, cell),
    )
    key = digest_of(
        {
            "backend": sha256_of(embedding.backend / "backend.py"),
            "corpus": embedding.corpus.digest,
            "model": directory.digest,
            "processor": host.processor(),
            "python": str(embedding.python),
            "service": dict(tree_digests(embedding.service)),
        }
    )
    made = project.store.derived(
        "references", key.removeprefix("sha256:"), lambda place: embed(embedding, place)
    )
    return made / _DOCUMENT


def embed(embedding: Embedding, directory: Path) -> None:
    """Embed the corpus, one input at a time, into a document in a directory.

    Raises:
        ReferenceVectorsError: The backend failed, or its vectors are unusable.
    """
    texts = directory / "corpus.jsonl"
    write_atomically(texts, embedding.corpus.to_jsonl())
    try:
        run(
            embed_argv(embedding, texts=texts, document=directory / _DOCUMENT),
            env=embed_environment(embedding, os.environ),
            timeout=_SECONDS,
        )
    except ProcessError as error:
        raise ReferenceVectorsError(
            f"no reference vectors: {error.problem}",
            where=embedding.name,
            remedy=error.remedy or "run the command above by hand, and look at what it says",
        ) from error
    documents.read(directory / _DOCUMENT, embedding.corpus.ids)


def embed_argv(embedding: Embedding, *, texts: Path, document: Path) -> tuple[str, ...]:
    """Return the argument list that embeds a corpus, one input at a time, into a document."""
    return (
        *(str(embedding.python), "-m", "embedding_service.vectors"),
        *("--corpus", str(texts), "--batch-size", "1", "--output", str(document)),
    )


def embed_environment(embedding: Embedding, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of that: the service's defaults, whatever the user has set."""
    return {
        **{name: environment[name] for name in _KEPT_VARIABLES if name in environment},
        "EMBEDDING_MODEL_DIR": str(embedding.model),
        # As in the container: other cells keep the processors busy.
        "EMBEDDING_THREADS": "1",
        "LANG": "C.UTF-8",
        # The checkout is only read.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": os.pathsep.join((str(embedding.service), str(embedding.backend))),
    }
