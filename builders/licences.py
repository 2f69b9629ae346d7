"""Licences of weights: which of them let anyone hand an image on.

A licence that is not open (the Gemma Terms, say) sets conditions that only the user can accept:
`accept_licences` in matrix.yaml says which. Without it an image is built and proven, not published.
"""

from __future__ import annotations

import re

from builders.errors import PublicationError
from builders.matrix import Matrix

OPEN = frozenset(
    {
        "0BSD",
        "AFL-3.0",
        "AGPL-3.0-only",
        "AGPL-3.0-or-later",
        "Apache-2.0",
        "Artistic-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC-BY-4.0",
        "CC-BY-SA-4.0",
        "CC0-1.0",
        "EPL-2.0",
        "EUPL-1.2",
        "GPL-2.0-only",
        "GPL-2.0-or-later",
        "GPL-3.0-only",
        "GPL-3.0-or-later",
        "ISC",
        "LGPL-2.1-only",
        "LGPL-2.1-or-later",
        "LGPL-3.0-only",
        "LGPL-3.0-or-later",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "MS-PL",
        "NCSA",
        "Unlicense",
        "Zlib",
    }
)
"""SPDX identifiers: approved by the OSI, or public domain and attribution for data."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9.+:-]+")
_WORDS = frozenset({"AND", "OR", "WITH"})


def unaccepted(expression: str, accepted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the identifiers of an SPDX expression that are neither open nor accepted.

    Of alternatives (OR), each has to be one or the other: which of them is chosen is the user's to
    say, in the entry.
    """
    words = _IDENTIFIER.findall(re.sub(r"\bWITH\s+\S+", "", expression))
    return tuple(
        word for word in words if word not in _WORDS and word not in OPEN and word not in accepted
    )


def refusal(matrix: Matrix, model: str) -> PublicationError | None:
    """Return why no image with a model's weights is published; None if it may be."""
    entry = matrix.models[model]
    licence = entry.licence
    missing = unaccepted(licence, matrix.accept_licences)
    if not missing or entry.source.startswith("openai:"):  # an API hands no weights on
        return None
    return PublicationError(
        f"not published: the weights of {model} are under {licence}, which is not open",
        where=f"matrix.yaml: models.{model}.licence",
        remedy=f"read it, and where you may hand the weights on, say so in matrix.yaml:"
        f" accept_licences: [{', '.join(missing)}]",
    )
