"""The lock session: every lock of the images, chosen anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from builders.lock import debian_renewal, wheel_renewal
from builders.lock.renewal import Renewal
from builders.network import indexes
from builders.network.mirrors import mirrors
from builders.rootfs.kept import BASE, TOOLCHAIN
from builders.store import Store
from builders.wheelhouse import recipe as recipes

BUILD_PLATFORMS = ("linux/amd64", "linux/arm64")
"""Where wheel stages run: what builds a wheel is locked for each, whatever is built for."""


def renewals(
    images: Path,
    backends: Mapping[str, Sequence[str]],
    store: Store,
    *,
    note: Callable[[str], None],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    find_links: Mapping[str, str] | None = None,
) -> tuple[Renewal, ...]:
    """Resolve everything that images are made from; nothing of the checkout is written.

    Args:
        images: The checkout's folder of that name.
        backends: The platforms of each backend, hosts included.
        store: Where what was chosen is brought to be opened.
        note: Told what is being done.
        progress: Called with the bytes that are there, and of all that are needed.
        find_links: The page of a project's wheels, by its name (matrix.yaml).

    Returns:
        Every lock file's new content, whether it differs from what is there or not.

    Raises:
        LockError: A list or requirement cannot be met.
        FetchError: A mirror or index cannot be reached.
        ArchiveError: A package or wheel is malformed or hostile.
    """
    found: list[Renewal] = []
    configured = indexes.configured(store.cache, find_links=find_links or {})
    for folder, platforms in wheel_locks(images, backends):
        note(f"choosing the wheels of {folder.name} for {', '.join(platforms)}")
        found += wheel_renewal.renewals(
            folder,
            platforms,
            store,
            configured,
            progress=progress,
            recipes=recipes.names(folder),
        )
    places = mirrors()
    for folder, platform in debian_locks(images, backends):
        note(f"choosing the Debian packages of {folder.name} for {platform}")
        found.append(debian_renewal.renewal(folder, platform, store, places, progress=progress))
    return tuple(found)


def wheel_locks(
    images: Path, backends: Mapping[str, Sequence[str]]
) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    """Return every folder with requirements, and the platforms that they are locked for.

    A backend's wheel recipes come after it. What they require runs where the wheel is built: in the
    wheel stage, on whichever platform that is, and on the backend's hosts.
    """
    found: list[tuple[Path, tuple[str, ...]]] = []
    for backend, platforms in backends.items():
        found.append((images / backend, tuple(platforms)))
        hosts = (name for name in platforms if not name.startswith("linux/"))
        builders = (*BUILD_PLATFORMS, *hosts)
        found += [(folder, builders) for folder in _recipe_folders(images / backend)]
    return tuple(found)


def debian_locks(
    images: Path, backends: Mapping[str, Sequence[str]]
) -> tuple[tuple[Path, str], ...]:
    """Return the folder and platform of every lock of Debian packages.

    The images' root file system is locked for each of their platforms; the wheel stage's, where a
    backend has a recipe, for each that the stage runs on.
    """
    targets = {name for names in backends.values() for name in names if name.startswith("linux/")}
    has_recipes = any(_recipe_folders(images / backend) for backend in backends)
    return (
        *((images / BASE, platform) for platform in sorted(targets)),
        *((images / TOOLCHAIN, platform) for platform in BUILD_PLATFORMS if has_recipes),
    )


def _recipe_folders(backend: Path) -> tuple[Path, ...]:
    return tuple(backend / recipes.FOLDER / name for name in recipes.names(backend))
