"""The examples of docs/service.md, each run as it stands there, and the service's real answers."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from builders import matrix, model
from builders.project import Project
from builders.store import Store
from tests.unit.service.service_process import ROOT, Service, started

PAGE = ROOT / "docs" / "service.md"
ADDRESS = "127.0.0.1:8080"
MORE = "…"


@dataclass(frozen=True, kw_only=True)
class Example:
    """A block of the page, and the one below it.

    Attributes:
        language: sh or python.
        source: What to run.
        printed: What the page says that it prints.
    """

    language: str
    source: str
    printed: str


def examples(page: str) -> list[Example]:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [
        Example(language=language, source=source, printed=printed)
        for (language, source), (_, printed) in itertools.pairwise(blocks)
        if language in ("sh", "python")
    ]


EXAMPLES = examples(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    project = Project(root=ROOT, matrix=matrix.load(ROOT / "matrix.yaml"), store=Store(directory))
    files = model.directory(project, "fixture-768", "onnx").path
    with started(directory, files) as running:
        running.wait_for_health("healthy")
        yield running


def run(example: Example, port: int) -> str:
    source = example.source.replace(ADDRESS, f"127.0.0.1:{port}")
    program = ["sh", "-ec"] if example.language == "sh" else [sys.executable, "-c"]
    finished = subprocess.run(
        [*program, source], capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.source[:60])
def test_an_example_prints_what_the_page_says(service: Service, example: Example) -> None:
    printed = run(example, service.port)
    if example.language == "python":
        assert printed == example.printed
        return
    answer, status = parsed(printed)
    expected, expected_status = parsed(example.printed)
    check(answer, expected)
    assert status == expected_status


def parsed(printed: str) -> tuple[object, str]:
    """Return the JSON that was printed, and what stands behind it: a status, or nothing."""
    answer, end = json.JSONDecoder().raw_decode(printed)
    return answer, printed[end:].strip()


def check(found: object, expected: object) -> None:
    """Compare what was answered with what the page says; `…` there stands for more of the same."""
    match expected:
        case dict():
            assert isinstance(found, dict)
            named = expected.keys() - {MORE}
            assert named <= found.keys() if MORE in expected else named == found.keys()
            for name in named:
                check(found[name], expected[name])
        case [*first, str(more)] if more == MORE:
            assert isinstance(found, list)
            assert len(found) > len(first)
            check(found[: len(first)], first)
        case list():
            assert isinstance(found, list)
            assert len(found) == len(expected)
            for each, wanted in zip(found, expected, strict=True):
                check(each, wanted)
        case float():
            assert found == pytest.approx(expected, abs=1e-5)
        case str():
            beginning, more, _ = expected.partition(MORE)
            assert isinstance(found, str)
            assert found.startswith(beginning) if more else found == expected
        case _:
            assert found == expected
            assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"b": 2}, {"a": 1, "…": "…"}),
        ([1.0, 2.0], [1.1, "…"]),
        ([1.0], [1.0, "…"]),
        ([1.0, 2.0], [1.0]),
        ("sha256:12", "sha256:2…"),
        (True, 1),
        (None, False),
    ],
)
def test_an_example_that_is_not_true_would_be_found(found: object, expected: object) -> None:
    with pytest.raises(AssertionError):
        check(found, expected)


def test_the_page_has_every_route(service: Service) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for path in service.ask("GET", "/openapi.json").content["paths"]:
        assert f"{path}`" in page, path


def test_the_page_has_every_code() -> None:
    source = "".join(
        (ROOT / f"images/service/embedding_service/{module}.py").read_text(encoding="utf-8")
        for module in ("problems", "refusals")
    )
    codes = {code for _, code in re.findall(r'(code ?= ?|\(\d{3}, )"(\w+)"', source)}
    assert {"queue_full", "body_too_large", "text_too_long", "unknown_token"} <= codes
    rows = re.findall(r"^\| [\d, ]+ \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    said = set(re.findall(r"`(\w+)`", "".join(rows)))
    assert said - codes == {"not_found", "method_not_allowed"}  # made of HTTP's own phrases
    assert codes <= said


def test_every_example_is_run() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(EXAMPLES) == page.count("```sh\n") + page.count("```python\n") > 9
