"""Whom a checkout trusts: `trust` of its matrix.yaml, with the files of its keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builders.errors import SigningError
from builders.matrix.trust import Identity
from builders.project import Project

BEGINNING = "-----BEGIN PUBLIC KEY-----"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Who may say that an image passed.

    Attributes:
        keys: Files with public keys, which are there.
        identities: Those who sign without a key.
    """

    keys: tuple[Path, ...] = ()
    identities: tuple[Identity, ...] = ()

    @classmethod
    def of(cls, project: Project) -> Trust:
        """Return whom a checkout trusts.

        Raises:
            SigningError: The file of a key is not there, or holds something else.
        """
        keys = tuple(project.root / name for name in project.matrix.trust.keys)
        for key in keys:
            _check(key)
        return cls(keys=keys, identities=project.matrix.trust.identities)

    @property
    def required(self) -> bool:
        """Whether anything needs a signature."""
        return bool(self.keys or self.identities)

    def knows(self, public_key: str) -> bool:
        """Say whether a public key, in PEM, is one of those that are trusted."""
        return any(public_key.split() == key.read_text("utf-8").split() for key in self.keys)


def _check(key: Path) -> None:
    try:
        text = key.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SigningError(
            f"the public key cannot be read: {error.strerror}",
            where=str(key),
            remedy="correct `trust` in matrix.yaml, or make a pair: `nox -s keys`",
        ) from error
    if "PRIVATE KEY" in text:
        raise SigningError(
            "is a private key",
            where=str(key),
            remedy="take it out of the checkout, and name the .pub file in `trust`",
        )
    if not text.lstrip().startswith(BEGINNING):
        raise SigningError(
            "is not a public key of cosign's", where=str(key), remedy="name the .pub file"
        )
