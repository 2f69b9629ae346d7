from __future__ import annotations

import os
from pathlib import Path

import pytest

from embedding_service.errors import SettingsError
from embedding_service.settings import Settings, usable_processors

PROCESSORS = usable_processors(Path("/nonexistent"))


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings.host == "127.0.0.1"
    assert settings.port == 8080
    assert settings.model_dir == Path("/opt/equivec/model")
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
            "EMBEDDING_THREADS": "3",
        }
    ) == Settings(
        host="0.0.0.0",  # noqa: S104
        port=9000,
        model_dir=Path("/models/a"),
        threads=3,
    )


@pytest.mark.parametrize("name", ["EMBEDDING_SERVER_PORT", "EMBEDDING_THREADS"])
@pytest.mark.parametrize("value", ["0", "-1", "65536", "http", "1.5", " 80", "٣"])
def test_a_bad_number_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}'"):
        Settings.from_environment({name: value})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")


@pytest.mark.parametrize(
    ("quota", "processors"),
    [
        ("max 100000\n", PROCESSORS),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("99900000 100000\n", PROCESSORS),
    ],
)
def test_a_quota_of_control_groups_version_2(tmp_path: Path, quota: str, processors: int) -> None:
    write(tmp_path / "cpu.max", quota)
    assert usable_processors(tmp_path) == processors


@pytest.mark.parametrize(
    ("quota", "processors"), [("-1\n", PROCESSORS), ("100000\n", 1), ("9990000\n", PROCESSORS)]
)
def test_a_quota_of_control_groups_version_1(tmp_path: Path, quota: str, processors: int) -> None:
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", quota)
    write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert usable_processors(tmp_path) == processors


def test_a_quota_of_more_than_one_processor_is_rounded_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    write(tmp_path / "cpu.max", "390000 100000\n")
    assert usable_processors(tmp_path) == 3
