"""How long a container takes from its start to the first embedding."""

from __future__ import annotations

import time

from docker import DockerClient

from builders import stages
from builders.bench import anew
from builders.bench.bench import Bench, median
from builders.bench.record import Figure
from builders.engine import connection, containers, images, run_mark
from builders.errors import BenchError
from builders.once import Once
from builders.stages import Options, Shared

BACKEND = "llama-cpp"
STARTS = 5
LIMIT_SECONDS = 60

CLIENT = """\
import http.client, time
deadline = time.monotonic() + {limit}
print("asking", flush=True)
while time.monotonic() < deadline:
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout={limit})
    try:
        connection.request("POST", "/embed", '{{"text": "a short text"}}',
                           {{"Content-Type": "application/json"}})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            print(time.monotonic(), flush=True)
            break
    except OSError:
        pass
    finally:
        connection.close()
    time.sleep(0.01)
"""
"""Asks every 10 ms until a text is embedded, then tells when that was, by the machine's clock that
begins at its start: the container's is the same."""


def start(bench: Bench) -> tuple[Figure, ...]:
    """Start a container again and again; time each start to its first embedding."""
    project = bench.project
    engine = stages.find_engine(project, bench.reporter)
    (cell,) = [one for one in anew.image_cells(project, BACKEND) if one.platform == engine.native]
    with (
        run_mark.mark(project.store.cache) as run,
        connection.connect(engine.environment) as client,
    ):
        shared = Shared(
            engine=engine,
            run=run.id,
            options=Options(jobs=1, rebuild=False, reprove=False),
            debian=stages.fetch(project, (cell,), engine.native, bench.reporter),
            bases=Once(),
            references=Once(),
        )
        image = stages.built(project, cell, shared, bench.reporter)
        digest = images.load(client, image.layout)
        with bench.reporter.step("starts") as step:
            samples = []
            for number in range(STARTS):
                samples.append(seconds(client, digest, platform=cell.platform, run=run.id))
                step.note(f"{number + 1}: {samples[-1]:.2f} s")
    return (median("seconds", samples, subject=cell.id),)


def seconds(client: DockerClient, digest: str, *, platform: str, run: str) -> float:
    """Start a container; return the seconds until its service has embedded a text.

    A second container is there before it, and the first one shares its loopback interface: the
    program that asks has been started when the time begins.
    """
    asking = ("/usr/bin/python3", "-c", CLIENT.format(limit=LIMIT_SECONDS))
    with containers.start(client, digest, platform=platform, run=run, argv=asking) as asker:
        _wait_for_line(asker)
        begun = time.monotonic()
        with containers.start(client, digest, platform=platform, run=run, network_of=asker) as one:
            asker.wait(timeout=2 * LIMIT_SECONDS)
            told = asker.logs().split()
            if len(told) < 2:  # noqa: PLR2004 (that it asks, and when it was answered)
                raise BenchError(f"no text was embedded:\n{one.logs()}", where=digest)
    return float(told[-1]) - begun


def _wait_for_line(asker: containers.Container) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not asker.logs():
        if time.monotonic() > deadline:
            raise BenchError("the program that asks did not start", where=asker.id)
        time.sleep(0.02)
