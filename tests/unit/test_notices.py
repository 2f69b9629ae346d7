"""Notices: what an image says of itself is made before it, and is the inventory of its files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from builders.errors import ArchiveError
from builders.formats import tree
from builders.formats.wheel import Contents
from builders.inventory import archives, documents, found, inventory, notices
from builders.inventory.component import Component, Kind
from builders.lock.wheels import Wheel
from builders.paths import INVENTORY, SITE, THIRD_PARTY
from builders.store import Store
from builders.wheelhouse.wheels import Wheels
from tests.unit.elf_samples import elf_file
from tests.unit.images import EPOCH, directory, file
from tests.unit.sound_image import DECLARED, SoundImage, wheel

COPYRIGHT = "usr/share/doc/libc6/copyright"
INFO = "made-2.0.dist-info"
METADATA = b"Metadata-Version: 2.4\nName: Made\nVersion: 2.0\nLicense-Expression: MIT\n"
MADE = {
    "made/__init__.py": b"",
    "made/lib/libmade.so.1": elf_file(),
    "made/tests/LICENSE": b"of tests",
    "made/tests/libtest.so": elf_file(),
    "made/THIRD_PARTY_NOTICES": b"of others",
    f"{INFO}/licenses/LICENSE": b"of made",
}


def details(image: SoundImage, where: Path) -> tuple[str, ...]:
    check = image.audit(where)["notices"]
    assert check.passed == (not check.details)
    return check.details


def archive(folder: Path, members: Mapping[str, bytes], metadata: bytes = METADATA) -> Path:
    path = folder / "made-2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as written:
        for name, content in {**members, f"{INFO}/METADATA": metadata}.items():
            written.writestr(name, content)
    return path


def promised(path: Path, *prune: str) -> Component:
    (component,) = archives.wheels([path], prune=prune, site=f"/{SITE}")
    return component


def test_a_sound_image_says_what_it_is(tmp_path: Path) -> None:
    image = SoundImage()
    assert details(image, tmp_path) == ()
    text = image.items[INVENTORY].content.decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {each["name"]: each["type"] for each in json.loads(text)["components"]}
    assert listed == {
        "demo": "library",
        "libc6": "library",
        "service": "application",
        "tiny": "machine-learning-model",
    }


@pytest.mark.parametrize("path", [INVENTORY, THIRD_PARTY])
def test_an_image_that_says_nothing_is_found(path: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(directory(path))
    assert details(image, tmp_path) == (f"/{path}: not there",)


def test_an_altered_text_is_found(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(THIRD_PARTY, "All of it is ours.\n"))
    assert details(image, tmp_path) == (f"/{THIRD_PARTY}: not the inventory of the image's files",)


def test_each_difference_of_the_inventory_is_named(tmp_path: Path) -> None:
    image = SoundImage()
    image.audit(tmp_path / "sound")
    told = json.loads(image.items[INVENTORY].content)
    demo, libc, service, tiny = sorted(told["components"], key=lambda each: str(each["name"]))
    libc["hashes"][0]["content"] = "0" * 64
    stranger = {**service, "name": "stranger", "bom-ref": "stranger@1"}
    told["components"] = [libc, service, tiny, stranger]
    image.put(file(INVENTORY, json.dumps(told)))
    assert details(image, tmp_path) == (
        f"/{INVENTORY}: not the inventory of the image's files",
        f"{libc['bom-ref']}: not as its inventory says",
        f"{demo['bom-ref']}: in the image, and not in its inventory",
        "stranger@1: in its inventory, and not in the image",
    )


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"components": [1]}'])
def test_an_inventory_that_is_none_is_found(text: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(INVENTORY, text))
    assert details(image, tmp_path)[1:] == (f"/{INVENTORY}: not a CycloneDX document",)


def test_a_package_without_its_licences_text_is_found(tmp_path: Path) -> None:
    image = SoundImage()
    del image.items[COPYRIGHT]
    assert details(image, tmp_path) == ("Debian package libc6: its copyright file is not there",)


def test_a_package_that_has_no_name_is_found(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file("opt/equivec/inventory.cdx.json", "{}"), file(THIRD_PARTY, ""))
    path = f"{SITE}/demo-1.0.dist-info/METADATA"
    image.put(file(path, "Metadata-Version: 2.4\nName:\nVersion: 1.0\n"))
    (problem,) = details(image, tmp_path)
    assert problem.startswith("no inventory can be made of the image's files: ")


def test_a_wheel_is_the_same_component_in_its_archive_and_in_the_image(tmp_path: Path) -> None:
    image = SoundImage()
    kept = {path: content for path, content in MADE.items() if "/tests/" not in path}
    image.items |= wheel("made", "2.0", kept)
    image.put(file(f"{SITE}/{INFO}/METADATA", METADATA))
    written, _ = image.written(tmp_path / "layout")
    with tree.opened(written) as files:
        (there,) = (each for each in found.wheels(files) if each.name == "made")
    before = promised(archive(tmp_path, MADE), "made/tests/*")
    assert before == there
    assert before.texts == (
        f"/{SITE}/{INFO}/licenses/LICENSE",
        f"/{SITE}/made/THIRD_PARTY_NOTICES",
    )
    assert [part.name for part in before.parts] == ["libmade.so.1"]
    assert (before.name, before.version, before.licences) == ("made", "2.0", ("MIT",))


def test_the_text_of_a_wheels_licence_is_promised_even_if_it_is_left_out(tmp_path: Path) -> None:
    path = archive(tmp_path, MADE)
    assert promised(path, "*LICENSE").texts == (
        f"/{SITE}/{INFO}/licenses/LICENSE",
        f"/{SITE}/made/THIRD_PARTY_NOTICES",
    )


def test_an_image_that_leaves_the_text_of_a_licence_out_is_found(tmp_path: Path) -> None:
    kept = {path: content for path, content in MADE.items() if "/licenses/" not in path}
    image = SoundImage()
    image.items |= wheel("made", "2.0", kept)
    image.put(file(f"{SITE}/{INFO}/METADATA", METADATA))
    written, expected = image.written(tmp_path / "without")
    with tree.opened(written) as files:
        others = [each for each in found.wheels(files) if each.name != "made"]
        packages = tuple(found.debian_packages(files))
    before = inventory.components(
        packages, [*others, promised(archive(tmp_path, MADE), "*/licenses/*")], expected.declared
    )
    told = documents.of(DECLARED.title, before, epoch=EPOCH)
    image.put(*(file(path, content) for path, content in told.items()))
    assert details(image, tmp_path) == (
        f"/{INVENTORY}: not the inventory of the image's files",
        "pkg:pypi/made@2.0: not as its inventory says",
        f"/{THIRD_PARTY}: not the inventory of the image's files",
    )


def test_files_of_a_wheels_data_are_where_they_go(tmp_path: Path) -> None:
    members = {
        "made-2.0.data/platlib/made/libmade.so": elf_file(),
        "made-2.0.data/scripts/libscript.so": elf_file(),
    }
    component = promised(archive(tmp_path, members))
    assert [part.name for part in component.parts] == ["libmade.so"]


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made-2.0-py3-none-any.whl"
    path.write_bytes(b"no archive")
    with pytest.raises(ArchiveError, match="not a readable wheel"):
        promised(path)
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("made/__init__.py", b"")
    with pytest.raises(ArchiveError, match="METADATA"):
        promised(path)


def wheels_of(folder: Path, digest: str = "sha256:1") -> Wheels:
    made = archive(folder, MADE)
    contents = Contents(binaries=(), glibc=None, glibcxx=None, names=("made",))
    entry = Wheel(
        name="made",
        version="2.0",
        file=made.name,
        sha256="2" * 64,
        size=1,
        contents=contents,
    )
    return Wheels(directory=folder, lock=digest, wheels=(entry,), built={}, promised={})


def test_notices_are_made_once_for_what_goes_in(tmp_path: Path) -> None:
    written, _ = SoundImage().written(tmp_path / "layout")
    store = Store(tmp_path / "cache")
    asked = []

    def root() -> Path:
        asked.append(1)
        return written.directory

    def made(wheels: Wheels, *prune: str) -> notices.Notices:
        return notices.of_image(store, DECLARED, root=root, wheels=wheels, prune=prune)

    first = made(wheels_of(tmp_path))
    assert sorted(path.name for path in first.directory.iterdir()) == [
        "THIRD-PARTY",
        "inventory.cdx.json",
    ]
    listed = json.loads(first.inventory.read_bytes())["components"]
    assert [each["name"] for each in listed] == ["service", "libc6", "made", "tiny"]
    again = made(wheels_of(tmp_path))
    assert (again, len(asked)) == (first, 1)
    pruned = made(wheels_of(tmp_path), "made/lib/*")
    assert pruned.context.digest != first.context.digest
    same = made(wheels_of(tmp_path, "sha256:2"))
    assert same.directory != first.directory
    assert same.context.digest == first.context.digest


def test_a_host_has_no_debian_packages_and_texts_of_its_own(tmp_path: Path) -> None:
    site = tmp_path / "site"
    declared = replace(DECLARED, debian={}, root=())
    told = notices.of_host(
        Store(tmp_path / "cache"), declared, wheels=wheels_of(tmp_path), site=site
    )
    listed = {each["name"]: each for each in json.loads(told.inventory.read_bytes())["components"]}
    assert set(listed) == {"made", "service", "tiny"}
    texts = [each["value"] for each in listed["made"]["properties"] if "text" in each["name"]]
    assert texts[0] == f"{site}/{INFO}/licenses/LICENSE"


def test_the_text_for_people() -> None:
    library = Component(kind=Kind.LIBRARY, name="libz.so", version="", purl="", sha256="1" * 64)
    made = Component(
        kind=Kind.WHEEL,
        name="made",
        version="2.0",
        purl="pkg:pypi/made@2.0",
        sha256="2" * 64,
        licences=("MIT", "BSD-3-Clause"),
        source="33",
        parts=(library,),
        texts=("/site/LICENSE", "/site/NOTICE"),
    )
    bare = replace(made, name="bare", licences=(), source="", parts=(), texts=())
    libc = Component(
        kind=Kind.DEBIAN,
        name="libc6",
        version="2.36",
        purl="pkg:deb/debian/libc6@2.36",
        sha256="4" * 64,
        texts=("/usr/share/doc/libc6/copyright",),
    )
    told = documents.of("demo-tiny", [DECLARED.service, bare, made, libc], epoch=EPOCH)
    assert (
        told[THIRD_PARTY].decode()
        == """\
THIRD-PARTY

What demo-tiny is made of besides Equivec itself (Apache-2.0). Each part is named with its
licences, in its authors' words, and with the files that hold the whole of them.
Texts of Apache-2.0 and other common licences are in /usr/share/common-licenses.
The same for programs: inventory.cdx.json, a CycloneDX document.


PYTHON WHEELS

bare 2.0
    its licence is not named
    (it came without the text)
made 2.0
    MIT; BSD-3-Clause
    with libz.so
    compiled here, from the source archive sha256:33
    /site/LICENSE
    /site/NOTICE

DEBIAN PACKAGES

libc6 2.36
    its licence is not named
    /usr/share/doc/libc6/copyright
"""
    )
