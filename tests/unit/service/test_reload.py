"""Other settings and other models while the service runs: nothing is lost, nothing half-changed."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from embedding_service.settings import entries
from tests.unit.service.administration import (
    OTHER_SPACE,
    TOKEN,
    administrated,
    change,
    config,
    reload,
    wait_until,
    write_models,
)
from tests.unit.service.service_process import Answer, Service, started, write_backend
from tests.unit.service.tiny_model import SPACE, unit_mean, write_model, write_recipe

WAIT_IF_SLOW = """
        if contents == ["slow"]:
            (HERE / "begun").touch()
            wait_for("gate")
        return unit(inputs)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return write_models(tmp_path / "models")


@pytest.fixture(scope="module")
def serving_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    models = write_models(directory / "models")
    with administrated(directory, models / "a", EMBEDDING_MODELS_DIR=str(models)) as service:
        yield service


def test_what_is_at_hand_of_the_same_space_is_told(serving_models: Service) -> None:
    assert config(serving_models)["quantized_variants"] == ["int8"]


def test_settings_change_while_it_runs(model: Path, tmp_path: Path) -> None:
    with administrated(tmp_path, model) as service:
        before = config(service)
        assert before["precision"] == "float32"
        answer = change(service, {"precision": "float16", "max_inputs": 2})
        assert answer.status == 200
        assert answer.content["previous_config_id"] == before["config_id"]
        assert answer.content["config"] == config(service)
        assert config(service)["precision"] == "float16"
        assert service.embed("alpha").content["precision"] == "float16"
        said = f"tiny (local), 6 dimensions in float16, vector space {SPACE}"
        assert f"(changes: precision: float16, max_inputs: 2): {said}" in service.log.read_text()
        three = {"model": "tiny", "input": ["alpha"] * 3}
        assert service.ask("POST", "/v1/embeddings", three).status == 413
        # What it does not name stays; null takes a change back.
        assert change(service, {"precision": None}).status == 200
        assert config(service) == before
        assert service.ask("POST", "/v1/embeddings", three).status == 413


def test_the_model_is_loaded_again_only_where_it_must_be(model: Path, tmp_path: Path) -> None:
    load = 'with (HERE / "loads").open("a") as file: file.write("x")'
    counting = write_backend(tmp_path / "counting", load=load)

    def loads() -> int:
        return len((counting / "loads").read_text(encoding="utf-8"))

    with administrated(tmp_path, model, counting) as service:
        assert loads() == 1
        answers = {"precision": "float16", "queue": 9, "max_inputs": 1, "dimensions": 6}
        assert change(service, answers).status == 200
        assert loads() == 1
        assert service.embed("alpha").content["precision"] == "float16"
        assert change(service, {"threads": 2}).status == 200
        assert loads() == 2
        assert reload(service).status == 200
        assert loads() == 3
        write_recipe(model, name="new")
        assert change(service, {"precision": "float32"}).status == 200
        assert loads() == 4
        assert service.embed("alpha").content["model"] == "new"


def test_no_request_fails_while_models_are_replaced_under_load(
    models: Path, tmp_path: Path
) -> None:
    expected = unit_mean("[CLS]", "alpha", "[SEP]")
    seen: list[set[str]] = [set() for _ in range(4)]
    stop = threading.Event()
    failures: list[object] = []

    def client(names: set[str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        while not stop.is_set():
            body = json.dumps({"text": "alpha"})
            connection.request("POST", "/embed", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = json.loads(response.read())
            if response.status != 200 or not np.allclose(content["embedding"], expected, atol=1e-6):
                failures.append((response.status, content))
                return
            names.add(content["model"])
        connection.close()

    with administrated(tmp_path, models / "a", EMBEDDING_MODELS_DIR=str(models)) as service:
        clients = [threading.Thread(target=client, args=[names]) for names in seen]
        for each in clients:
            each.start()
        for name in ("second", "first", "second", "first", "second"):
            answer = change(service, {"model": name})
            assert answer.status == 200, answer
            # From the answer on, it is the new one that answers.
            assert service.embed("alpha").content["model"] == name
            time.sleep(0.05)
        stop.set()
        for each in clients:
            each.join(30)
    assert failures == []
    assert set.union(*seen) == {"first", "second"}


def test_a_request_in_flight_finishes_with_the_former_model(model: Path, tmp_path: Path) -> None:
    slow = write_backend(tmp_path / "slow", embed=WAIT_IF_SLOW)
    with administrated(tmp_path, model, slow) as service:
        answers: list[Answer] = []
        request = threading.Thread(target=lambda: answers.append(service.embed("slow")))
        request.start()
        wait_until((slow / "begun").exists, "the slow request never began")
        write_recipe(model, name="new")
        assert reload(service).status == 200
        assert service.embed("alpha").content["model"] == "new"
        assert not (slow / "closed").exists()
        (slow / "gate").touch()
        request.join(20)
        assert answers[0].status == 200
        assert answers[0].content["model"] == "tiny"
        wait_until((slow / "closed").exists, "the former model is never closed")
        assert service.stop() == 0


def test_a_client_that_goes_away_does_not_stop_a_reload(model: Path, tmp_path: Path) -> None:
    # The second model that is loaded waits.
    load = 'wait_for("gate") if (HERE / "loaded").exists() else None; (HERE / "loaded").touch()'
    backend = write_backend(tmp_path / "slow", load=load)
    with administrated(tmp_path, model, backend) as service:
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(
                b"POST /admin/embedding/config/reload HTTP/1.1\r\nHost: a\r\n"
                b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
            )
            write_recipe(model, name="new")
            time.sleep(0.3)
        time.sleep(0.3)
        assert config(service)["model"] == "tiny"
        (backend / "gate").touch()
        wait_until(lambda: config(service)["model"] == "new", "never reloaded")


def test_a_model_that_cannot_be_served_changes_nothing(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "config" / "config.json"
    file.parent.mkdir()
    file.write_text("{}", encoding="utf-8")
    with administrated(tmp_path, model, EMBEDDING_CONFIG_FILE=str(file)) as service:
        before = config(service)
        intact = (model / "tokenizer.json").read_bytes()
        (model / "tokenizer.json").write_bytes(b"{}")
        for answer in (reload(service), change(service, {"batch_inputs": 5})):
            assert answer.status == 409
            assert answer.content["error"]["code"] == "model_refused"
            assert "tokenizer.json is altered" in answer.content["error"]["message"]
        assert config(service) == before
        assert service.embed("alpha").status == 200
        assert file.read_text(encoding="utf-8") == "{}"
        assert "reload failed, nothing has changed: " in service.log.read_text()
        (model / "tokenizer.json").write_bytes(intact)
        assert change(service, {"batch_inputs": 5}).status == 200
        assert json.loads(file.read_text(encoding="utf-8")) == {"batch_inputs": 5}


def test_a_model_that_fails_its_self_check_changes_nothing(model: Path, tmp_path: Path) -> None:
    with administrated(tmp_path, model) as service:
        write_recipe(model, name="new", dimension=768)
        answer = reload(service)
        assert answer.status == 409
        assert "failed its self-check" in answer.content["error"]["message"]
        assert service.embed("alpha").content["model"] == "tiny"


def test_the_vector_space_changes_only_where_that_is_said(models: Path, tmp_path: Path) -> None:
    with administrated(tmp_path, models / "a", EMBEDDING_MODELS_DIR=str(models)) as service:
        refused = change(service, {"model": "third"})
        assert refused.status == 409
        assert refused.content["error"]["code"] == "vector_space_change"
        assert SPACE in refused.content["error"]["message"]
        assert OTHER_SPACE in refused.content["error"]["message"]
        assert service.embed("alpha").headers["equivec-vector-space"] == SPACE
        assert change(service, {"model": "third", "allow_space_change": True}).status == 200
        assert service.embed("alpha").headers["equivec-vector-space"] == OTHER_SPACE
        # A client that expects the former space is told.
        expects = {"Equivec-Expect-Vector-Space": SPACE}
        assert service.ask("POST", "/embed", {"text": "a"}, headers=expects).status == 409


def test_shorter_vectors_are_of_another_space(tmp_path: Path) -> None:
    shorter = {"layer_norm": False, "spaces": {"3": OTHER_SPACE}}
    model = write_model(tmp_path / "model", matryoshka=shorter)
    with administrated(tmp_path, model) as service:
        assert change(service, {"dimensions": 3}).content["error"]["code"] == "vector_space_change"
        wrong = change(service, {"dimensions": 4, "allow_space_change": True})
        assert wrong.status == 422
        assert "tiny has vectors of these dimensions: 6, 3" in wrong.content["error"]["message"]
        assert change(service, {"dimensions": 3, "allow_space_change": True}).status == 200
        assert len(service.embed("alpha").content["embedding"]) == 3
        assert config(service)["vector_space"] == OTHER_SPACE


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"model_dir": "/etc"}, 422, "request: model_dir is not changed so"),
        ({"admin_token": "mine"}, 422, "request: admin_token is not changed so"),
        ({"queue": 0}, 422, "request: queue is 0: it must be a whole number from 1"),
        ({"qeue": 9}, 422, "there is no setting 'qeue'; is queue meant?"),
        ({"\ud800": 9}, 422, "unable to parse raw data as a unicode string"),
        ({"allow_space_change": "yes"}, 422, "body.allow_space_change: Input should be a valid"),
        ([1], 422, "body: "),
        # A model is chosen by its name alone: no path comes from a request.
        ({"model": "fourth"}, 409, "no model fourth is at hand; there are: first, second, third"),
        ({"model": "../c"}, 409, "no model ../c is at hand"),
        ({"model": "c"}, 409, "no model c is at hand"),
        (b"{", 400, "JSON"),
    ],
)
def test_a_change_that_cannot_be_is_told_why(
    serving_models: Service, body: object, status: int, message: str
) -> None:
    before = config(serving_models)
    answer = change(serving_models, body)
    assert answer.status == status, answer
    assert message in answer.content["error"]["message"]
    assert config(serving_models) == before


def test_the_openapi_document_names_every_setting_that_a_request_may_change(
    serving_models: Service,
) -> None:
    document = serving_models.ask("GET", "/openapi.json").content
    routes = document["paths"]["/admin/embedding/config"]["put"]
    assert set(routes["responses"]) >= {"200", "400", "401", "409", "413", "415", "422", "503"}
    schema = document["components"]["schemas"]["ChangeRequest"]
    changeable = {name for name, each in entries().items() if each.changed_by == "request"}
    assert set(schema["properties"]) == changeable | {"allow_space_change"}
    assert changeable >= {"model", "dimensions", "precision", "queue", "max_inputs"}
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"queue": 5, "precision": None, "allow_space_change": True})
    for wrong in ({"queue": 0}, {"precision": "float64"}, {"model_dir": "/"}, {"x": 1}):
        assert not validator.is_valid(wrong)


def test_only_the_administrator_is_served_and_only_where_there_is_one(
    model: Path, tmp_path: Path
) -> None:
    with administrated(tmp_path, model, EMBEDDING_API_KEYS="users-key") as service:
        for token in ("users-key", "administrators-toke", ""):
            assert change(service, {"queue": 9}, token).status == 401
            assert reload(service, {}, token).status == 401
        assert change(service, {"queue": 9}).status == 200
        assert TOKEN not in service.log.read_text()
    with started(tmp_path, model) as service:
        service.wait_for_health("healthy")
        assert change(service, {"queue": 9}).status == 404
        assert reload(service).status == 404
        assert "/admin" not in str(service.ask("GET", "/openapi.json").content["paths"].keys())


def test_a_change_outlives_the_process_in_the_file(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}", encoding="utf-8")
    for precision in ("float32", "float16"):
        with administrated(tmp_path, model, EMBEDDING_CONFIG_FILE=str(file)) as service:
            assert config(service)["precision"] == precision
            assert change(service, {"precision": "float16"}).status == 200
