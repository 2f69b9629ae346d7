"""What blobs unpack to, remembered: a blob is hashed each time, and unpacked once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from builders.files import digest_of, sha256_of
from builders.formats import layer, layout
from builders.formats.layout import Layout, Remember
from builders.store import Store

KIND = "unpacked-sizes"
"""The kind of derived directory that holds one number."""

_FILE = "bytes"


def read(store: Store, directory: Path) -> Layout:
    """Read and verify an image layout, and unpack no blob that was unpacked before.

    Raises:
        LayoutError: See `layout.read`.
        ArchiveError: A layer does not decompress.
    """
    return layout.read(directory, remember=remembering(store))


def remembering(store: Store) -> Remember:
    """Return a memory in the cache. What a calculation refuses is not remembered."""

    def remember(key: tuple[str, ...], calculation: Callable[[], int]) -> int:
        def make(directory: Path) -> None:
            (directory / _FILE).write_text(str(calculation()), encoding="utf-8")

        digest = digest_of({"code": _code(), "key": list(key)}).removeprefix("sha256:")
        return int((store.derived(KIND, digest, make) / _FILE).read_text(encoding="utf-8"))

    return remember


@cache
def _code() -> list[str]:
    """Return the digests of what calculates: an earlier, laxer one may have let things pass."""
    return [sha256_of(Path(str(module.__file__))) for module in (layer, layout)]
