"""Why a registry could not be asked, told apart by what its clients say, and when to try again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from builders.errors import RegistryError

_T = TypeVar("_T")


class Fault(Enum):
    """What went wrong: in words, with what to do about it."""

    UNAUTHORIZED = (
        "the registry does not accept the credentials",
        "`docker login` to it: credentials are read from Docker's own configuration",
    )
    ABSENT = ("it is not in the registry", "look at the name, and whether it was published")
    UNREACHABLE = (
        "the registry cannot be reached",
        "look at its name and whether it runs, then run this again: what has arrived is kept",
    )
    CUT = (
        "the connection was cut",
        "run this again: what has arrived is kept",
    )
    SERVER = (
        "the registry fails",
        "look at its logs, then run this again: what has arrived is kept",
    )
    CERTIFICATE = (
        "the registry's certificate is not trusted",
        "let SSL_CERT_FILE, or ca.crt in Docker's certs.d of the registry, name who issued it",
    )
    OTHER = ("the registry refuses", "look at what it says")

    @property
    def words(self) -> str:
        """What is wrong, for people."""
        return self.value[0]

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self.value[1]

    @property
    def temporary(self) -> bool:
        """Whether it may go well the next time."""
        return self in (Fault.UNREACHABLE, Fault.CUT, Fault.SERVER)


_SIGNS: tuple[tuple[Fault, str], ...] = (
    (Fault.CERTIFICATE, r"x509: |tls: failed to verify"),
    (
        Fault.UNAUTHORIZED,
        (
            r"\b40[13] (unauthorized|forbidden)|status code 40[13]\b|unauthorized|no basic auth"
            r"|basic credential not found|credential required|access denied|denied: "
        ),
    ),
    (Fault.SERVER, r"\b(5\d\d|429) [a-z]|status code (5\d\d|429)\b|toomanyrequests"),
    (Fault.ABSENT, r"not found|\b404 |name unknown|name_unknown|not known to registry"),
    (
        Fault.UNREACHABLE,
        (
            r"connection refused|no such host|no route to host|network is unreachable|i/o timeout"
            r"|deadline exceeded|temporary failure in name resolution|server misbehaving"
        ),
    ),
    (
        Fault.CUT,
        (
            r"\beof\b|connection reset|broken pipe|use of closed|server closed|short read"
            # oras 1.2 panics when several transfers fail at once, each in a way of its own.
            r"|compare and swap of inconsistently typed value"
        ),
    ),
)
"""What oras, the Docker engine and cosign write, in small letters; the first that fits counts."""


class RegistryFault(RegistryError):  # noqa: N818 (a fault is what it is called)
    """A RegistryError that says which kind it is."""

    def __init__(self, fault: Fault, said: str, *, where: str) -> None:
        last = said.strip().splitlines()
        told = f": {_shortened(last)}" if last else ""
        super().__init__(f"{fault.words}{told}", where=where, remedy=fault.remedy)
        self.fault = fault


def fault_of(said: str) -> Fault:
    """Tell a fault by what a registry's client said of it."""
    text = said.lower()
    return next((fault for fault, sign in _SIGNS if re.search(sign, text)), Fault.OTHER)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long faults are waited out.

    Attributes:
        delays: Seconds before each further attempt.
    """

    delays: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)


PATIENCE = Patience()
"""How long faults are waited out unless it is said otherwise."""


def patiently(work: Callable[[], _T], patience: Patience, note: Callable[[str], None]) -> _T:
    """Do something until it goes well, or its fault is not one that passes.

    Raises:
        RegistryError: The last attempt's.
    """
    for delay in patience.delays:
        try:
            return work()
        except RegistryFault as error:
            if not error.fault.temporary:
                raise
            note(f"{error.where}: {error.fault.words}; again in {delay:g} s")
            time.sleep(delay)
    return work()


def _shortened(lines: list[str]) -> str:
    """Return the last lines of what a program said, as one."""
    return " ".join(line.strip() for line in lines[-3:])[:600]
