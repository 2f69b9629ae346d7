from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from builders import host_venv
from builders.errors import ProcessError, ReferenceVectorsError
from builders.formats.wheel import inspect
from builders.lock.wheels import Wheel
from builders.store import Store

FILE = "small-1.0-py3-none-any.whl"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def small(store: Store) -> Wheel:
    """A small wheel that is in the store."""
    wheel = store.cache / FILE
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small.py", "WORD = 'installed'\n")
        archive.writestr(
            "small-1.0.dist-info/METADATA",
            # Dependencies are the lock's business: nothing is resolved here.
            "Metadata-Version: 2.1\nName: small\nVersion: 1.0\nRequires-Dist: absent\n",
        )
        archive.writestr(
            "small-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            "small-1.0.dist-info/RECORD",
            "small.py,,\nsmall-1.0.dist-info/METADATA,,\nsmall-1.0.dist-info/WHEEL,,\n"
            "small-1.0.dist-info/RECORD,,\n",
        )
    contents, size = inspect(wheel), wheel.stat().st_size
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert store.add(sha256, wheel) is not None
    return Wheel(
        name="small", version="1.0", sha256=sha256, file=FILE, size=size, contents=contents
    )


def environment(store: Store, *wheels: Wheel) -> Path:
    files = {wheel.file: wheel.sha256 for wheel in wheels}
    return host_venv.python(store, wheels, store.gathered("wheels", files))


def word(python: Path) -> str:
    code = "import small, sys; print(small.WORD, sys.prefix)"
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_wheels_are_installed_without_network_and_once(store: Store, small: Wheel) -> None:
    python = environment(store, small)
    assert word(python) == f"installed {python.parents[1]}"
    made = python.stat(follow_symlinks=False).st_mtime_ns
    assert environment(store, small) == python
    assert python.stat(follow_symlinks=False).st_mtime_ns == made


def test_other_wheels_are_another_environment(store: Store, small: Wheel) -> None:
    python = environment(store, small)
    other = environment(store)
    assert other != python
    with pytest.raises(subprocess.CalledProcessError):
        word(other)


def test_wheel_that_is_not_the_expected_one_is_refused(store: Store, small: Wheel) -> None:
    stored = store.path(small.sha256)
    stored.chmod(0o644)
    with zipfile.ZipFile(stored, "a") as archive:
        archive.writestr("more.py", "")
    with pytest.raises(ProcessError, match=r"(?i)hash mismatch"):
        environment(store, small)
    assert not list((store.cache / "derived" / "hosts").glob("*"))


def test_argument_lists() -> None:
    venv = host_venv.venv_argv(Path("/usr/bin/python3.11"), Path("/cache/hosts/x"))
    assert venv[1:4] == ("venv", "--python", "/usr/bin/python3.11")
    assert "--no-python-downloads" in venv
    install = host_venv.install_argv(
        Path("/cache/hosts/x"), wheels=Path("/wheels"), requirements=Path("/lock.txt")
    )
    assert install[1:5] == ("pip", "install", "--python", "/cache/hosts/x/bin/python")
    assert {"--offline", "--no-index", "--no-deps", "--require-hashes"} <= set(install)
    assert "--no-python-downloads" in host_venv.find_argv()


def test_environment_of_uv_is_not_the_users() -> None:
    environment = {"PATH": "/p", "UV_INDEX_URL": "elsewhere", "PIP_FIND_LINKS": "/mine"}
    assert host_venv.uv_environment(environment) == {"PATH": "/p"}


def test_interpreter_is_a_python_3_11() -> None:
    version = subprocess.run(
        [host_venv.interpreter(), "--version"], check=True, capture_output=True, text=True
    )
    assert version.stdout.startswith("Python 3.11.")


def test_another_interpreter_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The orchestrator may be of another version; uv's two answers stand for two machines."""
    monkeypatch.setattr(host_venv, "find_argv", lambda: (sys.executable, "-c", "exit(2)"))
    with pytest.raises(ReferenceVectorsError, match=r"no Python 3\.11"):
        host_venv.interpreter((3, 13))
    monkeypatch.setattr(host_venv, "find_argv", lambda: (sys.executable, "-c", "print('/x/y')"))
    assert host_venv.interpreter((3, 13)) == Path("/x/y")
