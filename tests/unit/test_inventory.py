"""The inventory: an image is made of what its locks say, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from builders.errors import ArchiveError
from builders.inventory import cyclonedx
from builders.inventory.component import Component, Kind
from builders.inventory.inventory import Locked
from tests.unit.elf_samples import elf_file
from tests.unit.images import EPOCH, file
from tests.unit.sound_image import DECLARED, DEMO_SHA256, SoundImage, wheel

LIBC = "2.36-9+deb12u13"
DIGEST = f"sha256:{'a' * 64}"


def details(image: SoundImage, where: Path) -> tuple[str, ...]:
    return image.audit(where)["inventory"].details


def components(image: SoundImage, where: Path) -> tuple[Component, ...]:
    return image.audited(where).components


def test_a_sound_image_is_what_its_locks_say(tmp_path: Path) -> None:
    check = SoundImage().audit(tmp_path)["inventory"]
    assert (check.passed, check.details, check.figure) == (True, (), 4)


def test_components_say_what_the_locks_and_the_image_know_of_them(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(
        file(
            "usr/share/doc/libc6/copyright",
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
            "Files: *\nLicense: LGPL-2.1+\n The text.\n\nFiles: a\nLicense: BSD-3-clause\n",
        )
    )
    library = elf_file(needed=["libc.so.6"])
    image.items |= wheel("other_one", "2.0+cpu", {"other_one.libs/libz-1.so.1": library})
    image.expect(
        wheels={"demo": "1.0", "other-one": "2.0+cpu"},
        declared=replace(
            DECLARED,
            wheels={
                **DECLARED.wheels,
                "other-one": Locked(version="2.0+cpu", sha256="f" * 64, source="9" * 64),
            },
        ),
    )
    found = {component.name: component for component in components(image, tmp_path)}
    assert set(found) == {*("libc6", "demo", "other-one", "service", "tiny")}
    assert found["libc6"] == Component(
        kind=Kind.DEBIAN,
        name="libc6",
        version=LIBC,
        purl="pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=bookworm",
        sha256="c" * 64,
        licences=("BSD-3-clause", "LGPL-2.1+"),
        texts=("/usr/share/doc/libc6/copyright",),
    )
    assert found["other-one"].purl == "pkg:pypi/other-one@2.0%2Bcpu"
    assert (found["other-one"].sha256, found["other-one"].source) == ("f" * 64, "9" * 64)
    (part,) = found["other-one"].parts
    assert (part.kind, part.name) == (Kind.LIBRARY, "libz-1.so.1")
    assert found["demo"].sha256 == DEMO_SHA256
    assert [part.name for part in found["demo"].parts] == ["libdemo.so"]


def test_a_library_is_part_of_the_wheel_that_brought_it_wherever_it_is(tmp_path: Path) -> None:
    image = SoundImage()
    inside = {"demo/lib/libllama.so.1": elf_file(), "demo/_core.so": elf_file()}
    image.items |= wheel("demo", "1.0", inside)
    (demo,) = (each for each in components(image, tmp_path) if each.name == "demo")
    assert [part.name for part in demo.parts] == ["libllama.so.1"]
    assert demo.parts[0].sha256 == hashlib.sha256(elf_file()).hexdigest()


def test_a_malformed_record_ends_the_audit(tmp_path: Path) -> None:
    image = SoundImage()
    path = "usr/local/lib/python3.11/dist-packages/demo-1.0.dist-info/RECORD"
    image.put(file(path, '"demo/__init__.py'))
    with pytest.raises(ArchiveError, match="a malformed RECORD"):
        image.audit(tmp_path)


@pytest.mark.parametrize(
    ("metadata", "licences"),
    [
        ("License-Expression: MIT\nLicense: something else\n", ("MIT",)),
        ("License: Apache 2.0\n", ("Apache 2.0",)),
        (
            f"License: {'long ' * 20}\nClassifier: License :: OSI Approved :: MIT License\n",
            ("MIT License",),
        ),
        ("", ()),
    ],
)
def test_a_wheels_licence_is_what_its_metadata_says_best(
    metadata: str, licences: tuple[str, ...], tmp_path: Path
) -> None:
    image = SoundImage()
    path = "usr/local/lib/python3.11/dist-packages/demo-1.0.dist-info/METADATA"
    image.put(file(path, f"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\n{metadata}"))
    (demo,) = (each for each in components(image, tmp_path) if each.name == "demo")
    assert demo.licences == licences


def test_a_package_that_no_lock_has_is_found(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(
        file(
            "var/lib/dpkg/status.d/extra",
            "Package: extra\nVersion: 1\nArchitecture: all\n",
        )
    )
    assert details(image, tmp_path) == ("Debian package extra 1: in no lock",)


def test_a_package_of_another_version_is_found(tmp_path: Path) -> None:
    image = SoundImage()
    debian = {"libc6": Locked(version="2.36-10", sha256="c" * 64)}
    image.expect(declared=replace(DECLARED, debian=debian))
    assert details(image, tmp_path) == (f"Debian package libc6: {LIBC}, locked 2.36-10",)


def test_a_package_of_the_lock_that_the_image_lacks_is_found(tmp_path: Path) -> None:
    image = SoundImage()
    wheels = {**DECLARED.wheels, "gone": Locked(version="1", sha256="0" * 64)}
    debian = {**DECLARED.debian, "zlib1g": Locked(version="1", sha256="0" * 64)}
    image.expect(declared=replace(DECLARED, wheels=wheels, debian=debian))
    assert details(image, tmp_path) == (
        "Debian package zlib1g: the image does not name it",
        "Python wheel gone: the image does not name it",
    )


def test_a_file_that_belongs_to_nothing_is_found(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file("usr/share/stranger.txt", "?"))
    image.strangers = {"usr/share/stranger.txt"}
    assert details(image, tmp_path) == ("/usr/share/stranger.txt: of no component",)


def test_another_root_file_system_is_found(tmp_path: Path) -> None:
    image = SoundImage()
    image.expect(declared=replace(DECLARED, root=(DIGEST,)))
    (problem,) = details(image, tmp_path)
    assert problem.startswith("the first layers are not the root file system")


@pytest.mark.parametrize("files", [{}, {**DECLARED.files, "tokenizer.json": "0" * 64}])
def test_other_files_of_the_model_are_found(files: dict[str, str], tmp_path: Path) -> None:
    image = SoundImage()
    image.expect(declared=replace(DECLARED, files=files))
    found = details(image, tmp_path)
    assert found
    assert all(problem.endswith("not what is declared") for problem in found)


def test_the_sbom_is_valid_and_always_the_same(tmp_path: Path) -> None:
    found = components(SoundImage(), tmp_path)
    text = cyclonedx.sbom("equivec/demo-tiny", DIGEST, found, epoch=EPOCH)
    assert text == cyclonedx.sbom("equivec/demo-tiny", DIGEST, found[::-1], epoch=EPOCH)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["version"] == DIGEST
    listed = {each["name"]: each for each in document["components"]}
    assert set(listed) == {component.name for component in found}
    assert listed["tiny"]["type"] == "machine-learning-model"
    assert listed["service"]["type"] == "application"
    assert listed["demo"]["hashes"] == [{"alg": "SHA-256", "content": DEMO_SHA256}]


def test_the_sbom_names_licences_sources_and_parts() -> None:
    part = Component(kind=Kind.LIBRARY, name="libz.so.1", version="", purl="", sha256="1" * 64)
    made = Component(
        kind=Kind.WHEEL,
        name="made",
        version="1.0",
        purl="pkg:pypi/made@1.0",
        sha256="2" * 64,
        licences=("MIT OR Apache-2.0",),
        source="3" * 64,
        parts=(part,),
    )
    many = replace(made, name="many", purl="pkg:pypi/many@1.0", licences=("LGPL-2.1+", "a b"))
    text = cyclonedx.sbom("equivec/demo", DIGEST, [made, many], epoch=EPOCH)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    first, second = json.loads(text)["components"]
    assert first["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert {"name": "io.equivec:source-sha256", "value": "3" * 64} in first["properties"]
    assert [each["name"] for each in first["components"]] == ["libz.so.1"]
    assert [each["license"]["name"] for each in second["licenses"]] == ["LGPL-2.1+", "a b"]
