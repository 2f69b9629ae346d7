"""uv is told what pip's settings say, and its answers are read."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from builders.errors import FetchError, LockError
from builders.network.indexes import (
    Candidate,
    Indexes,
    NoSolutionError,
    closest,
    compile_command,
    compile_failure,
    parse_pylock,
    universal_command,
)
from builders.network.pip_settings import PipSettings
from builders.network.uv_settings import pages_of, uv_environment, with_pages

PYLOCK = """
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "idna"
version = "3.20"
wheels = [{ url = "https://files.example/p/idna-3.20-py3-none-any.whl", hashes = { sha256 = "a" } }]

[[packages]]
name = "torch"
version = "2.13.0+cpu"
marker = "sys_platform == 'linux'"
wheels = [{ url = "file:///w/torch-2.13.0%2Bcpu-cp311-linux_x86_64.whl", hashes = { } }]
"""


def test_pip_s_settings_become_uv_s() -> None:
    settings = PipSettings(
        index_url="https://i.example/simple",
        extra_index_urls=("file:///a/simple", "file:///b/simple"),
        find_links=("/wheels", "/more"),
        certificate="/ca.pem",
        trusted_hosts=("i.example",),
        timeout="30",
    )
    assert uv_environment(settings, Path("/cache"), {"PATH": "/bin"}) == {
        "UV_CACHE_DIR": "/cache/uv",
        "UV_DEFAULT_INDEX": "https://i.example/simple",
        "UV_INDEX": "file:///a/simple file:///b/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INSECURE_HOST": "i.example",
        "UV_SYSTEM_CERTS": "1",
        "UV_HTTP_TIMEOUT": "30",
        "SSL_CERT_FILE": "/ca.pem",
        "MACOSX_DEPLOYMENT_TARGET": "14.0",
        "PATH": "/bin",
    }


def test_what_the_user_set_for_uv_stays() -> None:
    settings = PipSettings(index_url="https://pip.example", certificate="/pip.pem")
    own = {"UV_DEFAULT_INDEX": "https://uv.example", "SSL_CERT_FILE": "/uv.pem"}
    environment = uv_environment(settings, Path("/cache"), own)
    assert environment["UV_DEFAULT_INDEX"] == "https://uv.example"
    assert environment["SSL_CERT_FILE"] == "/uv.pem"


@pytest.mark.parametrize(
    ("platform", "target"),
    [
        ("linux/amd64", "x86_64-manylinux_2_36"),
        ("linux/arm64", "aarch64-manylinux_2_36"),
        ("darwin/arm64", "aarch64-apple-darwin"),
    ],
)
def test_wheels_are_resolved_for_the_target_and_never_built(platform: str, target: str) -> None:
    _, *words = compile_command(Path("r.in"), platform)
    assert " ".join(words) == (
        "pip compile --quiet --no-header --format pylock.toml"
        f" --python {sys.executable} --python-version 3.11"
        f" --only-binary :all: --python-platform {target} r.in"
    )


def test_what_is_built_from_source_is_named() -> None:
    command = compile_command(Path("r.in"), "linux/arm64", ["llama-cpp-python", "other"])
    words = " ".join(command)
    assert "--only-binary :all:" in words
    assert words.endswith("--no-binary llama-cpp-python --no-binary other r.in")


def test_wheels_of_every_platform_are_asked_for() -> None:
    words = " ".join(universal_command())
    assert words.endswith("--only-binary :all: --universal --no-deps -")
    assert "--python-platform" not in words


def test_reads_a_pylock() -> None:
    assert parse_pylock(PYLOCK) == (
        Candidate(
            name="idna",
            version="3.20",
            file="idna-3.20-py3-none-any.whl",
            url="https://files.example/p/idna-3.20-py3-none-any.whl",
            sha256="a",
        ),
        Candidate(
            name="torch",
            version="2.13.0+cpu",
            file="torch-2.13.0+cpu-cp311-linux_x86_64.whl",
            url="file:///w/torch-2.13.0%2Bcpu-cp311-linux_x86_64.whl",
            sha256="",
        ),
    )


def test_of_several_wheels_the_closest_is_chosen() -> None:
    pylock = (
        '[[packages]]\nname = "x"\nversion = "1"\nwheels = [\n'
        '{ url = "https://f.example/x-1-py3-none-any.whl", hashes = { sha256 = "any" } },\n'
        '{ url = "https://f.example/x-1-cp310-abi3-manylinux2014_aarch64.whl" },\n]\n'
    )
    candidates = parse_pylock(pylock)
    assert [candidate.sha256 for candidate in candidates] == ["any", ""]
    assert closest(candidates, "linux/arm64") == candidates[1]
    assert closest(candidates, "linux/amd64") == candidates[0]


def test_a_package_without_wheels_is_its_source_archive() -> None:
    (source,) = candidates = parse_pylock(
        '[[packages]]\nname = "x-y"\nversion = "1"\n'
        'sdist = { url = "https://f.example/x_y-1.tar.gz", hashes = { sha256 = "s" } }\n'
    )
    assert (source.file, source.sha256, source.is_source) == ("x_y-1.tar.gz", "s", True)
    assert closest(candidates, "linux/arm64") == source


def test_a_private_index_s_user_is_the_user_of_its_files() -> None:
    idna, torch = parse_pylock(PYLOCK, credentials=["https://ada:s%40@files.example/simple", ""])
    assert idna.url == "https://ada:s%40@files.example/p/idna-3.20-py3-none-any.whl"
    assert torch.url.startswith("file:///w/")


def test_a_requirement_that_is_no_wheel_of_an_index_is_refused() -> None:
    with pytest.raises(LockError, match="x is not a file of an index"):
        parse_pylock('[[packages]]\nname = "x"\nversion = "1"\ndirectory = { path = "." }\n')


def test_no_solution_is_told_from_no_network() -> None:
    unsolvable = compile_failure(
        "error: No solution found when resolving dependencies\n  cause: Because x==1 has no wheels"
        " with a matching platform tag and you require x==1, we can conclude that your requirements"
        " are unsatisfiable.\n\nhint: Wheels are available\n"
    )
    assert isinstance(unsolvable, NoSolutionError)
    assert unsolvable.problem == (
        "Because x==1 has no wheels with a matching platform tag and you require x==1."
    )
    refused = compile_failure("error: Request failed\n  cause: Connection refused (os error 111)")
    assert isinstance(refused, FetchError)
    unbuildable = compile_failure(
        "error: Failed to build `x==1`\n  cause: The build backend failed"
    )
    assert type(unbuildable) is LockError
    assert "Failed to build `x==1`" in unbuildable.problem
    offline = compile_failure("error: No solution found\nhint: because the network was disabled.")
    assert isinstance(offline, FetchError)


TORCH = "torch-9.0+cpu-py3-none-manylinux_2_28_x86_64.whl"
PAGES = {"torch": "https://w.example/cpu/torch/", "other": "https://w.example/other/"}


def test_a_page_is_looked_at_for_its_project_alone() -> None:
    assert pages_of("# torch\nTorch==9.0+cpu; sys_platform == 'linux'\nnumpy\n", PAGES) == (
        "https://w.example/cpu/torch/",
    )
    assert pages_of("torch==9.0+cpu \\\n    --hash=sha256:aa\n", PAGES) == (PAGES["torch"],)
    assert pages_of("torchvision\n-c other\n", PAGES) == ()


def test_pages_are_added_to_the_places_there_are() -> None:
    environment = {"PATH": "/bin", "UV_FIND_LINKS": "/wheels"}
    assert with_pages(environment, ["https://w.example/a/", "file:///b"]) == {
        "PATH": "/bin",
        "UV_FIND_LINKS": "/wheels,https://w.example/a/,file:///b",
    }
    assert with_pages({}, ["file:///b"]) == {"UV_FIND_LINKS": "file:///b"}


class Page:
    """The page of a project, served on loopback, beside an index that has nothing."""

    def __init__(self, folder: Path) -> None:
        self.asked = 0
        self.configured = folder / "wheels"
        (folder / "simple").mkdir()
        self.configured.mkdir()
        wheel = b"a wheel"
        sha256 = hashlib.sha256(wheel).hexdigest()
        link = f'<a href="{quote(TORCH)}#sha256={sha256}">{TORCH}</a>'
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.asked += self.path == "/cpu/torch/"
                content = link.encode() if self.path == "/cpu/torch/" else wheel
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/cpu/torch/"
        self.sha256 = sha256
        self.lock = folder / "linux-amd64.txt"
        self.lock.write_text(f"torch==9.0+cpu \\\n    --hash=sha256:{sha256}\n")
        self.settings = PipSettings(
            index_url=(folder / "simple").as_uri(), find_links=(str(self.configured),)
        )
        self.cache = folder / "uv"

    def indexes(self, **settings: Any) -> Indexes:
        found = replace(self.settings, **settings)
        return Indexes(
            settings=found,
            environment=uv_environment(found, self.cache, {}),
            find_links={"torch": self.url},
        )


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    page = Page(tmp_path)
    thread = threading.Thread(target=page.server.serve_forever)
    thread.start()
    yield page
    page.server.shutdown()
    thread.join()
    page.server.server_close()


def test_what_no_configured_place_has_is_found_on_its_project_s_page(page: Page) -> None:
    (found,) = page.indexes().locate(page.lock, "linux/amd64")
    assert (found.file, found.sha256) == (TORCH, page.sha256)
    assert found.url.startswith(page.url)
    assert page.asked


def test_what_a_configured_place_has_is_taken_from_there(page: Page) -> None:
    (page.configured / TORCH).write_bytes(b"a wheel")
    (found,) = page.indexes().locate(page.lock, "linux/amd64")
    assert (found.file, found.url.partition(":")[0]) == (TORCH, "file")
    assert not page.asked


def test_no_page_is_asked_where_pip_is_told_to_use_no_index(page: Page) -> None:
    with pytest.raises(NoSolutionError, match="torch"):
        page.indexes(no_index=True).locate(page.lock, "linux/amd64")
    assert not page.asked


def test_a_project_without_a_page_is_not_looked_for_elsewhere(page: Page) -> None:
    page.lock.write_text("nothing-has-this-name==1\n")
    with pytest.raises(NoSolutionError, match="nothing-has-this-name"):
        page.indexes().locate(page.lock, "linux/amd64")
    assert not page.asked


def test_a_page_that_cannot_be_reached_is_an_error_of_the_network(page: Page) -> None:
    indexes = replace(page.indexes(), find_links={"torch": "http://127.0.0.1:1/torch/"})
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:1/torch"):
        indexes.locate(page.lock, "linux/amd64")


def test_uv_resolves_from_a_folder_of_wheels(tmp_path: Path) -> None:
    # The real uv, without network: an index is a folder here.
    requirements = tmp_path / "r.in"
    requirements.write_text("nothing-has-this-name==1\n")
    (tmp_path / "wheels").mkdir()
    settings = PipSettings(find_links=(str(tmp_path / "wheels"),), no_index=True)
    indexes = Indexes(
        settings=settings, environment=uv_environment(settings, tmp_path / "cache", {})
    )
    with pytest.raises(NoSolutionError, match="nothing-has-this-name"):
        indexes.resolve(requirements, "linux/arm64")
