from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import LockError
from builders.paths import ROOT
from builders.wheelhouse import recipe

WHOLE = """\
libraries = ["pkg/lib/*.so"]
dispatched = ["pkg/lib/libcpu-*.so"]

[[edits]]
file = "CMakeLists.txt"
remove = ["one line"]
replace = { "another line" = "what it becomes" }

[settings]
"cmake.build-type" = "Release"
"wheel.exclude" = ["a", "b"]

[host_settings]
"cmake.build-type" = "Debug"
"""


def write(backend: Path, text: str, name: str = "pkg") -> Path:
    path = backend / "wheels" / name / "recipe.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)

    found = recipe.read(tmp_path, "pkg")

    assert (found.name, found.directory) == ("pkg", path.parent)
    assert found.document.libraries == ("pkg/lib/*.so",)
    assert found.document.dispatched == ("pkg/lib/libcpu-*.so",)
    assert found.document.edits == (
        recipe.Edit(
            file="CMakeLists.txt",
            remove=("one line",),
            replace={"another line": "what it becomes"},
        ),
    )
    assert found.document.settings == {"cmake.build-type": "Release", "wheel.exclude": ("a", "b")}
    assert found.document.host_settings == {"cmake.build-type": "Debug"}


def test_what_is_promised_is_enough(tmp_path: Path) -> None:
    write(tmp_path, 'libraries = ["pkg/lib/libcore.so"]')
    document = recipe.read(tmp_path, "pkg").document
    assert document == recipe.Document(libraries=("pkg/lib/libcore.so",))
    assert (document.edits, document.settings, document.host_settings) == ((), {}, {})


def test_without_a_recipe_the_reason_is_said(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="there is no wheel of pkg, and no recipe that builds one"):
        recipe.read(tmp_path, "pkg")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "libraries"),
        ("libraries = []", "libraries"),
        ('libraries = "pkg.so"', "libraries"),
        ('libraries = ["a file.so"]', "libraries"),
        ('libraries = ["a.so"]\nlibrary = 1', "library"),
        ('libraries = ["a.so"]\n[settings]\nx = 1', "settings"),
        ('libraries = ["a.so"]\n[[edits]]\nremove = ["x"]', "file"),
        ('libraries = ["a.so"]\n[[edits]]\nfile = "x"\nremoved = ["x"]', "removed"),
        ('libraries = ["a.so"]\nlibraries = ["a.so"]', "overwrite"),
        ("libraries = [", "Invalid value"),
    ],
)
def test_a_malformed_recipe_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(LockError) as caught:
        recipe.read(tmp_path, "pkg")
    assert caught.value.problem.startswith("malformed: ")
    assert said in caught.value.problem
    assert caught.value.where == str(path)


def test_a_recipe_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "").write_bytes(b"\xff\xfe")
    with pytest.raises(LockError, match="malformed"):
        recipe.read(tmp_path, "pkg")


def test_the_digest_is_of_every_file_but_the_locks(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)
    found = recipe.read(tmp_path, "pkg")
    plain = found.digest

    (path.parent / "locks").mkdir()
    (path.parent / "locks" / "linux-amd64.txt").touch()
    assert found.digest == plain

    (path.parent / "fix.cmake").touch()
    assert found.digest != plain


def test_names_are_those_of_folders_with_a_recipe(tmp_path: Path) -> None:
    for name in ("two", "one"):
        write(tmp_path, WHOLE, name)
    (tmp_path / "wheels" / "without").mkdir()
    assert recipe.names(tmp_path) == ("one", "two")
    assert recipe.names(tmp_path / "elsewhere") == ()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "images").glob("*/wheels/*/recipe.toml")), ids=lambda p: p.parent.name
)
def test_the_committed_recipes_are_sound(path: Path) -> None:
    found = recipe.read(path.parents[2], path.parent.name)
    assert set(found.document.dispatched) <= set(found.document.libraries)
    assert set(found.document.vendored) <= set(found.document.libraries)
