"""Who may ask what."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedding_service.errors import SettingsError
from embedding_service.keys import Access, Keys, kind
from embedding_service.settings import Settings
from tests.unit.service.service_process import Answer, Service, run, started
from tests.unit.service.tiny_model import write_model

USER = "user-key-1"
OTHER_USER = "user.key~2=="
ADMINISTRATOR = "admin-token"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    keys = directory / "keys"
    keys.write_text(f"# of the second user\n\n  {OTHER_USER}  \n", encoding="utf-8")
    with started(
        directory,
        write_model(directory / "model"),
        EMBEDDING_API_KEYS=f"{USER}, unused-key",
        EMBEDDING_API_KEYS_FILE=str(keys),
        EMBEDDING_ADMIN_TOKEN=ADMINISTRATOR,
        EMBEDDING_LOG_REQUESTS="true",
    ) as service:
        service.wait_for_health("healthy")
        yield service


def embed(service: Service, headers: dict[str, str]) -> Answer:
    return service.ask("POST", "/embed", {"text": "alpha"}, headers=headers)


@pytest.mark.parametrize("key", [USER, "unused-key", OTHER_USER])
def test_each_key_opens(service: Service, key: str) -> None:
    assert embed(service, bearer(key)).status == 200
    assert embed(service, {"Authorization": f"bearer {key}"}).status == 200


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, 'Bearer realm="equivec"'),
        ("Bearer wrong", 'Bearer realm="equivec", error="invalid_token"'),
        (f"Bearer {USER} {USER}", 'Bearer realm="equivec", error="invalid_token"'),
        (f"Basic {USER}", 'Bearer realm="equivec", error="invalid_token"'),
        (USER, 'Bearer realm="equivec", error="invalid_token"'),
        ("Bearer", 'Bearer realm="equivec", error="invalid_token"'),
        ("Bearer \xe4\xf6", 'Bearer realm="equivec", error="invalid_token"'),
        (f"Bearer {ADMINISTRATOR}", 'Bearer realm="equivec", error="invalid_token"'),
    ],
)
def test_without_a_key_nothing_is_answered(
    service: Service, authorization: str | None, challenge: str
) -> None:
    answer = embed(service, {"Authorization": authorization} if authorization else {})
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == challenge
    assert answer.content["error"]["code"] == "unauthorized"
    assert answer.content["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "path", ["/v1/models", "/embedding/config", "/info", "/metrics", "/credits", "/openapi.json"]
)
def test_every_route_needs_a_key(service: Service, path: str) -> None:
    assert service.ask("GET", path).status == 401


def test_what_is_no_route_needs_one_too(service: Service) -> None:
    assert service.ask("GET", "/nowhere").status == 401
    assert service.ask("GET", "/health/").status == 401


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_needs_none(service: Service, path: str) -> None:
    assert service.ask("GET", path).status == 200


def test_only_the_administrators_token_opens_administration(service: Service) -> None:
    path = "/admin/embedding/config/reload"
    assert service.ask("POST", path).status == 401
    assert service.ask("POST", path, headers=bearer(USER)).status == 401
    assert service.ask("POST", path, headers=bearer(ADMINISTRATOR)).status == 200


def test_a_body_without_a_key_is_not_waited_for(service: Service) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
    connection.putrequest("POST", "/embed")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_the_openapi_document_says_which_key(service: Service) -> None:
    document = service.ask("GET", "/openapi.json", headers=bearer(USER)).content
    assert document["components"]["securitySchemes"] == {
        "user": {"type": "http", "scheme": "bearer"},
        "administrator": {"type": "http", "scheme": "bearer"},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            needed = kind(path)
            is_open = needed == "open"
            assert operation.get("security") == (None if is_open else [{needed: []}])
            assert ("401" in operation["responses"]) is not is_open


def test_no_key_is_in_the_log(service: Service) -> None:
    log = service.log.read_text()
    assert "status=401" in log
    assert not [key for key in (USER, OTHER_USER, ADMINISTRATOR, "wrong") if key in log]


def test_without_keys_everybody_may_ask_and_nobody_administrates(tmp_path: Path) -> None:
    with started(tmp_path, write_model(tmp_path / "model")) as service:
        service.wait_for_health("healthy")
        assert service.embed("alpha").status == 200
        assert service.ask("POST", "/admin/embedding/config/reload").status == 404
        document = service.ask("GET", "/openapi.json").content
    assert "securitySchemes" not in document["components"]
    assert not [path for path in document["paths"] if path.startswith("/admin")]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"EMBEDDING_API_KEYS": "secret,"}, "EMBEDDING_API_KEYS: key 2 is none that a client"),
        ({"EMBEDDING_API_KEYS": "se cret"}, "EMBEDDING_API_KEYS: key 1 is none that a client"),
        ({"EMBEDDING_API_KEYS": "s\xe4cret"}, "EMBEDDING_API_KEYS: key 1 is none that a client"),
        (
            {"EMBEDDING_API_KEYS": "a,secret", "EMBEDDING_ADMIN_TOKEN": "secret"},
            "the administrator's token is one of the users' keys",
        ),
    ],
)
def test_keys_that_cannot_be_used_stop_the_service(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Access.of(Settings.from_environment(settings))
    assert reason in str(refusal.value)
    assert "cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no key"),
        (b"# none yet\n\n", "has no key"),
        (b"secret one\n", "key 1 is none that a client can send"),
        (b"\xff", "is no text in UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
@pytest.mark.parametrize("variable", ["EMBEDDING_API_KEYS_FILE", "EMBEDDING_ADMIN_TOKEN_FILE"])
def test_a_file_without_a_usable_key_stops_the_service(
    tmp_path: Path, variable: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as refusal:
        Access.of(Settings.from_environment({variable: str(path)}))
    assert str(refusal.value).startswith(variable)
    assert reason in str(refusal.value)


def test_the_process_ends_with_the_status_of_a_setting(tmp_path: Path) -> None:
    completed = run(
        "embedding_service",
        model=write_model(tmp_path / "model"),
        settings={"EMBEDDING_API_KEYS_FILE": "/nowhere", "EMBEDDING_SERVER_PORT": "0"},
    )
    assert completed.returncode == 2, completed.stderr


def test_all_keys_are_compared_whichever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, known: bytes) -> bool:
        compared.append(known)
        return given == known

    monkeypatch.setattr("hmac.compare_digest", compare)
    keys = Keys(["a", "b", "c"])
    for key, is_held in {"a": True, "c": True, "d": False}.items():
        compared.clear()
        assert keys.hold(f"Bearer {key}") is is_held
        assert len(compared) == 3


def test_settings_do_not_show_keys() -> None:
    settings = Settings.from_environment(
        {"EMBEDDING_API_KEYS": "secret-1", "EMBEDDING_ADMIN_TOKEN": "secret-2"}
    )
    assert "secret" not in repr(settings)
