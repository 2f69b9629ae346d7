"""The audit as a whole: the sound image passes, and each thing about the image itself fails."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builders.audit import audit
from builders.audit.image import bytes_without_model
from builders.check import MOST_DETAILS, from_findings
from builders.errors import ArchiveError
from builders.formats import layout, tree
from tests.unit.images import Image, directory, file, symlink, tar
from tests.unit.sound_image import SoundImage, byte_code

NAMES = [
    "configuration",
    "labels",
    "size-without-model",
    "inputs",
    "wheels-locked",
    "wheel-record",
    "no-accelerator-packages",
    "elf-machine",
    "no-foreign-programs",
    "needed-libraries",
    "symbol-versions",
    "library-search-paths",
    "byte-code",
    "no-scripts",
    "no-tools",
    "no-builder-paths",
    "no-privileges",
    "times",
    "inventory",
    "notices",
]


def test_a_sound_image_passes_every_check(tmp_path: Path) -> None:
    checks = SoundImage().audit(tmp_path)
    assert list(checks) == NAMES
    assert {name: check.details for name, check in checks.items() if not check.passed} == {}


def test_a_hostile_layer_ends_the_audit(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file("../escape"))
    with pytest.raises(ArchiveError, match="leads upwards"):
        image.audit(tmp_path)


def test_another_platform_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.image.config = {"architecture": "arm64"}
    assert image.failures(tmp_path) == {"configuration": ("is for linux/arm64, not linux/amd64",)}


@pytest.mark.parametrize("user", ["", "0", "root", "65532", "equivec:equivec"])
def test_another_user_fails(user: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.image.run["User"] = user
    assert image.failures(tmp_path) == {
        "configuration": (f"runs as {user or 'root'}, not 65532:65532",)
    }


@pytest.mark.parametrize(
    ("entry_point", "problem"),
    [
        (None, "its entry point is '', no absolute path"),
        (["python3"], "its entry point is 'python3', no absolute path"),
        (["/usr/bin/python4"], "its entry point /usr/bin/python4 is no program of the image"),
        (["/opt/equivec/model/model.json"], "model.json is no program of the image"),
    ],
)
def test_an_entry_point_that_is_not_there_fails(
    entry_point: list[str] | None, problem: str, tmp_path: Path
) -> None:
    image = SoundImage()
    image.image.run["Entrypoint"] = entry_point
    ((name, (detail,)),) = image.failures(tmp_path).items()
    assert name == "configuration"
    assert problem in detail


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({}, "io.equivec.backend: not there"),
        ({"io.equivec.backend": "other"}, "io.equivec.backend: 'other', not 'onnxruntime'"),
        ({"io.equivec.backend": "onnxruntime", "version": "1"}, "version: '1', not expected"),
    ],
)
def test_other_labels_fail(labels: dict[str, str], problem: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.image.run["Labels"] = labels
    assert image.failures(tmp_path) == {"labels": (problem,)}


def test_too_large_an_image_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.expect(budget=0.0001)
    check = image.audit(tmp_path)["size-without-model"]
    assert not check.passed
    assert isinstance(check.figure, float)
    assert 0.001 < check.figure < 0.1
    assert check.limit == 0.0001


def test_only_a_layer_of_the_model_alone_does_not_count(tmp_path: Path) -> None:
    folders = [directory("opt"), directory("opt/equivec"), directory("opt/equivec/model")]
    weights = file("opt/equivec/model/weights", b"w")
    layers = [
        tar([file("a", b"x")]),
        tar([*folders, weights]),
        tar([*folders, weights, file("opt/equivec/other", b"y")]),
        tar(folders),
        tar([]),
    ]
    image = layout.read(Image(layers=layers).write(tmp_path / "layout"))
    sizes = [la.size for la in image.layers]
    with tree.opened(image) as files:
        assert bytes_without_model(files, image) == sum(sizes) - sizes[1]


def test_an_input_that_is_altered_missing_or_new_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(
        file("opt/equivec/model/model.onnx", b"other weights"),
        file("opt/equivec/model/extra.bin", b"x"),
        symlink("opt/equivec/backend/link.py", "/etc/passwd"),
    )
    del image.items["opt/equivec/model/model.json"]
    assert image.failures(tmp_path) == {
        "inputs": (
            "/opt/equivec/model/model.json: not there",
            "/opt/equivec/model/model.onnx: not what went in",
            "/opt/equivec/backend/link.py: did not go in",
            "/opt/equivec/model/extra.bin: did not go in",
        )
    }


def test_a_link_in_the_place_of_an_input_fails(tmp_path: Path) -> None:
    """Even one that leads to what went in: it might lead elsewhere in another image."""
    image = SoundImage()
    model = "opt/equivec/model/model.onnx"
    image.put(symlink(model, "/usr/share/model.onnx"), file("usr/share/model.onnx", b"weights"))
    assert image.failures(tmp_path) == {"inputs": (f"/{model}: not there",)}


def test_a_models_own_code_is_copied_as_it_is(tmp_path: Path) -> None:
    image = SoundImage()
    code, cached = (
        "opt/equivec/model/code/a.py",
        "opt/equivec/model/code/__pycache__/a.cpython-311.pyc",
    )
    image.put(file(code, b"A = 1\n"))
    image.expect(files={**image.expected.files, code: hashlib.sha256(b"A = 1\n").hexdigest()})
    assert image.failures(tmp_path / "without") == {}
    image.put(file(cached, byte_code(b"A = 1\n")))
    assert image.failures(tmp_path / "with") == {"inputs": (f"/{cached}: did not go in",)}


def test_the_audit_says_how_large_the_image_is(tmp_path: Path) -> None:
    image = SoundImage()
    image.audit(tmp_path)
    written = layout.read(tmp_path / "layout")
    found = audit(written, image.expected, scratch=tmp_path)
    assert found.bytes_without_model == written.layers[0].size + written.layers[1].size


def test_findings_are_listed_up_to_a_number() -> None:
    assert from_findings("name", []).passed
    check = from_findings("name", (str(number) for number in range(50)), figure=1, limit=2)
    assert (check.passed, check.figure, check.limit) == (False, 1, 2)
    assert len(check.details) == MOST_DETAILS + 1
    assert check.details[-1] == "and 30 more"


def test_findings_cannot_command_a_terminal() -> None:
    assert from_findings("name", ["a\x1b[2Jb\né"]).details == ("a\\x1b[2Jb\\né",)
