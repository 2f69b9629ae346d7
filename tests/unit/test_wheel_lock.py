"""Wheel locks are read strictly and written the same way every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.errors import LockError
from builders.files import digest_of
from builders.formats.wheel import Contents
from builders.lock import wheels as wheel_lock
from builders.lock.wheels import (
    Source,
    Wheel,
    WheelLock,
    format_contents,
    format_requirements,
    read,
)

PURE = Contents(binaries=(), glibc=None, glibcxx=None, names=("idna",))
NATIVE = Contents(binaries=("elf arm64",), glibc="2.27", glibcxx="3.4.21", names=("numpy",))
IDNA = Wheel(
    name="idna",
    version="3.20",
    sha256="a" * 64,
    file="idna-3.20-py3-none-any.whl",
    size=10,
    contents=PURE,
)
NUMPY = Wheel(
    name="numpy",
    version="2.4.6",
    sha256="b" * 64,
    file="numpy-2.4.6-cp311-cp311-manylinux_2_28_aarch64.whl",
    size=20,
    contents=NATIVE,
)
LLAMA = Source(
    name="llama-cpp-python",
    version="0.3.36",
    sha256="c" * 64,
    file="llama_cpp_python-0.3.36.tar.gz",
    size=30,
    wheels=(),
)
TEXT = f"""\
# The wheels for linux/arm64, chosen by `nox -s lock` from ../requirements.in.
idna==3.20 \\
    --hash=sha256:{"a" * 64}
numpy==2.4.6 \\
    --hash=sha256:{"b" * 64}
"""


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    folder = tmp_path / "onnxruntime"
    (folder / "locks").mkdir(parents=True)
    write(folder, lock(folder, IDNA, NUMPY))
    return folder


def lock(backend: Path, *locked: Wheel | Source, no_solution: str = "") -> WheelLock:
    return WheelLock(
        path=backend / "locks/linux-arm64.txt",
        platform="linux/arm64",
        wheels=tuple(one for one in locked if isinstance(one, Wheel)),
        sources=tuple(one for one in locked if isinstance(one, Source)),
        no_solution=no_solution,
    )


def write(backend: Path, locked: WheelLock) -> None:
    locked.path.write_text(format_requirements(locked))
    (backend / "locks/wheels.json").write_text(format_contents([locked]))


def change_entries(backend: Path, digit: str = "a", **fields: Any) -> None:
    path = backend / "locks/wheels.json"
    entries = json.loads(path.read_text())
    entries[digit * 64].update(fields)
    path.write_text(json.dumps(entries))


def test_what_was_written_is_read(backend: Path) -> None:
    assert read(backend, "linux/arm64") == lock(backend, IDNA, NUMPY)


def test_the_text_is_hashed_requirements_in_one_order(backend: Path) -> None:
    assert format_requirements(lock(backend, NUMPY, IDNA)) == TEXT
    assert (
        format_contents([lock(backend, NUMPY), lock(backend, IDNA, NUMPY)])
        == (backend / "locks/wheels.json").read_text()
    )


def test_that_there_is_no_solution_is_kept(backend: Path) -> None:
    unsolved = lock(backend, no_solution="Because gpt4all==2.8.2 has no wheels for it.")
    write(backend, unsolved)
    assert read(backend, "linux/arm64") == unsolved


def test_the_digest_is_of_the_files_not_of_the_formatting(backend: Path) -> None:
    path = backend / "locks/linux-arm64.txt"
    digest = read(backend, "linux/arm64").digest
    assert digest.startswith("sha256:")
    path.write_text("# another comment\n\n" + path.read_text().replace("    --hash", "  --hash"))
    assert read(backend, "linux/arm64").digest == digest
    assert lock(backend, IDNA).digest != digest


def test_a_source_archive_is_a_line_like_any_other(backend: Path) -> None:
    whole = lock(backend, IDNA, LLAMA, NUMPY)
    write(backend, whole)
    assert format_requirements(whole) == TEXT.replace(
        "numpy==", f"llama-cpp-python==0.3.36 \\\n    --hash=sha256:{'c' * 64}\nnumpy=="
    )
    entries = json.loads((backend / "locks/wheels.json").read_text())
    assert entries["c" * 64] == {"file": LLAMA.file, "size": 30, "wheels": []}
    found = read(backend, "linux/arm64")
    assert found == whole
    assert found.files == {IDNA.file: IDNA.sha256, NUMPY.file: NUMPY.sha256}
    assert found.source_files == {LLAMA.file: LLAMA.sha256}


def test_which_wheels_there_were_of_a_source_archive_is_kept(backend: Path) -> None:
    wheels = ("llama_cpp_python-0.3.36-py3-none-win_amd64.whl",)
    whole = lock(backend, replace(LLAMA, wheels=wheels))
    write(backend, whole)
    assert read(backend, "linux/arm64").sources[0].wheels == wheels


def test_the_digest_is_of_source_archives_too(backend: Path) -> None:
    plain = lock(backend, IDNA, NUMPY).digest
    # As it was before there were source archives in locks: no image changes for them.
    assert plain == digest_of([[IDNA.file, IDNA.sha256], [NUMPY.file, NUMPY.sha256]])
    with_source = lock(backend, IDNA, NUMPY, LLAMA).digest
    assert with_source != plain
    assert lock(backend, IDNA, NUMPY, replace(LLAMA, sha256="d" * 64)).digest != with_source
    # What an index has beside it is no input.
    aside = replace(LLAMA, wheels=("llama_cpp_python-0.3.36-py3-none-any.whl",))
    assert lock(backend, IDNA, NUMPY, aside).digest == with_source


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0},
        {"file": "llama_cpp_python-0.3.36.zip"},
        {"file": "../llama_cpp_python-0.3.36.tar.gz"},
        {"file": "llama_cpp_python-0.3.35.tar.gz"},
        {"file": "llama_cpp_python.tar.gz"},
        {"file": "other-0.3.36.tar.gz"},
        {"file": "llama_cpp_python-0.3.36-py3-none-any.whl"},
        {"wheels": None},
        {"wheels": ["../x.whl"]},
        {"contents": PURE.model_dump()},
    ],
)
def test_a_malformed_source_archive_is_refused(backend: Path, fields: dict[str, Any]) -> None:
    write(backend, lock(backend, LLAMA))
    change_entries(backend, "c", **fields)
    with pytest.raises(LockError):
        read(backend, "linux/arm64")


def test_a_project_is_locked_as_one_file_only(backend: Path) -> None:
    wheel = replace(IDNA, name=LLAMA.name, version=LLAMA.version)
    write(backend, lock(backend, wheel, LLAMA))
    change_entries(backend, file="llama_cpp_python-0.3.36-py3-none-any.whl")
    with pytest.raises(LockError, match="llama-cpp-python is locked twice"):
        read(backend, "linux/arm64")


def test_a_platform_without_lock_is_named(backend: Path) -> None:
    with pytest.raises(LockError, match="onnxruntime has no lock for darwin/arm64") as caught:
        read(backend, "darwin/arm64")
    assert caught.value.where.endswith("onnxruntime/locks/darwin-arm64.txt")
    assert "nox -s lock" in caught.value.remedy


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==2.4.6",
        "numpy>=2 --hash=sha256:" + "b" * 64,
        "numpy==2.4.6 --hash=md5:" + "b" * 32,
        "numpy==2.4.6 --hash=sha256:" + "b" * 63,
        f"numpy==2.4.6 --hash=sha256:{'b' * 64} --hash=sha256:{'c' * 64}",
        "--index-url https://index.example",
        "-r other.txt",
        "numpy==2.4.6 \\",
    ],
)
def test_a_malformed_line_is_named(backend: Path, line: str) -> None:
    path = backend / "locks/linux-arm64.txt"
    path.write_text(f"# a comment\n\n{line}\n")
    with pytest.raises(LockError, match="not a requirement with one sha256") as caught:
        read(backend, "linux/arm64")
    assert caught.value.where == f"{path}:3"


def test_a_project_that_is_locked_twice_is_named(backend: Path) -> None:
    path = backend / "locks/linux-arm64.txt"
    path.write_text(TEXT + f"idna==3.20 \\\n    --hash=sha256:{'c' * 64}\n")
    with pytest.raises(LockError, match="idna is locked twice") as caught:
        read(backend, "linux/arm64")
    assert caught.value.where == f"{path}:6"


def test_a_file_that_is_locked_twice_is_named(backend: Path) -> None:
    path = backend / "locks/linux-arm64.txt"
    path.write_text(TEXT + f"other==1 \\\n    --hash=sha256:{'a' * 64}\n")
    with pytest.raises(LockError, match="the file of other is locked twice"):
        read(backend, "linux/arm64")


def test_a_file_name_that_is_there_twice_is_named(backend: Path) -> None:
    change_entries(backend, file=NUMPY.file)
    with pytest.raises(LockError, match=r"numpy-2\.4\.6-.*\.whl is there twice"):
        read(backend, "linux/arm64")


def test_a_digest_that_is_there_twice_is_named(backend: Path) -> None:
    path = backend / "locks/wheels.json"
    path.write_text(path.read_text().replace("b" * 64, "a" * 64))
    with pytest.raises(LockError, match="aaaa is there twice"):
        read(backend, "linux/arm64")


def test_a_wheel_that_was_not_opened_is_named(backend: Path) -> None:
    (backend / "locks/wheels.json").write_text(format_contents([lock(backend, NUMPY)]))
    with pytest.raises(LockError, match=r"wheels\.json does not have idna"):
        read(backend, "linux/arm64")


def test_a_file_of_another_version_is_named(backend: Path) -> None:
    change_entries(backend, file="idna-3.19-py3-none-any.whl")
    with pytest.raises(LockError, match=r"idna 3\.20 is locked, but the file is idna-3\.19"):
        read(backend, "linux/arm64")


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0},
        {"size": "10"},
        {"file": "../../etc/passwd.whl"},
        {"file": "idna.zip"},
        {"file": "idna.whl"},
        {"more": 1},
        {"contents": {"binaries": []}},
    ],
)
def test_malformed_contents_are_refused(backend: Path, fields: dict[str, Any]) -> None:
    change_entries(backend, **fields)
    with pytest.raises(LockError) as caught:
        read(backend, "linux/arm64")
    assert "wheels.json" in caught.value.where


def test_malformed_json_is_named_with_its_line(backend: Path) -> None:
    path = backend / "locks/wheels.json"
    path.write_text('{\n"a": 1,\n}')
    with pytest.raises(LockError, match="malformed") as caught:
        wheel_lock.read_entries(path)
    assert caught.value.where in (f"{path}:2", f"{path}:3")


def test_bytes_that_are_no_text_are_refused(backend: Path) -> None:
    (backend / "locks/linux-arm64.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(LockError, match="cannot be read"):
        read(backend, "linux/arm64")
