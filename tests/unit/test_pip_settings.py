"""pip's configuration is read as pip reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builders.errors import FetchError
from builders.network.pip_settings import PipSettings, configuration_files, read, settings

HOME, PREFIX = Path("/home/ada"), Path("/opt/venv")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_without_configuration_pip_has_its_defaults() -> None:
    assert settings((), {}) == PipSettings()


def test_a_file_is_read(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "pip.conf",
        "[global]\n"
        "index-url = https://user:secret@index.example/simple\n"
        "extra-index-url =\n    file:///a/simple\n    file:///b/simple\n"
        "find-links = /wheels\ncert = /ca.pem\ntimeout = 30\n",
    )
    assert settings((file,), {}) == PipSettings(
        index_url="https://user:secret@index.example/simple",
        extra_index_urls=("file:///a/simple", "file:///b/simple"),
        find_links=("/wheels",),
        certificate="/ca.pem",
        timeout="30",
    )


def test_later_files_the_command_and_the_environment_win(tmp_path: Path) -> None:
    first = write(tmp_path, "1", "[install]\ncert = 1i\n[global]\nindex_url = 1\nproxy = 1\n")
    second = write(tmp_path, "2", "[global]\ncert = 2\nindex-url = 2\nfind-links = 2\n")
    found = settings((first, second), {"PIP_FIND_LINKS": "e1 e2", "PIP_PROXY": ""})
    assert found == PipSettings(certificate="1i", index_url="2", proxy="1", find_links=("e1", "e2"))


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("yes", True), ("false", False)])
def test_switches(value: str, expected: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    assert settings((), {"PIP_NO_INDEX": value}).no_index is expected


def test_other_sections_and_missing_files_do_not_count(tmp_path: Path) -> None:
    file = write(tmp_path, "pip.conf", "[download]\ncert = d\n[freeze]\ntimeout = 10\n")
    assert settings((file, tmp_path / "none"), {}) == PipSettings()


def test_a_malformed_file_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "pip.conf", "index-url = x\n")
    with pytest.raises(FetchError, match="malformed") as caught:
        settings((file,), {})
    assert caught.value.where == str(file)


def test_where_pip_looks_on_linux() -> None:
    assert configuration_files({}, system="linux", home=HOME, prefix=PREFIX) == (
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        HOME / ".pip/pip.conf",
        HOME / ".config/pip/pip.conf",
        PREFIX / "pip.conf",
    )


def test_where_pip_looks_on_macos(tmp_path: Path) -> None:
    files = configuration_files({}, system="darwin", home=tmp_path, prefix=PREFIX)
    assert tmp_path / ".config/pip/pip.conf" in files
    (tmp_path / "Library/Application Support/pip").mkdir(parents=True)
    files = configuration_files({}, system="darwin", home=tmp_path, prefix=PREFIX)
    assert tmp_path / "Library/Application Support/pip/pip.conf" in files
    assert tmp_path / ".config/pip/pip.conf" not in files


def test_a_named_file_replaces_the_user_s(tmp_path: Path) -> None:
    named = write(tmp_path, "mine.conf", "")
    environment = {"PIP_CONFIG_FILE": str(named)}
    files = configuration_files(environment, system="linux", home=HOME, prefix=PREFIX)
    assert files[-1] == named
    assert HOME / ".config/pip/pip.conf" not in files
    nowhere = {"PIP_CONFIG_FILE": os.devnull}
    assert configuration_files(nowhere, system="linux", home=HOME, prefix=PREFIX) == ()


def test_this_machine_s_configuration_can_be_read() -> None:
    assert read({"PIP_CERT": "/ca.pem"}).certificate == "/ca.pem"
