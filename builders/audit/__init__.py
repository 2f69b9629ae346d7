"""The audit: what the files of an image say, without running any of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builders.audit.bytecode import byte_code
from builders.audit.hygiene import no_builder_paths, no_privileges, no_scripts, no_tools, times
from builders.audit.image import bytes_without_model, configuration, inputs, labels, size
from builders.audit.notices import notices
from builders.audit.programs import (
    foreign_formats,
    machines,
    needed_libraries,
    programs,
    search_paths,
    symbol_versions,
)
from builders.audit.wheels import no_accelerators, wheel_records, wheels_locked
from builders.check import Check
from builders.formats import tree
from builders.formats.layout import Layout
from builders.inventory import inventory
from builders.inventory.component import Component
from builders.inventory.inventory import Declared
from builders.paths import CODE, SITE

STANDARD_LIBRARY = "usr/lib/python3.11"


@dataclass(frozen=True, kw_only=True)
class AuditInputs:
    """What an image is held against. Paths are relative to the image's root.

    Attributes:
        platform: `linux/arm64`.
        wheels: The locked version of each Python package.
        prune: The backend's prune list: glob patterns relative to the site directory.
        files: The sha256 of each file of the service, the backend and the model, by its path
            (`opt/equivec/model/model.json`).
        labels: The image's labels, all of them.
        epoch: The newest time that anything may bear, in seconds since 1970.
        budget: The most that the image may weigh, compressed and without its model, in megabytes.
        builder_paths: Paths of the machine that built it, which no file may mention.
        search_paths: Of libraries, which wheels' files may bear although the image lacks them.
        declared: What it is made of.
    """

    platform: str
    wheels: Mapping[str, str]
    prune: tuple[str, ...]
    files: Mapping[str, str]
    labels: Mapping[str, str]
    epoch: int
    budget: float
    builder_paths: tuple[str, ...]
    declared: Declared
    search_paths: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit found.

    Attributes:
        bytes_without_model: The compressed size without the model.
        libraries: The absolute path of each shared library that the wheels brought.
        components: What the image is made of.
    """

    checks: tuple[Check, ...]
    bytes_without_model: int
    libraries: tuple[str, ...]
    components: tuple[Component, ...]


def audit(layout: Layout, expected: AuditInputs, *, scratch: Path | None = None) -> Audit:
    """Check an image's files.

    Args:
        layout: The image, as `layout.read` verified it.
        expected: What it is held against.
        scratch: A directory with room for the unpacked layers; the system's for temporary files if
            None.

    Raises:
        ArchiveError: A layer holds what no layer may, or the layers do not fit together.
    """
    with tree.opened(layout, scratch=scratch) as files:
        elf_files = programs(files, expected.platform)
        diff_ids = [layer.diff_id for layer in layout.layers]
        taken = inventory.take(files, diff_ids, expected.declared)
        return Audit(
            checks=(
                configuration(files, layout, expected.platform),
                labels(layout, expected.labels),
                size(files, layout, expected.budget),
                inputs(files, expected.files),
                wheels_locked(files, expected.wheels),
                wheel_records(files, expected.prune),
                no_accelerators(files),
                machines(elf_files),
                foreign_formats(files),
                needed_libraries(files, elf_files),
                symbol_versions(files, elf_files),
                search_paths(files, elf_files, expected.search_paths),
                byte_code(files, (STANDARD_LIBRARY, SITE, *CODE)),
                no_scripts(files),
                no_tools(files),
                no_builder_paths(files, expected.builder_paths),
                no_privileges(files),
                times(files, layout, expected.epoch),
                taken.check,
                notices(files, taken.components, expected.declared),
            ),
            components=taken.components,
            bytes_without_model=bytes_without_model(files, layout),
            libraries=tuple(
                f"/{path}"
                for path in sorted(elf_files.files)
                if path.startswith(f"{SITE}/") and ".so" in PurePosixPath(path).name
            ),
        )
