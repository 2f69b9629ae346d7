"""Notices: what an image says of itself, made from what goes into it before it is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from builders.build import Context
from builders.files import digest_of, tree_digests
from builders.inventory import archives, documents, inventory
from builders.inventory.component import Component
from builders.inventory.inventory import Declared
from builders.paths import INVENTORY, SITE
from builders.store import Store
from builders.wheelhouse.wheels import Wheels

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Notices:
    """The inventory in its two forms.

    Attributes:
        directory: Holds them, and nothing else.
    """

    directory: Path

    @property
    def context(self) -> Context:
        """The build context that is this directory."""
        files = dict(tree_digests(self.directory))
        return Context(location=str(self.directory), digest=digest_of(files))

    @property
    def inventory(self) -> Path:
        """The one for programs."""
        return self.directory / PurePosixPath(INVENTORY).name


def of_image(
    store: Store,
    declared: Declared,
    *,
    root: Callable[[], Path],
    wheels: Wheels,
    prune: Sequence[str],
) -> Notices:
    """Return the notices of an image that is to be built; they are made once and kept.

    Args:
        store: Where they are kept.
        declared: What the image is made of, by its locks.
        root: Returns the layout of the root file system's packages; only asked when they are made.
        wheels: Those that go in.
        prune: Glob patterns of what the wheels' layer leaves out.

    Raises:
        ArchiveError: A package or a wheel holds what it must not.
    """

    def components() -> tuple[Component, ...]:
        return inventory.components(
            archives.debian_packages(root()),
            archives.wheels(_files(wheels), prune=prune, site=f"/{SITE}"),
            declared,
        )

    return _kept(store, declared, components, others=[wheels.digest, *prune])


def of_host(store: Store, declared: Declared, *, wheels: Wheels, site: Path) -> Notices:
    """Return the notices of a service that runs on this host; they are made once and kept.

    Args:
        store: Where they are kept.
        declared: What the service is made of, by its locks.
        wheels: Those of its environment.
        site: The environment's site directory.

    Raises:
        ArchiveError: A wheel holds what it must not.
    """

    def components() -> tuple[Component, ...]:
        found = archives.wheels(_files(wheels), prune=(), site=str(site))
        return inventory.components((), found, declared)

    return _kept(store, declared, components, others=[wheels.digest, str(site)])


def _kept(
    store: Store,
    declared: Declared,
    components: Callable[[], tuple[Component, ...]],
    *,
    others: Iterable[str],
) -> Notices:
    key = digest_of(
        {
            "code": [dict(tree_digests(place)) for place in (_FOLDER, _FOLDER.parent / "formats")],
            "cyclonedx": version("cyclonedx-python-lib"),
            "declared": asdict(declared),
            "others": list(others),
        }
    )

    def make(directory: Path) -> None:
        told = documents.of(declared.title, components(), epoch=declared.epoch)
        for path, content in told.items():
            (directory / PurePosixPath(path).name).write_bytes(content)

    return Notices(directory=store.derived("notices", key.removeprefix("sha256:"), make))


def _files(wheels: Wheels) -> list[Path]:
    return [wheels.directory / wheel.file for wheel in wheels.wheels]
