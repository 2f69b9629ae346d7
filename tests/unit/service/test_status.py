"""What the service says of itself: health, metrics, information and credits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.service.service_process import Service, started, write_backend
from tests.unit.service.tiny_model import SPACE, write_model

SHORTER = "sha256:" + "6" * 64


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    model = write_model(
        directory / "model",
        licence="Apache-2.0",
        citation="The Authors, 2026",
        matryoshka={"layer_norm": False, "spaces": {"4": SHORTER}},
    )
    (directory / "cache").mkdir()
    (directory / "cache" / "file").write_bytes(b"x" * 10_000)
    with started(
        directory,
        model,
        EMBEDDING_MAX_IMAGE_BYTES="3000",
        EMBEDDING_QUEUE="77",
        EMBEDDING_CACHE_DIR=str(directory / "cache"),
    ) as service:
        service.wait_for_health("healthy")
        yield service


def metrics(service: Service) -> Mapping[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the value of each series, by its name and labels, as Prometheus reads them."""
    with urlopen(f"http://127.0.0.1:{service.port}/metrics", timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=")
        families = text_string_to_metric_families(answer.read().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(
    found: Mapping[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str
) -> float:
    return found.get((name, frozenset(labels.items())), 0)


def test_alive_and_ready(service: Service) -> None:
    assert service.ask("GET", "/health/live").content == {"status": "alive"}
    assert service.ask("GET", "/health/ready").content == {"status": "ready"}


def test_a_service_is_alive_long_before_it_is_ready(tmp_path: Path) -> None:
    slow = write_backend(tmp_path / "slow", load='wait_for("gate")')
    with started(tmp_path, write_model(tmp_path / "model"), slow) as service:
        service.wait_for_health("degraded")
        assert service.ask("GET", "/health/live").status == 200
        ready = service.ask("GET", "/health/ready")
        assert (ready.status, ready.content["error"]["code"]) == (503, "not_ready")
        assert ready.headers["retry-after"] == "1"
        assert value(metrics(service), "equivec_ready") == 0
        assert service.ask("GET", "/info").content["ready"] is False
        (slow / "gate").touch()
        service.wait_for_health("healthy")
        assert service.ask("GET", "/health/ready").status == 200
        assert value(metrics(service), "equivec_ready") == 1


def test_metrics_count_what_is_done(service: Service) -> None:
    before = metrics(service)
    texts = ["alpha", "alpha beta gamma"]
    answer = service.ask("POST", "/v1/embeddings", {"model": "tiny", "input": texts})
    assert answer.status == 200
    assert service.embed("alpha " * 9).status == 413
    after = metrics(service)

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("equivec_requests_total", route="/v1/embeddings", status="200") == 1
    assert more("equivec_requests_total", route="/embed", status="413") == 1
    assert more("equivec_request_seconds_count", route="/v1/embeddings") == 1
    assert more("equivec_inputs_total") == 2
    assert more("equivec_tokens_total") == 3 + 5
    assert more("equivec_input_tokens_count") == 2
    assert more("equivec_input_tokens_sum") == 3 + 5
    assert more("equivec_batch_inputs_sum") == 2
    assert more("equivec_batch_tokens_sum") == 3 + 5 + more("equivec_padding_tokens_total")
    for phase, count in {"receive": 2, "read": 1, "wait": 2}.items():
        assert more("equivec_phase_seconds_count", phase=phase) == count
    assert 1 <= more("equivec_phase_seconds_count", phase="compute") <= 2


def test_metrics_tell_the_state(service: Service) -> None:
    found = metrics(service)
    assert value(found, "equivec_queue_inputs") == 0
    assert value(found, "equivec_queue_limit_inputs") == 77
    assert value(found, "equivec_requests_in_flight") == 1  # this one
    assert value(found, "equivec_reloads_total", outcome="failed") == 0
    assert value(found, "equivec_cache_bytes", of="cache") >= 10_000
    assert value(found, "equivec_cache_bytes", of="free") > 0
    assert value(found, "process_resident_memory_bytes") > 10**7
    (model,) = [dict(labels) for name, labels in found if name == "equivec_model_info"]
    assert model["model"] == "tiny"
    assert model["vector_space"] == SPACE


def test_no_label_holds_what_a_client_sends(service: Service) -> None:
    for path in ("/secret", "/v1/models/secret", "/embed?secret"):
        service.ask("GET", path)
    assert not [key for key in metrics(service) if "secret" in str(key)]


def test_info_names_the_spaces_and_the_limits(service: Service) -> None:
    info = service.ask("GET", "/info").content
    assert info["ready"] is True
    assert info["vector_spaces"] == {"6": SPACE, "4": SHORTER}
    assert info["prompts"] == {"query": "query: "}
    assert info["limits"]["max_tokens"] == 8
    assert info["limits"]["queue_inputs"] == 77
    assert info["limits"]["max_body_bytes"] == 4000 + 2**16
    assert info["cache"]["bytes"] >= 10_000
    assert info["cache"]["level"] in {"ok", "warning", "critical"}


def test_a_body_of_the_size_that_info_names_is_taken_and_no_longer_one(service: Service) -> None:
    most = service.ask("GET", "/info").content["limits"]["max_body_bytes"]
    body = b'{"text": "alpha"}'
    for length, status in {most: 200, most + 1: 413}.items():
        padded = body + b" " * (length - len(body))
        assert service.ask("POST", "/embed", padded).status == status
        assert service.ask("POST", "/embed", iter([padded[:50], padded[50:]])).status == status


def test_credits_are_the_images_inventory_and_the_model_that_is_served(service: Service) -> None:
    answer = service.ask("GET", "/credits").content
    assert answer["model"] == {
        "name": "tiny",
        "licence": "Apache-2.0",
        "citation": "The Authors, 2026",
        "source": None,
    }
    bare, numpy, zlib = answer["components"]
    assert bare == {
        "name": "bare",
        "version": "1.0",
        "kind": "python",
        "licences": [],
        "libraries": [],
        "texts": [],
    }
    assert numpy == {
        "name": "numpy",
        "version": "2.4.6",
        "kind": "python",
        "licences": ["BSD-3-Clause AND MIT"],
        "libraries": ["libz.so.1"],
        "texts": ["/site/numpy.dist-info/LICENSE.txt", "/site/numpy.dist-info/NOTICE"],
    }
    assert zlib == {
        "name": "zlib1g",
        "version": "1:1.2.13",
        "kind": "debian",
        "licences": ["GPL-2+", "Zlib"],
        "libraries": [],
        "texts": ["/usr/share/doc/zlib1g/copyright"],
    }


def test_without_an_inventory_there_are_no_credits(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere.cdx.json")
    with started(tmp_path, write_model(tmp_path / "model"), EMBEDDING_INVENTORY=missing) as service:
        service.wait_for_health("healthy")
        answer = service.ask("GET", "/credits")
    assert (answer.status, answer.content["error"]["code"]) == (404, "not_found")
    assert missing in answer.content["error"]["message"]
