"""What a renewed model lock changes, told by file."""

from __future__ import annotations

from builders.matrix import Format
from builders.model import LockedFile, ModelLock, lock_changes


def lock(form: Format, **digits: str) -> ModelLock:
    files = {name: LockedFile(sha256=digit * 64, size=1) for name, digit in digits.items()}
    return ModelLock(formats={form: files})


def test_a_lock_that_says_the_same_has_no_changes() -> None:
    assert lock_changes(lock("onnx", model="a"), lock("onnx", model="a")) == ()


def test_each_file_has_a_line_with_its_digest() -> None:
    old = lock("onnx", model="a", config="b", gone="c")
    new = lock("onnx", model="a", config="d", added="e")
    assert lock_changes(old, new) == (
        "+ onnx/added sha256 eeeeeeeeeeee",
        "onnx/config sha256 bbbbbbbbbbbb -> dddddddddddd",
        "- onnx/gone",
    )


def test_a_new_lock_is_all_new() -> None:
    assert lock_changes(ModelLock(formats={}), lock("onnx", model="a")) == (
        "+ onnx/model sha256 aaaaaaaaaaaa",
    )
