"""The audit of built wheels: a sound one passes, and each check fails for its own reason."""

from __future__ import annotations

import itertools
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from builders.errors import ArchiveError, BuildError
from builders.wheelhouse.audit import STAGE_PATHS, audit, promised_libraries, refuse_unfit
from builders.wheelhouse.recipe import Document
from tests.unit.elf_samples import elf_file

AMD64, ARM64 = "linux/amd64", "linux/arm64"
TAGS = {AMD64: "manylinux_2_34_x86_64", ARM64: "manylinux_2_34_aarch64"}
PLAIN = {
    AMD64: "GNU C17 12.2.0 -march=x86-64 -O2 -fPIC",
    ARM64: "GNU C++17 12.2.0 -mlittle-endian -mabi=lp64 -march=armv8-a -O3 -fPIC",
}
HASWELL = "GNU C++11 12.2.0 -mavx2 -mfma -mf16c -mbmi2 -msse4.2 -mtune=generic -march=x86-64 -O3"
NATIVE = (
    "GNU C17 12.2.0 -march=rocketlake -mmmx -mpopcnt -mno-sse4a --param=l1-cache-size=48"
    " --param=l1-cache-line-size=64 --param=l2-cache-size=512 -mtune=rocketlake -O2"
)
"""What gcc records of -march=native."""

CORE, ENGINE, VARIANT = "pkg/lib/libcore.so", "pkg/lib/libengine.so", "pkg/lib/libcpu-haswell.so"
PROMISED = Document(
    libraries=("pkg/lib/libcore.so", "pkg/lib/libengine.so", "pkg/lib/libcpu-*.so"),
    dispatched=("pkg/lib/libcpu-*.so",),
)
BUILDERS = ("/home/somebody/checkout", "/home/somebody/.cache/equivec")


def library(
    *recorded: str,
    platform: str = AMD64,
    needed: Sequence[str] = ("libc.so.6",),
    runpath: str | None = "$ORIGIN",
    asks_for: Sequence[str] = ("GLIBC_2.2.5", "GLIBC_2.34", "GLIBCXX_3.4.30"),
) -> bytes:
    """A shared library as the wheel stage makes them, with the flags of its compiled files."""
    program = elf_file(
        machine=platform.partition("/")[2], needed=needed, runpath=runpath, asks_for=asks_for
    )
    flags = recorded or (PLAIN[platform],)
    return program + b"".join(f"{line}\0".encode() for line in ("", *flags))


def sound(platform: str = AMD64) -> dict[str, bytes]:
    """The members of a wheel that nothing is wrong with."""
    return {
        "pkg/__init__.py": b"VERSION = '1.0'\n",
        CORE: library(platform=platform, needed=["libstdc++.so.6", "libc.so.6"]),
        ENGINE: library(platform=platform, needed=["libcore.so", "libm.so.6"]),
        VARIANT: library(HASWELL, platform=platform, needed=["libcore.so"]),
        "pkg-1.0.dist-info/METADATA": b"Name: pkg\n",
    }


def write(directory: Path, members: Mapping[str, bytes], tag: str = TAGS[AMD64]) -> Path:
    path = directory / f"pkg-1.0-py3-none-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("pkg")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def failures(
    directory: Path,
    members: Mapping[str, bytes],
    *,
    tag: str = TAGS[AMD64],
    platform: str = AMD64,
    promised: Document = PROMISED,
) -> dict[str, tuple[str, ...]]:
    """The checks that a wheel does not pass, with what they found."""
    checks = audit(
        write(directory, members, tag), promised, platform=platform, builder_paths=BUILDERS
    )
    return {check.name: check.details for check in checks if not check.passed}


@pytest.mark.parametrize("platform", TAGS)
def test_a_sound_wheel_passes_every_check(platform: str, tmp_path: Path) -> None:
    wheel = write(tmp_path, sound(platform), TAGS[platform])

    checks = audit(wheel, PROMISED, platform=platform, builder_paths=BUILDERS)

    assert [check for check in checks if not check.passed] == []
    assert {check.name: check.figure for check in checks} == {
        "wheel-tag": "2.34",
        "wheel-machine": 3,
        "wheel-libraries": 3,
        "wheel-needed": None,
        "wheel-search-paths": None,
        "wheel-paths": None,
        "wheel-flags": None,
    }
    refuse_unfit(wheel, PROMISED, platform=platform, builder_paths=BUILDERS)


def test_libraries_that_ask_for_no_version_may_have_any_tag(tmp_path: Path) -> None:
    content = library(needed=["libc.so.6"], asks_for=[])
    members = sound() | {CORE: content, ENGINE: content, VARIANT: content}
    assert failures(tmp_path, members, tag="manylinux_2_5_x86_64") == {}


def test_an_unfit_wheel_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    members = sound() | {CORE: library(NATIVE, needed=["libgomp.so.1"])}
    del members[ENGINE]
    wheel = write(tmp_path, members)

    with pytest.raises(BuildError) as caught:
        refuse_unfit(wheel, PROMISED, platform=AMD64, builder_paths=BUILDERS)

    assert caught.value.where == wheel.name
    for finding in (
        f"wheel-libraries: {ENGINE} is missing",
        f"wheel-needed: {CORE} needs libgomp.so.1",
        f"wheel-flags: {CORE} was compiled for rocketlake, not x86-64",
    ):
        assert finding in caught.value.problem


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / f"pkg-1.0-py3-none-{TAGS[AMD64]}.whl"
    wheel.write_bytes(b"half a down")
    with pytest.raises(ArchiveError, match="not a readable wheel"):
        audit(wheel, PROMISED, platform=AMD64, builder_paths=BUILDERS)


@pytest.mark.parametrize(
    ("tag", "finding"),
    [
        ("manylinux_2_34_aarch64", "its tags are manylinux_2_34_aarch64: none but manylinux_2_*_"),
        ("linux_x86_64", "its tags are linux_x86_64: none but manylinux_2_*_x86_64"),
        ("any", "its tags are any: none but manylinux_2_*_x86_64"),
        (
            "manylinux_2_34_x86_64.linux_x86_64",
            "its tags are linux_x86_64, manylinux_2_34_x86_64: none but manylinux_2_*_x86_64",
        ),
        ("manylinux_2_33_x86_64", "a symbol needs GLIBC_2.34, its tag promises 2.33"),
        (
            "manylinux_2_17_x86_64.manylinux_2_34_x86_64",
            "a symbol needs GLIBC_2.34, its tag promises 2.17",
        ),
        ("manylinux_2_37_x86_64", "it needs glibc 2.37, images have 2.36"),
    ],
)
def test_a_wrong_tag_fails(tag: str, finding: str, tmp_path: Path) -> None:
    ((name, (detail,)),) = failures(tmp_path, sound(), tag=tag).items()
    assert name == "wheel-tag"
    assert detail.startswith(finding)


def test_a_library_of_another_machine_fails(tmp_path: Path) -> None:
    members = sound() | {CORE: library(PLAIN[AMD64], platform=ARM64)}
    assert failures(tmp_path, members) == {
        "wheel-machine": (f"{CORE} is for arm64, not amd64",),
    }


def test_a_malformed_library_fails(tmp_path: Path) -> None:
    found = failures(tmp_path, sound() | {CORE: elf_file()[:80]})
    assert found["wheel-machine"][0].startswith(f"{CORE}: a malformed ELF file")
    assert found["wheel-libraries"] == (f"{CORE} is missing",)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (struct.pack("<II", 0xFEEDFACF, 0x0100000C) + bytes(100), "mach-o"),
        (b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0\x64\x86", "pe"),
    ],
)
def test_a_library_of_another_system_fails(content: bytes, kind: str, tmp_path: Path) -> None:
    members = sound() | {"pkg/lib/libother": content}
    assert failures(tmp_path, members) == {"wheel-machine": (f"pkg/lib/libother is {kind}",)}


def test_a_library_that_is_left_out_fails(tmp_path: Path) -> None:
    members = sound()
    del members[ENGINE]
    assert failures(tmp_path, members) == {"wheel-libraries": (f"{ENGINE} is missing",)}


def test_a_library_that_is_another_file_fails(tmp_path: Path) -> None:
    members = sound() | {ENGINE: b"INPUT(libcore.so)\n"}
    assert failures(tmp_path, members) == {"wheel-libraries": (f"{ENGINE} is missing",)}


def test_all_variants_left_out_fail(tmp_path: Path) -> None:
    members = sound()
    del members[VARIANT]
    assert failures(tmp_path, members) == {"wheel-libraries": ("pkg/lib/libcpu-*.so is missing",)}


def test_a_library_that_is_not_promised_fails(tmp_path: Path) -> None:
    members = sound() | {"pkg/lib/libmore.so": library()}
    assert failures(tmp_path, members) == {
        "wheel-libraries": ("pkg/lib/libmore.so is there, and the recipe does not name it",)
    }


def test_a_needed_library_that_is_nowhere_fails(tmp_path: Path) -> None:
    members = sound() | {CORE: library(needed=["libgomp.so.1", "libc.so.6"])}
    assert failures(tmp_path, members) == {"wheel-needed": (f"{CORE} needs libgomp.so.1",)}


def test_a_needed_library_that_is_left_out_fails(tmp_path: Path) -> None:
    members = sound()
    del members[CORE]
    found = failures(tmp_path, members)
    assert found["wheel-needed"] == (f"{ENGINE} needs libcore.so", f"{VARIANT} needs libcore.so")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/usr/local/lib", "/usr/local/lib"),
        ("$ORIGIN/../../elsewhere", "$ORIGIN/../../elsewhere"),
        ("$ORIGIN:/opt/lib", "/opt/lib"),
        ("", "the working directory"),
    ],
)
def test_a_library_that_looks_elsewhere_fails(path: str, shown: str, tmp_path: Path) -> None:
    members = sound() | {CORE: library(runpath=path)}
    assert failures(tmp_path, members) == {
        "wheel-search-paths": (f"{CORE} looks for libraries in {shown}",)
    }


def test_a_library_that_looks_elsewhere_the_old_way_fails(tmp_path: Path) -> None:
    members = sound() | {CORE: elf_file(rpath="/opt/lib") + PLAIN[AMD64].encode() + b"\0"}
    assert failures(tmp_path, members) == {
        "wheel-search-paths": (f"{CORE} looks for libraries in /opt/lib",)
    }


@pytest.mark.parametrize(
    ("member", "place"),
    [
        *itertools.product([CORE, "pkg/__init__.py"], BUILDERS),
        *((CORE, place) for place in STAGE_PATHS),
    ],
)
def test_a_path_of_where_it_was_built_fails(member: str, place: str, tmp_path: Path) -> None:
    members = sound()
    members[member] += f"{place}x.c\0".encode()
    assert failures(tmp_path, members) == {"wheel-paths": (f"{member} names {place}",)}


def test_a_text_may_speak_of_such_places(tmp_path: Path) -> None:
    members = sound() | {"pkg/__init__.py": b"# for example /tmp/cache, or /build/here\n"}
    assert failures(tmp_path, members) == {}


def test_flags_that_are_not_recorded_fail(tmp_path: Path) -> None:
    members = sound() | {CORE: elf_file(needed=["libc.so.6"])}
    assert failures(tmp_path, members) == {"wheel-flags": (f"{CORE} does not record its flags",)}


def test_code_for_the_machine_that_compiled_it_fails(tmp_path: Path) -> None:
    """One file among others is enough, and found once."""
    members = sound() | {CORE: library(PLAIN[AMD64], NATIVE, PLAIN[AMD64], NATIVE)}
    assert failures(tmp_path, members) == {
        "wheel-flags": (
            f"{CORE} was compiled with --param=l1-cache, for the machine that compiled it",
            f"{CORE} was compiled for rocketlake, not x86-64",
            f"{CORE} was compiled with -mpopcnt, which old processors lack",
        )
    }


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (NATIVE, "--param=l1-cache"),
        ("GNU C17 12.2.0 -mavx2 -march=x86-64 -mtune=znver3 -O3", "-mtune="),
        ("GNU C17 12.2.0 -march=native -O3", "-march=native"),
        ("GNU C++17 12.2.0 -march=armv8.2-a+dotprod -mcpu=neoverse-n1 -O3", "-mcpu="),
    ],
)
def test_a_dispatched_library_may_not_be_tuned_either(
    flags: str, found: str, tmp_path: Path
) -> None:
    members = sound() | {VARIANT: library(flags)}
    assert failures(tmp_path, members) == {
        "wheel-flags": (f"{VARIANT} was compiled with {found}, for the machine that compiled it",)
    }


@pytest.mark.parametrize(
    "extension", ["-mavx2", "-mfma", "-mf16c", "-msse4.2", "-mamx-int8", "-maes"]
)
def test_more_than_the_oldest_processor_has_fails(extension: str, tmp_path: Path) -> None:
    members = sound() | {CORE: library(f"GNU C17 12.2.0 {extension} -march=x86-64 -O2")}
    assert failures(tmp_path, members) == {
        "wheel-flags": (f"{CORE} was compiled with {extension}, which old processors lack",)
    }


def test_what_is_turned_off_is_no_extension(tmp_path: Path) -> None:
    flags = "GNU C17 12.2.0 -mno-avx -mno-sse4.2 -mtune=generic -march=x86-64 -O2"
    assert failures(tmp_path, sound() | {CORE: library(flags)}) == {}


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("-march=x86-64-v3 -O2", "x86-64-v3"),
        ("-march=x86-64 -O2 -march=haswell", "haswell"),  # the last one counts
        ("-O2 -fPIC", "None"),
    ],
)
def test_another_baseline_fails(flags: str, found: str, tmp_path: Path) -> None:
    members = sound() | {CORE: library(f"GNU C17 12.2.0 {flags}")}
    assert failures(tmp_path, members) == {
        "wheel-flags": (f"{CORE} was compiled for {found}, not x86-64",)
    }


def test_another_baseline_fails_on_arm(tmp_path: Path) -> None:
    flags = "GNU C17 12.2.0 -mlittle-endian -march=armv8.2-a+dotprod+fp16 -O2"
    members = sound(ARM64) | {CORE: library(flags, platform=ARM64)}
    assert failures(tmp_path, members, tag=TAGS[ARM64], platform=ARM64) == {
        "wheel-flags": (f"{CORE} was compiled for armv8.2-a+dotprod+fp16, not armv8-a",)
    }


def test_only_what_the_recipe_names_as_vendored_may_record_no_flags(tmp_path: Path) -> None:
    name = "pkg/lib/libgomp.so.1"
    members = sound() | {name: library("", needed=["libc.so.6"])}
    promised = PROMISED.model_copy(update={"libraries": (*PROMISED.libraries, name)})

    assert failures(tmp_path, members, promised=promised) == {
        "wheel-flags": (f"{name} does not record its flags",)
    }
    vendored = promised.model_copy(update={"vendored": (name,)})
    assert failures(tmp_path, members, promised=vendored) == {}


def test_an_extension_that_is_dispatched_passes_only_where_the_recipe_says_so(
    tmp_path: Path,
) -> None:
    undispatched = PROMISED.model_copy(update={"dispatched": ()})
    assert failures(tmp_path, sound()) == {}
    (details,) = failures(tmp_path, sound(), promised=undispatched).values()
    assert f"{VARIANT} was compiled with -mavx2, which old processors lack" in details


def test_promised_libraries_are_those_of_the_recipe(tmp_path: Path) -> None:
    assert promised_libraries(write(tmp_path, sound()), PROMISED) == (CORE, VARIANT, ENGINE)
