"""What can be said of the backend without its library; tests/system/test_llama_cpp.py has it."""

from __future__ import annotations

import ctypes
import logging
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.backends import backend_module


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    return backend_module.load("llama-cpp")


def test_with_the_module_no_library_is_imported(backend: ModuleType) -> None:
    assert backend.Backend.libraries == ("llama-cpp-python", "numpy", "tokenizers")
    assert "llama_cpp" not in sys.modules


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("libggml-cpu-haswell.so", "haswell"),
        ("libggml-cpu-armv8.2_3.so", "armv8.2_3"),
    ],
)
def test_a_variant_is_named_as_llama_cpp_names_it(
    backend: ModuleType, file: str, name: str
) -> None:
    assert backend.variant_name(Path(file)) == name


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has variants")
def test_only_a_library_that_the_process_has_is_loaded(backend: ModuleType, tmp_path: Path) -> None:
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    mapped = next(Path(line.split()[-1]) for line in maps if "/libc.so" in line)
    other = Path(shutil.copy(mapped, tmp_path / "libggml-cpu-haswell.so"))
    assert backend._is_loaded(mapped)
    assert not backend._is_loaded(other)
    ctypes.CDLL(str(other))
    assert backend._is_loaded(other)


def test_only_errors_of_the_library_are_logged_as_such(
    backend: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="llama.cpp")
    for level, text in ((2, b"loaded\n"), (3, b"odd\n"), (4, b"fail\xff\n"), (5, b".")):
        backend._LOG(level, text, None)
    backend._LOG(4, b"\n", None)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "loaded"),
        ("DEBUG", "odd"),
        ("ERROR", "fail\ufffd"),
        ("DEBUG", "."),
    ]
