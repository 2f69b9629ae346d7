"""apt in the official image: what the container is given, and what is made of its answer."""

from __future__ import annotations

import shlex
import ssl
from pathlib import Path

import pytest

from builders.errors import FetchError
from builders.network import apt, contained_apt
from builders.network.apt import NotListedError
from builders.network.contained_apt import ContainedIndex, argv, proxies_of, script
from builders.network.mirrors import DEBIAN, IMAGE, MIRROR_VARIABLE, Mirrors

MIRRORS = Mirrors(
    main="http://d/debian", security="http://d/debian-security", keyring=DEBIAN.keyring
)
INDEX = ContainedIndex(mirrors=MIRRORS, suite="bookworm", architecture="arm64")
LINE = "'http://d/debian/pool/main/{0}/{0}_1_arm64.deb' {0}_1_arm64.deb 7 SHA256:" + "a" * 64
PROXY = "http://user:secret@proxy.example:3128"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The programs of a host that has nothing but `docker`; a stand-in, see `answer`."""
    for name in contained_apt.PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def answer(programs: Path, *lines: str, status: int = 0) -> None:
    """Let `docker` keep what it is given, print lines and end with a status."""
    kept = programs.parent
    docker = programs / "docker"
    docker.write_text(
        f"#!/bin/sh\nPATH=/usr/bin:/bin\ncat >{kept}/script\nenv >{kept}/env\n"
        f"printf '%s\\n' \"$@\" >{kept}/argv\n"
        + "".join(f"echo {shlex.quote(line)}\n" for line in lines)
        + f"echo the last words >&2\nexit {status}\n"
    )
    docker.chmod(0o755)


def test_the_container_is_the_pinned_image_and_leaves_nothing() -> None:
    assert argv("Darwin", ()) == (
        *("docker", "run", "--rm", "--init", "--interactive"),
        *(IMAGE, "timeout", "300", "sh", "-eu"),
    )


def test_on_linux_the_container_has_the_hosts_own_network() -> None:
    assert argv("Linux", ()) == (
        *("docker", "run", "--rm", "--init", "--interactive", "--network", "host"),
        *(IMAGE, "timeout", "300", "sh", "-eu"),
    )


def test_proxies_are_handed_on_by_name() -> None:
    assert argv("Darwin", ("http_proxy", "no_proxy"))[5:9] == (
        *("--env", "http_proxy"),
        *("--env", "no_proxy"),
    )


def test_proxies_have_lower_case_for_apt() -> None:
    environment = {"HTTP_PROXY": "a", "https_proxy": "b", "HTTPS_PROXY": "c", "no_proxy": ""}
    assert proxies_of(environment) == {"http_proxy": "a", "https_proxy": "b"}
    assert proxies_of({"PATH": "/bin"}) == {}


def test_the_script_verifies_the_index_before_it_names_files() -> None:
    lines = script(MIRRORS, "bookworm", "arm64", ["libssl3", "tzdata"], "").splitlines()
    assert lines[0] == (
        "mkdir -p /tmp/equivec-apt/state/lists/partial /tmp/equivec-apt/cache/archives/partial"
    )
    apt_get = "</dev/null LC_ALL=C apt-get -q -c /tmp/equivec-apt/apt.conf"
    assert lines[-2:] == [
        f"{apt_get} --error-on=any update >&2",
        f"{apt_get} download --print-uris libssl3 tzdata || exit 44",
    ]


def test_the_script_writes_the_same_files_as_for_the_hosts_apt() -> None:
    words = shlex.split(script(MIRRORS, "bookworm", "arm64", ["tzdata"], "PEM"))
    places = [word for word in words if word.startswith(">/")]
    written = {place: words[words.index(place) - 1] for place in places}
    directory = contained_apt.DIRECTORY
    assert written == {
        f">{directory}/status": "",
        f">{directory}/sources.list": apt.sources(MIRRORS, "bookworm", "arm64"),
        f">{directory}/authorities.pem": "PEM",
        f">{directory}/apt.conf": apt.configuration(directory, "arm64")
        + f'Acquire::https::CAInfo "{directory}/authorities.pem";\n',
    }


def test_nothing_that_is_named_is_run() -> None:
    hostile = Mirrors(main="http://d/$(id)'`id`", security=None, keyring=DEBIAN.keyring)
    words = shlex.split(script(hostile, "bookworm", "arm64", ["a;id"], ""))
    assert "a;id" in words
    assert any("http://d/$(id)'`id` bookworm main" in word for word in words)


def test_the_answer_is_in_the_order_of_the_names(host: Path) -> None:
    answer(host, "Reading package lists...", LINE.format("b"), LINE.format("a"))
    assert [package.name for package in INDEX.show(["a", "b", "a"])] == ["a", "b"]
    assert (host.parent / "argv").read_text().splitlines()[-5] == IMAGE
    given = (host.parent / "script").read_text()
    assert given.endswith("download --print-uris a b || exit 44\n")
    assert given.count(ssl.PEM_HEADER) > 1


def test_no_names_need_no_container(host: Path) -> None:
    assert INDEX.show([]) == ()


def test_a_proxy_reaches_the_container_but_not_the_argument_list(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(host, status=100)
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    with pytest.raises(FetchError) as caught:
        INDEX.show(["a"])
    assert f"http_proxy={PROXY}" in (host.parent / "env").read_text().splitlines()
    assert "--env\nhttp_proxy\n" in (host.parent / "argv").read_text()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [100, 125, 1])
def test_a_failure_shows_the_last_words(host: Path, status: int) -> None:
    answer(host, LINE.format("a"), status=status)
    with pytest.raises(FetchError, match=r"(?s)docker run .*the last words") as caught:
        INDEX.show(["a"])
    assert not isinstance(caught.value, NotListedError)
    assert caught.value.where == "bookworm/arm64"
    assert MIRROR_VARIABLE in caught.value.remedy


def test_a_name_that_the_index_lacks_is_told_apart(host: Path) -> None:
    answer(host, status=contained_apt.NOT_LISTED)
    with pytest.raises(NotListedError, match="the last words"):
        INDEX.show(["a"])
    answer(host, LINE.format("a"))
    with pytest.raises(NotListedError, match="named no file for b"):
        INDEX.show(["a", "b"])


def test_a_docker_that_cannot_be_started_is_an_error(host: Path) -> None:
    (host / "docker").write_text("no program")
    (host / "docker").chmod(0o755)
    with pytest.raises(FetchError, match="cannot start docker"):
        INDEX.show(["a"])


def test_without_docker_it_says_what_to_install(host: Path) -> None:
    with pytest.raises(FetchError, match="no apt with Debian's keys") as caught:
        INDEX.show(["a"])
    assert "debian-archive-keyring" in caught.value.remedy


@pytest.mark.parametrize(
    "mirrors",
    [
        Mirrors(main="file:///srv/debian", security=None, keyring=DEBIAN.keyring),
        Mirrors(main="http://d", security="file:///srv/debian", keyring=DEBIAN.keyring),
    ],
)
def test_a_mirror_of_files_cannot_be_read(host: Path, mirrors: Mirrors) -> None:
    answer(host)
    index = ContainedIndex(mirrors=mirrors, suite="bookworm", architecture="arm64")
    with pytest.raises(FetchError, match="a container cannot read file:///srv/debian") as caught:
        index.show(["a"])
    assert MIRROR_VARIABLE in caught.value.remedy
    assert not (host.parent / "argv").exists()
