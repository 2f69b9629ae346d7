"""The files of the checkout that an image is made from."""

from __future__ import annotations

from builders import project, recorded
from builders.files import sha256_of
from builders.project import Project
from tests.unit import attested

BUILT = {"built_wheels": {"x.whl": "0" * 64}}


def files(checkout: Project, **inputs: object) -> dict[str, str]:
    judged = attested.verdict(platform="linux/arm64")
    judged = judged.model_copy(update={"inputs": judged.inputs.model_copy(update=inputs)})
    return dict(recorded.of_verdict(checkout, judged))


def test_they_are_those_of_the_image_and_no_others() -> None:
    checkout = project.load()
    found = files(checkout)

    assert {
        "matrix.yaml",
        "images/Dockerfile",
        "images/base/assemble.py",
        "images/base/locks/linux-amd64.json",  # whose packages assemble the layers
        "images/base/locks/linux-arm64.json",
        "images/models/fixture-768.json",
        "images/onnxruntime/backend.py",
        "images/onnxruntime/locks/linux-arm64.txt",
        "images/service/embedding_service/__main__.py",
    } <= found.keys()
    folders = {path.split("/")[1] for path in found if path.count("/") > 1}
    assert folders == {"base", "models", "onnxruntime", "service"}
    assert not [path for path in found if "darwin" in path or "__pycache__" in path]
    assert list(found) == sorted(found)
    for path in ("matrix.yaml", "images/onnxruntime/backend.py"):
        assert found[path] == sha256_of(checkout.root / path)


def test_compilers_belong_to_wheels_that_are_compiled() -> None:
    assert "images/toolchain/Dockerfile" in files(project.load(), **BUILT)
