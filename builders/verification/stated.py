"""What is stated of a manifest or an index: who says it, and whether it is so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builders.attestation.statement import Attestation, Kind, Statement
from builders.errors import EquivecError, SigningError
from builders.verification.answer import Answer, Result


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """Who may say that an image is what it is.

    Attributes:
        who: In words; empty if nobody.
        verify: Returns who of them signed an attestation of these bytes; raises SigningError.
        signature: Returns who of them signed what a reference leads to; raises SigningError.
    """

    who: tuple[str, ...]
    verify: Callable[[Attestation, bytes], str]
    signature: Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Whether what a statement says is so.

    Attributes:
        text: What it says, in short.
        findings: In what it is not so; none if it is.
    """

    text: str
    findings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What is stated of a manifest or an index.

    Attributes:
        digest: Of its bytes.
        manifest: Those.
        attestations: All there are, whoever made them.
    """

    digest: str
    manifest: bytes
    attestations: tuple[Attestation, ...]


def answer(
    kind: Kind, stated: Stated, trusted: Trusted, judge: Callable[[Statement], Judgement]
) -> Answer:
    """Say what comes of the attestations of a kind.

    Where somebody is trusted, what others state is left aside: anyone who may write to a registry
    can put something beside an image. All that the trusted state has to be so.

    Args:
        kind: What should be stated.
        stated: All that is.
        trusted: Whose statements count.
        judge: Says whether a statement is so; raises SigningError where it states nothing.
    """
    asked = [each for each in stated.attestations if each.statement.kind is kind]
    if not asked:
        return Answer(what=kind.word, result=Result.WRONG, text="absent: nobody states anything")
    count, refused = counted(kind, stated, trusted)
    if not count:
        text = "unsigned" if all(each.envelope is None for each in asked) else "not to be trusted"
        return Answer(what=kind.word, result=Result.WRONG, text=text, details=refused)
    judgements = [(who, _judged(each, stated.digest, judge)) for who, each in count]
    details = tuple(
        dict.fromkeys(finding for _, judged in judgements for finding in judged.findings)
    )
    others = f" ({len(asked) - len(count)} by others: left aside)" if refused else ""
    who, last = judgements[-1]
    by = f"signed by {who}" if who else _unsigned(asked)
    result = Result.TRUE if who else Result.UNSIGNED
    return Answer(
        what=kind.word,
        result=Result.WRONG if details else result,
        text=f"{by}{others}: {last.text}",
        details=details,
    )


def counted(
    kind: Kind, stated: Stated, trusted: Trusted
) -> tuple[list[tuple[str, Attestation]], tuple[str, ...]]:
    """Return the attestations of a kind that count, each with who signed it, and why others do not.

    Where nobody is trusted, all count, and nobody signed them.
    """
    asked = [each for each in stated.attestations if each.statement.kind is kind]
    if not trusted.who:
        return [("", each) for each in asked], ()
    found, refused = [], []
    for each in asked:
        try:
            found.append((trusted.verify(each, stated.manifest), each))
        except SigningError as error:
            refused.append(error.problem)
    return found, tuple(dict.fromkeys(refused))


def _unsigned(asked: list[Attestation]) -> str:
    signed = any(each.envelope is not None for each in asked)
    return "signed, by nobody who is known here" if signed else "unsigned"


def _judged(
    attestation: Attestation, digest: str, judge: Callable[[Statement], Judgement]
) -> Judgement:
    told = attestation.statement.digest
    if told != digest:
        return Judgement(text="about something else", findings=(f"it is about {told}",))
    try:
        return judge(attestation.statement)
    except EquivecError as error:
        return Judgement(text="it cannot be read", findings=(error.problem,))


def signature(reference: str, trusted: Trusted) -> Answer:
    """Say what comes of the signature that a manifest bears in a registry.

    Args:
        reference: `HOST/NAME@DIGEST`.
        trusted: Whose signatures count.
    """
    what = "signature"
    if not trusted.who:
        return Answer(what=what, result=Result.UNSIGNED, text="not looked at: nobody is trusted")
    try:
        return Answer(what=what, result=Result.TRUE, text=f"by {trusted.signature(reference)}")
    except SigningError as error:
        return Answer(what=what, result=Result.WRONG, text=error.problem)
