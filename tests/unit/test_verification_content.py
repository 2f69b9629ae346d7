"""An SBOM against the image's files: whatever is in one and not in the other is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.formats import tree
from builders.inventory import cyclonedx
from builders.paths import INVENTORY, SITE
from builders.verification.content import contents
from tests.unit.elf_samples import elf_file
from tests.unit.images import EPOCH, Item, file
from tests.unit.published_images import sound_image
from tests.unit.sound_image import wheel

OTHER_LIBRARY = f"{SITE}/demo.libs/libdemo.so"


def found(where: Path, *spoiling: Item, stranger: str = "") -> tuple[str, ...]:
    """Return what is found where an image has other files than the SBOM was made from."""
    image = sound_image("linux/amd64")
    components = image.audited(where).components
    document = json.loads(cyclonedx.sbom("image", "sha256:0", components, epoch=EPOCH))
    image.put(*spoiling)
    image.strangers = {stranger} if stranger else set()
    layout, _ = image.written(where / "spoiled")
    with tree.opened(layout) as files:
        return contents(files, document).details


def test_an_sbom_of_the_very_files_is_right(tmp_path: Path) -> None:
    assert found(tmp_path) == ()


def test_a_debian_package_that_is_not_listed_is_found(tmp_path: Path) -> None:
    control = "Package: extra\nVersion: 1\nArchitecture: all\n"
    details = found(tmp_path, file("var/lib/dpkg/status.d/extra", control))
    assert details == ("Debian package extra 1: in the image, and not in the SBOM",)


def test_a_debian_package_of_another_version_is_found(tmp_path: Path) -> None:
    control = "Package: libc6\nVersion: 2.36-10\nArchitecture: amd64\n"
    one, other = found(tmp_path, file("var/lib/dpkg/status.d/libc6", control))
    assert one == "Debian package libc6 2.36-10: in the image, and not in the SBOM"
    assert other.endswith("in the SBOM, and not in the image")


def test_another_licence_is_found(tmp_path: Path) -> None:
    text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nLicense: Proprietary\n"
    )
    (detail,) = found(tmp_path, file("usr/share/doc/libc6/copyright", text))
    assert "Proprietary" in detail


def test_a_wheel_that_is_not_listed_is_found(tmp_path: Path) -> None:
    (detail,) = found(tmp_path, *wheel("extra", "2.0", {"extra/a.txt": b"a"}).values())
    assert detail == "Python wheel extra 2.0: in the image, and not in the SBOM"


def test_a_library_inside_a_wheel_that_was_exchanged_is_found(tmp_path: Path) -> None:
    details = found(tmp_path, file(OTHER_LIBRARY, elf_file(needed=["libm.so.6"])))
    assert any(detail.startswith("Python wheel demo 1.0: ") for detail in details)
    assert any("is not what was recorded" in detail for detail in details)


def test_a_file_of_a_wheel_that_was_altered_is_found(tmp_path: Path) -> None:
    details = found(tmp_path, file(f"{SITE}/demo/notes.txt", "other notes"))
    assert details == (f"/{SITE}/demo/notes.txt: is not what was recorded (demo)",)


@pytest.mark.parametrize(
    "path", ["opt/equivec/backend/backend.py", "opt/equivec/service/embedding_service/more.py"]
)
def test_code_that_is_not_the_services_is_found(path: str, tmp_path: Path) -> None:
    (detail,) = found(tmp_path, file(path, "import os\n"))
    assert detail.startswith("service: ")


def test_other_weights_are_found(tmp_path: Path) -> None:
    (detail,) = found(tmp_path, file("opt/equivec/model/model.onnx", "other weights"))
    assert detail == "/opt/equivec/model/model.onnx: not what its recipe names"


def test_another_recipe_is_found(tmp_path: Path) -> None:
    details = found(tmp_path, file("opt/equivec/model/model.json", "{}"))
    assert [detail.partition(":")[0] for detail in details] == [
        *("model", "/opt/equivec/model/model.json")
    ]


def test_a_file_of_no_component_is_found(tmp_path: Path) -> None:
    path = "usr/share/stranger"
    assert found(tmp_path, file(path, "?"), stranger=path) == (f"/{path}: of no component",)


@pytest.mark.parametrize("text", ["", "{}", '{"components": []}'])
def test_an_image_that_says_something_else_of_itself_is_found(text: str, tmp_path: Path) -> None:
    (detail,) = found(tmp_path, file(INVENTORY, text))
    assert detail.startswith(f"/{INVENTORY}: ")


def test_an_sbom_that_lists_what_no_image_holds_is_found(tmp_path: Path) -> None:
    image = sound_image("linux/amd64")
    components = image.audited(tmp_path).components
    document = json.loads(cyclonedx.sbom("image", "sha256:0", components, epoch=EPOCH))
    document["components"].append({"type": "library", "name": "mystery"})
    layout, _ = image.written(tmp_path / "same")
    with tree.opened(layout) as files:
        details = contents(files, document).details
    assert "mystery: in the SBOM, and nothing that an image is known to hold" in details
