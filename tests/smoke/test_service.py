"""The service answers over HTTP on the container's loopback, with vectors of the right kind."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from builders.smoke.cell import SmokeCell

TEXT = "the fish"  # short: under emulation every token costs
IMAGE = Path(__file__).parents[1] / "corpus" / "images" / "disc-alpha.png"

Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def answers(run_inside: Callable[..., list[dict[str, Any]]], cell: SmokeCell) -> Answers:
    refused = json.dumps(dict(cell.refused))
    image = base64.b64encode(IMAGE.read_bytes()).decode("ascii")
    return {answer["step"]: answer for answer in run_inside("service", TEXT, refused, image)}


def test_health(answers: Answers, cell: SmokeCell) -> None:
    health = answers["health"]
    assert health["status"] == 200, health["body"]
    expected = {
        "status": "healthy",
        "embedding_model_loaded": True,
        "backend": cell.backend,
        "model": cell.model,
        "dimension": cell.dimension,
        "inputs": list(cell.inputs),
        "vector_space": cell.vector_space,
        "precision": cell.precision,
    }
    assert {key: health["body"].get(key) for key in expected} == expected


def test_credits(answers: Answers, cell: SmokeCell) -> None:
    """All that the image is made of is named with its licence, or the file that has it."""
    answer = answers["credits"]
    assert answer["status"] == 200, answer["body"]
    assert answer["body"]["model"]["name"] == cell.model
    components = answer["body"]["components"]
    assert {each["kind"] for each in components} == {"python", "debian"}
    wheels = [each for each in components if each["kind"] == "python"]
    assert {each["name"]: Version(each["version"]) for each in wheels} == {
        wheel.name: Version(wheel.version) for wheel in cell.wheels
    }
    without = [each["name"] for each in components if not (each["licences"] or each["texts"])]
    assert not without, f"named without a licence: {', '.join(without)}"


def test_embedding(answers: Answers, cell: SmokeCell) -> None:
    _check_vector(answers["embed"], cell)


def test_openai_interface(answers: Answers, cell: SmokeCell) -> None:
    """It has the same vectors, and every answer says of which space they are."""
    answer = answers["openai"]
    assert answer["status"] == 200, answer["body"]
    (found,) = answer["body"]["data"]
    expected = answers["embed"]["body"]["embedding"]
    assert found["embedding"] == pytest.approx(expected, abs=1e-5, nan_ok=True)
    assert {answers["embed"]["space"], answer["space"]} == {cell.vector_space}


def test_generate_interface(answers: Answers, cell: SmokeCell) -> None:
    """It has the same vectors, and the configuration that the answer names is the one in force."""
    answer, config = answers["generate"], answers["config"]
    assert (answer["status"], config["status"]) == (200, 200), (answer["body"], config["body"])
    expected = answers["embed"]["body"]["embedding"]
    assert answer["body"]["embedding"] == pytest.approx(expected, abs=1e-5, nan_ok=True)
    metadata = answer["body"]["metadata"]
    assert (metadata["model"], metadata["dimensions"]) == (cell.model, cell.dimension)
    assert metadata["server_config_id"] == config["body"]["config_id"]
    assert answer["space"] == cell.vector_space


def test_no_administration_without_a_token(answers: Answers) -> None:
    assert answers["admin"]["status"] == 404, answers["admin"]["body"]


def test_image(answers: Answers, cell: SmokeCell) -> None:
    """An image, in JSON and as the body, is embedded; or refused, where the model takes none."""
    for answer in (answers["image"], answers["image file"]):
        if "image" in cell.inputs:
            _check_vector(answer, cell)
        else:
            assert _refusal(answer) == (422, "input_not_supported")


def test_what_is_no_image(answers: Answers, cell: SmokeCell) -> None:
    code = "image_refused" if "image" in cell.inputs else "input_not_supported"
    for answer in (answers["no image"], answers["no image file"]):
        assert _refusal(answer) == (422, code)


def test_refused_texts(answers: Answers, cell: SmokeCell) -> None:
    """What the backend would embed wrongly is refused, as matrix.yaml says (`refused_texts`)."""
    found = {identifier: answers[f"refused {identifier}"] for identifier in cell.refused}
    embedded = [name for name, answer in found.items() if answer["status"] not in (413, 422)]
    assert not embedded, f"embedded, or failed otherwise: {', '.join(embedded)}"


def _refusal(answer: dict[str, Any]) -> tuple[int, str]:
    assert answer["status"] != 200, "it was embedded"
    return answer["status"], json.loads(answer["body"])["error"]["code"]


def _check_vector(answer: dict[str, Any], cell: SmokeCell) -> None:
    assert answer["status"] == 200, answer["body"]
    vector = answer["body"]["embedding"]
    assert answer["body"]["model"] == cell.model
    assert answer["body"]["dimension"] == cell.dimension
    assert len(vector) == cell.dimension
    wrong = [number for number in vector if not math.isfinite(number)]
    assert not wrong, f"{len(wrong)} numbers of the vector are not finite: {wrong[0]}"
    length = math.sqrt(sum(number * number for number in vector))
    if cell.normalize:
        assert abs(length - 1) < 1e-5, f"the vector's length is {length}"
    else:
        assert length > 0
