"""Images over HTTP: what is taken, in which ways, and what every refusal says."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.corpus import make_images
from tests.unit.service.service_process import Answer, Service, started, write_backend
from tests.unit.service.tiny_model import write_model, write_recipe

# The vector of an image is the direction of its upper left pixel; that of a text is another.
EMBED = """
        from embedding_service import pictures
        rows = unit(inputs)
        for row, each in enumerate(inputs):
            if isinstance(each.content, bytes):
                rows[row, :3] = pictures.decoded(each.content, index=row).getpixel((0, 0))
                rows[row] += np.float32(1e-3)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
"""

LIMIT = 20_000

PNG = make_images.pngs()["gradient.png"]
"""Its upper left pixel is (0, 0, 96)."""

BLUE = [0, 0, 1, 0, 0, 0]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    backend = write_backend(directory / "seeing", images=True, embed=EMBED)
    model = write_model(directory / "model")
    write_recipe(model, inputs=["text", "image"])
    with started(directory, model, backend, EMBEDDING_MAX_IMAGE_BYTES=str(LIMIT)) as running:
        running.wait_for_health("healthy")
        yield running


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("blind")
    with started(directory, write_model(directory / "model")) as running:
        running.wait_for_health("healthy")
        yield running


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def as_json(service: Service, content: bytes) -> Answer:
    return service.ask("POST", "/embed", {"image": base64_of(content)})


def as_body(service: Service, content: bytes) -> Answer:
    return service.ask("POST", "/embed", content, content_type="image/png")


Send = Callable[[Service, bytes], Answer]
both_ways = pytest.mark.parametrize("send", [as_json, as_body])


def problem(answer: Answer) -> tuple[int, str]:
    assert list(answer.content) == ["error"]
    assert set(answer.content["error"]) - {"index"} == {"code", "message", "type", "param"}
    return answer.status, answer.content["error"]["code"]


@both_ways
def test_an_image_is_answered_with_its_vector(service: Service, send: Send) -> None:
    answer = send(service, PNG)
    assert answer.status == 200, answer
    assert answer.content["prompt"] is None
    np.testing.assert_allclose(answer.content["embedding"], BLUE, atol=1e-2)


@pytest.mark.parametrize("content_type", ["image/jpeg", "IMAGE/PNG; name=x", "image/*"])
def test_the_file_says_what_it_is_and_not_the_header(service: Service, content_type: str) -> None:
    answer = service.ask("POST", "/embed", PNG, content_type=content_type)
    np.testing.assert_allclose(answer.content["embedding"], BLUE, atol=1e-2)


def test_texts_are_embedded_beside_images(service: Service) -> None:
    assert service.embed("alpha").content["embedding"] != pytest.approx(BLUE, abs=0.1)


def test_health_says_what_it_takes(service: Service, blind: Service) -> None:
    assert service.ask("GET", "/health").content["inputs"] == ["text", "image"]
    assert blind.ask("GET", "/health").content["inputs"] == ["text"]


@both_ways
@pytest.mark.parametrize("content", [b"", b"no image", b"<svg/>", PNG[:900]])
def test_what_is_no_image_is_refused(service: Service, send: Send, content: bytes) -> None:
    assert problem(send(service, content)) == (422, "image_refused")


@both_ways
def test_an_image_for_a_model_of_texts_is_refused(blind: Service, send: Send) -> None:
    answer = send(blind, PNG)
    assert problem(answer) == (422, "input_not_supported")
    assert answer.content["error"]["message"] == "tiny takes text, and no image"


@both_ways
def test_an_image_of_too_many_pixels_is_refused(service: Service, send: Send) -> None:
    bomb = make_images.png(65_536, 1, make_images.GREY, lambda _x, _y: (0,))
    small = bomb[:8] + make_images.chunk(b"IHDR", bomb[16:29]) + make_images.chunk(b"IEND", b"")
    assert len(small) < LIMIT
    assert problem(send(service, small)) == (413, "image_too_large")


@both_ways
def test_an_image_at_the_limit_of_bytes_is_taken_and_one_beyond_refused(
    service: Service, send: Send
) -> None:
    at_limit = PNG + bytes(LIMIT - len(PNG))
    assert send(service, at_limit).status == 200
    answer = send(service, at_limit + b"\0")
    assert problem(answer) == (413, "image_too_large")
    assert answer.content["error"]["message"] == f"the image has more than {LIMIT} bytes"


BODY = 4 * -(-LIMIT // 3) + 2**16
"""An image in base64, and room for the JSON around it."""


@pytest.mark.parametrize("content_type", ["image/png", "application/json", "text/plain"])
@pytest.mark.parametrize("pieces", [1, 4])
def test_a_body_beyond_any_request_is_refused_whoever_announces_it(
    service: Service, content_type: str, pieces: int
) -> None:
    body = b"x" * (BODY + 1)
    # Pieces are sent without a length.
    sent = body if pieces == 1 else iter([body[: BODY // 2], body[BODY // 2 :]])
    answer = service.ask("POST", "/embed", sent, content_type=content_type)
    assert problem(answer) == (413, "body_too_large")
    assert answer.content["error"]["message"] == f"the request's body has more than {BODY} bytes"
    assert service.embed("alpha").status == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "body: give either text or image"),
        ({"text": "a", "image": base64_of(PNG)}, "body: give either text or image"),
        ({"image": None}, "body.image: Input should be a valid string"),
        ({"image": [1, 2]}, "body.image: Input should be a valid string"),
        ({"image": "http://127.0.0.1/a.png"}, "body.image: an image is the bytes of its file"),
        ({"image": "data:image/png;base64,iVBO"}, "body.image: an image is the bytes of its file"),
        ({"image": "iVBO\niVBO"}, "body.image: an image is the bytes of its file"),
        ({"image": "iVB"}, "body.image: an image is the bytes of its file"),
        ({"image": "é"}, "body.image: an image is the bytes of its file"),
        ({"image_url": "http://127.0.0.1/a.png"}, "body.image_url: Extra inputs are not permitted"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(service: Service, body: object, message: str) -> None:
    answer = service.ask("POST", "/embed", body)
    assert problem(answer) == (422, "invalid_request")
    assert message in answer.content["error"]["message"]


def test_the_openapi_document_shows_both_ways(service: Service) -> None:
    document = service.ask("GET", "/openapi.json").content
    operation = document["paths"]["/embed"]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "image/*"}
    request = document["components"]["schemas"]["EmbedRequest"]
    assert request["oneOf"] == [{"required": ["text"]}, {"required": ["image"]}]


def test_nothing_of_all_this_is_logged(service: Service) -> None:
    assert [line.split()[1:3] for line in service.log.read_text().splitlines()] == [
        ["INFO", "ready:"]
    ]
