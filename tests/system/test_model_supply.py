"""A container with another model than its image's: mounted, or fetched from a hub beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders import handed_model, project
from builders.engine import Engine, containers
from builders.engine.containers import Container, ReadOnlyMount
from builders.smoke.subject import NATIVE
from builders.space import vector_space
from tests.system.built import Built, built
from tests.unit import hub_server
from tests.unit.hub_server import COMMIT

pytestmark = pytest.mark.engine

PYTHON = "/usr/bin/python3"
BAKED, OTHER = "fixture-768", "fixture-bert-384"
FETCHED = "model.onnx"
HUB_PORT = 9000
HUB = f"""
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, "/hub")
import hub_server


class Handler(hub_server._Handler):
    server_hub = hub_server.HubServer(
        files={{"owner/model": {{"onnx/{FETCHED}": Path("/hub/{FETCHED}").read_bytes()}}}}
    )


ThreadingHTTPServer(("127.0.0.1", {HUB_PORT}), Handler).serve_forever()
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """An image of one model, and the directory of another."""

    image: Built
    model: Path

    def started(
        self,
        mounts: Mapping[str, Path],
        environment: Mapping[str, str] | None = None,
        *,
        argv: tuple[str, ...] | None = None,
        network_of: Container | None = None,
    ) -> Container:
        return containers.start(
            self.image.client,
            self.image.digest,
            platform=self.image.platform,
            run=self.image.run,
            mounts=[ReadOnlyMount(source=source, target=to) for to, source in mounts.items()],
            environment={"EMBEDDING_THREADS": "1", **(environment or {})},
            argv=argv,
            network_of=network_of,
        )


@pytest.fixture(scope="module")
def bench(
    private: Engine, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    model = tmp_path_factory.mktemp("model") / OTHER
    handed_model.hand(project.load(), OTHER, "onnx", model)
    with built("onnxruntime", BAKED, engine=private, cache=cache) as image:
        yield Bench(image=image, model=model)


@pytest.fixture
def slim(bench: Bench, tmp_path: Path) -> Path:
    """The other model's directory without its weights, and a hub's directory with them."""
    shutil.copytree(bench.model, tmp_path / "slim")
    (tmp_path / "hub").mkdir()
    weights = (tmp_path / "slim" / FETCHED).rename(tmp_path / "hub" / FETCHED)
    shutil.copy(hub_server.__file__, tmp_path / "hub")
    (tmp_path / "hub" / "serve.py").write_text(HUB, encoding="utf-8")
    path = tmp_path / "slim" / "model.json"
    recipe: dict[str, Any] = json.loads(path.read_bytes())
    place = {"repository": "owner/model", "commit": COMMIT, "path": f"onnx/{FETCHED}"}
    recipe["sources"] = {FETCHED: {**place, "size": weights.stat().st_size}}
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return tmp_path


def health(container: Container) -> dict[str, Any]:
    limit = NATIVE.ready
    command = (PYTHON, "-m", "embedding_service.client", "wait", "--timeout", str(limit))
    waited = container.execute(command, timeout=limit + 30)
    assert waited.returncode == 0, (waited.stderr, container.logs())
    found: dict[str, Any] = json.loads(waited.stdout)
    return found


def assert_is_the_other_model(found: Mapping[str, Any]) -> None:
    declared = project.load().matrix.models[OTHER]
    assert found["model"] == OTHER
    assert found["vector_space"] == vector_space(declared)
    assert found["dimension"] == declared.dimension


def test_a_mounted_directory_takes_the_place_of_the_image_s(bench: Bench) -> None:
    with bench.started({"/opt/equivec/model": bench.model}) as container:
        assert_is_the_other_model(health(container))


def test_a_directory_that_lacks_a_file_is_not_served(bench: Bench, slim: Path) -> None:
    with bench.started({"/opt/equivec/model": slim / "slim"}) as container:
        assert container.wait(timeout=NATIVE.ready) == 3
        assert f"lacks {FETCHED}, which owner/model has; EMBEDDING_ALLOW" in container.logs()


def test_what_is_missing_is_fetched_where_that_is_allowed(bench: Bench, slim: Path) -> None:
    """Its user is none of the host's, its root read-only: the cache is all that it writes to."""
    with (
        bench.started({"/hub": slim / "hub"}, argv=(PYTHON, "/hub/serve.py")) as hub,
        bench.started(
            {"/opt/equivec/model": slim / "slim"},
            {
                "EMBEDDING_ALLOW_FETCH": "true",
                "EMBEDDING_CACHE_DIR": "/dev/shm/cache",  # noqa: S108 -- the container's
                "HF_ENDPOINT": f"http://127.0.0.1:{HUB_PORT}",
            },
            network_of=hub,
        ) as container,
    ):
        assert_is_the_other_model(health(container))
        assert f"fetch: {FETCHED} from owner/model@{COMMIT[:12]}" in container.logs()


def test_a_cache_that_is_not_the_user_s_is_explained(bench: Bench, slim: Path) -> None:
    with bench.started(
        {"/opt/equivec/model": slim / "slim"}, {"EMBEDDING_ALLOW_FETCH": "true"}
    ) as container:
        assert container.wait(timeout=NATIVE.ready) == 3
        assert "must be able to write to EMBEDDING_CACHE_DIR" in container.logs()
