"""Build one wheel from a source archive: runs inside the wheel stage, on the build platform.

It is compiled for the target platform, with a fixed set of flags, and never for the machine that
compiles it. The same inputs give the same bytes, wherever the stage's directory is. auditwheel says
which systems the result runs on, and the wheel is named by it.
"""

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

TRIPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

# The oldest processors of each platform that everything but a dispatched variant must run on.
BASELINES = {"amd64": "-march=x86-64", "arm64": "-march=armv8-a"}

TOOLCHAIN_FILE = """\
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR {processor})
set(CMAKE_C_COMPILER {triple}-gcc-12)
set(CMAKE_CXX_COMPILER {triple}-g++-12)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
"""


def main() -> None:
    """Build the wheel of the source archive that the arguments name."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("source", type=Path, help="a directory that holds the source archive")
    parser.add_argument("--recipe", type=Path, required=True, help="a recipe.toml")
    parser.add_argument("--requirements", type=Path, required=True, help="wheels that build it")
    parser.add_argument("--out", type=Path, default=Path("/out"))
    arguments = parser.parse_args()

    work = Path(os.environ.get("DIRECTORY", "/build"))
    work.mkdir(parents=True, exist_ok=True)
    architecture = os.environ["TARGETARCH"]
    recipe = tomllib.loads(arguments.recipe.read_text(encoding="utf-8"))
    shell()
    site = unpack_requirements(arguments.requirements, work / "site")
    source = unpack_source(arguments.source, work / "source")
    for edit in recipe.get("edits", ()):
        replaced = dict.fromkeys(edit.get("remove", ()), "") | edit.get("replace", {})
        replace_lines(source / edit["file"], replaced)
    environment = cross_environment(architecture, work, source, site)
    os.environ.update(environment)
    sys.path.insert(0, str(site))
    places = {"recipe": str(arguments.recipe.parent), "work": str(work)}
    built = build(source, work / "wheel", settings(recipe.get("settings", {}), places))
    tagged = tag(built, architecture)
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / tagged.name
    target.write_bytes(tagged.read_bytes())
    print(f"built {target.name}, {target.stat().st_size} bytes")


def shell() -> None:
    """Give ninja the shell that it starts compilers with."""
    path = Path("/usr/bin/sh")
    if not path.exists():
        path.symlink_to("busybox")


def unpack_requirements(wheels: Path, site: Path) -> Path:
    """Unpack the wheels that build the wheel; return the directory, scripts in its `bin`."""
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    unpack_member(archive, member, site)
    return site


def unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, site: Path) -> None:
    """Unpack a file of a wheel to where it is installed, with its mode."""
    path = Path(member.filename)
    if path.parts[0].endswith(".data"):
        scheme, *rest = path.parts[1:]
        place = Path(*rest) if scheme in ("purelib", "platlib") else Path("bin", *rest)
    else:
        place = path
    target = site / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(archive.read(member))
    target.chmod(0o755 if place.parts[0] == "bin" or member.external_attr >> 16 & 0o100 else 0o644)


def unpack_source(directory: Path, target: Path) -> Path:
    """Unpack the source archive; return the one directory in it."""
    (archive,) = directory.glob("*.tar.gz")
    with tarfile.open(archive) as members:
        members.extractall(target)  # noqa: S202 (locked by its sha256, and in a container)
    (root,) = target.iterdir()
    return root


def replace_lines(path: Path, replaced: dict[str, str]) -> None:
    """Replace lines, each of which must be there exactly once: a new version is looked at."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for line, new in replaced.items():
        found = [index for index, text in enumerate(lines) if text.strip() == line]
        if len(found) != 1:
            sys.exit(f"refused: {path.name} has {len(found)} lines that say: {line}")
        lines[found[0]] = f"{new}\n"
    path.write_text("".join(lines), encoding="utf-8")


def cross_environment(architecture: str, work: Path, source: Path, site: Path) -> dict[str, str]:
    """Return what compilers and build tools are told by their environment."""
    triple = TRIPLES[architecture]
    processor = triple.partition("-")[0]
    toolchain = work / "toolchain.cmake"
    toolchain.write_text(TOOLCHAIN_FILE.format(processor=processor, triple=triple))
    flags = " ".join(
        (
            BASELINES[architecture],
            # No path of the stage in messages of assertions, nor in what debuggers read. The last
            # one that matches counts.
            f"-ffile-prefix-map={work}=/objects",
            f"-ffile-prefix-map={source}=/source",
            # The flags of every file stay in the library, where the audit reads them.
            "-frecord-gcc-switches",
            # Warnings are their author's business, and BuildKit cuts a long log off.
            "-w",
        )
    )
    return {
        "CC": f"{triple}-gcc-12",
        "CXX": f"{triple}-g++-12",
        "CFLAGS": flags,
        "CXXFLAGS": flags,
        "LDFLAGS": "-Wl,--build-id=none",
        "CMAKE_TOOLCHAIN_FILE": str(toolchain),
        "CMAKE_GENERATOR": "Ninja",
        "STRIP": f"{triple}-strip",
        "PATH": f"{site / 'bin'}:/usr/bin",
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
        # How Python is told that it builds for another machine than it runs on.
        "_PYTHON_HOST_PLATFORM": f"linux-{processor}",
        "HOME": str(work),
        "LC_ALL": "C.UTF-8",
    }


def settings(given: dict[str, Any], places: dict[str, str]) -> dict[str, str | list[str]]:
    """Return the recipe's settings for the build backend (PEP 517); `{name}` is a place's path."""
    return {name: placed(value, places) for name, value in given.items()}


def placed(value: str | list[str], places: dict[str, str]) -> str | list[str]:
    """Put the places' paths into a setting."""
    if isinstance(value, list):
        return [with_paths(each, places) for each in value]
    return with_paths(value, places)


def with_paths(text: str, places: dict[str, str]) -> str:
    """Put the places' paths where a text has their names in braces."""
    for name, path in places.items():
        text = text.replace(f"{{{name}}}", path)
    return text


def build(source: Path, out: Path, config: dict[str, str | list[str]]) -> Path:
    """Let the package's own build backend build its wheel (PEP 517)."""
    system = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["build-system"]
    backend = importlib.import_module(system["build-backend"])
    out.mkdir()
    os.chdir(source)
    name: str = backend.build_wheel(str(out), config)
    return out / name


def tag(wheel: Path, architecture: str) -> Path:
    """Name a wheel by the oldest systems that auditwheel finds it runs on."""
    report = run("auditwheel", "show", "--json", str(wheel))
    processor = TRIPLES[architecture].partition("-")[0]
    # Of the whole wheel: its symbols alone may allow more than the libraries that it needs.
    found = json.loads(report)["overall_tag"]
    if not re.fullmatch(rf"manylinux_2_\d+_{processor}", found):
        sys.exit(f"refused: auditwheel finds it fit for {found} only:\n{report}")
    name = run("wheel", "tags", "--remove", "--platform-tag", found, str(wheel)).split()[-1]
    return wheel.with_name(name)


def run(module: str, *words: str) -> str:
    """Run a program of the requirements, and return what it printed."""
    completed = subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, text=True, check=False
    )
    if completed.returncode != 0:
        sys.exit(f"{module} {' '.join(words)} failed:\n{completed.stdout}{completed.stderr}")
    return completed.stdout


if __name__ == "__main__":
    main()
