"""images/base/assemble.py, run as the build runs it."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "images" / "base" / "assemble.py"
EPOCH = 1704067200
SITE = "usr/local/lib/python3.11/dist-packages"


def write_wheel(directory: Path, name: str, files: Mapping[str, bytes]) -> None:
    directory.mkdir(exist_ok=True)
    record = f"{name}-1.0.dist-info/RECORD"
    rows = []
    with zipfile.ZipFile(directory / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            rows.append(f"{path},sha256={digest.decode()},{len(content)}")
        archive.writestr(record, "\n".join([*rows, f"{record},,"]) + "\n")


def assemble(out: Path, *words: str, umask: int = 0o022, seed: str = "0") -> str:
    completed = subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(out), *words],
        env={"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": str(EPOCH), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
    )
    return completed.stderr if completed.returncode else ""


def prune_list(directory: Path, *patterns: str) -> str:
    path = directory / "prune.txt"
    path.write_text("# why\n" + "\n".join(patterns) + "\n", encoding="utf-8")
    return str(path)


def contents(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }


def test_wheels_are_unpacked_without_scripts_and_what_is_pruned(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    write_wheel(
        wheels,
        "one",
        {
            "one/__init__.py": b"X = 1\n",
            "one/tests/test_x.py": b"Y = 2\n",
            "one-1.0.data/purelib/one_more.py": b"Z = 3\n",
            "one-1.0.data/scripts/one": b"#!python\n",
        },
    )

    error = assemble(
        tmp_path / "out", "wheels", str(wheels), "--prune", prune_list(tmp_path, "*/tests/*")
    )

    assert error == ""
    found = contents(tmp_path / "out")
    tag = sys.implementation.cache_tag
    assert set(found) == {
        f"{SITE}/one/__init__.py",
        f"{SITE}/one/__pycache__/__init__.{tag}.pyc",
        f"{SITE}/one_more.py",
        f"{SITE}/__pycache__/one_more.{tag}.pyc",
        f"{SITE}/one-1.0.dist-info/RECORD",
    }
    record = found[f"{SITE}/one-1.0.dist-info/RECORD"].decode()
    assert "one_more.py,sha256=" in record
    assert "scripts" not in record
    assert "one/tests/test_x.py" in record
    assert not (tmp_path / "out" / SITE / "one" / "tests").exists()


def test_a_layer_is_the_same_under_another_umask_and_elsewhere(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    write_wheel(wheels, "one", {"one/__init__.py": b"NAMES = {'a', 'b', 'c', 'd'}\n" * 50})
    prune = prune_list(tmp_path)

    assert assemble(tmp_path / "a", "wheels", str(wheels), "--prune", prune, umask=0o077) == ""
    assert assemble(tmp_path / "b/c", "wheels", str(wheels), "--prune", prune, umask=0) == ""

    def listing(out: Path) -> list[tuple[str, int, float]]:
        return [
            (path.relative_to(out).as_posix(), path.stat().st_mode, path.stat().st_mtime)
            for path in sorted(out.rglob("*"))
        ]

    assert contents(tmp_path / "a") == contents(tmp_path / "b/c")
    assert listing(tmp_path / "a") == listing(tmp_path / "b/c")
    assert {mode & 0o7777 for _, mode, _ in listing(tmp_path / "a")} == {0o755, 0o644}
    assert {time for _, _, time in listing(tmp_path / "a")} == {float(EPOCH)}


def test_a_random_hash_seed_is_refused(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    write_wheel(wheels, "one", {"one.py": b""})

    error = assemble(
        tmp_path / "out", "wheels", str(wheels), "--prune", prune_list(tmp_path), seed="1"
    )

    assert "PYTHONHASHSEED must be 0" in error


def test_a_member_that_leads_outside_is_refused(tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", "bad", {"../../../escaped.py": b""})

    error = assemble(
        tmp_path / "out", "wheels", str(tmp_path / "wheels"), "--prune", prune_list(tmp_path)
    )

    assert "../../../escaped.py leads outside" in error
    assert not list(tmp_path.rglob("escaped.py"))


def test_two_wheels_with_the_same_file_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_wheel(tmp_path / "wheels", name, {"shared.py": b""})

    error = assemble(
        tmp_path / "out", "wheels", str(tmp_path / "wheels"), "--prune", prune_list(tmp_path)
    )

    assert "two wheels hold shared.py" in error


def test_a_tree_is_copied_with_byte_code_of_its_own(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "package" / "__pycache__").mkdir(parents=True)
    (source / "package" / "module.py").write_text("X = 1\n", encoding="utf-8")
    (source / "package" / "__pycache__" / "module.cpython-399.pyc").write_bytes(b"stale")

    assert assemble(tmp_path / "out", "tree", str(source), "/opt/equivec/service") == ""

    tag = sys.implementation.cache_tag
    found = contents(tmp_path / "out")
    assert set(found) == {
        "opt/equivec/service/package/module.py",
        f"opt/equivec/service/package/__pycache__/module.{tag}.pyc",
    }
    compiled = found[f"opt/equivec/service/package/__pycache__/module.{tag}.pyc"]
    # Checked by nobody at run time (PEP 552): valid by the hash of its source.
    assert compiled[4:8] == b"\x01\x00\x00\x00"
    assert b"/opt/equivec/service/package/module.py" in compiled
    assert str(tmp_path).encode() not in compiled


def test_a_models_files_are_copied_without_byte_code(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "code").mkdir(parents=True)
    (source / "code" / "modeling.py").write_text("X = 1\n", encoding="utf-8")
    (source / "model.json").write_text("{}", encoding="utf-8")

    assert assemble(tmp_path / "out", "files", str(source), "/opt/equivec/model") == ""

    assert contents(tmp_path / "out") == {
        "opt/equivec/model/code/modeling.py": b"X = 1\n",
        "opt/equivec/model/model.json": b"{}",
    }


def test_of_the_standard_library_only_byte_code_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "library"
    (source / "json").mkdir(parents=True)
    (source / "json" / "decoder.py").write_text("X = 1\n", encoding="utf-8")
    (source / "LICENSE.txt").write_text("", encoding="utf-8")

    assert assemble(tmp_path / "out", "byte-code", str(source)) == ""

    tag = sys.implementation.cache_tag
    assert set(contents(tmp_path / "out")) == {
        f"usr/lib/python3.11/json/__pycache__/decoder.{tag}.pyc"
    }
