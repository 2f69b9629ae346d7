"""Compile some of a wheel's files, and write down the processor time of each.

Runs inside the wheel stage's root file system (compile.Dockerfile), beside the stage's own program,
which it lets unpack, edit and configure the source as for a wheel. What is counted is what the
kernel says of the compiler and its children: user and system time.

`cross` compiles for each target platform in turn, file by file; `emulated` repeats some of one
platform's files with the very same commands, in a root file system of that platform. Which files,
the environment's `PLAN` says: see `wheel.plan`.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

WORK = Path("/build")
OUT = Path("/out")
COMMANDS = WORK / "commands.json"
ENVIRONMENT = {"PATH": "/usr/bin", "LC_ALL": "C.UTF-8"}

_TARGET = re.compile(r"CMakeFiles/(?P<name>[^/]+)\.dir/")
_DISPATCHED = "ggml-cpu-"
_FEATURES = "-feats"  # the object that says whether the processor can run the variant

BASE = "base"
"""What the files are called that are compiled once for a wheel, whatever its variants are."""


def main() -> None:
    """Compile, and write what it cost."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("how", choices=("cross", "emulated"))
    how = parser.parse_args().how
    plan = json.loads(os.environ["PLAN"])
    stage = importlib.import_module("build_wheel")
    stage.shell()
    found = cross(stage, plan) if how == "cross" else emulated(plan["emulated"])
    OUT.mkdir()
    (OUT / f"{how}.json").write_text(json.dumps(found, indent=1))


def cross(stage: Any, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Compile all files of some variants of each architecture, and some of the other files."""
    entries = configured(stage, tuple(plan["variants"]))
    base = common_files(entries.values())
    sampled = sample(base, plan["every"])
    chosen = {
        architecture: chosen_entries(listed, sampled, plan["variants"][architecture])
        for architecture, listed in entries.items()
    }
    COMMANDS.write_text(json.dumps(chosen), encoding="utf-8")
    found = [
        compiled(architecture, entry)
        for row in itertools.zip_longest(*chosen.values())
        for architecture, entry in zip(chosen, row, strict=True)
        if entry is not None
    ]
    return {"base_files": len(base), "files": found}


def emulated(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Compile every Nth of one architecture's files once more, by this root's own compiler."""
    architecture = plan["architecture"]
    entries = json.loads(COMMANDS.read_text(encoding="utf-8"))[architecture]
    wanted = [entry for entry in entries if group(entry) in (BASE, plan["variant"])]
    wanted.sort(key=lambda entry: (group(entry), size_order(entry["file"])))
    every = plan["every"]
    found = [compiled(architecture, entry) for entry in wanted[every // 2 :: every]]
    return {"base_files": 0, "files": found}


def configured(stage: Any, architectures: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """Prepare the source and configure it for each architecture; return CMake's commands."""
    recipe = tomllib.loads(Path("/recipe/recipe.toml").read_text(encoding="utf-8"))
    site = stage.unpack_requirements(Path("/requirements"), WORK / "site")
    source = stage.unpack_source(Path("/source"), WORK / "source")
    for edit in recipe.get("edits", ()):
        replaced = dict.fromkeys(edit.get("remove", ()), "") | edit.get("replace", {})
        stage.replace_lines(source / edit["file"], replaced)
    entries = {}
    for architecture in architectures:
        work = WORK / architecture
        work.mkdir()
        places = {"recipe": "/recipe", "work": str(work)}
        objects = work / "objects"
        subprocess.run(
            configure_argv(stage.settings(recipe["settings"], places), source, objects),
            env={**os.environ, **stage.cross_environment(architecture, work, source, site)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        listed = json.loads((objects / "compile_commands.json").read_text("utf-8"))
        # CMake writes a file or two itself, below its own directory.
        entries[architecture] = [one for one in listed if one["file"].startswith(f"{source}/")]
    return entries


def configure_argv(
    settings: Mapping[str, str | list[str]], source: Path, objects: Path
) -> tuple[str, ...]:
    """Return the argument list that configures the source as the wheel's build backend does."""
    defines = [
        f"-D{name.removeprefix('cmake.define.')}={value}"
        for name, value in settings.items()
        if name.startswith("cmake.define.")
    ]
    return (
        *(sys.executable, "-m", "cmake", "-S", str(source), "-B", str(objects), "-G", "Ninja"),
        *(f"-DCMAKE_BUILD_TYPE={settings['cmake.build-type']}", *defines),
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
    )


def group(entry: Mapping[str, str]) -> str:
    """Return the variant that an object belongs to, or `base`."""
    found = _TARGET.search(entry["output"])
    name = found["name"] if found else ""
    if not name.startswith(_DISPATCHED):
        return BASE
    return name.removeprefix(_DISPATCHED).removesuffix(_FEATURES)


def common_files(entries: Iterable[Sequence[Mapping[str, str]]]) -> list[str]:
    """Return the files outside of variants; they must be the same for each architecture."""
    found = [sorted(one["file"] for one in listed if group(one) == BASE) for listed in entries]
    for other in found:
        if other != found[0]:
            differing = " ".join(sorted({*found[0]} ^ {*other})) or "number"
            sys.exit(f"the architectures' wheels are not made of the same files: {differing}")
    return found[0]


def sample(files: Sequence[str], every: int) -> list[str]:
    """Return every Nth of files that are ordered by their size, from the middle of the first N."""
    return sorted(files, key=size_order)[every // 2 :: every]


def size_order(file: str) -> tuple[int, str]:
    """Return what orders files by their size."""
    return Path(file).stat().st_size, file


def chosen_entries(
    entries: Sequence[dict[str, str]], sampled: Sequence[str], variants: Sequence[str]
) -> list[dict[str, str]]:
    """Return what is compiled: the sampled files outside of variants, and all of some variants."""
    found = [one for one in entries if group(one) == BASE and one["file"] in sampled]
    for variant in variants:
        own = [one for one in entries if group(one) == variant]
        if not own:
            sys.exit(f"there is no variant {variant}")
        found += own
    return found


def compiled(architecture: str, entry: Mapping[str, str]) -> dict[str, str | float]:
    """Compile a file; return what it cost, as `wheel.CompiledFile` reads it."""
    return {
        "architecture": architecture,
        "group": group(entry),
        "file": entry["file"],
        "seconds": seconds(entry),
    }


def seconds(entry: Mapping[str, str]) -> float:
    """Compile a file; return the processor time of the compiler and of all that it started."""
    directory = Path(entry["directory"])
    (directory / entry["output"]).parent.mkdir(parents=True, exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    compiled = subprocess.run(
        shlex.split(entry["command"]), cwd=directory, env=ENVIRONMENT, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if compiled.returncode != 0:
        sys.exit(f"does not compile: {entry['file']}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
