"""Who is trusted in a verification: those of the checkout's matrix.yaml, or those who are named."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from builders import tools
from builders.attestation.statement import Attestation
from builders.errors import ProcessError, SigningError
from builders.matrix import Identity
from builders.project import Project
from builders.signing import Trust, arguments, verify
from builders.signing.arguments import Party
from builders.signing.cosign import Cosign, cosign, run_cosign, without_password
from builders.signing.verification import described
from builders.verification.stated import Trusted


@dataclass(frozen=True, kw_only=True)
class Named:
    """Who is to be trusted; nobody: whom the checkout's matrix.yaml trusts.

    Attributes:
        keys: Files with public keys.
        identities: Issuer and subject of each who signs without a key, as in matrix.yaml.
    """

    keys: tuple[str, ...] = ()
    identities: tuple[tuple[str, str], ...] = ()

    def trust(self, project: Project) -> Trust:
        """Return whose signatures count.

        Raises:
            SigningError: A key is not there, or an identity is none.
        """
        if not self.keys and not self.identities:
            return Trust.of(project)
        paths = tuple(Path(key).expanduser().absolute() for key in self.keys)
        for path in paths:
            if not path.is_file():
                raise SigningError(
                    "no such file", where=str(path), remedy="name the file of a public key"
                )
        return Trust(keys=paths, identities=tuple(_identity(*each) for each in self.identities))


def trusted(project: Project, named: Named, note: Callable[[str], None]) -> Trusted:
    """Return who may say that an image is what it is, with cosign to look who has.

    Args:
        project: The checkout, whose cache holds cosign where it is not installed.
        named: Who is trusted; nobody needs no cosign.
        note: Told what takes time.

    Raises:
        SigningError: Whoever is named cannot be trusted: a key is not there.
        ToolError: There is no cosign.
    """
    trust = named.trust(project)
    if not trust.required:
        return Trusted(who=(), verify=_nobody, signature=_nobody)
    program = cosign(tools.find("cosign", project.store.cache, note=note))
    return Trusted(
        who=tuple(described(party) for party in _parties(trust)),
        verify=lambda attestation, manifest: verify(attestation, manifest, trust, program),
        signature=lambda reference: _signature(reference, trust, program),
    )


def _identity(issuer: str, subject: str) -> Identity:
    try:
        return Identity(issuer=issuer, subject=subject)
    except ValidationError as error:
        raise SigningError(
            f"{'.'.join(map(str, error.errors()[0]['loc']))}: {error.errors()[0]['msg']}",
            where=f"{issuer} {subject}",
            remedy="give --issuer and --identity as `trust` in matrix.yaml has them",
        ) from error


def _signature(reference: str, trust: Trust, program: Cosign) -> str:
    """Return who signed what a reference leads to, in a registry.

    Raises:
        SigningError: Nobody who is trusted.
    """
    refusals = []
    for party in _parties(trust):
        try:
            run_cosign(arguments.verify(program, party, reference), without_password(os.environ))
        except ProcessError as error:
            refusals.append(f"{described(party)}: {error.problem.splitlines()[-1].strip(' |')}")
        else:
            return described(party)
    raise SigningError(f"not signed by anyone who is trusted ({'; '.join(refusals)})")


def _parties(trust: Trust) -> tuple[Party, ...]:
    return (*trust.keys, *trust.identities)


def _nobody(*_: Attestation | bytes | str) -> str:
    raise SigningError("nobody is trusted")
