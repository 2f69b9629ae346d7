"""Tools of others: on PATH, in the cache, or out of packages; who has none is told what to do."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from builders import tools
from builders.engine import packages
from builders.errors import EngineError, FetchError, ToolError
from builders.tools import bundles
from builders.tools.bundles import RELEASES, Bundle

NAMES: tuple[tools.Name, ...] = ("cosign", "oras", "skopeo", "docker-registry")
BUNDLE = Bundle(suites=(("bookworm", ("cosign",)),), programs=("cosign",))


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing on PATH, on a host where one bundle can be brought."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(bundles, "here", lambda: (BUNDLE,))


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho itself\n")
    path.chmod(0o755)
    return path


def test_one_on_path_is_taken_before_one_in_the_cache(tmp_path: Path) -> None:
    cached = program(tmp_path / "cache" / "tools" / BUNDLE.name / "bin" / "cosign")
    assert tools.present("cosign", tmp_path / "cache") == cached
    assert tools.find("cosign", tmp_path / "cache", note=print) == cached

    on_path = program(tmp_path / "bin" / "cosign")
    assert tools.find("cosign", tmp_path / "cache", note=print) == on_path


def test_present_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "unpacked", pytest.fail)
    assert tools.present("cosign", tmp_path) is None
    assert tools.present("skopeo", tmp_path) is None


def test_it_is_brought_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def unpacked(*_: object, scratch: Path, **__: object) -> tuple[Path, dict[str, str]]:
        nonlocal made
        made += 1
        program(scratch / "tree" / "usr" / "bin" / "cosign")
        return scratch / "tree", {"cosign": "2.5.0"}

    monkeypatch.setattr(packages, "unpacked", unpacked)
    paths = {tools.find("cosign", tmp_path, note=print) for _ in range(2)}
    assert paths == {tmp_path / "tools" / BUNDLE.name / "bin" / "cosign"}
    assert made == 1
    assert '"cosign": "2.5.0"' in (paths.pop().parents[1] / "packages.json").read_text()
    assert [path.name for path in (tmp_path / "tools").iterdir()] == [BUNDLE.name]


@pytest.mark.parametrize("error", [FetchError("no mirror"), EngineError("no program")])
def test_what_cannot_be_brought_is_to_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def unpacked(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(packages, "unpacked", unpacked)
    with pytest.raises(ToolError, match=f"cosign is not .*: {error}") as caught:
        tools.find("cosign", tmp_path, note=print)
    assert caught.value.remedy == "install cosign 2 or 3 and put it on PATH"
    assert list((tmp_path / "tools").iterdir()) == []


def test_elsewhere_it_is_to_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "here", lambda: ())
    with pytest.raises(ToolError, match="only on debian bookworm, debian trixie") as caught:
        tools.find("oras", tmp_path, note=print)
    assert caught.value.remedy == "install oras 1.2 or newer and put it on PATH"


@pytest.mark.parametrize("release", list(RELEASES))
def test_every_tool_is_in_one_bundle_of_a_release(release: tuple[str, str]) -> None:
    programs = [name for bundle in RELEASES[release] for name in bundle.programs]
    assert sorted(programs) == sorted(NAMES)


def test_another_bundle_has_another_folder() -> None:
    other = Bundle(suites=(("trixie", ("cosign",)),), programs=("cosign",))
    assert other.name != BUNDLE.name


def test_a_program_with_libraries_of_its_own_finds_them(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    starter = program(tree / "usr" / "bin" / "skopeo")
    starter.write_text('#!/bin/sh\nprintf "%s|" "$LD_LIBRARY_PATH" "$@"\n')
    library = tree / "usr" / "lib" / "x86_64-linux-gnu" / "libgpgme.so.11.25.0"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"library")
    library.with_name("libgpgme.so.11").symlink_to(library.name)

    bundles.arrange(tree, ("skopeo",), tmp_path / "made")

    made = tmp_path / "made" / "bin" / "skopeo"
    assert stat.S_IMODE(made.stat().st_mode) == 0o755
    answer = subprocess.run(
        [made, "inspect", "two words"],
        env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": "/of/others"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    place, others, *words = answer.replace(":", "|").split("|")
    assert (Path(place) / "libgpgme.so.11").read_bytes() == b"library"
    assert others == "/of/others"
    assert words == ["inspect", "two words", ""]


def test_a_package_without_its_program_is_noticed(tmp_path: Path) -> None:
    program(tmp_path / "tree" / "usr" / "bin" / "other")
    with pytest.raises(EngineError, match="no program cosign"):
        bundles.arrange(tmp_path / "tree", ("cosign",), tmp_path / "made")
