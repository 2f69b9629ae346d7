from __future__ import annotations

import os
from pathlib import Path

import pytest

from embedding_service.errors import SettingsError
from embedding_service.settings import Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings.host == "127.0.0.1"
    assert settings.port == 8080
    assert settings.model_dir == Path("/opt/equivec/model")
    assert settings.max_image_bytes == 10_000_000
    assert 1 <= settings.threads <= (os.cpu_count() or 1)


def test_a_variable_that_is_set_but_empty_counts_as_not_set() -> None:
    names = ("HOST", "PORT")
    empty = {f"EMBEDDING_SERVER_{name}": "" for name in names} | {"EMBEDDING_MODEL_DIR": ""}
    assert Settings.from_environment(empty) == Settings.from_environment({})


def test_the_environment_decides() -> None:
    assert Settings.from_environment(
        {
            "EMBEDDING_SERVER_HOST": "0.0.0.0",  # noqa: S104
            "EMBEDDING_SERVER_PORT": "9000",
            "EMBEDDING_MODEL_DIR": "/models/a",
            "EMBEDDING_MAX_IMAGE_BYTES": "1000000000",
            "EMBEDDING_THREADS": "3",
            "EMBEDDING_QUEUE": "100",
            "EMBEDDING_BATCH_INPUTS": "16",
            "EMBEDDING_BATCH_TOKENS": "4096",
            "EMBEDDING_MAX_INPUTS": "64",
            "EMBEDDING_DIMENSIONS": "256",
            "EMBEDDING_PRECISION": "float16",
        }
    ) == Settings(
        host="0.0.0.0",  # noqa: S104
        port=9000,
        model_dir=Path("/models/a"),
        max_image_bytes=10**9,
        threads=3,
        queue=100,
        batch_inputs=16,
        batch_tokens=4096,
        max_inputs=64,
        dimensions=256,
        precision="float16",
    )


@pytest.mark.parametrize(
    "name", ["EMBEDDING_SERVER_PORT", "EMBEDDING_THREADS", "EMBEDDING_MAX_IMAGE_BYTES"]
)
@pytest.mark.parametrize("value", ["0", "-1", "1000000001", "http", "1.5", " 80", "٣"])
def test_a_bad_number_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}'"):
        Settings.from_environment({name: value})


def test_a_port_beyond_the_last_is_refused() -> None:
    assert Settings.from_environment({"EMBEDDING_SERVER_PORT": "65535"}).port == 65535
    with pytest.raises(SettingsError, match="must be a whole number from 1 to 65535"):
        Settings.from_environment({"EMBEDDING_SERVER_PORT": "65536"})


def test_what_concerns_only_answers_leaves_the_model_as_it_is() -> None:
    loaded = Settings(threads=1)
    assert Settings(threads=1, queue=9, precision="float16").loads_as(loaded)
    assert Settings(threads=1, dimensions=3, max_inputs=1).loads_as(loaded)
    assert not Settings(threads=2).loads_as(loaded)
    assert not Settings(threads=1, batch_tokens=9).loads_as(loaded)
