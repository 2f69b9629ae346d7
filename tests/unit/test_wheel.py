"""What wheels hold is found inside them, and hostile ones are refused."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from builders.errors import ArchiveError
from builders.formats import binary, wheel
from builders.formats.wheel import Contents, distribution, importable_names, inspect
from tests.unit.elf_samples import elf_file

MACH_O = struct.pack("<II", 0xFEEDFACF, 0x0100000C)


def make(folder: Path, members: Mapping[str, bytes]) -> Path:
    path = folder / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_pure_wheel_holds_no_machine_code(tmp_path: Path) -> None:
    path = make(tmp_path, {"x/__init__.py": b"", "x-1.dist-info/RECORD": b""})
    assert inspect(path) == Contents(binaries=(), glibc=None, glibcxx=None, names=("x",))


def test_a_label_of_any_hides_no_machine_code(tmp_path: Path) -> None:
    path = make(tmp_path, {"x/lib/model.dat": MACH_O, "x/__init__.py": b""})
    assert inspect(path).binaries == ("mach-o arm64",)


def test_what_no_image_will_hold_does_not_count(tmp_path: Path) -> None:
    members = {
        "x/__init__.py": b"",
        "x-1.data/purelib/x/cli.dylib": MACH_O,
        "x/deep/lib.so": elf_file(asks_for=["GLIBC_2.99"]),
        "y/__init__.py": b"",
    }
    path = make(tmp_path, members)
    assert inspect(path, leave_out=["x/*.dylib", "x/*.so", "y/*"]) == Contents(
        binaries=(), glibc=None, glibcxx=None, names=("x",)
    )
    assert inspect(path, leave_out=["*.so", "cli.dylib"]).binaries == ("mach-o arm64",)


def test_the_newest_symbol_versions_of_all_files(tmp_path: Path) -> None:
    members = {
        "x/a.so": elf_file(machine="arm64", asks_for=["GLIBC_2.17", "GLIBCXX_3.4.9"]),
        "x.libs/libb.so.1": elf_file(machine="arm64", asks_for=["GLIBC_2.34", "GLIBCXX_3.4.21"]),
        "x/__init__.py": b"",
    }
    assert inspect(make(tmp_path, members)) == Contents(
        binaries=("elf arm64",), glibc="2.34", glibcxx="3.4.21", names=("x",)
    )


def test_a_library_is_read_to_its_end(tmp_path: Path) -> None:
    versions = [f"GLIBC_2.{number}" for number in range(2000)]
    library = elf_file(asks_for=versions)
    assert len(library) > 2 * binary.HEAD
    assert inspect(make(tmp_path, {"x.so": library})).glibc == "2.1999"


@pytest.mark.parametrize(
    ("members", "names"),
    [
        (["six.py", "six-1.dist-info/METADATA"], ("six",)),
        (["yaml/__init__.py", "_yaml/__init__.py", "yaml/_yaml.cpython-311.so"], ("yaml",)),
        (["google/protobuf/__init__.py", "google/protobuf/internal/__init__.py"],
         ("google.protobuf",)),
        (["fast.cpython-311-x86_64-linux-gnu.so", "slow.abi3.so"], ("fast", "slow")),
        (["x-1.data/purelib/x/__init__.py", "x-1.data/scripts/run.py"], ("x",)),
        (["x/__init__.abi3.so", "x.libs/libx.so.1", "share/x/y.txt"], ("x",)),
        (["a/b/__init__.py", "a/c/__init__.py"], ("a.b", "a.c")),
        (["x.py", "NOTES.txt", "x.pth", "libx.so.1"], ("x",)),
        (["x.py", "2to3.py", "x-y.py", "a-b/__init__.py"], ("x",)),
        (["__init__.py", "x/__init__.py", "y.py"], ("x", "y")),
    ],
)  # fmt: skip
def test_importable_names(members: list[str], names: tuple[str, ...]) -> None:
    assert importable_names(members) == names


def test_the_file_name_tells_project_and_version() -> None:
    assert distribution("Huggingface_Hub-2.4.0-py3-none-any.whl") == ("huggingface-hub", "2.4.0")
    assert distribution("torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl") == ("torch", "2.13.0+cpu")
    with pytest.raises(ArchiveError, match="whl"):
        distribution("torch.zip")


@pytest.mark.parametrize("name", ["../x.py", "/etc/passwd", "x/../../y", "x\\..\\y"])
def test_a_member_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="leads out") as caught:
        inspect(make(tmp_path, {name: b""}))
    assert name in caught.value.problem


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr("x.py", b"good")
        archive.writestr("x.py", b"evil")
    with pytest.raises(ArchiveError, match=r"x\.py is there twice"):
        inspect(path)


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "MOST_BYTES", 1000)
    with pytest.raises(ArchiveError, match=r"big\.bin"):
        inspect(make(tmp_path, {"big.bin": bytes(1001)}))


def test_a_truncated_wheel_is_an_error_under_the_name_it_is_called(tmp_path: Path) -> None:
    path = make(tmp_path, {"x.py": b"x" * 100})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ArchiveError, match="not a readable wheel") as caught:
        inspect(path, name="y-2-py3-none-any.whl")
    assert caught.value.where == "y-2-py3-none-any.whl"


def test_an_altered_member_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.so", elf_file(needed=["one"]))
    path.write_bytes(path.read_bytes().replace(b"one\0", b"two\0"))
    with pytest.raises(ArchiveError, match="CRC"):
        inspect(path)


def test_a_malformed_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"x/bad\.so: a malformed ELF file"):
        inspect(make(tmp_path, {"x/bad.so": elf_file(needed=["x"])[:100]}))
