from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from embedding_service.settings import Settings, entries
from tests.unit.service.service_process import ONNXRUNTIME, started
from tests.unit.service.settings_page import BEGIN, PAGE, table, with_table
from tests.unit.service.tiny_model import write_model


def test_the_page_has_the_table_as_it_is_now() -> None:
    page = PAGE.read_text(encoding="utf-8")
    remedy = "PYTHONPATH=images/service python -m tests.unit.service.settings_page"
    assert page == with_table(page), f"write it again: {remedy}"


def test_a_row_that_is_missing_would_show() -> None:
    page = PAGE.read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if "EMBEDDING_QUEUE" in line)
    assert with_table(page.replace(f"{row}\n", "")) == with_table(page)
    assert page.replace(f"{row}\n", "") != with_table(page)


def test_every_setting_has_a_row_of_six_cells() -> None:
    rows = table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [each.variable for each in entries().values()]
    assert {row.count(" | ") for row in rows} == {5}


def test_the_table_has_its_place_on_the_page() -> None:
    assert PAGE.read_text(encoding="utf-8").count(BEGIN) == 1


def blocks(language: str) -> list[str]:
    page = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_the_pages_commands_do_what_it_says(tmp_path: Path) -> None:
    models = tmp_path / "models"
    own = write_model(models / "a")
    write_model(models / "b", name="nomic-v1.5-q8", vector_space="sha256:" + "6" * 64)
    settings = {"EMBEDDING_ADMIN_TOKEN": "t0ken", "EMBEDDING_MODELS_DIR": str(models)}
    with started(tmp_path, own, ONNXRUNTIME, **settings) as service:
        service.wait_for_health("healthy")
        answers = []
        for block in blocks("sh"):
            command = block.replace("127.0.0.1:8080", f"127.0.0.1:{service.port}")
            command = command.replace("curl -s", r"curl -s -w '\n'")
            printed = subprocess.run(
                ["sh", "-ec", command],
                env=os.environ | {"TOKEN": "t0ken"},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
            answers += [json.loads(line) for line in printed.splitlines()]
    first, changed, reloaded, other = answers
    assert first["precision"] == "float32"
    assert changed["config"]["precision"] == reloaded["config"]["precision"] == "float16"
    assert changed["previous_config_id"] == first["config_id"]
    assert other["config"]["model"] == "nomic-v1.5-q8"


def test_the_pages_file_is_one_that_can_be_used() -> None:
    (content,) = blocks("json")
    settings = Settings().changed(json.loads(content), by="file", where="page")
    assert settings.dimensions == 256
