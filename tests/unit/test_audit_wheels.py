"""Packages: each difference from the lock, each damage to a RECORD."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import ArchiveError
from builders.paths import SITE
from tests.unit.images import directory, file, symlink
from tests.unit.sound_image import SoundImage, byte_code, record_hash, wheel

INFO = f"{SITE}/demo-1.0.dist-info"


def test_a_wheel_that_is_not_there_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.expect(wheels={"demo": "1.0", "Absent.Package": "2.0"})
    assert image.failures(tmp_path) == {"wheels-locked": ("absent-package 2.0: not there",)}


def test_another_version_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.expect(wheels={"demo": "1.0+cpu"})
    assert image.failures(tmp_path) == {"wheels-locked": ("demo: version 1.0, locked 1.0+cpu",)}


def test_versions_and_names_are_compared_as_python_packages_are(tmp_path: Path) -> None:
    image = SoundImage()
    image.expect(wheels={"DEMO": "1.0.0"})
    assert image.failures(tmp_path) == {}


def test_a_package_too_many_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.items |= wheel("other", "2.0", {})
    assert image.failures(tmp_path) == {
        "wheels-locked": (f"/{SITE}/other-2.0.dist-info: other is not locked",)
    }


def test_a_package_in_another_place_fails(tmp_path: Path) -> None:
    image = SoundImage()
    place = "usr/lib/python3/dist-packages/demo-1.0.dist-info"
    image.put(file(f"{place}/METADATA", b"Name: demo\nVersion: 1.0\n"))
    assert image.failures(tmp_path) == {"wheels-locked": (f"/{place}: not in /{SITE}",)}


def test_a_package_in_two_versions_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.items |= wheel("demo", "0.9", {})
    ((name, details),) = image.failures(tmp_path).items()
    assert name == "wheels-locked"
    assert f"/{INFO}: demo is there twice" in details


def test_a_package_without_metadata_fails(tmp_path: Path) -> None:
    image = SoundImage()
    del image.items[f"{INFO}/METADATA"]
    failures = image.failures(tmp_path)
    assert failures["wheels-locked"] == (
        f"/{INFO}: a package without a name is not locked",
        "demo 1.0: not there",
    )
    assert failures["wheel-record"] == (f"/{INFO}/METADATA: is not there ()",)


@pytest.mark.parametrize("name", ["METADATA", "RECORD"])
def test_metadata_that_is_no_file_is_none(name: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(directory(f"{INFO}/{name}"))
    problem = f"/{INFO}/{name}: is a directory"
    details = image.failures(tmp_path)["wheel-record"]
    assert any(detail.startswith(problem) for detail in details), details


def test_vendored_metadata_is_no_package(tmp_path: Path) -> None:
    image = SoundImage()
    path = "demo/_vendor/inner-1.0.dist-info/METADATA"
    image.items |= wheel("demo", "1.0", {"demo/__init__.py": b"", path: b"Name: inner\n"})
    assert "wheels-locked" not in image.failures(tmp_path)


def test_a_recorded_file_must_be_there(tmp_path: Path) -> None:
    image = SoundImage()
    del image.items[f"{SITE}/demo/notes.txt"]
    assert image.failures(tmp_path) == {
        "wheel-record": (f"/{SITE}/demo/notes.txt: is not there (demo)",)
    }


def test_unless_it_is_pruned(tmp_path: Path) -> None:
    image = SoundImage()
    del image.items[f"{SITE}/demo/notes.txt"]
    image.expect(prune=("demo/*.md", "demo/*.txt"))
    assert image.failures(tmp_path) == {}


def test_what_is_pruned_may_not_be_there_altered(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(f"{SITE}/demo/notes.txt", b"other notes"))
    image.expect(prune=("demo/*.txt",))
    assert image.failures(tmp_path) == {
        "wheel-record": (f"/{SITE}/demo/notes.txt: is not what was recorded (demo)",)
    }


def test_a_recorded_file_must_be_a_file(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(symlink(f"{SITE}/demo/notes.txt", "/etc/passwd"))
    assert image.failures(tmp_path) == {
        "wheel-record": (f"/{SITE}/demo/notes.txt: is a symlink (demo)",)
    }


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"demo/more.txt,md5={record_hash(b'more')},4", "is recorded with the hash 'md5=…'"),
        ("demo/more.txt,,4", "is recorded without a hash"),
        ("demo/more.txt", "is recorded without a hash"),
        ("demo/more.txt,sha256=AAAA,4", "is not what was recorded"),
    ],
)
def test_a_record_must_hold_a_hash(row: str, problem: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(
        file(f"{SITE}/demo/more.txt", b"more"),
        file(f"{INFO}/RECORD", image.items[f"{INFO}/RECORD"].content + f"\n{row}\n".encode()),
    )
    ((name, (detail,)),) = image.failures(tmp_path).items()
    assert name == "wheel-record"
    assert problem.partition("…")[0] in detail


@pytest.mark.parametrize("path", ["../../../../bin/demo", "/usr/local/bin/demo", "../demo"])
def test_a_record_must_stay_in_its_directory(path: str, tmp_path: Path) -> None:
    image = SoundImage()
    content = image.items[f"{INFO}/RECORD"].content + f"\n{path},sha256=AAAA,4\n".encode()
    image.put(file(f"{INFO}/RECORD", content))
    ((name, (detail,)),) = image.failures(tmp_path).items()
    assert name == "wheel-record"
    assert f"leads out of /{SITE}" in detail


def test_a_file_that_no_wheel_recorded_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(f"{SITE}/sitecustomize.pth", b"import evil"), directory(f"{SITE}/empty"))
    assert image.failures(tmp_path) == {
        "wheel-record": (f"/{SITE}/sitecustomize.pth: belongs to no wheel",)
    }


def test_byte_code_of_a_source_that_no_wheel_recorded_fails(tmp_path: Path) -> None:
    image = SoundImage()
    cached = f"{SITE}/demo/__pycache__/extra.cpython-311.pyc"
    image.put(file(cached, byte_code(b"")), file(f"{SITE}/demo/extra.py", b""))
    assert image.failures(tmp_path) == {
        "wheel-record": (
            f"/{cached}: belongs to no wheel",
            f"/{SITE}/demo/extra.py: belongs to no wheel",
        )
    }


def test_a_malformed_record_ends_the_audit(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(f"{INFO}/RECORD", b'"unfinished,sha256=AAAA,4'))
    with pytest.raises(ArchiveError, match=r"dist-info/RECORD: a malformed RECORD"):
        image.audit(tmp_path)


def test_a_source_must_have_a_hash_as_its_byte_code_need_not(tmp_path: Path) -> None:
    image = SoundImage()
    record = image.items[f"{INFO}/RECORD"]
    cached = "demo/__pycache__/__init__.cpython-311.pyc,,\n"
    image.put(file(f"{INFO}/RECORD", record.content + b"\n" + cached.encode()))
    assert image.failures(tmp_path / "byte-code") == {}
    rows = record.content.decode().splitlines()
    bare = [row.partition(",")[0] + ",," if "notes.txt" in row else row for row in rows]
    image.put(file(f"{INFO}/RECORD", "\n".join(bare)))
    assert image.failures(tmp_path / "source") == {
        "wheel-record": (f"/{SITE}/demo/notes.txt: is recorded without a hash (demo)",)
    }


def test_a_missing_record_fails(tmp_path: Path) -> None:
    image = SoundImage()
    del image.items[f"{INFO}/RECORD"]
    details = image.failures(tmp_path)["wheel-record"]
    assert f"/{INFO}/RECORD: is not there (demo)" in details
    assert f"/{SITE}/demo/notes.txt: belongs to no wheel" in details


@pytest.mark.parametrize("name", ["nvidia-cublas-cu12", "cuda-toolkit", "triton"])
def test_an_accelerator_package_fails(name: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.items |= wheel(name, "1.0", {})
    image.expect(wheels={"demo": "1.0", name: "1.0"})
    assert image.failures(tmp_path) == {"no-accelerator-packages": (f"package {name} 1.0",)}


@pytest.mark.parametrize("library", ["libcublas.so.12", "libtorch_cuda.so", "libcudart-1a2b.so.12"])
def test_an_accelerator_library_fails(library: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(f"usr/lib/{library}"))
    assert image.failures(tmp_path) == {"no-accelerator-packages": (f"/usr/lib/{library}",)}
