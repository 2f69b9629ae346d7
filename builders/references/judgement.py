"""Another host's vectors, held against this one's: how the rows of hosts elsewhere are filled."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from builders import host, outcome, parity, plan, reference, stages
from builders.cell import CellName, names
from builders.check import Check
from builders.errors import CellsFailedError, EquivecError, ReferenceVectorsError
from builders.plan import Cell, Plan
from builders.project import Project
from builders.references import host as hosts
from builders.references.file import Reference
from builders.report import Reporter
from builders.report.summary import Row
from builders.vectors import Vectors
from builders.wheelhouse.gather import Toolchain


def cells(project: Project, planned: Plan, found: Mapping[str, Reference]) -> tuple[Cell, ...]:
    """Return what is compared: what a selection asks for of what other hosts have made.

    Raises:
        ReferenceVectorsError: There are vectors of what matrix.yaml does not have.
    """
    known = {name.id: name for name in names(project.matrix)}
    for each in found.values():
        if each.cell not in known or known[each.cell].platform != each.platform:
            raise ReferenceVectorsError(
                f"matrix.yaml has no cell {each.cell} for {each.platform}",
                where=each.cell,
                remedy="make the vectors with this checkout",
            )
    wanted = {(cell.backend, cell.model) for cell in planned.cells if cell.selected}
    return tuple(
        _cell(project, name)
        for name in known.values()
        if name.id in found and (name.backend, name.model) in wanted
    )


def judged(
    project: Project, wanted: Sequence[Cell], found: Mapping[str, Reference], reporter: Reporter
) -> Mapping[str, Row]:
    """Hold other hosts' vectors against this host's, and return a row for each cell, by its id.

    Raises:
        FetchError: What this host's vectors are made with cannot be fetched.
        LockError: A lock is missing or malformed.
    """
    if not wanted:
        return {}
    here = [plan.cell(project.matrix, each.backend, each.model, host.current()) for each in wanted]
    tools = hosts.toolchain(project, here, reporter)
    return {cell.id: judge(project, cell, found[cell.id], tools, reporter) for cell in wanted}


def judge(
    project: Project, cell: Cell, found: Reference, tools: Toolchain, reporter: Reporter
) -> Row:
    """Hold another host's vectors against this host's, and return what came out.

    Args:
        project: The checkout.
        cell: The other host's.
        found: What came from there.
        tools: What builds wheels.
        reporter: Told what goes on.
    """
    begun = time.monotonic()
    reporter.stage(cell.id, "parity")
    try:
        theirs = _theirs(project, cell, found)
        checks = _checks(project, cell, _own(project, cell, tools, reporter), theirs)
        _refuse_failed(cell, checks)
    except EquivecError as error:
        reporter.failed(cell.id, error)
        return Row(cell=cell.id, result="failed", reason=error.problem.partition("\n")[0])
    reporter.passed(cell.id, f"{found.processor}, held against {host.processor()}")
    return Row(
        cell=cell.id,
        result="passed",
        parity=outcome.nearest_to_its_limit(checks),
        seconds=time.monotonic() - begun,
    )


def rows(planned: Plan, judged: Mapping[str, Row]) -> tuple[Row, ...]:
    """Return a row for each host elsewhere that a selection asks for, and for all that was judged.

    A host whose vectors nobody brought is absent, and never passed.
    """
    absent = {row.cell: row for row in outcome.rows(planned, ()) if row.result == "absent"}
    return tuple({**absent, **judged}.values())


def _cell(project: Project, name: CellName) -> Cell:
    return plan.cell(project.matrix, name.backend, name.model, name.platform)


def _theirs(project: Project, cell: Cell, found: Reference) -> Vectors:
    """Return the vectors that came from elsewhere.

    Raises:
        ReferenceVectorsError: They were made from something else than this checkout has.
    """
    expected = asdict(hosts.made_from(project, cell, found.platform))
    others = [name for name, digest in asdict(found.made_from).items() if digest != expected[name]]
    if others:
        raise ReferenceVectorsError(
            f"made from another {', '.join(others)} than this checkout has",
            where=cell.id,
            remedy="make them anew there, with the same revision",
        )
    return found.read(reference.corpus(project, hosts.own(project, cell)).ids)


def _own(project: Project, cell: Cell, tools: Toolchain, reporter: Reporter) -> Vectors:
    maker = hosts.own(project, cell)
    return reference.vectors(
        project, maker, stages.host_python(project, maker.backend, tools, reporter)
    )


def _checks(project: Project, cell: Cell, own: Vectors, theirs: Vectors) -> tuple[Check, ...]:
    maker = hosts.own(project, cell)
    tolerance = project.matrix.tolerances[project.matrix.models[maker.model].precision]
    may_differ = project.matrix.backends[maker.backend].versions_may_differ
    return (
        *parity.compare(own, theirs, tolerance),
        parity.libraries(own, theirs, may_differ, there=f"on {cell.platform}"),
    )


def _refuse_failed(cell: Cell, checks: tuple[Check, ...]) -> None:
    """Raise what the checks that failed say, if any did."""
    failed = [check for check in checks if not check.passed]
    if failed:
        lines = [
            f"{check.name}: {check.figure} (limit {check.limit}) {'; '.join(check.details)}"
            for check in failed
        ]
        listed = "".join(f"\n  {line}" for line in lines)
        raise CellsFailedError(
            f"{', '.join(check.name for check in failed)} failed{listed}",
            where=cell.id,
            remedy="compare the versions of both hosts' libraries, and their processors",
        )
