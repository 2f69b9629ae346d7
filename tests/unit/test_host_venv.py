from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from builders import host, host_venv, matrix
from builders.errors import ProcessError, ReferenceVectorsError
from builders.formats.wheel import inspect
from builders.lock import wheels as wheel_lock
from builders.lock.wheels import Wheel, WheelLock
from builders.project import Project
from builders.store import Store

ROOT = Path(__file__).resolve().parents[2]
FILE = "small-1.0-py3-none-any.whl"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout with one backend, whose lock is one small wheel that is in the store."""
    made = Project(
        root=tmp_path / "checkout",
        matrix=matrix.load(ROOT / "matrix.yaml"),
        store=Store(tmp_path / "cache"),
    )
    wheel = tmp_path / "cache" / FILE
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
    assert made.store.add(sha256, wheel) is not None
    write_lock(
        made,
        Wheel(name="small", version="1.0", sha256=sha256, file=FILE, size=size, contents=contents),
    )
    return made


def write_lock(project: Project, *wheels: Wheel, no_solution: str = "") -> None:
    path = wheel_lock.lock_path(project.images / "tiny", host.current())
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = WheelLock(path=path, platform=host.current(), wheels=wheels, no_solution=no_solution)
    path.write_text(wheel_lock.format_requirements(lock), encoding="utf-8")
    (path.parent / wheel_lock.CONTENTS).write_text(wheel_lock.format_contents([lock]), "utf-8")


def word(python: Path) -> str:
    code = "import small, sys; print(small.WORD, sys.prefix)"
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_locked_wheels_are_installed_without_network_and_once(project: Project) -> None:
    python = host_venv.python(project, "tiny")
    assert word(python) == f"installed {python.parents[1]}"
    made = python.stat(follow_symlinks=False).st_mtime_ns
    assert host_venv.python(project, "tiny") == python
    assert python.stat(follow_symlinks=False).st_mtime_ns == made


def test_another_lock_is_another_environment(project: Project) -> None:
    python = host_venv.python(project, "tiny")
    write_lock(project)
    other = host_venv.python(project, "tiny")
    assert other != python
    with pytest.raises(subprocess.CalledProcessError):
        word(other)


def test_wheel_that_is_not_the_locked_one_is_refused(project: Project) -> None:
    (wheel,) = wheel_lock.read(project.images / "tiny", host.current()).wheels
    stored = project.store.path(wheel.sha256)
    stored.chmod(0o644)
    with zipfile.ZipFile(stored, "a") as archive:
        archive.writestr("more.py", "")
    with pytest.raises(ProcessError, match=r"(?i)hash mismatch"):
        host_venv.python(project, "tiny")
    assert not list((project.store.cache / "derived" / "hosts").glob("*"))


def test_backend_that_this_host_cannot_have(project: Project) -> None:
    write_lock(project, no_solution="small has no wheel for this platform")
    with pytest.raises(ReferenceVectorsError, match="small has no wheel for this platform"):
        host_venv.python(project, "tiny")


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
