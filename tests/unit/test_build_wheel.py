"""images/toolchain/build_wheel.py, which runs inside the wheel stage."""

from __future__ import annotations

import importlib.util
import json
import stat
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from builders.paths import ROOT
from builders.wheelhouse import audit

SCRIPT = ROOT / "images" / "toolchain" / "build_wheel.py"
WHEEL = "pkg-1.0-py3-none-linux_x86_64.whl"


@pytest.fixture(scope="module")
def build_wheel() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_wheel", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_needs_the_standard_library_only() -> None:
    names = {
        line.split()[1].partition(".")[0]
        for line in SCRIPT.read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    assert names <= sys.stdlib_module_names


def test_the_baselines_are_those_that_the_audit_demands(build_wheel: ModuleType) -> None:
    assert {
        f"linux/{architecture}": flag.removeprefix("-march=")
        for architecture, flag in build_wheel.BASELINES.items()
    } == audit.BASELINES
    assert {
        f"linux/{architecture}": triple.partition("-")[0]
        for architecture, triple in build_wheel.TRIPLES.items()
    } == audit.MACHINES


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "CMakeLists.txt"
    path.write_text("one\n    two(x)\nthree\nthree\n", encoding="utf-8")
    return path


def test_lines_are_replaced_in_place(build_wheel: ModuleType, lines: Path) -> None:
    build_wheel.replace_lines(lines, {"two(x)": "second", "one": ""})
    # Each line stays where it is: compilers name lines by their number.
    assert lines.read_text() == "\nsecond\nthree\nthree\n"


@pytest.mark.parametrize(("line", "count"), [("absent", 0), ("three", 2), ("two", 0)])
def test_a_line_that_is_not_there_once_is_refused(
    build_wheel: ModuleType, lines: Path, line: str, count: int
) -> None:
    before = lines.read_text()
    with pytest.raises(SystemExit) as caught:
        build_wheel.replace_lines(lines, {"one": "", line: "x"})
    assert caught.value.code == f"refused: CMakeLists.txt has {count} lines that say: {line}"
    assert lines.read_text() == before


def member(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFREG | mode) << 16
    return entry


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("pkg/__init__.py", 0o644, ("pkg/__init__.py", 0o644)),
        ("pkg/__init__.py", 0o600, ("pkg/__init__.py", 0o644)),
        ("cmake/data/bin/cmake", 0o755, ("cmake/data/bin/cmake", 0o755)),
        ("pkg-1.0.data/scripts/ninja", 0o644, ("bin/ninja", 0o755)),
        ("pkg-1.0.data/purelib/pkg/more.py", 0o664, ("pkg/more.py", 0o644)),
        ("pkg-1.0.data/platlib/pkg/more.so", 0o755, ("pkg/more.so", 0o755)),
        ("pkg-1.0.dist-info/METADATA", 0o644, ("pkg-1.0.dist-info/METADATA", 0o644)),
    ],
)
def test_a_wheels_file_is_where_it_is_installed(
    build_wheel: ModuleType, name: str, mode: int, expected: tuple[str, int], tmp_path: Path
) -> None:
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "pkg-1.0-py3-none-any.whl", "w") as archive:
        archive.mkdir("pkg")
        archive.writestr(member(name, mode), "content")

    site = build_wheel.unpack_requirements(tmp_path / "wheels", tmp_path / "site")

    files = [path for path in site.rglob("*") if path.is_file()]
    assert [(str(p.relative_to(site)), stat.S_IMODE(p.stat().st_mode)) for p in files] == [expected]
    assert files[0].read_text() == "content"


def test_the_source_is_the_one_directory_of_the_archive(
    build_wheel: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "made" / "pkg-1.0").mkdir(parents=True)
    (tmp_path / "made" / "pkg-1.0" / "pyproject.toml").touch()
    (tmp_path / "source").mkdir()
    with tarfile.open(tmp_path / "source" / "pkg-1.0.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "made" / "pkg-1.0", "pkg-1.0")

    root = build_wheel.unpack_source(tmp_path / "source", tmp_path / "target")

    assert root == tmp_path / "target" / "pkg-1.0"
    assert (root / "pyproject.toml").is_file()


def test_settings_name_the_places(build_wheel: ModuleType) -> None:
    places = {"recipe": "/recipe", "work": "/build"}
    given = {
        "build-dir": "{work}/objects",
        "cmake.args": ["-C{recipe}/fix.cmake", "-DX=$ORIGIN"],
        "cmake.define.X": "{unknown} {work}",
    }
    assert build_wheel.settings(given, places) == {
        "build-dir": "/build/objects",
        "cmake.args": ["-C/recipe/fix.cmake", "-DX=$ORIGIN"],
        "cmake.define.X": "{unknown} /build",
    }


@pytest.mark.parametrize(
    ("architecture", "processor", "march"),
    [("amd64", "x86_64", "x86-64"), ("arm64", "aarch64", "armv8-a")],
)
def test_compilers_are_told_the_target_and_no_place(
    build_wheel: ModuleType, architecture: str, processor: str, march: str, tmp_path: Path
) -> None:
    source = tmp_path / "source" / "pkg-1.0"

    found = build_wheel.cross_environment(architecture, tmp_path, source, tmp_path / "site")

    assert found["CC"] == f"{processor}-linux-gnu-gcc-12"
    assert found["CXX"] == f"{processor}-linux-gnu-g++-12"
    assert found["CFLAGS"] == found["CXXFLAGS"]
    assert found["CFLAGS"].split() == [
        f"-march={march}",
        f"-ffile-prefix-map={tmp_path}=/objects",
        f"-ffile-prefix-map={source}=/source",
        "-frecord-gcc-switches",
        "-w",
    ]
    assert found["LDFLAGS"] == "-Wl,--build-id=none"
    assert found["_PYTHON_HOST_PLATFORM"] == f"linux-{processor}"
    assert found["PATH"] == f"{tmp_path / 'site' / 'bin'}:/usr/bin"
    toolchain = Path(found["CMAKE_TOOLCHAIN_FILE"]).read_text()
    assert f"set(CMAKE_SYSTEM_PROCESSOR {processor})\n" in toolchain
    assert f"set(CMAKE_CXX_COMPILER {processor}-linux-gnu-g++-12)\n" in toolchain


def put_programs(directory: Path, report: str) -> None:
    """Put programs in the place of auditwheel and wheel, which only the stage has."""
    (directory / "auditwheel.py").write_text(f"print({report!r})\n", encoding="utf-8")
    (directory / "wheel.py").write_text(
        "import sys\n"
        "tags, remove, option, tag, wheel = sys.argv[1:]\n"
        "assert (tags, remove, option) == ('tags', '--remove', '--platform-tag')\n"
        "print(wheel.rpartition('/')[2].replace('linux_x86_64', tag))\n",
        encoding="utf-8",
    )


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_wheel_is_named_as_auditwheel_finds(build_wheel: ModuleType, programs: Path) -> None:
    put_programs(programs, json.dumps({"overall_tag": "manylinux_2_34_x86_64"}))
    assert build_wheel.tag(Path("/build/wheel") / WHEEL, "amd64") == Path(
        "/build/wheel/pkg-1.0-py3-none-manylinux_2_34_x86_64.whl"
    )


@pytest.mark.parametrize(
    "report",
    [
        # Its symbols would do, but it needs a library that not every system has.
        {"overall_tag": "linux_x86_64", "sym_tag": "manylinux_2_34_x86_64"},
        {"overall_tag": "manylinux_2_34_aarch64"},
        {"overall_tag": "musllinux_1_2_x86_64"},
        {"overall_tag": "manylinux_2_34_x86_64_v3"},
    ],
    ids=lambda report: report["overall_tag"],
)
def test_a_wheel_that_is_not_fit_for_other_systems_is_refused(
    build_wheel: ModuleType, programs: Path, report: dict[str, str]
) -> None:
    put_programs(programs, json.dumps(report))
    with pytest.raises(SystemExit, match=f"finds it fit for {report['overall_tag']} only"):
        build_wheel.tag(Path("/build/wheel") / WHEEL, "amd64")


def test_a_program_that_fails_is_shown(build_wheel: ModuleType, programs: Path) -> None:
    put_programs(programs, "")
    (programs / "auditwheel.py").write_text("import sys; sys.exit('no wheel of a platform')")
    with pytest.raises(SystemExit, match=r"auditwheel show .* failed:\nno wheel of a platform"):
        build_wheel.tag(Path("/build/wheel") / WHEEL, "amd64")


def test_the_packages_own_backend_builds(
    build_wheel: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text('[build-system]\nbuild-backend = "small_backend"\n')
    (tmp_path / "small_backend.py").write_text(
        "import os, pathlib\n"
        "def build_wheel(directory, config):\n"
        f"    pathlib.Path(directory, {WHEEL!r}).write_text(f'{{os.getcwd()}} {{config}}')\n"
        f"    return {WHEEL!r}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)  # it changes the directory, which is changed back

    built = build_wheel.build(source, tmp_path / "out", {"x": "y"})

    assert built == tmp_path / "out" / WHEEL
    assert built.read_text() == f"{source} {{'x': 'y'}}"
