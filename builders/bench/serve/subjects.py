"""What is measured: the service with a backend on this host, and its peers."""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

from builders import host, host_venv
from builders.bench.bench import Bench, fetch
from builders.bench.serve import running
from builders.bench.serve.running import Server
from builders.lock import wheels as wheel_lock
from builders.model import RECIPE
from builders.store import link_or_copy

PEERS = Path(__file__).parents[1] / "peers"
"""For each peer, its requirements and their lock (see docs/benchmarks.md)."""

INFINITY, LLAMA_CPP_SERVER = "infinity", "llama-cpp-server"

ONE_THREAD = {
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What keeps a peer's libraries to one thread that computes."""

OFFLINE = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "INFINITY_ANONYMOUS_USAGE_STATS": "0",
}

SERVER_CODE = re.compile(r"llama_cpp/server/[\w/]+\.py")
"""In the source archive, below its one directory."""

_KEPT_VARIABLES = ("HOME", "PATH")


def environment(bench: Bench, folder: Path) -> Path:
    """Return the interpreter of an environment that holds what a folder's lock names.

    Raises:
        LockError: There is no lock for this platform.
    """
    lock = wheel_lock.read(folder, host.current())
    fetch(bench, debian=(), wheels=(lock,))
    gathered = bench.project.store.gathered("wheels", lock.files)
    return host_venv.python(bench.project.store, lock.wheels, gathered)


def service(
    bench: Bench,
    backend: str,
    python: Path,
    model: Path,
    *,
    path: str = "/embed",
    settings: Mapping[str, str] | None = None,
) -> Server:
    """Return the service with a backend and a model, computing with one thread.

    Args:
        bench: What measurements work with.
        backend: The folder under images/.
        python: Of the backend's environment.
        model: The model's directory.
        path: The route that is asked.
        settings: More of its environment.
    """
    port = running.free_port()
    images = bench.project.images
    return Server(
        name=f"the service with {backend}",
        argv=(str(python), "-m", "embedding_service"),
        environment={
            **_environment(bench),
            "EMBEDDING_MODEL_DIR": str(model),
            "EMBEDDING_SERVER_PORT": str(port),
            "EMBEDDING_THREADS": "1",
            "PYTHONPATH": os.pathsep.join((str(images / "service"), str(images / backend))),
            **(settings or {}),
        },
        port=port,
        path=path,
        model=_name(model) if path != "/embed" else "",
        log=bench.scratch / f"service-{port}.log",
    )


def infinity(bench: Bench, model: Path) -> Server:
    """Return infinity-emb with its usual engine, torch, and a model of sentence-transformers."""
    port = running.free_port()
    return Server(
        name="infinity-emb",
        argv=infinity_argv(environment(bench, PEERS / INFINITY), model, port),
        # Without a home of its own, it makes a directory in the present one.
        environment={
            **_environment(bench),
            **ONE_THREAD,
            **OFFLINE,
            "INFINITY_HOME": str(bench.scratch),
        },
        port=port,
        path="/embeddings",
        model="model",
        log=bench.scratch / "infinity.log",
    )


def infinity_argv(python: Path, model: Path, port: int) -> tuple[str, ...]:
    """Return the argument list that starts infinity-emb.

    The cache of answers is off: texts come again. BetterTransformer needs what is not installed,
    and compiling the model takes a minute of each start (docs/benchmarks.md).
    """
    return (
        *(str(python), "-c", "from infinity_emb.cli import cli; cli()", "v2"),
        *("--model-id", str(model), "--served-model-name", "model"),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
        *("--engine", "torch", "--device", "cpu", "--dtype", "float32", "--batch-size", "32"),
        *("--no-vector-disk-cache", "--no-bettertransformer", "--no-compile"),
        *("--no-trust-remote-code",),
    )


def llama_cpp_server(bench: Bench, library: Path, model: Path) -> Server:
    """Return llama-cpp-python's own server, with the library of our wheel.

    Args:
        bench: What measurements work with.
        library: The interpreter of the environment that holds our wheel.
        model: The model's directory, with a GGUF file.
    """
    port = running.free_port()
    packages = bench.scratch / "llama-cpp-packages"
    _link(library, "llama_cpp", packages)
    _unpack_server(bench, packages)
    python = environment(bench, PEERS / LLAMA_CPP_SERVER)
    return Server(
        name="llama-cpp-python's server",
        argv=llama_cpp_server_argv(python, model, port),
        environment={**_environment(bench), **ONE_THREAD, "PYTHONPATH": str(packages)},
        port=port,
        path="/v1/embeddings",
        model=_name(model),
        log=bench.scratch / "llama-cpp-server.log",
    )


def llama_cpp_server_argv(python: Path, model: Path, port: int) -> tuple[str, ...]:
    """Return the argument list that starts llama-cpp-python's server.

    A text is computed in one piece, as the service does it: shorter pieces end the process.
    """
    return (
        *(str(python), str(Path(__file__).with_name("llama_cpp_server.py"))),
        *("--model", str(model / "model.gguf"), "--model_alias", _name(model)),
        *("--host", "127.0.0.1", "--port", str(port), "--embedding", "true"),
        *("--n_threads", "1", "--n_threads_batch", "1", "--verbose", "false"),
        *("--n_ctx", "2048", "--n_batch", "2048", "--n_ubatch", "2048"),
    )


def _unpack_server(bench: Bench, packages: Path) -> None:
    """Put the server, which our wheel leaves out, beside the library, from its source archive."""
    lock = wheel_lock.read(bench.project.images / "llama-cpp", host.current())
    (source,) = (each for each in lock.sources if each.name == "llama-cpp-python")
    with tarfile.open(bench.project.store.path(source.sha256)) as archive:
        for member in archive:
            _, _, path = member.name.partition("/")
            content = archive.extractfile(member) if SERVER_CODE.fullmatch(path) else None
            if content is not None:
                place = packages / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content.read())


def _link(python: Path, package: str, target: Path) -> None:
    """Make an installed package once more, of links, in a directory for Python's path."""
    (found,) = python.parent.parent.glob(f"lib/python3*/site-packages/{package}")
    for file in sorted(found.rglob("*")):
        if file.is_file():
            place = target / package / file.relative_to(found)
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(file, place)


def _environment(bench: Bench) -> dict[str, str]:
    """Return what every server has: nothing that the user has set counts."""
    return {
        **{name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        # The checkout is only read.
        "PYTHONPYCACHEPREFIX": str(bench.scratch / "bytecode"),
    }


def _name(model: Path) -> str:
    """Return the name that a model's directory says it has."""
    name: str = json.loads((model / RECIPE).read_bytes())["name"]
    return name
