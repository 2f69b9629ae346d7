"""Preflight of any package: what the indexes offer is looked up, and the wheel is opened."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builders import matrix, package
from builders.commands import preflight
from builders.commands.preflight import package_platforms
from builders.errors import FetchError, LockError, SelectionError
from builders.files import sha256_of
from builders.network.indexes import Candidate, Indexes, NoSolutionError
from builders.network.pip_settings import PipSettings
from builders.package import PackageAnswer
from builders.paths import ROOT
from builders.project import Project
from builders.store import Store
from tests.unit.elf_samples import elf_file

MACH_O = struct.pack("<II", 0xFEEDFACF, 0x0100000C)
UNKNOWN = "Because x was not found in the package registry and you require x."
NO_WHEEL = "Because x==2 has no wheels with a matching platform tag and you require x==2."


def write_wheel(folder: Path, file: str, code: bytes = b"") -> Path:
    name, version, _ = file.split("-", 2)
    info = f"{name}-{version}.dist-info"
    members: Mapping[str, bytes] = {
        f"{name}/__init__.py": b"",
        **({f"{name}/code.so": code} if code else {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\n",
        f"{info}/RECORD": b"",
    }
    path = folder / file
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member), content)
    return path


def candidate(path: Path, *, sha256: str | None = None) -> Candidate:
    name, version = path.name.removesuffix(".tar.gz").split("-")[:2]
    return Candidate(
        name=name.replace("_", "-"),
        version=version,
        file=path.name,
        url=str(path),
        sha256=sha256_of(path) if sha256 is None else sha256,
    )


@dataclass(frozen=True, kw_only=True)
class GivenIndexes(Indexes):
    """Indexes whose answers are given.

    Attributes:
        fitting: The files for each platform; without an entry there is no solution.
        sources: The source archive, if there is one.
        everywhere: The files for any platform, by version.
        refusal: What is said where there is no solution.
    """

    fitting: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)
    sources: tuple[Candidate, ...] = ()
    everywhere: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)
    refusal: str = NO_WHEEL

    def locate(
        self, lock: Path, platform: str, sources: Iterable[str] = ()
    ) -> tuple[Candidate, ...]:
        assert lock.read_text().strip()
        found = self.sources if tuple(sources) else self.fitting.get(platform, ())
        if not found:
            raise NoSolutionError(self.refusal)
        return found

    def wheels(self, name: str, version: str) -> tuple[Candidate, ...]:
        assert name
        return self.everywhere.get(version, ())


def indexes(
    fitting: Mapping[str, Candidate] | None = None,
    *,
    sources: tuple[Candidate, ...] = (),
    everywhere: Mapping[str, tuple[Candidate, ...]] | None = None,
    refusal: str = NO_WHEEL,
) -> GivenIndexes:
    return GivenIndexes(
        settings=PipSettings(),
        environment={},
        fitting={platform: (one,) for platform, one in (fitting or {}).items()},
        sources=sources,
        everywhere=everywhere or {},
        refusal=refusal,
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a checkout with the base alone."""
    shutil.copytree(ROOT / "images" / "base", tmp_path / "images" / "base")
    return Project(
        root=tmp_path,
        matrix=matrix.load(ROOT / "matrix.yaml"),
        store=Store(tmp_path / "cache"),
    )


def examine(
    project: Project, given: Indexes, text: str = "x", platform: str = "linux/arm64"
) -> PackageAnswer:
    return package.examine(
        project, given, package.parse(text), platform, progress=lambda _done, _total: None
    )


def test_a_wheel_that_fits_is_described(tmp_path: Path, project: Project) -> None:
    code = elf_file(machine="arm64", asks_for=["GLIBC_2.27", "GLIBCXX_3.4.21"])
    path = write_wheel(tmp_path, "x-1-cp311-cp311-manylinux_2_28_aarch64.whl", code)
    answer = examine(project, indexes({"linux/arm64": candidate(path)}))
    assert answer.possible
    assert answer.how == (
        (
            "x-1-cp311-cp311-manylinux_2_28_aarch64.whl holds elf arm64; asks for GLIBC_2.27"
            " (the image has GLIBC_2.36), GLIBCXX_3.4.21 (the image has GLIBCXX_3.4.30)"
        ),
    )
    assert answer.alternatives == ()
    assert project.store.find(sha256_of(path), path.stat().st_size) is not None


def test_a_pure_wheel(tmp_path: Path, project: Project) -> None:
    path = write_wheel(tmp_path, "x-1-py3-none-any.whl")
    answer = examine(project, indexes({"linux/arm64": candidate(path)}))
    assert answer.how == ("x-1-py3-none-any.whl holds no machine code",)


def test_a_host_s_own_libraries_are_not_told(tmp_path: Path, project: Project) -> None:
    path = write_wheel(tmp_path, "x-1-py3-none-macosx_11_0_arm64.whl", MACH_O)
    given = indexes({"darwin/arm64": candidate(path)})
    answer = examine(project, given, platform="darwin/arm64")
    assert answer.how == ("x-1-py3-none-macosx_11_0_arm64.whl holds mach-o arm64",)


def test_a_label_of_any_that_is_a_lie(tmp_path: Path, project: Project) -> None:
    old = candidate(write_wheel(tmp_path, "x-1-py3-none-any.whl", MACH_O))
    new = candidate(write_wheel(tmp_path, "x-2-py3-none-manylinux2014_x86_64.whl"))
    answer = examine(project, indexes({"linux/arm64": old, "linux/amd64": new}))
    assert answer.reasons == (
        "x-1-py3-none-any.whl holds macOS binaries (mach-o arm64), not Linux's (elf arm64)",
        "1 is the newest version with a wheel that installs on linux/arm64: 2 has none",
    )
    assert answer.how == ()


def test_a_newer_c_library_than_the_base_s(tmp_path: Path, project: Project) -> None:
    code = elf_file(machine="amd64", asks_for=["GLIBC_2.39"])
    path = write_wheel(tmp_path, "x-1-py3-none-manylinux1_x86_64.whl", code)
    given = indexes({"linux/amd64": candidate(path)})
    answer = examine(project, given, platform="linux/amd64")
    assert answer.reasons == (
        "x-1-py3-none-manylinux1_x86_64.whl asks for GLIBC_2.39, and the image has GLIBC_2.36",
    )


def test_wheels_for_other_platforms_are_named(tmp_path: Path, project: Project) -> None:
    mac = candidate(write_wheel(tmp_path, "x-2-py3-none-macosx_11_0_arm64.whl"))
    windows = candidate(write_wheel(tmp_path, "x-2-py3-none-win_amd64.whl"))
    given = indexes(everywhere={"2": (windows, mac)})
    answer = examine(project, given, "x==2")
    assert answer.reasons == (
        (
            "x 2: no wheel for linux/arm64, only x-2-py3-none-macosx_11_0_arm64.whl,"
            " x-2-py3-none-win_amd64.whl, and no source archive"
        ),
    )
    assert answer.offered == (mac.file, windows.file)


def test_the_version_is_that_of_another_platform_s_wheel(tmp_path: Path, project: Project) -> None:
    mac = candidate(write_wheel(tmp_path, "x-3-py3-none-macosx_11_0_arm64.whl"))
    given = indexes({"darwin/arm64": mac}, everywhere={"3": (mac,)})
    assert examine(project, given, "x>=2").version == "3"


def test_a_source_archive_without_a_recipe(tmp_path: Path, project: Project) -> None:
    path = tmp_path / "x-2.tar.gz"
    path.write_bytes(b"never opened")
    answer = examine(project, indexes(sources=(candidate(path),)))
    assert answer.reasons == (
        (
            "x 2: no wheel for any platform; it would be compiled from source (x-2.tar.gz),"
            " and no recipe in images/*/wheels does that"
        ),
    )
    assert (answer.source, answer.recipes) == ("x-2.tar.gz", ())


def test_a_source_archive_with_a_recipe(tmp_path: Path, project: Project) -> None:
    path = tmp_path / "x-2.tar.gz"
    path.write_bytes(b"never opened")
    recipe = project.images / "some" / "wheels" / "x"
    recipe.mkdir(parents=True)
    (recipe / "recipe.toml").write_text('libraries = ["x/*.so"]\n')
    answer = examine(project, indexes(sources=(candidate(path),)))
    assert answer.possible
    assert answer.how == (
        (
            "x 2: no wheel for any platform; it would be compiled from source (x-2.tar.gz),"
            " by the recipe in images/some/wheels/x"
        ),
    )


def test_what_is_known_of_nothing_else_is_told_in_uv_s_words(project: Project) -> None:
    answer = examine(project, indexes(), "x==2")
    assert answer.reasons == (f"no wheel for linux/arm64, in uv's words: {NO_WHEEL}",)


def test_a_misspelt_name_is_an_error(project: Project) -> None:
    with pytest.raises(SelectionError, match="x was not found") as caught:
        examine(project, indexes(refusal=UNKNOWN))
    assert caught.value.where == "--package x"


def test_an_index_without_digests_is_refused(tmp_path: Path, project: Project) -> None:
    path = write_wheel(tmp_path, "x-1-py3-none-any.whl")
    given = indexes({"linux/arm64": candidate(path, sha256="")})
    with pytest.raises(LockError, match="no sha256 of x-1"):
        examine(project, given)


def test_a_file_of_another_digest_is_refused(tmp_path: Path, project: Project) -> None:
    path = write_wheel(tmp_path, "x-1-py3-none-any.whl")
    given = indexes({"linux/arm64": candidate(path, sha256="0" * 64)})
    with pytest.raises(FetchError, match="is not what the lock says"):
        examine(project, given)


@pytest.mark.parametrize(
    "text", ["", "-r x", "x @ https://x.example/x.whl", "x; os_name == 'nt'", "x[extra]"]
)
def test_what_is_no_package_is_refused(text: str) -> None:
    with pytest.raises(SelectionError, match="not a package's name"):
        package.parse(text)


def test_without_a_platform_all_of_linux_and_this_host_are_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = ("linux/amd64", "linux/arm64", "darwin/arm64")
    monkeypatch.setattr("builders.host.current", lambda: "linux/arm64")
    assert package_platforms((), known) == ("linux/amd64", "linux/arm64")
    monkeypatch.setattr("builders.host.current", lambda: "darwin/amd64")
    assert package_platforms((), known) == ("linux/amd64", "linux/arm64", "darwin/amd64")
    assert package_platforms(("darwin/arm64",), known) == ("darwin/arm64",)
    with pytest.raises(SelectionError, match="did you mean 'linux/arm64'"):
        package_platforms(("linux/arm",), known)


Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the command, with gpt4all in a folder as the indexes of the world have it."""
    folder = tmp_path / "index"
    folder.mkdir()
    write_wheel(folder, "gpt4all-0.1.7-py3-none-any.whl", MACH_O)
    write_wheel(folder, "gpt4all-2.8.2-py3-none-macosx_10_15_universal2.whl", MACH_O)
    code = elf_file(machine="amd64", asks_for=["GLIBC_2.34"])
    write_wheel(folder, "gpt4all-2.8.2-py3-none-manylinux1_x86_64.whl", code)
    write_wheel(folder, "gpt4all-2.8.2-py3-none-win_amd64.whl")
    for name in os.environ:
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("EQUIVEC_CACHE", str(tmp_path / "cache"))

    def run(*words: str) -> int:
        parser = argparse.ArgumentParser()
        preflight.add_arguments(parser)
        return preflight.run(parser.parse_args(words))

    return run


def test_gpt4all_as_a_newcomer_asks_for_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--package", "gpt4all", "--platform", "linux/arm64") == 13
    printed = capsys.readouterr()
    assert (
        "gpt4all-0.1.7-py3-none-any.whl holds macOS binaries (mach-o arm64),"
        " not Linux's (elf arm64)"
    ) in printed.out
    assert "2.8.2 has none" in printed.out
    assert "backends of this matrix that run on linux/arm64: onnxruntime" in printed.out
    assert printed.err.count("gpt4all on linux/arm64") == 1


def test_gpt4all_pinned(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--package", "gpt4all==2.8.2", "--json") == 13
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["package"]) == (1, "gpt4all==2.8.2")
    amd64, arm64 = document["platforms"][:2]
    assert (amd64["platform"], amd64["status"]) == ("linux/amd64", "possible")
    assert amd64["wheel"]["file"] == "gpt4all-2.8.2-py3-none-manylinux1_x86_64.whl"
    assert (amd64["wheel"]["binaries"], amd64["wheel"]["glibc"]) == (["elf amd64"], "2.34")
    assert (arm64["platform"], arm64["status"], arm64["wheel"]) == ("linux/arm64", "refused", None)
    assert arm64["offered"] == [
        "gpt4all-2.8.2-py3-none-macosx_10_15_universal2.whl",
        "gpt4all-2.8.2-py3-none-manylinux1_x86_64.whl",
        "gpt4all-2.8.2-py3-none-win_amd64.whl",
    ]
    assert "onnxruntime" in arm64["alternatives"]


def test_gpt4all_where_it_runs(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--package", "gpt4all", "--platform", "linux/amd64") == 0
    assert "GLIBC_2.34 (the image has GLIBC_2.36)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gtp4all",), "gtp4all was not found"),
        (("gpt4all==99",), "there is no version of gpt4all==99"),
        (("gpt4all", "--all"), "a package is of no cell"),
        (("gpt4all", "--backend", "onnxruntime"), "a package is of no cell"),
        (("gpt4all", "--platform", "linux/arm"), "did you mean 'linux/arm64'"),
    ],
)
def test_bad_questions(run: Run, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(SelectionError, match=said):
        run("--package", *words)
