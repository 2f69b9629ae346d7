"""Byte code: each way in which it is not its source's."""

from __future__ import annotations

import importlib.util
import py_compile
import sys
from pathlib import Path

import pytest

from builders.audit import bytecode as audit_bytecode
from builders.audit.bytecode import source_of
from tests.unit.images import directory, file, symlink
from tests.unit.sound_image import SoundImage, byte_code

SOURCE = "usr/lib/python3.11/os.py"
CACHED = "usr/lib/python3.11/__pycache__/os.cpython-311.pyc"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="another Python writes other byte code")
def test_what_python_compiles_passes(tmp_path: Path) -> None:
    module = tmp_path / "os.py"
    module.write_text("name = 'posix'\n")
    compiled = py_compile.compile(
        str(module), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    assert compiled is not None
    image = SoundImage()
    image.put(file(SOURCE, module.read_bytes()), file(CACHED, Path(compiled).read_bytes()))
    assert image.failures(tmp_path) == {}


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="another Python has another magic number"
)
def test_the_magic_number_is_python_3_11s() -> None:
    assert importlib.util.MAGIC_NUMBER == audit_bytecode.MAGIC


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (byte_code(b"name = 'nt'\n"), "not that of its source"),
        (byte_code(b"name = 'posix'\n", flags=0), "valid by time or checked at run time"),
        (byte_code(b"name = 'posix'\n", flags=3), "valid by time or checked at run time"),
        (byte_code(b"name = 'posix'\n", magic=b"\xcb\r\r\n"), "not the byte code of cpython-311"),
        (b"", "cut off"),
        (byte_code(b"name = 'posix'\n")[:12], "cut off"),
    ],
)
def test_byte_code_of_something_else_fails(content: bytes, problem: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(CACHED, content))
    ((name, (detail,)),) = image.failures(tmp_path).items()
    assert name == "byte-code"
    assert detail.startswith(f"/{CACHED}: {problem}")


def test_a_source_that_was_altered_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(SOURCE, b"name = 'altered'\n"))
    assert image.failures(tmp_path) == {"byte-code": (f"/{CACHED}: not that of its source",)}


@pytest.mark.parametrize("source", [SOURCE, "opt/equivec/backend/backend.py"])
def test_a_source_without_byte_code_fails(source: str, tmp_path: Path) -> None:
    image = SoundImage()
    folder, _, name = source.rpartition("/")
    del image.items[f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-311.pyc"]
    assert image.failures(tmp_path) == {"byte-code": (f"/{source}: no byte code",)}


def test_a_template_that_is_no_module_needs_none(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file("usr/lib/python3.11/template.py", b"import ${name}\n"))
    assert image.failures(tmp_path) == {}


def test_byte_code_without_a_source_fails(tmp_path: Path) -> None:
    image = SoundImage()
    del image.items[SOURCE]
    assert image.failures(tmp_path) == {"byte-code": (f"/{CACHED}: its source is not there",)}


def test_a_source_that_is_no_file_is_none(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(directory(SOURCE))
    assert image.failures(tmp_path) == {"byte-code": (f"/{CACHED}: its source is not there",)}


def test_a_module_may_be_a_link(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(
        file("etc/python3.11/os.py", image.items[SOURCE].content),
        symlink(SOURCE, "/etc/python3.11/os.py"),
    )
    assert image.failures(tmp_path) == {}


@pytest.mark.parametrize(
    "path",
    [
        "usr/lib/python3.11/os.pyc",
        "usr/lib/python3.11/os.pyo",
        "usr/lib/python3.11/__pycache__/os.cpython-313.pyc",
    ],
)
def test_byte_code_in_another_place_fails(path: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(path, image.items[CACHED].content))
    assert image.failures(tmp_path) == {
        "byte-code": (f"/{path}: not in a place for cpython-311 byte code",)
    }


def test_the_source_of_byte_code_is_found_by_its_name() -> None:
    assert source_of("a/__pycache__/b.cpython-311.pyc") == "a/b.py"
    assert source_of("a/__pycache__/b.cpython-311.opt-2.pyc") == "a/b.py"
    assert source_of("a/b.py") is None
    assert source_of("a/b.pyc") is None
