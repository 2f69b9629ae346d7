"""apt is run with a state of its own; what it prints is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import FetchError
from builders.network.apt import Index, configuration, deb_name, parse_uris, sources
from builders.network.mirrors import Mirrors

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRRORS = Mirrors(main="http://d/debian", security="http://d/debian-security", keyring=KEYRING)
QEMU = "ca6ede739327a20ae5a3498230c8a3a9a072c586e131bc6bcc1201eb1725e336"
URIS = f"""\
Reading package lists...
'http://d/debian/pool/main/q/qemu/qemu-user_10.0.13%2bds-0_amd64.deb' qemu-user_1%3a10.0.13+ds-0_amd64.deb 71089852 SHA256:{QEMU}
'http://d/debian-security/pool/updates/main/t/tzdata/tzdata_2026f-0_all.deb' tzdata_2026f-0_all.deb 307832 SHA256:{QEMU}
"""  # noqa: E501 (as apt prints them)


def test_uris_become_packages() -> None:
    qemu, tzdata = parse_uris(URIS, MIRRORS)
    assert qemu.name == "qemu-user"
    assert qemu.version == "1:10.0.13+ds-0"
    assert qemu.architecture == "amd64"
    assert qemu.archive == "main"
    assert qemu.path == "pool/main/q/qemu/qemu-user_10.0.13+ds-0_amd64.deb"
    assert qemu.sha256 == QEMU
    assert qemu.size == 71089852
    assert tzdata.archive == "security"
    assert tzdata.architecture == "all"


@pytest.mark.parametrize("base", ["file:/srv/debian", "file:///srv/debian"])
def test_files_are_mirrors_too(base: str) -> None:
    served = Mirrors(main="http://d/debian", security=base, keyring=KEYRING)
    line = f"'file:/srv/debian/pool/a/a_1_all.deb' a_1_all.deb 3 SHA256:{QEMU}"
    assert [package.archive for package in parse_uris(line, served)] == ["security"]


def test_a_downloaded_file_has_apts_name() -> None:
    qemu, tzdata = parse_uris(URIS, MIRRORS)
    assert deb_name(qemu) == "qemu-user_1%3a10.0.13+ds-0_amd64.deb"
    assert deb_name(tzdata) == "tzdata_2026f-0_all.deb"


def test_sources_name_the_suite_with_its_updates_and_fixes() -> None:
    options = f"[arch=arm64 signed-by={KEYRING} target=Packages]"
    assert sources(MIRRORS, "bookworm", "arm64").splitlines() == [
        f"deb {options} http://d/debian bookworm main",
        f"deb {options} http://d/debian bookworm-updates main",
        f"deb {options} http://d/debian-security bookworm-security main",
    ]


def test_without_a_security_archive_none_is_named() -> None:
    served = Mirrors(main="http://u/ubuntu", security=None, keyring=KEYRING)
    text = sources(served, "noble", "amd64", ("main", "universe"))
    assert text.endswith("http://u/ubuntu noble-updates main universe\n")
    assert "security" not in text


def test_nothing_of_the_systems_apt_is_written_to(tmp_path: Path) -> None:
    lines = configuration(tmp_path, "arm64").splitlines()
    moved = {line.split()[0] for line in lines if f'"{tmp_path}' in line}
    assert moved == {
        "Dir::State",
        "Dir::State::lists",
        "Dir::State::status",
        "Dir::Cache",
        "Dir::Cache::archives",
        "Dir::Etc::sourcelist",
    }
    assert 'Dir::Etc::sourceparts "/dev/null";' in lines
    assert "#clear APT::Update::Post-Invoke;" in lines
    assert "#clear APT::Update::Post-Invoke-Success;" in lines
    assert 'APT::Architecture "arm64";' in lines


def test_no_names_need_no_apt(tmp_path: Path) -> None:
    index = Index(directory=tmp_path, mirrors=MIRRORS, suite="bookworm", architecture="amd64")
    assert index.show([]) == ()


def test_a_mirror_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    served = Mirrors(main=f"file://{tmp_path}/none", security=None, keyring=keyring)
    index = Index(directory=tmp_path, mirrors=served, suite="bookworm", architecture="amd64")
    with pytest.raises(FetchError, match="apt-get") as caught:
        index.update()
    assert caught.value.where == "bookworm/amd64"


def test_without_the_archives_keys_it_says_what_to_install(tmp_path: Path) -> None:
    keyring = tmp_path / "debian-archive-keyring.gpg"
    served = Mirrors(main="http://d/debian", security=None, keyring=keyring)
    index = Index(directory=tmp_path, mirrors=served, suite="bookworm", architecture="amd64")
    with pytest.raises(FetchError, match="keys that the archive is signed with") as caught:
        index.update()
    assert caught.value.remedy == "apt-get install debian-archive-keyring"
