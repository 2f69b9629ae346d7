"""What was measured: docs/benchmarks.json, from which the page is made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders.errors import BenchError
from builders.files import write_atomically

Bound = Literal["exact", "at least"]
"""Whether a value is what was measured, or less than it would have been."""


Suite = Literal["build", "serve"]
"""What `nox -s bench --` takes first: measurements of one kind."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Machine(_Part):
    """Where something was measured."""

    platform: str
    system: str
    cpu: str
    cores: int = Field(gt=0)
    load: float = Field(ge=0, description="the one-minute load average before the measurement")


class Figure(_Part):
    """A measured value."""

    claim: str
    subject: str = Field(default="", description="what it was measured of, such as a platform")
    value: float
    bound: Bound = "exact"
    samples: tuple[float, ...] = Field(default=(), description="of which the value is the median")


class Measured(_Part):
    """What a measurement gave, and under which circumstances."""

    measurement: str
    command: str
    taken: str = Field(description="UTC time, RFC 3339")
    revision: str = Field(description="git's; `+changes` if the checkout had others")
    machine: Machine
    figures: tuple[Figure, ...] = Field(min_length=1)


class Record(_Part):
    """The newest result of each measurement."""

    schema_version: Literal[1] = 1
    build: tuple[Measured, ...] = ()
    serve: tuple[Measured, ...] = ()

    def find(self, suite: Suite, measurement: str) -> Measured | None:
        """Return the result of a measurement; None if it was never taken."""
        results: tuple[Measured, ...] = getattr(self, suite)
        return next((each for each in results if each.measurement == measurement), None)

    def including(self, suite: Suite, measured: Measured) -> Record:
        """Return a record in which a result takes the place of an earlier one."""
        results: tuple[Measured, ...] = getattr(self, suite)
        others = (each for each in results if each.measurement != measured.measurement)
        ordered = sorted((*others, measured), key=lambda each: each.measurement)
        return self.model_copy(update={suite: tuple(ordered)})


def read(path: Path) -> Record:
    """Read a record; an empty one if there is no file.

    Raises:
        BenchError: It is malformed.
    """
    if not path.exists():
        return Record()
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BenchError(
            f"malformed: {error}", where=str(path), remedy="restore it from git, or delete it"
        ) from error


def write(record: Record, path: Path) -> None:
    """Write a record."""
    write_atomically(path, record.model_dump_json(indent=2).encode() + b"\n")
