"""Programs and libraries: of which machine they are, and what they would not find."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.elf_samples import elf_file
from tests.unit.images import directory, file, symlink
from tests.unit.sound_image import LIBRARIES, SoundImage

LIBRARY = "usr/lib/extra/libextra.so"


def spoiled(content: bytes) -> SoundImage:
    image = SoundImage()
    image.put(file(LIBRARY, content))
    return image


def test_another_machine_fails(tmp_path: Path) -> None:
    assert spoiled(elf_file(machine="arm64")).failures(tmp_path) == {
        "elf-machine": (f"/{LIBRARY}: arm64",)
    }


def test_a_malformed_elf_file_fails(tmp_path: Path) -> None:
    ((name, (detail,)),) = spoiled(elf_file()[:80]).failures(tmp_path).items()
    assert name == "elf-machine"
    assert detail.startswith(f"/{LIBRARY}: a malformed ELF file")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (struct.pack("<II", 0xFEEDFACF, 0x0100000C) + bytes(100), "mach-o (arm64)"),
        (struct.pack(">IIII", 0xCAFEBABE, 1, 0x01000007, 3) + bytes(100), "mach-o (amd64)"),
        (b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0\x64\x86", "pe (amd64)"),
    ],
)
def test_a_program_of_another_system_fails(content: bytes, kind: str, tmp_path: Path) -> None:
    assert spoiled(content).failures(tmp_path) == {"no-foreign-programs": (f"/{LIBRARY}: {kind}",)}


@pytest.mark.parametrize(
    "content", [struct.pack(">IHH", 0xCAFEBABE, 0, 61) + bytes(100), b"MZ is how a text begins"]
)
def test_what_only_begins_like_one_passes(content: bytes, tmp_path: Path) -> None:
    assert spoiled(content).failures(tmp_path) == {}


def test_a_needed_library_that_is_not_there_fails(tmp_path: Path) -> None:
    image = spoiled(elf_file(needed=["libgomp.so.1", "libc.so.6"]))
    assert image.failures(tmp_path) == {"needed-libraries": (f"/{LIBRARY}: needs libgomp.so.1",)}


def test_a_needed_library_beside_is_not_found_without_a_search_path(tmp_path: Path) -> None:
    image = spoiled(elf_file(needed=["libbeside.so"]))
    image.put(file("usr/lib/extra/libbeside.so", elf_file()))
    assert image.failures(tmp_path) == {"needed-libraries": (f"/{LIBRARY}: needs libbeside.so",)}


@pytest.mark.parametrize(
    "found", [{"rpath": "$ORIGIN"}, {"runpath": "${ORIGIN}/."}, {"rpath": "/usr/lib/extra"}]
)
def test_a_needed_library_is_found_by_a_search_path(found: dict[str, str], tmp_path: Path) -> None:
    image = spoiled(elf_file(needed=["libbeside.so"], **found))
    image.put(directory("usr/lib/extra"), file("usr/lib/extra/libbeside.so", elf_file()))
    assert image.failures(tmp_path) == {}


def test_rpath_means_nothing_beside_runpath(tmp_path: Path) -> None:
    image = spoiled(elf_file(needed=["libbeside.so"], rpath="$ORIGIN", runpath="$ORIGIN/none"))
    image.put(file("usr/lib/extra/libbeside.so", elf_file()))
    assert image.failures(tmp_path) == {"needed-libraries": (f"/{LIBRARY}: needs libbeside.so",)}


INNER = "usr/lib/extra/libinner.so"
INNERMOST = "usr/lib/extra/libinnermost.so"


def test_an_rpath_is_inherited_by_what_is_loaded(tmp_path: Path) -> None:
    image = spoiled(elf_file(needed=["libinner.so"], rpath="/usr/lib/extra"))
    image.put(directory("usr/lib/extra"), file(INNER, elf_file(needed=["libinnermost.so"])))
    image.put(file(INNERMOST, elf_file(needed=["libinner.so", "libbeside.so"])))
    image.put(file("usr/lib/extra/libbeside.so", elf_file()))
    assert image.failures(tmp_path) == {}


@pytest.mark.parametrize("folder", ["usr/lib/a", "usr/lib/z"])
def test_what_is_only_ever_loaded_is_not_opened_by_itself(folder: str, tmp_path: Path) -> None:
    """Wherever it is: before what loads it, or after."""
    image = spoiled(elf_file(needed=["libouter.so"], rpath=f"/{folder}"))
    image.put(
        directory(folder),
        file(f"{folder}/libouter.so", elf_file(needed=["libbeside.so"])),
        file(f"{folder}/libbeside.so", elf_file()),
    )
    assert image.failures(tmp_path) == {}


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ({"runpath": "/usr/lib/extra"}, {}),  # for its own needs only
        ({"rpath": "/usr/lib/extra"}, {"runpath": "$ORIGIN/.."}),  # asks by its own alone
        ({"rpath": "/usr/lib/extra:$ORIGIN"}, {}),
    ],
)
def test_what_is_not_inherited_is_not_found(
    outer: dict[str, str], inner: dict[str, str], tmp_path: Path
) -> None:
    image = spoiled(elf_file(needed=["libinner.so"], **outer))
    image.put(directory("usr/lib/extra"), file(INNER, elf_file(needed=["libbeside.so"], **inner)))
    if "ORIGIN" not in outer.get("rpath", ""):
        image.put(file("usr/lib/extra/libbeside.so", elf_file()))
    assert image.failures(tmp_path) == {"needed-libraries": (f"/{INNER}: needs libbeside.so",)}


def test_each_way_to_load_a_library_must_lead_to_what_it_needs(tmp_path: Path) -> None:
    image = spoiled(elf_file(needed=["libinner.so"], rpath="/usr/lib/extra"))
    image.put(directory("usr/lib/extra"), file(INNER, elf_file(needed=["libbeside.so"])))
    image.put(file("usr/lib/extra/libbeside.so", elf_file()))
    image.put(
        file("usr/bin/tool", elf_file(needed=["libinner.so"], runpath="/usr/lib/extra"), mode=0o755)
    )
    assert image.failures(tmp_path) == {"needed-libraries": (f"/{INNER}: needs libbeside.so",)}


def test_a_needed_library_of_another_machine_is_passed_over(tmp_path: Path) -> None:
    image = spoiled(elf_file(needed=["libdemo2.so"]))
    image.put(file(f"{LIBRARIES}/libdemo2.so", elf_file(machine="arm64")))
    assert image.failures(tmp_path) == {
        "elf-machine": (f"/{LIBRARIES}/libdemo2.so: arm64",),
        "needed-libraries": (f"/{LIBRARY}: needs libdemo2.so",),
    }


def test_a_link_that_leads_nowhere_is_no_library(tmp_path: Path) -> None:
    image = spoiled(elf_file(needed=["libssl.so.3"]))
    image.put(symlink(f"{LIBRARIES}/libssl.so.3", "libssl.so.3.0.17"))
    assert image.failures(tmp_path) == {"needed-libraries": (f"/{LIBRARY}: needs libssl.so.3",)}


def test_a_missing_interpreter_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file("usr/bin/tool", elf_file(interpreter="/lib/ld-musl-x86_64.so.1"), mode=0o755))
    assert image.failures(tmp_path) == {
        "needed-libraries": ("/usr/bin/tool: needs /lib/ld-musl-x86_64.so.1",)
    }


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("GLIBC_2.38", "needs GLIBC_2.38, libc.so.6 defines up to 2.36"),
        ("GLIBCXX_3.4.32", "needs GLIBCXX_3.4.32, libstdc++.so.6 defines up to 3.4.30"),
        ("CXXABI_1.3.14", "needs CXXABI_1.3.14, libstdc++.so.6 defines up to 1.3.13"),
        # As text, 2.5 would be newer than 2.36.
        ("GLIBC_2.5", "needs GLIBC_2.5, libc.so.6 defines up to 2.36"),
    ],
)
def test_a_symbol_version_that_the_image_lacks_fails(
    version: str, problem: str, tmp_path: Path
) -> None:
    image = spoiled(elf_file(asks_for=["GLIBC_2.4", version] if "_2." in version else [version]))
    assert image.failures(tmp_path) == {"symbol-versions": (f"/{LIBRARY}: {problem}",)}


def test_the_newest_versions_are_the_figure_and_the_limit(tmp_path: Path) -> None:
    check = SoundImage().audit(tmp_path)["symbol-versions"]
    assert (check.figure, check.limit) == ("2.34", "2.36")


def test_an_image_without_a_libc_fails(tmp_path: Path) -> None:
    image = SoundImage()
    del image.items[f"{LIBRARIES}/libc.so.6"]
    failures = image.failures(tmp_path)
    assert set(failures) == {"needed-libraries", "symbol-versions"}
    assert (
        "/usr/bin/python3.11: needs GLIBC_2.34, libc.so.6 defines up to none"
        in (failures["symbol-versions"])
    )


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "an empty library search path"),
        ("$ORIGIN:", "an empty library search path"),
        (".", "the relative library search path '.'"),
        ("lib", "the relative library search path 'lib'"),
        ("$ORIGIN/../$LIB", "the relative library search path"),
        ("$ORIGIN/../../../../lib", "leads above the root"),
        ("/usr/lib/../../../lib", "leads above the root"),
        ("/home/builder/lib", "the library search path '/home/builder/lib' is not in the image"),
    ],
)
@pytest.mark.parametrize("kind", ["rpath", "runpath"])
def test_a_search_path_that_leads_outside_fails(
    kind: str, path: str, problem: str, tmp_path: Path
) -> None:
    image = spoiled(elf_file(rpath=path) if kind == "rpath" else elf_file(runpath=path))
    ((name, (detail,)),) = image.failures(tmp_path).items()
    assert name == "library-search-paths"
    assert problem in detail


def test_a_search_path_that_is_excused_passes_as_long_as_it_leads_nowhere(tmp_path: Path) -> None:
    excused = ("/home/builder/lib", ".", "/usr/lib/../../../lib")
    image = spoiled(elf_file(runpath="/home/builder/lib"))
    image.expected = replace(image.expected, search_paths=excused)
    check = image.audit(tmp_path)["library-search-paths"]
    assert check.passed
    assert check.details == ("excused, and not in the image: /home/builder/lib",)


@pytest.mark.parametrize("path", [".", "/usr/lib/../../../lib", "/home/other/lib"])
def test_only_an_absent_directory_is_excused(tmp_path: Path, path: str) -> None:
    image = spoiled(elf_file(runpath=path))
    excused = {".", "/usr/lib/../../../lib", "/home/builder/lib"}
    image.expected = replace(image.expected, search_paths=tuple(excused))
    assert set(image.failures(tmp_path)) == {"library-search-paths"}


def test_a_search_path_of_the_image_passes(tmp_path: Path) -> None:
    paths = f"$ORIGIN:$ORIGIN/../not-there:/{LIBRARIES}:/lib/x86_64-linux-gnu"
    assert spoiled(elf_file(runpath=paths)).failures(tmp_path) == {}
