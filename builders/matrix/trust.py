"""Whom matrix.yaml trusts to say that an image passed."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from builders.matrix.section import FILE, ISSUER, Section, unrepeated


def _whole(subject: str) -> str:
    """Refuse a regular expression that would also fit a part of somebody else's identity."""
    if subject.startswith("^"):
        if not subject.endswith("$"):
            raise ValueError("a regular expression must end in $, or others' identities fit it too")
        try:
            re.compile(subject)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
    return subject


class Identity(Section):
    """Somebody who signs without a key: an identity that an OpenID provider vouches for."""

    issuer: str = Field(pattern=ISSUER)
    """The URL of who vouches for it, such as https://token.actions.githubusercontent.com."""
    subject: Annotated[str, Field(min_length=1), AfterValidator(_whole)]
    """The identity in the certificate: the text itself, or a regular expression from ^ to $."""


class Trust(Section):
    """Who may say that an image passed. Nobody: nothing needs a signature."""

    keys: Annotated[
        tuple[Annotated[str, Field(pattern=FILE)], ...], AfterValidator(unrepeated)
    ] = ()
    """Files of the checkout with cosign's public keys."""
    identities: tuple[Identity, ...] = ()
    """Those who sign without a key."""
