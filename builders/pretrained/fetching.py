"""Bringing a pretrained model's files into the store, and pinning what they are.

The first fetch confirms the pins of matrix.yaml, completes those that it leaves out, and writes the
model's lock. Each later one, on whichever machine, has to give the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import declaration, model
from builders.errors import LockError, ModelError
from builders.files import write_atomically
from builders.matrix import Model
from builders.model import LockedFile, ModelLock
from builders.pretrained import arrival, making
from builders.pretrained.arrival import Content, Pin, WrongFileError
from builders.pretrained.hub import Hub
from builders.pretrained.source import Source, is_fetched, sources
from builders.project import Project
from builders.store import Store, roomy


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A model whose files are in the store.

    Attributes:
        lock: The lock that they agree with.
        written: Where it was written, if it was not there.
        completed: The files whose sha256 matrix.yaml leaves out, where that lock is new.
    """

    lock: ModelLock
    written: Path | None
    completed: tuple[str, ...]


def fetch(
    project: Project,
    name: str,
    hub: Hub,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    note: Callable[[str], None] = lambda _text: None,
) -> Fetched:
    """Bring a model's files into the store, make all of its formats, and lock them.

    Args:
        project: The checkout.
        name: The model's key in matrix.yaml.
        hub: Where the files of repositories come from.
        progress: Called with the bytes that are there, and of all whose size is known.
        note: Told what is being done.

    Raises:
        FetchError: A file cannot be had, or is not what its pin says.
        LockError: matrix.yaml and the model's lock contradict each other, or it has no files.
        ModelError: The files are not of the model that the entry describes, or cannot be converted.
    """
    entry = project.matrix.models[name]
    if not is_fetched(entry):
        raise LockError(
            f"model {name} is not fetched: it comes from {entry.source}",
            remedy="give the name of a model whose source is hub: or file:",
        )
    locked = model.read_lock(project.root, name) if _has_lock(project, name) else None
    pins = expected(name, entry, locked)
    found = _bring_all(project, entry, pins, hub, progress=progress, note=note)
    _check_source(name, entry, found)
    note(f"making {', '.join(entry.formats)}")
    made = _made(project.store, name, entry, found)
    if locked is not None:
        _check_lock(name, locked, made)
        return Fetched(lock=locked, written=None, completed=())
    path = model.lock_path(project.root, name)
    write_atomically(path, made.to_json().encode())
    return Fetched(
        lock=made,
        written=path,
        completed=tuple(file for file, pin in entry.files.items() if pin.sha256 is None),
    )


def expected(name: str, entry: Model, locked: ModelLock | None) -> Mapping[str, Pin]:
    """Return what the files have to be, by matrix.yaml and the lock.

    Raises:
        LockError: They contradict each other.
    """
    pins = {}
    before = {} if locked is None else locked.sources
    if locked is not None and before.keys() != entry.files.keys():
        raise _contradiction(name, "its files", ", ".join(before), ", ".join(entry.files))
    for path, file in entry.files.items():
        old = before.get(path)
        for what, said, was in (
            ("sha256", file.sha256, old and old.sha256),
            ("size", file.size, old and old.size),
        ):
            if said is not None and was is not None and said != was:
                raise _contradiction(name, f"the {what} of {path}", str(was), str(said))
        sha256, size = (old.sha256, old.size) if old else (file.sha256, file.size)
        pins[path] = Pin(sha256=sha256, size=size)
    return pins


def _bring_all(
    project: Project,
    entry: Model,
    pins: Mapping[str, Pin],
    hub: Hub,
    *,
    progress: Callable[[int, int], None],
    note: Callable[[str], None],
) -> Mapping[str, LockedFile]:
    total = sum(pin.size or 0 for pin in pins.values())
    done = 0
    found: dict[str, LockedFile] = {}
    for path, source in sources(project.root, entry).items():
        pin = pins[path]
        there = arrival.find(project.store, pin)
        if there is None:
            note(f"{path} from {source}")
            received = _Progress(done, total, progress)
            there = _fetch(project.store, source, pin, hub, received)
        found[path] = LockedFile(sha256=there.sha256, size=there.size)
        done += there.size
        progress(done, max(total, done))
    return found


class _Progress:
    """Adds up what arrives of one file."""

    def __init__(self, done: int, total: int, told: Callable[[int, int], None]) -> None:
        self._done = done
        self._total = total
        self._told = told

    def __call__(self, received: int) -> None:
        self._done += received
        self._told(self._done, max(self._total, self._done))


def _fetch(
    store: Store, source: Source, pin: Pin, hub: Hub, received: Callable[[int], None]
) -> Content:
    if isinstance(source, Path):
        return arrival.bring(store, source, pin, source=source)
    try:
        return arrival.bring(store, hub.bring(source, received), pin, source=source)
    except WrongFileError:
        # It may be the hub's cache that is damaged.
        hub.forget(source)
        return arrival.bring(store, hub.bring(source, received), pin, source=source)


def _check_source(name: str, entry: Model, found: Mapping[str, LockedFile]) -> None:
    """Check that what was fetched is what the entry declares."""
    parts: dict[declaration.Part, str] = {}
    weights = [
        f"sha256:{file.sha256}" for path, file in found.items() if path.endswith(making.WEIGHTS)
    ]
    if weights:  # of several, one is the source
        parts["weights"] = entry.weights if entry.weights in weights else weights[0]
    named: tuple[tuple[declaration.Part, str], ...] = (
        ("tokenizer", making.TOKENIZER),
        ("preprocessor", declaration.PREPROCESSOR),
    )
    for part, path in named:
        if path in found:
            parts[part] = f"sha256:{found[path].sha256}"
    declaration.check(name, entry, parts)


def _made(store: Store, name: str, entry: Model, found: Mapping[str, LockedFile]) -> ModelLock:
    """Make all formats once, to see what they consist of."""
    files = {path: store.path(file.sha256) for path, file in found.items()}
    formats = {}
    for form in entry.formats:
        with tempfile.TemporaryDirectory(dir=store.cache) as scratch, roomy(store.cache):
            making.make(name, entry, form, files, Path(scratch))
            formats[form] = model.locked_files(Path(scratch))
    return ModelLock(formats=formats, sources=found)


def _has_lock(project: Project, name: str) -> bool:
    return model.lock_path(project.root, name).exists()


def _check_lock(name: str, locked: ModelLock, made: ModelLock) -> None:
    changes = model.lock_changes(locked, made)
    if changes:
        raise ModelError(
            f"model {name} is not what its lock says: {'; '.join(changes)}",
            where=f"images/models/{name}.json",
            remedy="where the entry or the conversion was changed and that is meant, delete the"
            " lock and fetch again: its vectors may differ",
        )


def _contradiction(name: str, what: str, locked: str, said: str) -> LockError:
    return LockError(
        f"{what}: {locked} by its lock, {said} by matrix.yaml",
        where=f"images/models/{name}.json",
        remedy="correct matrix.yaml, or delete the lock and fetch again, if the change is meant",
    )
