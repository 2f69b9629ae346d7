"""A small image that passes the whole audit; a test spoils one thing and sees which check fails."""

from __future__ import annotations

import _imp
import base64
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from builders.audit import Audit, AuditInputs, audit
from builders.audit.bytecode import MAGIC
from builders.check import Check
from builders.formats import layout, tree
from builders.inventory import documents, inventory
from builders.inventory.component import Component, Kind
from builders.inventory.inventory import Declared, Locked
from builders.paths import SITE
from tests.unit.elf_samples import elf_file
from tests.unit.images import EPOCH, Image, Item, directory, file, symlink, tar

LIBRARIES = "usr/lib/x86_64-linux-gnu"
DEMO_SHA256 = "d" * 64
DECLARED = Declared(
    title="demo-tiny",
    debian={"libc6": Locked(version="2.36-9+deb12u13", sha256="c" * 64)},
    root=(),
    wheels={"demo": Locked(version="1.0", sha256=DEMO_SHA256)},
    model=Component(kind=Kind.MODEL, name="tiny", version="1", purl="", sha256="e" * 64),
    service=Component(kind=Kind.SERVICE, name="service", version="", purl="", sha256="5" * 64),
    files={"model.json": hashlib.sha256(b"{}").hexdigest()}
    | {"model.onnx": hashlib.sha256(b"weights").hexdigest()},
    epoch=EPOCH,
)
"""But for the root file system's layer, which `SoundImage.audit` adds."""
LABELS = {"io.equivec.backend": "onnxruntime"}


def byte_code(source: bytes, *, flags: int = 1, magic: bytes = MAGIC) -> bytes:
    """Return what compileall writes for a source, but for the code itself."""
    digest = _imp.source_hash(int.from_bytes(MAGIC, "little"), source)
    return magic + flags.to_bytes(4, "little") + digest + b"code"


def module(path: str, source: bytes) -> dict[str, Item]:
    """Return a module and its byte code."""
    folder, _, name = path.rpartition("/")
    cached = f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-311.pyc"
    return {path: file(path, source), cached: file(cached, byte_code(source))}


def wheel(name: str, version: str, contents: Mapping[str, bytes]) -> dict[str, Item]:
    """Return the files of an unpacked wheel, byte code and RECORD included."""
    folder = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    listed = {**contents, f"{folder}/METADATA": metadata}
    rows = [
        f"{path},sha256={record_hash(content)},{len(content)}" for path, content in listed.items()
    ]
    rows.append(f"{folder}/RECORD,,")
    listed[f"{folder}/RECORD"] = "\n".join(rows).encode()
    items: dict[str, Item] = {}
    for path, content in listed.items():
        full = f"{SITE}/{path}"
        items.update(module(full, content) if path.endswith(".py") else {full: file(full, content)})
    return items


def record_hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def equivec() -> dict[str, bytes]:
    """Return what is Equivec's own in the image."""
    return {
        "opt/equivec/service/embedding_service/__init__.py": b'"""The service."""\n',
        "opt/equivec/backend/backend.py": b"class Backend: ...\n",
        "opt/equivec/model/model.json": b"{}",
        "opt/equivec/model/model.onnx": b"weights",
    }


class SoundImage:
    """An image and what it is held against; `items` may be changed before it is audited."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.strangers: set[str] = set()
        for item in (
            directory("tmp", mode=0o1777),
            file(
                "usr/bin/python3.11",
                elf_file(
                    interpreter="/lib64/ld-linux-x86-64.so.2",
                    needed=["libc.so.6"],
                    asks_for=["GLIBC_2.34"],
                ),
                mode=0o755,
            ),
            symlink("usr/bin/python3", "python3.11"),
            file(
                "var/lib/dpkg/status.d/libc6",
                "Package: libc6\nVersion: 2.36-9+deb12u13\nArchitecture: amd64\n",
            ),
            file("usr/share/doc/libc6/copyright", "See /usr/share/common-licenses/LGPL-2.1.\n"),
            symlink("lib", "usr/lib"),
            symlink("lib64", "usr/lib64"),
            symlink("usr/lib64/ld-linux-x86-64.so.2", f"/{LIBRARIES}/ld-linux-x86-64.so.2"),
            file(f"{LIBRARIES}/ld-linux-x86-64.so.2", elf_file()),
            file(
                f"{LIBRARIES}/libc.so.6",
                elf_file(
                    needed=["ld-linux-x86-64.so.2"],
                    defines=["GLIBC_2.2.5", "GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.36"],
                ),
            ),
            symlink(f"{LIBRARIES}/libstdc++.so.6", "libstdc++.so.6.0.30"),
            file(
                f"{LIBRARIES}/libstdc++.so.6.0.30",
                elf_file(needed=["libc.so.6"], defines=["GLIBCXX_3.4.30", "CXXABI_1.3.13"]),
            ),
        ):
            self.items[item.header.name] = item
        self.items |= module("usr/lib/python3.11/os.py", b"name = 'posix'\n")
        self.items |= wheel(
            "demo",
            "1.0",
            {
                "demo/__init__.py": b"from demo import _core\n",
                "demo/notes.txt": b"notes",
                "demo/_core.so": elf_file(
                    needed=["libdemo.so", "libstdc++.so.6", "libc.so.6"],
                    rpath="$ORIGIN/../demo.libs",
                    asks_for=["GLIBC_2.4", "GLIBC_2.34", "GLIBCXX_3.4.30"],
                ),
                "demo.libs/libdemo.so": elf_file(needed=["libc.so.6"]),
            },
        )
        for path, content in equivec().items():
            self.items |= (
                module(path, content) if path.endswith(".py") else {path: file(path, content)}
            )
        self.image = Image(
            layers=[],
            run={
                "User": "65532:65532",
                "Entrypoint": ["/usr/bin/python3", "-m", "embedding_service"],
                "Labels": LABELS,
            },
        )
        self.expected = AuditInputs(
            platform="linux/amd64",
            wheels={"demo": "1.0"},
            prune=(),
            files={path: hashlib.sha256(text).hexdigest() for path, text in equivec().items()},
            labels=LABELS,
            epoch=EPOCH,
            budget=1.0,
            builder_paths=("/home/builder/.cache/equivec",),
            declared=DECLARED,
        )

    def put(self, *items: Item) -> None:
        """Add items, or replace those of the same path."""
        for item in items:
            self.items[item.header.name] = item

    def expect(self, **changes: Any) -> None:
        """Change what the image is held against."""
        self.expected = replace(self.expected, **changes)

    def audit(self, where: Path) -> dict[str, Check]:
        """Write the image and return its checks by name."""
        found = self.audited(where)
        return {check.name: check for check in found.checks}

    def audited(self, where: Path) -> Audit:
        """Write the image and audit it. Its layers: the system, what was added to it, the model.

        What it says of itself is what it is, unless `items` has that too.
        """
        written, expected = self.written(where / "silent")
        with tree.opened(written) as files:
            diff_ids = [layer.diff_id for layer in written.layers]
            found = inventory.take(files, diff_ids, expected.declared)
        declared = expected.declared
        with contextlib.suppress(ValueError):  # a package without a name
            told = documents.of(declared.title, found.components, epoch=declared.epoch)
            self.items = {path: file(path, text) for path, text in told.items()} | self.items
        written, expected = self.written(where / "layout")
        return audit(written, expected)

    def written(self, where: Path) -> tuple[layout.Layout, AuditInputs]:
        """Write the image as it is, and return what it is held against."""
        models = {path for path in self.items if path.startswith("opt/equivec/model/")}
        system = {
            path for path in self.items if not path.startswith((f"{SITE}/", "opt/"))
        } - self.strangers
        others = [path for path in self.items if path not in models | system]
        self.image.layers = [
            tar([self.items[path] for path in self.items if path in system]),
            tar([self.items[path] for path in others]),
            tar([self.items[path] for path in sorted(models)]),
        ]
        written = layout.read(self.image.write(where))
        root = self.expected.declared.root or (written.layers[0].diff_id,)
        declared = replace(self.expected.declared, root=root)
        return written, replace(self.expected, declared=declared)

    def failures(self, where: Path) -> dict[str, tuple[str, ...]]:
        """Return the details of each check that fails, but those of the inventory.

        It fails with most of the others, and has test files of its own.
        """
        found = {name: c.details for name, c in self.audit(where).items() if not c.passed}
        found.pop("inventory", None)
        return found
