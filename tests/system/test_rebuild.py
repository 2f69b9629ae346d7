"""Bit for bit: the real program rebuilds a small image, and says what is not made of its inputs."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL

import pytest

from builders import engine
from builders.audit.hygiene import times
from builders.cli import INTERRUPTED
from builders.engine import configuration
from builders.errors import RebuildError
from builders.formats import layout, tree
from builders.store import Store, cache_directory
from tests.system import checkouts
from tests.system.checkouts import AMD64, Checkout
from tests.unit.images import EPOCH

ARGV = (sys.executable, "-m", "builders", "rebuild")
REBUILDING = "linux-amd64  rebuild"
PRIVATE = {engine.ENGINE_VARIABLE: engine.PRIVATE}

SERVICE_ALONE = """\
ARG SOURCE_DATE_EPOCH
FROM --platform=$BUILDPLATFORM build-root AS embedding-service
ARG SOURCE_DATE_EPOCH
ENV PYTHONHASHSEED=0
RUN --network=none \\
    --mount=type=bind,from=tools,source=assemble.py,target=/assemble.py \\
    --mount=type=bind,from=service,target=/source \\
    ["/usr/bin/python3", "/assemble.py", "tree", "/source", "/opt/equivec/service"]
FROM base AS image
COPY --link --from=embedding-service /out/ /
"""

STAMPED = """\
FROM --platform=$BUILDPLATFORM build-root AS stamp
RUN --network=none ["/usr/bin/python3", "-c", "\\
import os, pathlib; \\
os.makedirs('/out/opt'); \\
pathlib.Path('/out/opt/stamp').write_bytes(os.urandom(16))"]
FROM base AS image
COPY --link --from=stamp /out/ /
COPY --link backend.py /opt/equivec/
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[Path]:
    """A cache that shares the user's inputs and the engine's programs, and nothing else."""
    own = tmp_path_factory.mktemp("cache")
    (own / "store").symlink_to(Store(cache_directory()).cache / "store")
    programs = configuration.places(own).packages
    programs.parent.mkdir()
    programs.symlink_to(packages)
    try:
        yield own
    finally:
        engine.stop(own)
    assert processes(own) == []


@pytest.fixture
def checkout(tmp_path: Path, cache: Path) -> Checkout:
    return checkouts.copy(tmp_path / "checkout", cache, PRIVATE)


def processes(place: Path) -> list[str]:
    """The command lines that mention a place."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended.
            found.append((directory / "cmdline").read_text(errors="replace").replace("\0", " "))
    return [line for line in found if str(place) in line]


def nothing_is_left(checkout: Checkout) -> None:
    place = checkout.cache / "rebuild"
    assert not place.exists()
    assert processes(place) == []
    assert not configuration.places(place / "cache").run.exists()
    assert str(place) not in Path("/proc/mounts").read_text()


def rebuilt(checkout: Checkout, dockerfile: str, *, status: int) -> str:
    (checkout.root / "images" / "Dockerfile").write_text(dockerfile)
    with checkout.running(*AMD64, argv=ARGV) as run:
        assert run.wait() == status, run.output
    nothing_is_left(checkout)
    return run.output


def test_a_rebuild_is_identical(checkout: Checkout) -> None:
    output = rebuilt(checkout, SERVICE_ALONE, status=0)
    assert re.search(r"passed  identical sha256:[0-9a-f]{64}, 0 differing bytes$", output), output


def test_what_is_not_made_of_the_inputs_is_named(checkout: Checkout) -> None:
    output = rebuilt(checkout, STAMPED, status=RebuildError.exit_code)
    stamp = r"layer 2 \(COPY /out/ / # buildkit\): /opt/stamp: "
    assert re.search(stamp + r"content: 16 bytes -> 16 bytes, others from \d+ on", output), output
    assert re.search(stamp + r"time: [\d.]+ -> [\d.]+", output), output
    # The copied checkout has modes of its own, by its umask.
    mode = r"layer 3 \(COPY backend.py .*\): /opt/equivec/backend.py: mode: 0644 -> 0600"
    assert re.search(mode, output), output
    assert re.search(r", [1-9]\d* differing bytes$", output, re.MULTILINE), output

    # Nor would the audit let it pass: the builder has not rewritten its times, and did not say so.
    (digest,) = re.findall(r"instead of (sha256:\w+)", output)
    kept = next(
        image
        for directory in (checkout.cache / "derived" / "images").iterdir()
        if (image := layout.read(directory)).manifest_digest == digest
    )
    with tree.opened(kept) as files:
        late = times(files, kept, EPOCH)
    assert not late.passed
    assert any(detail.startswith("layer 2: /opt/stamp: ") for detail in late.details)


def test_an_interrupted_rebuild_leaves_nothing(checkout: Checkout) -> None:
    (checkout.root / "images" / "Dockerfile").write_text(SERVICE_ALONE)
    with checkout.running(*AMD64, argv=ARGV) as run:
        run.until(REBUILDING)
        run.signal(SIGINT)
        assert run.wait() == INTERRUPTED, run.output
    nothing_is_left(checkout)


def test_after_a_killed_rebuild_the_next_one_is_clean(checkout: Checkout) -> None:
    (checkout.root / "images" / "Dockerfile").write_text(SERVICE_ALONE)
    with checkout.running(*AMD64, argv=ARGV) as run:
        run.until(REBUILDING)
        run.signal(SIGKILL)
        run.wait()
    assert processes(checkout.cache / "rebuild")  # its engine, which nobody could stop
    output = rebuilt(checkout, SERVICE_ALONE, status=0)
    assert "0 differing bytes" in output
