"""Secrets stay where they are: planted in every place where there may be some, and searched for."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
import zstandard

from builders import tools
from builders.engine import Engine
from builders.errors import FetchError, SelectionError
from builders.lock import wheels as wheel_lock
from builders.lock.wheels import Wheel
from builders.paths import ROOT
from builders.signing import keys
from builders.signing.cosign import cosign
from builders.store import cache_directory
from tests.system import checkouts, planted, registries
from tests.system.checkouts import AMD64, Checkout
from tests.system.planted import Planted
from tests.unit import hub_server

WHEELS = wheel_lock.read(ROOT / "images" / "onnxruntime", "linux/amd64").wheels
FETCHED = min(WHEELS, key=lambda wheel: wheel.size)
"""The wheel that has to be fetched, with a password."""

REGISTRY = "c0d1f1cate0fthereg1stry7a479ba0038ce4c009b4"
REGISTRY_HASH = "$2b$05$QhWh57/jCe2HBgCditK5u.LdOhn.urmhPSKu/ZilrCmw0KDCPJzfW"
"""The password of the registry, and bcrypt's hash of it."""


@dataclass
class Index:
    """A package index that wants a password; it has every wheel of the lock."""

    password: str
    url: str = ""
    answered: list[str] = field(default_factory=list)
    refused: int = 0

    def address(self, password: str) -> str:
        return self.url.replace("//", f"//reader:{password}@")


@contextmanager
def index(password: str, store: Path) -> Iterator[Index]:
    """Serve the locked wheels on loopback."""
    served = Index(password=password)
    wanted = "Basic " + base64.b64encode(f"reader:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != wanted:
                served.refused += 1
                self.answer(401, b"", "text/plain")
                return
            served.answered.append(self.path)
            if found := re.fullmatch(r"/simple/([^/]+)/", self.path):
                links = "".join(map(link, named(found[1])))
                self.answer(200, f"<html>{links}</html>".encode(), "text/html")
            elif files := [each for each in WHEELS if self.path == f"/files/{each.file}"]:
                content = (store / files[0].sha256[:2] / files[0].sha256).read_bytes()
                self.answer(200, content, "application/octet-stream")
            else:
                self.answer(404, b"", "text/plain")

        def answer(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="wheels"')
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}/simple"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def named(name: str) -> list[Wheel]:
    return [wheel for wheel in WHEELS if wheel.name == name]


def link(wheel: Wheel) -> str:
    return f'<a href="/files/{wheel.file}#sha256={wheel.sha256}">{wheel.file}</a>\n'


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run with secrets all around it, and all that it left or showed."""

    checkout: Checkout
    secrets: Planted
    index: Index
    output: str
    started: list[str]
    seen: set[str]
    pushed: Path


@pytest.fixture(scope="module")
def ran(store: Path, private: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Build, prove, sign and publish a cell."""
    scratch = tmp_path_factory.mktemp("secrets")
    secrets = Planted(
        secrets={
            "registry": REGISTRY,
            **{
                name: planted.token()
                for name in ("key", "proxy", "hub", "index", "unused variable")
            },
        }
    )
    password = secrets.secrets
    cache = scratch / "cache"
    checkouts.links(store, cache / "store")
    (cache / "store" / FETCHED.sha256[:2] / FETCHED.sha256).unlink()
    environment = checkouts.environment_of(private)
    with (
        index(password["index"], store) as served,
        registries.serving(scratch / "registry", users=True) as registry,
    ):
        (scratch / "registry" / "htpasswd").write_text(f"{registries.USER}:{REGISTRY_HASH}\n")
        checkout = checkouts.copy(scratch / "checkout", cache, environment)
        checkouts.reduce(checkout.root)
        configure(checkout.root / "matrix.yaml", f"docker://{registry.host}/acme")
        make_key(scratch / "user" / "cosign.key", checkout.root, password["key"])
        record = scratch / "started"
        variables = {
            "EQUIVEC_SIGNING_KEY": str(scratch / "user" / "cosign.key"),
            "COSIGN_PASSWORD": password["key"],
            "HF_TOKEN": password["hub"],
            "AWS_SECRET_ACCESS_KEY": password["unused variable"],
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": served.address(password["index"]),
            "DOCKER_CONFIG": str(
                docker_config(environment, scratch / "docker", password, registry.host)
            ),
        }
        with (
            planted.watching() as watch,
            checkout.running(
                *AMD64, argv=planted.recorded(record, "build-matrix"), variables=variables
            ) as run,
        ):
            assert run.wait() == 0, run.output
        yield Ran(
            checkout=checkout,
            secrets=secrets,
            index=served,
            output=run.output,
            started=planted.recorded_lines(record),
            seen=watch.lines,
            pushed=registry.storage,
        )


def configure(file: Path, registry: str) -> None:
    """Sign with a key, and publish to a registry too."""
    content = yaml.safe_load(file.read_text("utf-8"))
    content["publication"] = [content["publication"], registry]
    content["trust"] = {"keys": ["cosign.pub"]}
    file.write_text(yaml.safe_dump(content), "utf-8")


def make_key(private: Path, checkout: Path, password: str) -> None:
    keys.make(
        cosign(tools.find("cosign", cache_directory(), note=print)),
        private=private,
        public=checkout / "cosign.pub",
        checkout=checkout,
        environment={**os.environ, "COSIGN_PASSWORD": password},
    )


def docker_config(
    environment: dict[str, str], directory: Path, password: Mapping[str, str], registry: str
) -> Path:
    """Docker's configuration: what the engine's has, a registry's password, a proxy's."""
    used = json.loads((Path(environment["DOCKER_CONFIG"]) / "config.json").read_text("utf-8"))
    user = f"{registries.USER}:{password['registry']}"
    proxy = f"http://user:{password['proxy']}@127.0.0.1:9"
    content = {
        **used,
        "auths": {registry: {"auth": base64.b64encode(user.encode()).decode()}},
        "proxies": {"default": {"httpProxy": proxy, "httpsProxy": proxy}},
    }
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(content), "utf-8")
    return directory


def test_the_secrets_were_of_use(ran: Ran) -> None:
    """Or it would not be surprising that they are nowhere."""
    assert f"/files/{FETCHED.file}" in ran.index.answered
    signed = list((ran.checkout.root / "dist" / "attestations").rglob("*.dsse.json"))
    assert signed, ran.output
    assert list((ran.pushed / "docker/registry/v2/repositories/acme").rglob("_manifests"))
    assert any("sign-blob" in line for line in ran.started)


def test_no_layer_log_or_statement_holds_one(ran: Ran) -> None:
    blobs = ran.checkout.root / "dist" / "images" / "blobs" / "sha256"
    assert any(planted.unpacked(blob) for blob in blobs.iterdir())
    logs = ran.checkout.cache / "derived"
    assert ran.secrets.in_tree(ran.checkout.root, logs, ran.pushed) == []


def test_nothing_that_was_printed_holds_one(ran: Ran) -> None:
    assert ran.secrets.in_bytes(ran.output.encode()) == []


def test_no_argument_list_holds_one(ran: Ran) -> None:
    assert any("buildx build" in line for line in ran.started)
    assert any("buildx build" in line for line in ran.seen)
    assert ran.secrets.in_processes([*ran.started, *ran.seen]) == []


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("build-matrix", *AMD64), FetchError.exit_code),
        (
            ("preflight", "--package", FETCHED.name, "--platform", "linux/amd64"),
            SelectionError.exit_code,
        ),
    ],
    ids=["build-matrix", "preflight"],
)
def test_a_refused_password_is_not_told(
    store: Path, private: Engine, tmp_path: Path, words: tuple[str, ...], status: int
) -> None:
    """What fails tells why, and of what."""
    wrong = Planted(secrets={"index": planted.token()})
    cache = tmp_path / "cache"
    checkouts.links(store, cache / "store")
    (cache / "store" / FETCHED.sha256[:2] / FETCHED.sha256).unlink()
    checkout = checkouts.copy(tmp_path / "checkout", cache, checkouts.environment_of(private))
    record = tmp_path / "started"
    with index(planted.token(), store) as served, planted.watching() as watch:
        variables = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": served.address(wrong.secrets["index"]),
        }
        argv = planted.recorded(record, *words)
        with checkout.running(argv=argv, variables=variables) as run:
            assert run.wait() == status, run.output
    assert served.refused
    assert wrong.in_bytes(run.output.encode()) == []
    assert wrong.in_processes([*planted.recorded_lines(record), *watch.lines]) == []
    assert wrong.in_tree(checkout.root, cache / "derived") == []


@pytest.mark.parametrize("accepted", [True, False])
def test_the_token_of_a_hub_is_not_told(tmp_path: Path, *, accepted: bool) -> None:
    token = hub_server.TOKEN if accepted else planted.token()
    secret = Planted(secrets={"hub": token})
    checkout = checkouts.copy(tmp_path / "checkout", tmp_path / "cache", {})
    words = ("model", "add", f"Owner/Model@{hub_server.COMMIT}", "--dry-run")
    with (
        hub_server.running({"Owner/Model": {"config.json": b"{}"}}) as hub,
        planted.watching() as watch,
    ):
        hub.gated.add("Owner/Model")
        variables = {
            "HF_TOKEN": token,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "hub"),
        }
        record = tmp_path / "started"
        argv = planted.recorded(record, *words)
        with checkout.running(argv=argv, variables=variables) as run:
            assert run.wait() != 0  # it is no model
    assert hub.asked
    assert ("gated" in run.output) is not accepted
    assert secret.in_bytes(run.output.encode()) == []
    assert secret.in_processes([*planted.recorded_lines(record), *watch.lines]) == []
    assert secret.in_tree(checkout.root, checkout.cache, tmp_path / "hub") == []


class TestTheSearch:
    """It finds what there is."""

    secrets = Planted(secrets={"door": planted.token()})

    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, bytes])
    def test_in_a_layer(self, tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
        text = f"password={self.secrets.secrets['door']}\n".encode()
        for name in ("layer", "the same"):
            (tmp_path / name).write_bytes(compress(b"\0" * 1000 + text))
        assert self.secrets.in_tree(tmp_path) == [f"door in {tmp_path / 'layer'}"]

    @pytest.mark.parametrize("user", ["u", "us", "use", "user"])
    def test_in_base64(self, user: str) -> None:
        credentials = f"{user}:{self.secrets.secrets['door']}@".encode()
        assert self.secrets.in_bytes(base64.b64encode(credentials)) == ["door"]

    def test_in_the_process_list(self) -> None:
        with planted.watching() as watch:
            subprocess.run(
                [
                    sys.executable,
                    "-c",
                    "import time; time.sleep(0.5)",
                    self.secrets.secrets["door"],
                ],
                check=True,
            )
        assert self.secrets.in_processes(watch.lines) != []

    def test_in_a_recorded_argument_list(self, tmp_path: Path) -> None:
        script = "import subprocess, sys; subprocess.run(['true', sys.argv.pop()])"
        driver = planted.RECORDING.replace("from builders.cli import main", script)
        driver = driver.partition("sys.exit(")[0]
        secret = self.secrets.secrets["door"]
        record = tmp_path / "record"
        subprocess.run([sys.executable, "-c", driver, str(record), secret], check=True)
        assert self.secrets.in_processes(planted.recorded_lines(record)) == [
            f"door in: true {secret}"
        ]
