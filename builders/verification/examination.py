"""The examination of what is published: all of its bytes, and all that is stated about them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from builders.attestation.statement import Kind, Statement
from builders.errors import (
    ArchiveError,
    LayoutError,
    PublicationError,
    RegistryError,
    SigningError,
    VerifyError,
)
from builders.formats.layout import Layout
from builders.report.terminal import megabytes
from builders.verdict import Verdict
from builders.verification import claims
from builders.verification.answer import Answer, Examined, Report, Result
from builders.verification.image import Image
from builders.verification.published import Published, platforms, tells_nothing
from builders.verification.stated import Judgement, Stated, Trusted, answer, signature

_CONTENT = "content"

_DAMAGE = (ArchiveError, LayoutError, PublicationError, RegistryError, SigningError)
"""What is found wrong with what is there."""


def examine(published: Published, trusted: Trusted, *, note: Callable[[str], None]) -> Report:
    """Pull what is published by its digest, and hold all that is stated about it against it.

    Args:
        published: An index, or one platform's manifest.
        trusted: Who may state something.
        note: Told what takes time.

    Raises:
        RegistryError: The registry does not answer, or refuses.
        VerifyError: There is nothing of that digest, or it is no image.
    """
    try:
        manifest = published.manifest(published.digest)
    except (PublicationError, RegistryError) as error:
        if tells_nothing(error):
            raise
        raise VerifyError(error.problem, where=published.where) from error
    images = platforms(manifest, published.digest)
    judged = [
        _image(published, platform, digest, trusted, note) for platform, digest in images.items()
    ]
    names = dict.fromkeys(verdict.subject.name for _, found in judged for verdict in found)
    return Report(
        reference=published.where,
        image=", ".join(names) or published.name,
        trusted=trusted.who,
        examined=(
            *_index(published, manifest, images, trusted),
            *(examined for examined, _ in judged),
        ),
    )


def _index(
    published: Published, manifest: bytes, images: Mapping[str, str], trusted: Trusted
) -> Iterator[Examined]:
    """Examine the index, if there is one: its test result is about its manifests and no other."""
    if "" in images:
        return

    def judge(statement: Statement) -> Judgement:
        return Judgement(
            text=f"each of its manifests passed: {', '.join(images)}",
            findings=tuple(claims.about_index(statement, images)),
        )

    answers: tuple[Answer, ...]
    try:
        stated = _stated(published, published.digest, manifest)
        answers = (
            *_signature(published, published.digest, trusted),
            answer(Kind.TEST_RESULT, stated, trusted, judge),
        )
    except _DAMAGE as error:
        answers = (_wrong(Kind.TEST_RESULT.word, error),)
    yield Examined(title="index", digest=published.digest, answers=answers)


def _image(
    published: Published,
    platform: str,
    digest: str,
    trusted: Trusted,
    note: Callable[[str], None],
) -> tuple[Examined, tuple[Verdict, ...]]:
    """Examine one platform's image; return what came out, and the verdicts about it that count."""
    note(f"pulling {digest}")
    with tempfile.TemporaryDirectory(prefix="equivec-verify-") as scratch:
        try:
            manifest = published.manifest(digest)
            layout = published.pulled(platform, digest, Path(scratch) / "layout")
            stated = _stated(published, digest, manifest)
        except _DAMAGE as error:
            wrong = _wrong(_CONTENT, error)
            return Examined(title=platform or "image", digest=digest, answers=(wrong,)), ()
        image = Image(layout=layout, expected=published.expected, scratch=Path(scratch))
        answers = (
            Answer(what=_CONTENT, result=Result.TRUE, text=_size(layout)),
            *_signature(published, digest, trusted),
            # In their order: what provenance and SBOM say is held against the verdict.
            *(answer(kind, stated, trusted, image.judge) for kind in Kind),
        )
    return Examined(title=layout.platform, digest=digest, answers=answers), tuple(image.verdicts)


def _stated(published: Published, digest: str, manifest: bytes) -> Stated:
    return Stated(
        digest=digest,
        manifest=manifest,
        attestations=published.target.attestations(published.name, digest),
    )


def _signature(published: Published, digest: str, trusted: Trusted) -> Iterator[Answer]:
    if published.signed:
        yield signature(published.reference(digest), trusted)


def _wrong(
    what: str,
    error: ArchiveError | LayoutError | PublicationError | RegistryError | SigningError,
) -> Answer:
    """Return the answer that damage is.

    Raises:
        RegistryError: It is none: the registry does not answer, or refuses.
    """
    if tells_nothing(error):
        raise error
    return Answer(what=what, result=Result.WRONG, text=error.problem)


def _size(layout: Layout) -> str:
    return (
        f"{megabytes(layout.compressed_size)} in {len(layout.layers)} layers: each has its digest,"
        " and unpacks to what the configuration says"
    )
