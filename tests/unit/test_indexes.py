"""uv is told what pip's settings say, and its answers are read."""

from __future__ import annotations

import sys
from pathlib import Path

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
from builders.network.uv_settings import uv_environment

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
