"""Whether /openapi.json is true of the service: schemathesis asks it hundreds of things.

https://schemathesis.readthedocs.io: no answer with 5xx, none that the document does not describe,
nothing accepted that it rules out, and (`schemathesis_checks`) nothing called malformed that it
allows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.service import schemathesis_checks
from tests.unit.service.service_process import ROOT, Service, started, write_backend
from tests.unit.service.tiny_model import SPACE, write_model

CONFIGURATION = """
[checks.positive_data_acceptance]
# What the document allows, and this model or its limits do not: its texts' length, its tokens, ...
expected-statuses = ["2xx", "404", "409", "413", "422"]
"""

ONE = "/embedding/generate"

EMBEDDING = ("POST /embed", "POST /embedding/generate", "POST /v1/embeddings")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What schemathesis found.

    Attributes:
        status: Of its process: 0 if it has nothing to say against the service.
        report: What it says.
        answers: Each operation with the status of an answer, such as "GET /health 200".
    """

    status: int
    report: str
    answers: frozenset[str]


def examine(directory: Path, document: str | Path, *options: str) -> Finding:
    """Let schemathesis loose on what a document (or its address) describes."""
    configuration = directory / "schemathesis.toml"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    answers = directory / "answers"
    answers.touch()
    finished = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", configuration),
            *("run", document, "--no-color", "--seed", "6", "--continue-on-failure"),
            # A busy machine is no fault of the service.
            *("--suppress-health-check", "too_slow", "--request-timeout", "60"),
            *options,
        ],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": schemathesis_checks.__name__,
            schemathesis_checks.ANSWERS: str(answers),
            schemathesis_checks.SPACE: SPACE,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Finding(
        status=finished.returncode,
        report=finished.stdout + finished.stderr,
        answers=frozenset(answers.read_text(encoding="utf-8").splitlines()),
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    # The least number that the document allows is among the dimensions, so that requests which ask
    # for it are not refused for that alone.
    shorter = {"layer_norm": False, "spaces": {"1": "sha256:" + "1" * 64}}
    model = write_model(directory / "model", matryoshka=shorter)
    with started(directory, model) as running:
        running.wait_for_health("healthy")
        yield running


def address(service: Service, path: str = "") -> str:
    return f"http://127.0.0.1:{service.port}{path}"


def operations(document: dict[str, Any]) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }


def test_schemathesis_finds_nothing(service: Service, tmp_path: Path) -> None:
    found = examine(tmp_path, address(service, "/openapi.json"), "--max-examples", "25")
    assert found.status == 0, found.report
    document = service.ask("GET", "/openapi.json").content
    # None was left out, and answers of each with vectors were compared with the document too.
    asked = {answer.rsplit(" ", 1)[0] for answer in found.answers}
    assert operations(document) <= asked
    assert {f"{operation} 200" for operation in operations(document)} <= found.answers
    for operation in EMBEDDING:
        for status in (409, 415, 422):
            assert f"{operation} {status}" in found.answers


def test_schemathesis_finds_nothing_in_what_administrators_do(tmp_path: Path) -> None:
    token = "administrators"  # noqa: S105 -- made up
    model = write_model(tmp_path / "model")
    with started(tmp_path, model, EMBEDDING_ADMIN_TOKEN=token) as service:
        service.wait_for_health("healthy")
        found = examine(
            *(tmp_path, address(service, "/openapi.json"), "--max-examples", "10"),
            *("--include-path-regex", "^/admin/", "--header", f"Authorization: Bearer {token}"),
        )
    assert found.status == 0, found.report
    for operation in ("PUT /admin/embedding/config", "POST /admin/embedding/config/reload"):
        for status in (200, 401, 415, 422):
            assert f"{operation} {status}" in found.answers


Document = dict[str, Any]
Falsify = Callable[[Document], None]


def lies(document: Document) -> None:
    """Say what is not true, in as many ways as there are checks."""
    request = document["components"]["schemas"]["GenerateRequest"]["properties"]
    request["truncate"] = {"type": "string"}
    request["text"] = {"type": "string", "maxLength": 3}
    document["components"]["schemas"]["Metadata"]["properties"]["truncated"] = {"type": "string"}
    responses = _operation(document)["responses"]
    responses["200"]["headers"]["Equivec-Nothing"] = {
        "required": True,
        "schema": {"type": "string"},
    }
    del responses["422"]


def announces_another_content_type(document: Document) -> None:
    _operation(document)["responses"]["200"]["content"] = {"text/plain": {}}


@pytest.mark.parametrize(
    ("falsify", "said"),
    [
        (
            lies,
            [
                "the document allows this, and the answer is invalid_request",
                "Schema-violating request accepted",
                "Response violates schema",
                "Missing required response headers",
                "Undocumented status code",
            ],
        ),
        (announces_another_content_type, ["Undocumented Content-Type"]),
    ],
)
def test_a_document_that_is_not_true_is_found_out(
    service: Service, tmp_path: Path, falsify: Falsify, said: Sequence[str]
) -> None:
    found = examine_one(service, tmp_path, falsify)
    assert found.status == 1, found.report
    for each in said:
        assert each in found.report


def test_one_operation_is_examined_like_all(service: Service, tmp_path: Path) -> None:
    found = examine_one(service, tmp_path, lambda _: None)
    assert found.status == 0, found.report


def test_a_failing_service_is_found_out(tmp_path: Path) -> None:
    failing = "assert contents == ['hello world']\n        return unit(inputs)"
    backend = write_backend(tmp_path / "backend", embed=failing)
    with started(tmp_path, write_model(tmp_path / "model"), backend) as service:
        service.wait_for_health("healthy")
        found = examine_one(service, tmp_path, lambda _: None)
    assert found.status == 1, found.report
    assert "Server error" in found.report


def examine_one(service: Service, directory: Path, falsify: Falsify) -> Finding:
    """Examine one operation, quickly, by a document that may say something else."""
    document = service.ask("GET", "/openapi.json").content
    document["paths"] = {ONE: document["paths"][ONE]}
    _operation(document)["parameters"].clear()
    falsify(document)
    written = directory / "openapi.json"
    written.write_text(json.dumps(document), encoding="utf-8")
    return examine(directory, written, "--url", address(service), "--phases", "coverage")


def _operation(document: Document) -> Document:
    operation: Document = document["paths"][ONE]["post"]
    return operation


def test_the_document_loads_nothing_from_elsewhere(service: Service) -> None:
    text = json.dumps(service.ask("GET", "/openapi.json").content)
    assert "http" not in text.lower().replace("httpvalidationerror", "")
