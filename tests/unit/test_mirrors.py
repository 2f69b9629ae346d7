"""Mirrors are those of the client's own apt, or the one that is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import FetchError
from builders.network import mirrors
from builders.network.mirrors import DEBIAN, MIRROR_VARIABLE, UBUNTU, Mirrors, parse_targets

LISTED = """\
http://deb.example/debian/ bookworm main
http://deb.example/debian/ bookworm main
http://deb.example/debian/ bookworm-updates main
http://sec.example/debian-security/ bookworm-security main
http://deb.example/other/ nodistro main
"""


def served(security: str | None = "http://s/debian-security") -> Mirrors:
    return Mirrors(main="http://m/debian", security=security, keyring=DEBIAN.keyring)


def test_main_and_security_are_told_apart() -> None:
    found = parse_targets(LISTED, "bookworm", DEBIAN)
    assert found.main == "http://deb.example/debian"
    assert found.security == "http://sec.example/debian-security"
    assert found.keyring == DEBIAN.keyring


def test_a_host_without_the_security_archive() -> None:
    assert parse_targets("http://d/debian trixie main\n", "trixie", DEBIAN).security is None


def test_a_cd_is_no_mirror() -> None:
    listed = "cdrom:[Debian]/ bookworm main\nhttp://d/debian bookworm main\n"
    assert parse_targets(listed, "bookworm", DEBIAN).main == "http://d/debian"


def test_of_a_list_of_mirrors_the_first_is_taken(tmp_path: Path) -> None:
    names = tmp_path / "mirrors.txt"
    names.write_text("# comment\nhttp://azure.example/ubuntu/\tpriority:1\nhttp://b/ubuntu/\n")
    found = parse_targets(f"mirror+file:{names}/ noble main\n", "noble", UBUNTU)
    assert found.main == "http://azure.example/ubuntu"


def test_an_empty_list_of_mirrors_is_an_error(tmp_path: Path) -> None:
    names = tmp_path / "mirrors.txt"
    names.write_text("# nothing\n")
    with pytest.raises(FetchError, match="names no mirror"):
        parse_targets(f"mirror+file:{names} noble main\n", "noble", UBUNTU)


def test_sources_without_the_release_are_an_error() -> None:
    with pytest.raises(FetchError, match="name no mirror of trixie"):
        parse_targets(LISTED, "trixie", DEBIAN)


def test_a_named_mirror_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "file:///srv/debian/")
    assert mirrors.mirrors() == Mirrors(
        main="file:///srv/debian", security=None, keyring=DEBIAN.keyring
    )


def test_a_named_mirror_may_have_a_security_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "http://m/debian http://m/debian-security/")
    assert mirrors.mirrors().security == "http://m/debian-security"


def test_another_distribution_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(mirrors, "os_release", lambda: {"ID": "fedora", "PRETTY_NAME": "Fedora"})
    monkeypatch.setattr("shutil.which", lambda _program: None)
    with pytest.raises(FetchError, match="this host's apt is not Debian's") as caught:
        mirrors.mirrors()
    assert caught.value.where == "Fedora"
    assert MIRROR_VARIABLE in caught.value.remedy


def test_on_another_system_the_official_image_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stand-in for `docker`: no image can be pulled where this is tested."""
    stand_in = tmp_path / "docker"
    stand_in.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$*" >&2\n'
        "echo 'http://deb.example/debian/ bookworm main'\n"
        "echo 'http://sec.example/debian-security/ bookworm-security main'\n"
    )
    stand_in.chmod(0o755)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(mirrors, "os_release", dict)

    found = mirrors.mirrors()

    assert (found.main, found.security) == (
        "http://deb.example/debian",
        "http://sec.example/debian-security",
    )


def test_the_official_image_is_pinned_and_has_no_network() -> None:
    argv = mirrors.image_argv()
    assert argv[:5] == ("docker", "run", "--rm", "--network", "none")
    assert argv[5].startswith("debian:bookworm-slim@sha256:")
    assert argv[6] == "apt-get"


def test_an_image_that_cannot_be_pulled_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in = tmp_path / "docker"
    stand_in.write_text("#!/bin/sh\necho no route to host >&2\nexit 125\n")
    stand_in.chmod(0o755)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(mirrors, "os_release", dict)

    with pytest.raises(FetchError, match="no route to host") as caught:
        mirrors.mirrors()
    assert MIRROR_VARIABLE in caught.value.remedy


def test_a_package_is_found_in_its_archive() -> None:
    assert served().url("main", "pool/a.deb") == "http://m/debian/pool/a.deb"
    assert served().url("security", "pool/a.deb") == "http://s/debian-security/pool/a.deb"


def test_an_unknown_security_archive_is_an_error() -> None:
    with pytest.raises(FetchError, match="no mirror of the security archive"):
        served(security=None).url("security", "pool/a.deb")
