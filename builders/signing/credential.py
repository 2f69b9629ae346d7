"""What signs: a private key in a file, or the identity that a CI system vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.errors import SigningError
from builders.signing.cosign import PASSWORD_VARIABLE
from builders.signing.trust import Trust

KEY_VARIABLE = "EQUIVEC_SIGNING_KEY"
"""Names the file of the private key."""

IDENTITY_VARIABLES = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SIGSTORE_ID_TOKEN")
"""Those by which GitHub and GitLab tell a job that it may have a token of its identity."""


@dataclass(frozen=True, kw_only=True)
class KeyFile:
    """A private key of cosign's, encrypted with a password."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Keyless:
    """The identity that cosign finds in its environment."""


Credential = KeyFile | Keyless


@dataclass(frozen=True, kw_only=True)
class Absent:
    """Nothing signs, and why."""

    reason: str


def default_key(environment: Mapping[str, str], home: Path) -> Path:
    """Return where the private key is unless it is named: in the user's configuration."""
    # The XDG specification: a relative path is to be ignored.
    xdg = environment.get("XDG_CONFIG_HOME", "")
    return (Path(xdg) if xdg.startswith("/") else home / ".config") / "equivec" / "cosign.key"


def named_key(environment: Mapping[str, str]) -> Path | None:
    """Return the private key that the environment names, if it does."""
    named = environment.get(KEY_VARIABLE)
    return Path(named).expanduser().absolute() if named else None


def find(environment: Mapping[str, str], trust: Trust, *, home: Path) -> Credential | Absent:
    """Return what signs.

    A key that is named signs. Without one, what is there signs only where matrix.yaml trusts
    somebody of its kind: keyless signatures are public, and nobody else asks for any.

    Args:
        environment: Variables of this process.
        trust: Whom matrix.yaml trusts.
        home: The user's directory.

    Raises:
        SigningError: A key is named that is not there, or has no password.
    """
    named = named_key(environment)
    if named is not None:
        return _named(named, environment)
    if not trust.required:
        return Absent(reason="`trust` in matrix.yaml names nobody")
    if trust.identities and any(environment.get(name) for name in IDENTITY_VARIABLES):
        return Keyless()
    if not trust.keys:
        return Absent(reason="this machine has no identity to sign with")
    return _of_the_user(default_key(environment, home), environment)


def _of_the_user(path: Path, environment: Mapping[str, str]) -> KeyFile | Absent:
    if not path.is_file():
        return Absent(reason=f"there is no key: {KEY_VARIABLE} is not set, and {path} is not there")
    if PASSWORD_VARIABLE not in environment:
        return Absent(reason=f"{PASSWORD_VARIABLE} is not set, so that {path} cannot be read")
    return KeyFile(path=path)


def _named(path: Path, environment: Mapping[str, str]) -> KeyFile:
    if not path.is_file():
        raise SigningError(
            "no such file",
            where=f"{KEY_VARIABLE}={path}",
            remedy="name the private key's file, or make a pair: `nox -s keys`",
        )
    if PASSWORD_VARIABLE not in environment:
        raise SigningError(
            "its password is not known",
            where=f"{KEY_VARIABLE}={path}",
            remedy=f"set {PASSWORD_VARIABLE} (empty, if the key has none)",
        )
    return KeyFile(path=path)
