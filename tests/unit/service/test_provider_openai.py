"""EMBEDDING_PROVIDER=openai in an image that has weights of its own: the service as a process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from embedding_service.errors import ModelError
from tests.unit.service.service_process import ONNXRUNTIME, free_port, started
from tests.unit.service.tiny_model import SPACE, write_model
from tests.unit.service.upstream_api import OTHER, UNIT, Api, problem, serving

SIGLIP = "sha256:" + "6" * 64
NOMIC = "sha256:" + "7" * 64
WAIT = 30


@pytest.fixture
def siglip() -> Iterator[Api]:
    with serving() as made:
        made.headers = {"Equivec-Vector-Space": SIGLIP}
        yield made


@pytest.fixture
def nomic() -> Iterator[Api]:
    with serving() as made:
        made.headers = {"Equivec-Vector-Space": NOMIC}
        made.vector = lambda _: OTHER
        yield made


def space(vector_space: str, model: str, *urls: str) -> dict[str, Any]:
    return {
        "vector_space": vector_space,
        "model": model,
        "dimension": 6,
        "upstreams": [{"url": url} for url in urls],
    }


def variables(*spaces: Mapping[str, Any], **others: str) -> dict[str, str]:
    return {
        "EMBEDDING_PROVIDER": "openai",
        "EMBEDDING_UPSTREAMS": json.dumps(spaces),
        "EMBEDDING_OPENAI_TIMEOUT": "1",
        **others,
    }


def test_the_upstream_answers_in_the_place_of_the_images_own_model(
    tmp_path: Path, siglip: Api
) -> None:
    model = write_model(tmp_path / "model")
    chosen = variables(space(SIGLIP, "siglip", siglip.url))
    with started(tmp_path, model, ONNXRUNTIME, **chosen) as service:
        service.wait_for_health("healthy")
        health = service.ask("GET", "/health").content
        assert (health["model"], health["vector_space"]) == ("siglip", SIGLIP)
        assert health["backend"] == "openai"
        answer = service.embed("alpha")
        assert answer.content["embedding"] == UNIT
        assert answer.headers["equivec-vector-space"] == SIGLIP
        config = service.ask("GET", "/embedding/config").content
        assert (config["provider"], config["dimensions"]) == ("openai", 6)
        listed = service.ask(
            "POST", "/v1/embeddings", {"model": "siglip", "input": ["alpha", "beta"]}
        )
        assert [each["embedding"] for each in listed.content["data"]] == [UNIT, UNIT]
        siglip.asked.clear()
        siglip.answer = lambda _: problem(401)
        failed = service.ask("POST", "/v1/embeddings", {"model": "siglip", "input": ["alpha"] * 4})
        assert failed.status == 503
        assert len(siglip.asked) == 1  # and not one text after the other


def test_it_falls_back_within_one_space_and_never_into_another(
    tmp_path: Path, siglip: Api, nomic: Api
) -> None:
    model = write_model(tmp_path / "model")
    with serving() as second:
        second.headers = siglip.headers
        chosen = variables(
            space(SIGLIP, "siglip", siglip.url, second.url), space(NOMIC, "nomic", nomic.url)
        )
        with started(tmp_path, model, ONNXRUNTIME, **chosen) as service:
            service.wait_for_health("healthy")
            assert service.embed("alpha").content["embedding"] == UNIT
            siglip.answer = lambda _: problem(503)
            asked = len(second.asked)
            answer = service.embed("beta")
            assert answer.content["embedding"] == UNIT
            assert answer.headers["equivec-vector-space"] == SIGLIP
            assert len(second.asked) == asked + 1
            second.answer = lambda _: problem(503)
            refused = service.embed("gamma")
            assert refused.status == 503
            assert refused.content["error"]["code"] == "upstream_failed"
            assert not nomic.asked


def test_where_the_first_is_absent_at_the_start_the_next_stands_in(
    tmp_path: Path, nomic: Api
) -> None:
    model = write_model(tmp_path / "model")
    absent = f"http://127.0.0.1:{free_port()}/v1"
    chosen = variables(
        space(SIGLIP, "siglip", absent),
        space(NOMIC, "nomic", nomic.url),
        EMBEDDING_LOG_FORMAT="text",
        EMBEDDING_ALLOW_SPACE_CHANGE="true",
    )
    with started(tmp_path, model, ONNXRUNTIME, **chosen) as service:
        service.wait_for_health("degraded")
        service.wait_for_health("healthy")
        answer = service.embed("alpha")
        assert answer.content["embedding"] == OTHER
        assert answer.content["model"] == "nomic"
        assert answer.headers["equivec-vector-space"] == NOMIC
        expecting = service.ask(
            "POST",
            "/embed",
            {"text": "alpha"},
            headers={"Equivec-Expect-Vector-Space": SIGLIP},
        )
        assert expecting.status == 409
    assert "nomic is served in the place of siglip: another vector space" in service.log.read_text()


def test_no_other_space_stands_in_unless_that_is_allowed(tmp_path: Path, nomic: Api) -> None:
    model = write_model(tmp_path / "model")
    absent = f"http://127.0.0.1:{free_port()}/v1"
    chosen = variables(space(SIGLIP, "siglip", absent), space(NOMIC, "nomic", nomic.url))
    with started(tmp_path, model, ONNXRUNTIME, **chosen) as service:
        assert service.process.wait(WAIT) == ModelError.exit_code
    assert "siglip failed its self-check" in service.log.read_text()
    assert not nomic.asked


def test_one_that_is_there_but_wrong_is_not_replaced(
    tmp_path: Path, siglip: Api, nomic: Api
) -> None:
    model = write_model(tmp_path / "model")
    siglip.headers = {"Equivec-Vector-Space": SPACE}
    chosen = variables(
        space(SIGLIP, "siglip", siglip.url),
        space(NOMIC, "nomic", nomic.url),
        EMBEDDING_ALLOW_SPACE_CHANGE="true",
    )
    with started(tmp_path, model, ONNXRUNTIME, **chosen) as service:
        assert service.process.wait(WAIT) == ModelError.exit_code
    log = service.log.read_text()
    assert "siglip failed its self-check" in log
    assert f"makes vectors of the space '{SPACE}'" in log
    assert not nomic.asked


def test_where_all_are_absent_it_ends(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    absent = [f"http://127.0.0.1:{free_port()}/v1" for _ in range(2)]
    chosen = variables(
        space(SIGLIP, "siglip", absent[0]),
        space(NOMIC, "nomic", absent[1]),
        EMBEDDING_ALLOW_SPACE_CHANGE="true",
    )
    with started(tmp_path, model, ONNXRUNTIME, **chosen) as service:
        assert service.process.wait(WAIT) == ModelError.exit_code
    assert "nomic failed its self-check" in service.log.read_text()


ADMIN = {"Authorization": "Bearer admin-token"}


def test_another_space_of_the_list_is_served_when_it_is_asked_for_by_name(
    tmp_path: Path, siglip: Api, nomic: Api
) -> None:
    model = write_model(tmp_path / "model")
    chosen = variables(
        space(SIGLIP, "siglip", siglip.url),
        space(NOMIC, "nomic", nomic.url),
        EMBEDDING_ADMIN_TOKEN="admin-token",  # noqa: S106
    )
    change = ("PUT", "/admin/embedding/config")
    with started(tmp_path, model, ONNXRUNTIME, **chosen) as service:
        service.wait_for_health("healthy")
        assert service.ask(*change, {"model": "nomic"}, headers=ADMIN).status == 409
        assert service.embed("alpha").headers["equivec-vector-space"] == SIGLIP
        assert not nomic.asked
        asked = {"model": "nomic", "allow_space_change": True}
        changed = service.ask(*change, asked, headers=ADMIN)
        assert changed.status == 200
        assert changed.content["config"]["vector_space"] == NOMIC
        assert service.embed("alpha").headers["equivec-vector-space"] == NOMIC
        upstreams = {"upstreams": [space(NOMIC, "nomic", siglip.url)]}
        assert service.ask(*change, upstreams, headers=ADMIN).status == 422


def test_a_reload_goes_from_the_images_model_to_an_upstream_and_reads_its_key_anew(
    tmp_path: Path, siglip: Api
) -> None:
    model = write_model(tmp_path / "model")
    config, key = tmp_path / "config.json", tmp_path / "key"
    config.write_text("{}")
    key.write_text("first-key\n")
    chosen = {
        "EMBEDDING_CONFIG_FILE": str(config),
        "EMBEDDING_ADMIN_TOKEN": "admin-token",
    }
    reload = ("POST", "/admin/embedding/config/reload", {"allow_space_change": True})
    with started(tmp_path, model, ONNXRUNTIME, **chosen) as service:
        service.wait_for_health("healthy")
        assert service.embed("alpha").headers["equivec-vector-space"] == SPACE
        upstream = {"url": siglip.url, "key_file": str(key)}
        declared = space(SIGLIP, "siglip") | {"upstreams": [upstream]}
        config.write_text(json.dumps({"provider": "openai", "upstreams": [declared]}))
        assert service.ask(*reload, headers=ADMIN).status == 200
        assert service.embed("alpha").headers["equivec-vector-space"] == SIGLIP
        assert siglip.asked[-1].headers["Authorization"] == "Bearer first-key"
        key.write_text("second-key\n")
        assert service.ask(*reload, headers=ADMIN).status == 200
        service.embed("alpha")
        assert siglip.asked[-1].headers["Authorization"] == "Bearer second-key"
        siglip.answer = lambda _: problem(401)
        failed = service.ask(*reload, headers=ADMIN)
        assert failed.status == 409
        siglip.answer = lambda _: None
        assert service.embed("alpha").status == 200
    log = service.log.read_text()
    assert "first-key" not in log
    assert "second-key" not in log
