"""The program that fetches: `python -m embedding_service.supply.fetch MODEL CACHE TARGET`.

It makes the directory TARGET out of what the model's directory has and what a hub has, through
huggingface_hub and its cache: HF_TOKEN, HF_TOKEN_PATH and HF_ENDPOINT (a mirror) count. Each file
is pinned to a commit and checked by its sha256. It prints a line for each file, and on failure one
that says why; it ends when its standard input ends.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from embedding_service import recipe as recipes
from embedding_service.errors import ModelError
from embedding_service.recipe import RECIPE_FILE, HubFile

HUB = "hub"
"""In the cache: huggingface_hub's own part."""

GRACE_SECONDS = 3
"""How long it may take to clear away what is half-done."""

PAUSES = (1, 4)
"""Seconds before the second and third attempt, where it may help: not every version of
huggingface_hub tries again by itself when a connection breaks."""

_FINAL = {
    "GatedRepoError": "agree to its conditions on the hub, and set HF_TOKEN to a token of that "
    "account",
    "RepositoryNotFoundError": "there is no such repository, or it is private: set HF_TOKEN",
    "RevisionNotFoundError": "the repository has no such commit",
    "RemoteEntryNotFoundError": "the repository has no such file at this commit",
    "EntryNotFoundError": "the repository has no such file at this commit",
}
"""What those of huggingface_hub's errors mean that another attempt ends with too, by their names:
not every version has each of them."""


def main() -> int:
    """Fetch as the arguments say; return the exit status."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    model_dir, cache, target = map(Path, sys.argv[1:])
    try:
        fetch(model_dir, cache, target)
    except KeyboardInterrupt:
        return 1
    except ModelError as error:
        _say(str(error))
        return error.exit_code
    except OSError as error:
        place = error.filename or cache
        _say(
            f"{place}: {error.strerror or error}; the user {os.getuid()} must be able to write to "
            "EMBEDDING_CACHE_DIR, and there must be room"
        )
        return ModelError.exit_code
    return 0


def fetch(model_dir: Path, cache: Path, target: Path) -> None:
    """Make a whole directory of a model, or nothing.

    Raises:
        ModelError: A file cannot be had, or is not what the recipe says.
        OSError: The cache cannot be written to.
    """
    recipe = recipes.read(model_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as partial:
        made = Path(partial) / "model"
        for name in (RECIPE_FILE, *recipe.files):
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            if (model_dir / name).exists():
                shutil.copyfile(model_dir / name, made / name)
            else:
                found = _bring(name, recipe.sources[name], recipe.files[name], cache / HUB)
                _link_or_copy(found, made / name)
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():  # another one that shares the cache was faster
                raise


def _bring(name: str, file: HubFile, sha256: str, cache: Path) -> Path:
    """Return where the hub's cache has a file that is what it has to be."""
    _say(f"{name} from {file.repository}@{file.commit[:12]}, {file.size} bytes")
    path = _download(file, cache)
    if _sha256(path) != sha256:
        _drop(path)  # it may be the cache that is damaged
        path = _download(file, cache)
        if (found := _sha256(path)) != sha256:
            _drop(path)
            raise ModelError(f"{name} has the sha256 {found}; {RECIPE_FILE} says {sha256}")
    return path


def _download(file: HubFile, cache: Path, pauses: Sequence[int] = PAUSES) -> Path:
    """Return where the hub's cache has a file, whatever is in it."""
    from huggingface_hub import (  # noqa: PLC0415 -- takes most of a second
        errors,
        hf_hub_download,
        try_to_load_from_cache,
    )

    there = try_to_load_from_cache(
        file.repository, file.path, cache_dir=cache, revision=file.commit
    )
    if isinstance(there, str):
        return Path(there)
    cache.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(cache).free) < file.size:
        raise ModelError(f"{file.path} has {file.size} bytes, and {cache} room for {free}")
    try:
        return Path(
            hf_hub_download(
                file.repository,
                file.path,
                revision=file.commit,
                cache_dir=cache,
                library_name="equivec",
            )
        )
    except PermissionError:
        raise
    except (errors.HFValidationError, OSError, RuntimeError) as error:
        final = _FINAL.get(type(error).__name__)
        problem = f"{file.repository}@{file.commit[:12]}/{file.path}: {final or _cause(error)}"
        if final or not pauses:
            raise ModelError(problem) from error
    _say(f"{problem}; trying again in {pauses[0]} s")
    time.sleep(pauses[0])
    return _download(file, cache, pauses[1:])


def _drop(path: Path) -> None:
    """Take a file out of the hub's cache: its content, and the link to that."""
    path.resolve().unlink()
    path.unlink(missing_ok=True)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _cause(error: BaseException) -> str:
    """Return the first cause of an error, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _link_or_copy(path: Path, target: Path) -> None:
    """Give a file a second name: libraries refuse links that lead out of the model's directory."""
    try:
        os.link(path.resolve(), target)
    except OSError:  # a file system without them
        shutil.copyfile(path, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _end_with_input() -> None:
    # Not through sys.stdin, whose lock would be held when the program ends by itself.
    while os.read(0, 1):
        pass
    # As Ctrl-C: what is half-done goes. A library may take no notice for a while.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
