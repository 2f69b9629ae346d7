"""What wheels may ask for is read from the libraries' own packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import LockError
from builders.lock import debian_renewal
from builders.lock.debian_renewal import symbol_versions
from builders.network.mirrors import Mirrors
from builders.store import Store
from tests.unit.debs import deb
from tests.unit.elf_samples import elf_file
from tests.unit.images import file, symlink

LIBRARY = elf_file(defines=["GLIBCXX_3.4.9", "GLIBCXX_3.4.30"])


def test_a_library_is_found_behind_its_link_and_script(tmp_path: Path) -> None:
    package = deb(
        tmp_path,
        "libstdc++6",
        [
            file("./usr/share/gdb/libstdc++.so.6.0.30-gdb.py", "import gdb"),
            symlink("./usr/lib/libstdc++.so.6", "libstdc++.so.6.0.30"),
            file("./usr/lib/libstdc++.so.6.0.30", LIBRARY),
        ],
    )
    assert symbol_versions(package, "libstdc++.so.6") == ("GLIBCXX_3.4.30", "GLIBCXX_3.4.9")


def test_a_package_without_the_library_is_named(tmp_path: Path) -> None:
    package = deb(tmp_path, "libc6", [file("./lib/libm.so.6", LIBRARY)])
    with pytest.raises(LockError, match=r"libc6_.*\.deb holds no libc\.so\.6"):
        symbol_versions(package, "libc.so.6")


def test_a_list_without_the_libraries_is_refused(tmp_path: Path) -> None:
    nowhere = Mirrors(main="http://127.0.0.1:9", security=None, keyring=tmp_path)
    with pytest.raises(LockError, match=r"libc6 and libstdc\+\+6 define no symbol versions"):
        debian_renewal._libraries((), Store(tmp_path), nowhere, lambda _done, _total: None)
