"""Assemble one layer of an image: runs inside the build, on the build platform, for the target one.

It executes nothing of the target platform: wheels are unpacked, trees copied, and byte code is the
same on every machine. Standard library only, since the build has no network and no pip. Modes,
owners, times and byte code are fixed here, so that a layer is a function of its inputs alone.
"""

import argparse
import compileall
import csv
import fnmatch
import io
import os
import py_compile
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

SITE = PurePosixPath("/usr/local/lib/python3.11/dist-packages")
STANDARD_LIBRARY = PurePosixPath("/usr/lib/python3.11")


def main() -> None:
    """Assemble the layer that the arguments name below the output directory."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("/out"), help="root of the layer")
    layers = parser.add_subparsers(dest="layer", required=True)
    wheels = layers.add_parser("wheels", help="unpack every wheel of a directory")
    wheels.add_argument("source", type=Path)
    wheels.add_argument("--prune", type=Path, required=True, help="glob patterns to leave out")
    tree = layers.add_parser("tree", help="copy a directory")
    tree.add_argument("source", type=Path)
    tree.add_argument("target", type=PurePosixPath)
    files = layers.add_parser("files", help="copy a directory that holds no code of this service")
    files.add_argument("source", type=Path)
    files.add_argument("target", type=PurePosixPath)
    byte_code = layers.add_parser("byte-code", help="only the byte code of the standard library")
    byte_code.add_argument("source", type=Path, help="the target's standard library")
    arguments = parser.parse_args()

    out: Path = arguments.out
    if arguments.layer == "wheels":
        unpack_wheels(arguments.source, out, read_patterns(arguments.prune))
    elif arguments.layer == "tree":
        copy_tree(arguments.source, place(out, arguments.target))
        compile_byte_code(out)
    elif arguments.layer == "files":
        # As it is: a recipe names every file, and no byte code of the code that a model may bring.
        copy_tree(arguments.source, place(out, arguments.target))
    else:
        copy_tree(arguments.source, place(out, STANDARD_LIBRARY))
        compile_byte_code(out)
        keep_byte_code_only(out)
    normalise(out, int(os.environ["SOURCE_DATE_EPOCH"]))


def place(out: Path, path: PurePosixPath) -> Path:
    """Return where a path of the image is below the output directory."""
    return out / path.relative_to("/")


def read_patterns(path: Path) -> tuple[str, ...]:
    """Return the glob patterns of a prune list: a line each, `#` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return tuple(line for line in lines if line)


def unpack_wheels(source: Path, out: Path, prune: tuple[str, ...]) -> None:
    """Unpack wheels into the site directory, without scripts and without what is pruned."""
    site = place(out, SITE)
    for wheel in sorted(source.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            _unpack_wheel(archive, site)
    for path in sorted(site.rglob("*"), reverse=True):
        relative = path.relative_to(site).as_posix()
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif _is_pruned(relative, prune):
            path.unlink()
    compile_byte_code(out)


def _is_pruned(relative: str, prune: tuple[str, ...]) -> bool:
    """Say whether a file, or the source that a file is byte code of, is to be left out."""
    names = [relative]
    path = PurePosixPath(relative)
    if path.parent.name == "__pycache__":
        names.append((path.parent.parent / f"{path.name.split('.')[0]}.py").as_posix())
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in prune)


def _unpack_wheel(archive: zipfile.ZipFile, site: Path) -> None:
    """Unpack one wheel (https://packaging.python.org/specifications/binary-distribution-format/).

    The files of `.data/purelib` and `.data/platlib` belong into the site directory. Scripts,
    headers and data files have no use in the image: they are left out, and out of RECORD.
    """
    record_name = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
    moved: dict[str, str | None] = {}
    for member in archive.infolist():
        if member.is_dir() or member.filename == record_name:
            continue
        name = _installed_name(member.filename)
        moved[member.filename] = name
        if name is not None:
            _write_new(site, name, archive.read(member))
    rows = io.StringIO(newline="")
    writer = csv.writer(rows, lineterminator="\n")
    for row in csv.reader(io.StringIO(archive.read(record_name).decode("utf-8"))):
        if not row:
            continue
        name = moved.get(row[0], row[0])
        if name is not None:
            writer.writerow([name, *row[1:]])
    _write_new(site, record_name, rows.getvalue().encode("utf-8"))


def _installed_name(member: str) -> str | None:
    """Return where a wheel's member belongs in the site directory; None if nowhere."""
    top, _, rest = member.partition("/")
    if not top.endswith(".data"):
        return member
    scheme, _, name = rest.partition("/")
    return name if scheme in ("purelib", "platlib") else None


def _write_new(site: Path, name: str, content: bytes) -> None:
    """Write a file that must not exist yet and must be inside the site directory."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        sys.exit(f"refused: {name} leads outside the site directory")
    target = site / path
    if target.exists():
        sys.exit(f"refused: two wheels hold {name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory, without byte code that someone else has compiled."""
    shutil.copytree(
        source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )


def compile_byte_code(out: Path) -> None:
    """Compile every module: byte code that is valid by its content, whatever the file times.

    One process and a fixed hash seed, since uv's and pip's parallel compilations differ from run
    to run (https://github.com/astral-sh/uv/issues/10619). A module that does not compile (a
    template, a test of syntax errors) is left without byte code, as pip does.
    """
    if os.environ.get("PYTHONHASHSEED") != "0":
        sys.exit("refused: PYTHONHASHSEED must be 0, or sets are compiled in a random order")
    compileall.compile_dir(
        out,
        quiet=2,
        workers=1,
        stripdir=str(out),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        maxlevels=100,
    )


def keep_byte_code_only(out: Path) -> None:
    """Delete everything but byte code: the sources are in the layer below."""
    for path in sorted(out.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.suffix != ".pyc":
            path.unlink()


def normalise(out: Path, epoch: int) -> None:
    """Fix modes and times: nothing of the checkout's or the build's remains."""
    for path in sorted(out.rglob("*"), reverse=True):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    os.utime(out, (epoch, epoch))


if __name__ == "__main__":
    main()
