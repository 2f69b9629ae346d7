"""The comparison of a container's vectors with all that they must agree with."""

from __future__ import annotations

from builders import anchor as anchors
from builders import corpus as corpora
from builders import exact_answers, known_answers, parity, upstream, vectors
from builders.check import Check
from builders.plan import Cell
from builders.project import Project
from builders.smoke import Proof
from builders.space import vector_space
from builders.vectors import Vectors


def checks(
    project: Project, cell: Cell, found: Proof, *, reference: Vectors, other: Vectors | None
) -> tuple[Check, ...]:
    """Hold a container's vectors against all there is, and those alone against those batched.

    Args:
        project: The checkout.
        cell: What was judged.
        found: What the container gave: vectors of the corpus, or of a part, and of the texts with
            known answers.
        reference: What the same backend makes of the corpus on this host; of an API's model, what
            the anchor does.
        other: What the anchor makes of it, if that is another cell.

    Raises:
        ReferenceVectorsError: There are no vectors to compare with.
    """
    model, backend = project.matrix.models[cell.model], project.matrix.backends[cell.backend]
    tolerance = project.matrix.tolerances[model.precision]
    across = anchors.tolerance(project.matrix, cell)
    corpus = corpora.committed(project.root, model)
    alone = vectors.of(found.alone, corpus.ids)
    exact = exact_answers.find(project.root / exact_answers.COMMITTED, corpus, vector_space(model))
    return (
        *parity.compare(reference, alone, tolerance),
        *(
            # What answers in the place of an API is another backend, with libraries of its own.
            (parity.libraries(reference, alone, backend.versions_may_differ),)
            if upstream.name_of(model) is None
            else ()
        ),
        *parity.compare(found.alone, found.batched, tolerance, name="batch-invariance"),
        *(
            # Of a model of texts and images, the anchor may have the texts alone.
            parity.compare(
                other, vectors.of(alone, other.ids), across, name=f"cross-backend:{other.backend}"
            )
            if other is not None
            else ()
        ),
        *(exact_answers.checks(exact, alone, across) if exact is not None else ()),
        *known_answers.checks(model, found.alone),
    )
