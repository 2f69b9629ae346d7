"""What is claimed of what follows once an image has passed: statements, and publication."""

from __future__ import annotations

from builders.bench.claim import Claim, Measurement

TRUST = (
    Measurement(
        name="publish",
        title="Publication in a registry",
        method=(
            "The published image whose compressed size is nearest to 100 MB, to Debian's"
            " `docker-registry` on loopback, of which each figure has one of its own that is empty."
            " First `oras cp --recursive` of the same bytes from an OCI image layout: image, index,"
            " and what is attested of both (not signed here: cosign takes its own time). Then what"
            " `nox -s build-matrix` does once the image has passed: the same bytes are copied, the"
            " engine, which holds the image, pushes it; that everything is there, by its digest, is"
            " looked at; then the tag. Then the same once more, when all of it is there. Five"
            " rounds, in turn; medians, and the quotient is each round's."
        ),
        claims=(
            Claim(name="oras", text="`oras cp` of the same bytes", unit="s"),
            Claim(name="published", text="the image is published", unit="s"),
            Claim(name="ratio", text="publication over `oras cp`", unit="", target=1.5),
            Claim(name="again", text="it is published again", unit="s", target=2),
        ),
    ),
    Measurement(
        name="attest",
        title="Inventory, verdict and signatures",
        method=(
            "What `nox -s build-matrix` does with an image beside its tests, for every image of the"
            " default selection, one after the other: it takes the inventory of the image's files"
            " (not counted: the audit's unpacking of the layers), writes verdict and SBOM, and"
            " states and signs test result, provenance and SBOM with a key (cosign, three times),"
            " none of which was signed before. Medians of five times."
        ),
        claims=(
            Claim(name="seconds", text="inventory, verdict and signatures", unit="s", target=3),
            Claim(name="inventory", text="of that, the inventory", unit="s"),
            Claim(name="stated", text="of that, verdict, statements and signatures", unit="s"),
        ),
    ),
)
"""Measurements of `nox -s bench -- build`, the last on its page."""
