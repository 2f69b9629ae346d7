"""Every way in which a run can fail: one class and one exit code for each kind."""

from __future__ import annotations


class EquivecError(Exception):
    """A failure that the user can understand and act on.

    Args:
        problem: What is wrong, naming the thing and the value.
        where: The file, key, cell or command it concerns.
        remedy: What to do about it.
    """

    exit_code = 1

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{text}\n  -> {self.remedy}" if self.remedy else text


class CellsFailedError(EquivecError):
    """At least one selected, supported cell did not pass."""

    exit_code = 3


class MatrixError(EquivecError):
    """matrix.yaml is malformed or says something impossible."""

    exit_code = 10


class SelectionError(EquivecError):
    """The selection names something unknown, or matches nothing."""

    exit_code = 11


class LockError(EquivecError):
    """A lock is missing, malformed, or contradicts the matrix."""

    exit_code = 12


class PreflightError(EquivecError):
    """A cell cannot exist: its locked inputs do not fit its platform."""

    exit_code = 13


class FetchError(EquivecError):
    """An input could not be downloaded, or is not what the lock says."""

    exit_code = 14


class StoreError(EquivecError):
    """The cache directory cannot be used."""

    exit_code = 15


class EngineError(EquivecError):
    """No usable Docker engine, or it failed."""

    exit_code = 16


class BuildError(EquivecError):
    """An image could not be built."""

    exit_code = 17


class LayoutError(EquivecError):
    """A directory is not a well-formed OCI image layout."""

    exit_code = 18


class ArchiveError(EquivecError):
    """An archive (wheel, Debian package, layer) holds something it must not."""

    exit_code = 19


class ModelError(EquivecError):
    """A model directory is not what its recipe and lock say."""

    exit_code = 20


class SmokeError(EquivecError):
    """A container could not be started or did not become ready."""

    exit_code = 21


class ReferenceVectorsError(EquivecError):
    """Reference vectors could not be made, or do not belong to the cell."""

    exit_code = 22


class ProcessError(EquivecError):
    """A program that Equivec runs failed."""

    exit_code = 23


class PublicationError(EquivecError):
    """Images could not be published."""

    exit_code = 24


class ServeError(EquivecError):
    """The service could not be started on this host."""

    exit_code = 25


class BenchError(EquivecError):
    """Something could not be measured."""

    exit_code = 26


class RebuildError(EquivecError):
    """A rebuild of the same inputs gave another image."""

    exit_code = 27


class SigningError(EquivecError):
    """A statement could not be signed, or is not signed by anyone who is trusted."""

    exit_code = 28


class RegistryError(EquivecError):
    """A registry did not answer, refused, or holds something else than it should."""

    exit_code = 29


class MergeError(EquivecError):
    """Cells of several machines do not belong together, or are not all there."""

    exit_code = 30


class ReleaseError(EquivecError):
    """Images cannot be released as the policy asks."""

    exit_code = 31


class VerifyError(EquivecError):
    """A published image is not what is said of it."""

    exit_code = 32


class ToolError(EquivecError):
    """A program that Equivec needs is not here and cannot be obtained."""

    exit_code = 33
