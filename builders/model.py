"""Models: their lock, and the directory that a backend loads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders import declaration, fixture, space, upstream
from builders.errors import LockError, ModelError
from builders.files import sha256_of, tree_digests, write_atomically
from builders.matrix import Format, Matrix, Model
from builders.pretrained import arrival, making
from builders.pretrained.source import HUB, Source, is_fetched, on_hub, sources
from builders.project import Project

RECIPE = "model.json"
"""The file of a model directory that says how its vectors are made."""


class LockedFile(BaseModel):
    """A file of a model, pinned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="bytes")


class ModelLock(BaseModel):
    """The files of a model in every format that it can be had in at its precision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    formats: Mapping[Format, Mapping[str, LockedFile]]
    sources: Mapping[str, LockedFile] = {}
    """Of a model that is fetched: what it is made from, by the names in matrix.yaml."""

    def to_json(self) -> str:
        """Return the text of the lock: the same bytes for the same lock."""
        return self.model_dump_json(indent=2, exclude_defaults=True) + "\n"


def lock_path(root: Path, name: str) -> Path:
    """Return where a model's lock is, in the checkout."""
    return root / "images" / "models" / f"{name}.json"


def read_lock(root: Path, name: str) -> ModelLock:
    """Read a model's lock.

    Raises:
        LockError: It is missing or malformed.
    """
    path = lock_path(root, name)
    remedy = f"`nox -s lock` writes it, or `nox -s fetch -- --model {name}`"
    try:
        return ModelLock.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LockError(f"model {name} has no lock", where=str(path), remedy=remedy) from error
    except ValidationError as error:
        raise LockError(f"malformed: {error}", where=str(path), remedy=remedy) from error


@dataclass(frozen=True, kw_only=True)
class ModelDirectory:
    """A model's files in a format, with the recipe.

    Attributes:
        path: The directory.
        digest: `sha256:…` of the recipe, which names every file's sha256.
        files: The sha256 of each file by its path, the recipe included.
        size: Bytes.
    """

    path: Path
    digest: str
    files: Mapping[str, str]
    size: int


def directory(project: Project, name: str, form: Format | None) -> ModelDirectory:
    """Return the directory that a backend loads; it is made once and kept in the cache.

    Raises:
        LockError: The lock is missing, malformed or lacks the format.
        ModelError: There is no format, or what was made is not what the lock says, or what it is
            made from is not here.
    """
    if form is None:
        raise ModelError(f"the backend reads no format of {name}", remedy="choose another model")
    model = project.matrix.models[name]
    lock = read_lock(project.root, name)
    made = _recipe(model, name, form, lock)
    text = made.to_json().encode()

    def make(target: Path) -> None:
        if is_fetched(model):
            making.make(name, model, form, _sources(project, name, lock), target)
        else:
            _write(model, form, target)
        _check(name, made.files, tree_digests(target))
        write_atomically(target / RECIPE, text)

    return ModelDirectory(
        path=project.store.derived("models", hashlib.sha256(text).hexdigest(), make),
        digest=f"sha256:{hashlib.sha256(text).hexdigest()}",
        files={**made.files, RECIPE: hashlib.sha256(text).hexdigest()},
        size=len(text) + sum(file.size for file in lock.formats[form].values()),
    )


def recipe_digest(project: Project, name: str, form: Format) -> str:
    """Return what a model's directory is kept under: the sha256 of its recipe.

    Raises:
        LockError: The lock is missing, malformed or lacks the format.
    """
    return hashlib.sha256(recipe(project, name, form).to_json().encode()).hexdigest()


def recipe(project: Project, name: str, form: Format) -> space.Recipe:
    """Return the recipe that goes into a model's directory.

    Raises:
        LockError: The lock is missing, malformed or lacks the format.
    """
    return _recipe(project.matrix.models[name], name, form, read_lock(project.root, name))


def make_lock(matrix: Matrix, name: str, scratch: Path) -> ModelLock:
    """Make a model in every format of its precision, and return what it consists of.

    Raises:
        ModelError: What it is made of is not what matrix.yaml declares.
    """
    model = matrix.models[name]
    formats: dict[Format, Mapping[str, LockedFile]] = {}
    for form in model.formats:
        target = scratch / form
        target.mkdir(parents=True)
        _write(model, form, target)
        formats[form] = locked_files(target)
    if not upstream.name_of(model):
        declaration.check(name, model, _parts(model, formats))
    return ModelLock(formats=formats)


def locked_files(directory: Path) -> Mapping[str, LockedFile]:
    """Return every file below a directory, pinned, by its path."""
    return {
        path.relative_to(directory).as_posix(): LockedFile(
            sha256=sha256_of(path), size=path.stat().st_size
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def absent(project: Project) -> Mapping[str, str]:
    """Return the models whose files are not here, each with the reason; no network is touched."""
    return {
        name: _need(name, entry)
        for name, entry in project.matrix.models.items()
        if is_fetched(entry) and not _is_here(project, name, entry)
    }


def lock_changes(old: ModelLock, new: ModelLock) -> tuple[str, ...]:
    """Compare a model's locks.

    Returns:
        A line for each file that was added (`+ onnx/model.onnx sha256 …`), removed (`- …`) or
        changed, with the beginnings of the digests.
    """
    before, after = _files(old), _files(new)
    return tuple(
        _change(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def present(project: Project, missing: Mapping[str, str]) -> Project:
    """Return the checkout as if its matrix had only the models that are here: no anchor is absent.

    Args:
        project: The checkout.
        missing: The models that are not, from `absent`.
    """
    kept = {name: entry for name, entry in project.matrix.models.items() if name not in missing}
    return replace(project, matrix=project.matrix.model_copy(update={"models": kept}))


def _write(model: Model, form: Format, directory: Path) -> None:
    """Write the files of a model that is generated, except model.json."""
    if upstream.name_of(model):
        upstream.write(model, directory)
    else:
        fixture.write(_fixture(model), form, directory, model.precision)


def _parts(
    model: Model, formats: Mapping[Format, Mapping[str, LockedFile]]
) -> Mapping[declaration.Part, str]:
    """Return the digests of what a fixture is made of."""
    made = fixture.source_digests(_fixture(model))
    parts: dict[declaration.Part, str] = {"weights": made.weights, "tokenizer": made.tokenizer}
    for files in formats.values():
        if declaration.PREPROCESSOR in files:
            parts["preprocessor"] = f"sha256:{files[declaration.PREPROCESSOR].sha256}"
    return parts


def _fixture(model: Model) -> str:
    return model.source.removeprefix("fixture:")


def _need(name: str, entry: Model) -> str:
    what = "the hub" if entry.source.startswith(HUB) else f"{entry.source} to be read"
    return f"needs {what}: `nox -s fetch -- --model {name}`"


def _is_here(project: Project, name: str, entry: Model) -> bool:
    """Return whether a model was fetched: it has a lock, and what that names is at hand."""
    if not lock_path(project.root, name).exists():
        return False
    lock = read_lock(project.root, name)
    places = sources(project.root, entry)
    return all(
        project.store.find(file.sha256, file.size) is not None or _is_local(places.get(path))
        for path, file in lock.sources.items()
    )


def _is_local(place: Source | None) -> bool:
    return isinstance(place, Path) and place.is_file()


def _sources(project: Project, name: str, lock: ModelLock) -> Mapping[str, Path]:
    """Return where a fetched model's files are: in the store, where local ones are brought now."""
    entry = project.matrix.models[name]
    for path, place in sources(project.root, entry).items():
        if isinstance(place, Path) and path in lock.sources:
            pin = arrival.Pin(**lock.sources[path].model_dump())
            if arrival.find(project.store, pin) is None:
                arrival.bring(project.store, place, pin, source=place)
    found = {
        path: project.store.find(file.sha256, file.size) for path, file in lock.sources.items()
    }
    if None in found.values():
        raise ModelError(f"model {name} {_need(name, entry)}")
    return {path: file for path, file in found.items() if file is not None}


def _files(lock: ModelLock) -> dict[str, LockedFile]:
    """Return a lock's files by format and path; what a format is made from, as `sources`."""
    parts = (*lock.formats.items(), ("sources", lock.sources))
    return {f"{part}/{path}": file for part, files in parts for path, file in files.items()}


def _change(name: str, old: LockedFile | None, new: LockedFile | None) -> str:
    if new is None:
        return f"- {name}"
    if old is None:
        return f"+ {name} sha256 {new.sha256[:12]}"
    return f"{name} sha256 {old.sha256[:12]} -> {new.sha256[:12]}"


def _recipe(model: Model, name: str, form: Format, lock: ModelLock) -> space.Recipe:
    if form not in lock.formats:
        raise LockError(
            f"the lock of model {name} has no format {form}",
            remedy="`nox -s lock` writes it; of a fetched model, delete the lock and fetch again",
        )
    locked = lock.formats[form]
    unaltered = [path for path, file in locked.items() if lock.sources.get(path) == file]
    return space.recipe(
        name,
        model,
        file_format=form,
        files={path: file.sha256 for path, file in locked.items()},
        sources={
            path: space.HubFile(**vars(place), size=locked[path].size)
            for path, place in on_hub(model, unaltered).items()
        },
    )


def _check(name: str, expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Compare a model's files with its lock."""
    wrong = [
        f"{path}: {found.get(path, 'missing')} instead of {expected.get(path, 'nothing')}"
        for path in sorted({*expected, *found})
        if expected.get(path) != found.get(path)
    ]
    if wrong:
        raise ModelError(
            f"model {name} is not what its lock says: {'; '.join(wrong)}",
            remedy="`nox -s lock` pins it anew, if the change is meant: its vectors may differ",
        )
