"""What the service says of itself: health, metrics, information and credits."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from embedding_service import credits as credits_of
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


def test_credits_name_each_component_with_its_licence(service: Service) -> None:
    answer = service.ask("GET", "/credits").content
    assert answer["model"] == {
        "name": "tiny",
        "licence": "Apache-2.0",
        "citation": "The Authors, 2026",
        "source": None,
    }
    found = {each["name"]: each for each in answer["components"]}
    names = {"fastapi", "numpy", "onnxruntime", "orjson", "pydantic", "tokenizers", "uvicorn"}
    assert names <= found.keys()
    assert not [name for name in names if not found[name]["licences"]]
    assert found["numpy"]["version"] == importlib.metadata.version("numpy")
    assert not [each for each in found.values() if each["kind"] == "debian"]


def write_package(system: Path, name: str, licence: str) -> None:
    status = system / "var/lib/dpkg/status.d" / name
    status.parent.mkdir(parents=True, exist_ok=True)
    text = f"Package: {name}\nVersion: 1.2-3\nDescription: short\n and long\n"
    status.write_text(text, encoding="utf-8")
    if licence:
        path = system / "usr/share/doc" / name / "copyright"
        path.parent.mkdir(parents=True)
        path.write_text(licence, encoding="utf-8")


def test_an_images_debian_packages_are_components(tmp_path: Path) -> None:
    form = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
    fields = (
        "\nFiles: *\nLicense: Zlib\n\nFiles: contrib\nLicense: GPL-2+\n\nLicense: Zlib\n text\n"
    )
    write_package(tmp_path, "zlib1g", form + fields)
    write_package(tmp_path, "libc6", "See `/usr/share/common-licenses/LGPL-2.1'.\n")
    write_package(tmp_path, "netbase", "")
    python = "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n/usr/share/common-licenses/GPL-2.\n"
    write_package(tmp_path, "python3.11", python)
    found = [each for each in credits_of.components(tmp_path) if each.kind == "debian"]
    documents = tmp_path / "usr/share/doc"
    assert [(each.name, each.version, each.licences, each.text) for each in found] == [
        ("libc6", "1.2-3", ["LGPL-2.1"], documents / "libc6" / "copyright"),
        ("netbase", "1.2-3", [], None),
        ("python3.11", "1.2-3", ["GPL-2", "PSF-2.0"], documents / "python3.11" / "copyright"),
        ("zlib1g", "1.2-3", ["GPL-2+", "Zlib"], documents / "zlib1g" / "copyright"),
    ]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: other", ["MIT OR Apache-2.0"]),
        ("Classifier: License :: OSI Approved :: ISC License (ISCL)", ["ISC License (ISCL)"]),
        ("Classifier: Programming Language :: Python\nLicense: BSD", ["BSD"]),
        ("License: UNKNOWN", []),
        ("License: " + "long " * 99, []),
        ("Author: nobody", []),
    ],
)
def test_a_distributions_licence_is_its_most_exact_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: str, expected: list[str]
) -> None:
    directory = tmp_path / "some_part-1.0.dist-info"
    directory.mkdir()
    text = f"Metadata-Version: 2.4\nName: some-part\nVersion: 1.0\n{metadata}\n"
    (directory / "METADATA").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = {each.name: each.licences for each in credits_of.components(tmp_path)}
    assert found["some-part"] == expected
