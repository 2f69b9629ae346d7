"""Which cells a command works on."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from builders import cell
from builders.cell import CellName
from builders.errors import SelectionError
from builders.matrix import Matrix
from builders.matrix.spelling import suggestion


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a command line says about cells.

    A cell has to be among the named backends, platforms and models, and to match a glob of `only`,
    where there are any. Where neither `only` nor `all` is given, what is not named is limited to
    matrix.yaml's default selection.
    """

    backends: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    all: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the selection's options to a command."""
    group = parser.add_argument_group(
        "selection", "Without any of these: the default selection of matrix.yaml."
    )
    for axis, example in (
        ("backend", "onnxruntime"),
        ("platform", "linux/arm64"),
        ("model", "fixture-768"),
    ):
        group.add_argument(
            f"--{axis}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"this {axis} ({example}); several: repeat it, or separate them by commas",
        )
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="cells whose id matches ('onnxruntime-*-arm64'), of all there are; may be repeated",
    )
    group.add_argument("--all", action="store_true", help="every cell")


def from_arguments(arguments: argparse.Namespace) -> Selection:
    """Return the selection of a parsed command line.

    Raises:
        SelectionError: An option is given without a name.
    """
    return Selection(
        backends=_split("--backend", arguments.backend),
        platforms=_split("--platform", arguments.platform),
        models=_split("--model", arguments.model),
        only=tuple(arguments.only),
        all=arguments.all,
    )


def reasons(selection: Selection, matrix: Matrix) -> Mapping[CellName, str | None]:
    """Return for every cell, in the file's order, why it is not selected; None if it is.

    Raises:
        SelectionError: The selection names something that the matrix does not have, or matches no
            cell.
    """
    _refuse_unknown("--backend", selection.backends, matrix.backends)
    _refuse_unknown("--platform", selection.platforms, matrix.platforms)
    _refuse_unknown("--model", selection.models, matrix.models)
    names = cell.names(matrix)
    ids = tuple(name.id for name in names)
    for glob in selection.only:
        if not any(fnmatchcase(identifier, glob) for identifier in ids):
            raise _nothing(f"no cell's id matches {glob!r}{suggestion(glob, ids)}", "--only", ids)
    found = {name: _reason(selection, matrix, name) for name in names}
    if None not in found.values():
        raise _nothing("no cell matches all of the selection", "selection", ids)
    return found


def _reason(selection: Selection, matrix: Matrix, name: CellName) -> str | None:
    axes = (
        ("--backend", name.backend, selection.backends, matrix.default.backends),
        ("--platform", name.platform, selection.platforms, matrix.default.platforms),
        ("--model", name.model, selection.models, matrix.default.models),
    )
    for option, value, named, _ in axes:
        if named and value not in named:
            return f"not selected by {option} {','.join(named)}"
    if selection.only:
        matches = any(fnmatchcase(name.id, glob) for glob in selection.only)
        return None if matches else f"not selected by --only {' --only '.join(selection.only)}"
    if selection.all:
        return None
    outside = any(
        not named and default and value not in default for _, value, named, default in axes
    )
    return "not in the default selection (use --all)" if outside else None


def _split(option: str, values: Sequence[str]) -> tuple[str, ...]:
    """Return the names of `--option a,b --option c`, each once."""
    names = (name.strip() for value in values for name in value.split(","))
    found = tuple(dict.fromkeys(name for name in names if name))
    if values and not found:
        raise SelectionError("names nothing", where=option, remedy="give a name, or leave it out")
    return found


def _refuse_unknown(option: str, named: Iterable[str], known: Iterable[str]) -> None:
    for name in named:
        if name not in known:
            raise SelectionError(
                f"{name!r} is not in matrix.yaml{suggestion(name, known)}",
                where=option,
                remedy=f"there are: {', '.join(known)}",
            )


def _nothing(problem: str, where: str, ids: Sequence[str]) -> SelectionError:
    shown = "\n     ".join(ids)
    return SelectionError(problem, where=where, remedy=f"there are:\n     {shown}")
