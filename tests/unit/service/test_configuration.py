"""The environment, the configuration file above it, and what requests change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedding_service.configuration import Configuration
from embedding_service.errors import SettingsError
from embedding_service.settings import Settings


def environment(path: Path, content: object, **others: str) -> dict[str, str]:
    """Write a configuration file, and return an environment that names it."""
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return {"EMBEDDING_CONFIG_FILE": str(path)} | others


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def test_the_file_comes_before_the_environment(path: Path) -> None:
    variables = environment(
        path, {"queue": 7, "model_dir": "/models/b"}, EMBEDDING_QUEUE="8", EMBEDDING_THREADS="3"
    )
    for settings in (
        Settings.from_environment(variables),
        Configuration(variables).proposed({}).settings,
    ):
        assert settings.queue == 7
        assert settings.threads == 3
        assert settings.model_dir == Path("/models/b")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "config.json is no JSON: Expecting property name"),
        ("[" * 100_000, "config.json is no JSON"),
        ('{"queue": 1, "queue": 2}', "config.json is no JSON: a name stands there twice"),
        ([1], "config.json is no JSON object"),
        ({"qeue": 1}, "config.json: there is no setting 'qeue'; is queue meant?"),
        ({"#": 1}, "config.json: there is no setting '#'$"),
        ({"queue": "1"}, "config.json: queue is '1': it must be a whole number from 1 to 1000000"),
        ({"queue": True}, "config.json: queue is True: it must be"),
        ({"port": 80}, "port is not changed so: set EMBEDDING_SERVER_PORT and start again"),
        ({"config_file": "/b"}, "config_file is not changed so"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(path: Path, content: object, reason: str) -> None:
    variables = environment(path, content)
    with pytest.raises(SettingsError, match=reason):
        Settings.from_environment(variables)
    with pytest.raises(SettingsError, match=reason):
        Configuration(variables).proposed({})


def test_a_file_that_is_named_must_be_there(path: Path) -> None:
    with pytest.raises(SettingsError, match=r"config\.json cannot be read: No such file"):
        Settings.from_environment({"EMBEDDING_CONFIG_FILE": str(path)})


def test_what_is_no_text_is_no_file(path: Path) -> None:
    variables = environment(path, {})
    path.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="is no JSON"):
        Settings.from_environment(variables)


def test_a_proposal_is_not_in_force_until_it_is_kept() -> None:
    configuration = Configuration({"EMBEDDING_QUEUE": "8"})
    proposal = configuration.proposed({"queue": 9, "precision": "float16"})
    assert (proposal.settings.queue, proposal.settings.precision) == (9, "float16")
    assert configuration.proposed({}).settings.queue == 8
    configuration.keep(proposal)
    assert configuration.proposed({}).settings.queue == 9


def test_changes_add_up_and_null_takes_one_back() -> None:
    configuration = Configuration({"EMBEDDING_QUEUE": "8"})
    for changes in ({"queue": 9}, {"precision": "float16"}, {"queue": None}):
        configuration.keep(configuration.proposed(changes))
    settings = configuration.proposed({}).settings
    assert (settings.queue, settings.precision) == (8, "float16")


def test_changes_are_kept_in_the_file_with_what_it_has(path: Path) -> None:
    variables = environment(path, {"models_dir": "/models", "queue": 7})
    configuration = Configuration(variables)
    configuration.keep(configuration.proposed({"precision": "float16", "queue": None}))
    kept = {"models_dir": "/models", "precision": "float16"}
    assert json.loads(path.read_text(encoding="utf-8")) == kept
    assert [each.name for each in path.parent.iterdir()] == ["config.json"]
    # A process that starts later has them.
    assert Settings.from_environment(variables).precision == "float16"


def test_who_could_read_the_file_still_can(path: Path) -> None:
    configuration = Configuration(environment(path, {}))
    path.chmod(0o640)
    configuration.keep(configuration.proposed({"queue": 9}))
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_file_is_read_again_each_time(path: Path) -> None:
    configuration = Configuration(environment(path, {"queue": 7}))
    environment(path, {"queue": 6})
    assert configuration.proposed({}).settings.queue == 6


def test_a_file_that_cannot_be_written_stays_as_it_is(path: Path) -> None:
    configuration = Configuration(environment(path, {"queue": 7}))
    proposal = configuration.proposed({"queue": 8})
    path.unlink()
    path.mkdir()  # what even root cannot replace by a file
    with pytest.raises(SettingsError, match=r"config\.json cannot be written: .*mount its dir"):
        configuration.keep(proposal)
    assert [each.name for each in path.parent.iterdir()] == ["config.json"]


def test_a_file_that_says_it_already_is_not_written(path: Path) -> None:
    """A reload changes nothing of it, and it may be mounted read-only."""
    configuration = Configuration(environment(path, {"queue": 7}))
    for changes in ({}, {"queue": 7}):
        proposal = configuration.proposed(changes)
        inode = path.stat().st_ino
        configuration.keep(proposal)
        assert path.stat().st_ino == inode
    configuration.keep(configuration.proposed({"queue": 8}))
    assert path.stat().st_ino != inode


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"queue": 0}, "request: queue is 0: it must be a whole number"),
        ({"queue": "x" * 10_000}, r"request: queue is 'x{10,20}\.\.\.x+'"),
        ({"x" * 10_000: 1}, "request: there is no setting 'x{60}'$"),
        ({"model_dir": "/etc"}, "model_dir is not changed so: the configuration file changes it"),
        ({"model_dir": None}, "model_dir is not changed so"),
        ({"admin_token": "mine"}, "admin_token is not changed so: set EMBEDDING_ADMIN_TOKEN"),
    ],
)
def test_a_request_changes_only_what_it_may(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        Configuration({}).proposed(changes)
    assert "mine" not in str(refused.value)


@pytest.mark.parametrize("changes", [{"model": "b"}, {"dimensions": 3}])
def test_a_request_does_not_put_another_model_into_a_declared_space(
    changes: dict[str, object],
) -> None:
    declared = {
        "EMBEDDING_PROVIDER": "openai",
        "EMBEDDING_OPENAI_VECTOR_SPACE": "declared:a",
        "EMBEDDING_OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "EMBEDDING_MODEL": "a",
        "EMBEDDING_DIMENSIONS": "6",
    }
    configuration = Configuration(declared)
    with pytest.raises(SettingsError, match="EMBEDDING_OPENAI_VECTOR_SPACE is declared"):
        configuration.proposed(changes)
    assert configuration.proposed({"queue": 9}).settings.queue == 9
    # Of what the image holds, the recipe says which space it is.
    Configuration({"EMBEDDING_PROVIDER": "local"}).proposed(changes)
