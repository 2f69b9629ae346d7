"""A key pair of cosign's: the private one for those who sign, the public one for everybody."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from builders.errors import ProcessError, SigningError
from builders.signing import arguments
from builders.signing.cosign import PASSWORD_VARIABLE, Cosign, run_cosign


def make(
    cosign: Cosign,
    *,
    private: Path,
    public: Path,
    checkout: Path,
    environment: Mapping[str, str],
) -> None:
    """Make a key pair. Both files are there afterwards, or neither.

    Args:
        cosign: What makes it.
        private: Where the private key goes, readable by its owner alone.
        public: Where the public key goes.
        checkout: Where the private key must not be: it would be committed one day.
        environment: Holds the password that encrypts the private key, in COSIGN_PASSWORD.

    Raises:
        SigningError: A file is there already, or cannot be written, or there is no password.
    """
    if PASSWORD_VARIABLE not in environment:
        raise SigningError(
            "a private key is encrypted with a password, and there is none",
            remedy=f"set {PASSWORD_VARIABLE} (it may be empty), or call this from a terminal",
        )
    if private.resolve().is_relative_to(checkout.resolve()):
        raise SigningError(
            "a private key in the checkout would be committed one day",
            where=str(private),
            remedy="name a place outside of it",
        )
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise _exists(path)
    try:
        private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".cosign-", dir=private.parent) as name:
            _make(cosign, Path(name), private, public, environment)
    except OSError as error:
        raise SigningError(
            f"cannot be written: {error.strerror or error}", where=str(error.filename or private)
        ) from error


def _make(
    cosign: Cosign, scratch: Path, private: Path, public: Path, environment: Mapping[str, str]
) -> None:
    prefix = scratch / "pair"
    try:
        run_cosign(arguments.generate_key_pair(cosign, prefix=prefix), environment)
    except ProcessError as error:
        raise SigningError(error.problem, remedy="see what cosign says above") from error
    made = prefix.with_suffix(".key")
    made.chmod(0o600)
    try:
        os.link(made, private)  # a rename would replace a key that has come meanwhile
    except FileExistsError as error:
        raise _exists(private) from error
    try:
        with public.open("xb") as file:
            file.write(prefix.with_suffix(".pub").read_bytes())
    except OSError as error:
        private.unlink()
        if isinstance(error, FileExistsError):
            raise _exists(public) from error
        raise


def _exists(path: Path) -> SigningError:
    return SigningError(
        "is there already, and is not overwritten: what it signed could not be verified any more",
        where=str(path),
        remedy="name other files (--private, --public), or move it away",
    )
