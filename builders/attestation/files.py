"""Attestations as files: `<directory>/sha256-<hex>/<kind>.<form>.json`, by what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Form, Kind
from builders.errors import SigningError
from builders.files import write_atomically

FORMS: tuple[Form, ...] = get_args(Form)


def place(directory: Path, digest: str) -> Path:
    """Return the folder of what is stated about a digest."""
    return directory / digest.replace(":", "-")


def write(directory: Path, attestation: Attestation) -> Path:
    """Write an attestation in the place of what was stated of that kind; return where.

    A signed attestation that states the same stays, whoever cannot sign now.

    Args:
        directory: Of all attestations: `dist/attestations`.
        attestation: The attestation.
    """
    folder = place(directory, attestation.statement.digest)
    kind = attestation.statement.kind
    signed = _signed(folder, kind)
    if (
        attestation.envelope is None
        and signed is not None
        and signed.statement.states(attestation.statement)
    ):
        return folder / _name(kind, signed.form)
    path = folder / _name(kind, attestation.form)
    for form in FORMS:
        if form != attestation.form:
            # First, so that a killed run leaves nothing rather than what holds no more.
            (folder / _name(kind, form)).unlink(missing_ok=True)
    if not path.exists() or path.read_bytes() != attestation.content:
        write_atomically(path, attestation.content)
    return path


def read(directory: Path, digest: str) -> tuple[Attestation, ...]:
    """Return what is stated about a digest, at most one attestation of each kind.

    Raises:
        SigningError: A file is malformed, or is about something else.
    """
    folder = place(directory, digest)
    found = tuple(attestation for kind in Kind if (attestation := _read(folder, kind)) is not None)
    for attestation in found:
        if attestation.statement.digest != digest:
            raise SigningError(
                f"{attestation.statement.kind.word} is about {attestation.statement.digest}",
                where=str(folder),
                remedy="delete the folder, and build the cell again",
            )
    return found


def _signed(folder: Path, kind: Kind) -> Attestation | None:
    """Return the signed attestation that would be replaced; None if what is there is damaged."""
    try:
        found = _read(folder, kind)
    except SigningError:
        return None
    return None if found is None or found.envelope is None else found


def _read(folder: Path, kind: Kind) -> Attestation | None:
    """Return the attestation of a kind: a signed one where others' files were put beside ours."""
    for form in FORMS:
        path = folder / _name(kind, form)
        if not path.exists():
            continue
        try:
            attestation = statements.attestation(path.read_bytes(), form)
        except SigningError as error:
            raise SigningError(
                error.problem, where=str(path), remedy="delete it, and build the cell again"
            ) from error
        if attestation.statement.kind is not kind:
            raise SigningError(f"holds a {attestation.statement.kind.word}", where=str(path))
        return attestation
    return None


def _name(kind: Kind, form: Form) -> str:
    return f"{kind.word}.{form}.json"
