"""What the main job makes of preflight's answers. The rest of it: tests/system."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from builders import matrix, pipeline, stages, work
from builders import plan as plans
from builders.engine import Engine, Versions
from builders.errors import EngineError, PreflightError, ReferenceVectorsError
from builders.inputs import InForce
from builders.lock.debian import DebianLock, Libraries
from builders.lock.wheels import format_contents, format_requirements, lock_path
from builders.once import Once
from builders.outcome import Outcome
from builders.plan import Cell
from builders.project import Project
from builders.report import reporter
from builders.selection import Selection
from builders.stages import Options, Shared
from builders.store import Store
from builders.wheelhouse.gather import Toolchain
from tests.unit import attested
from tests.unit.test_preflight import lock, locked_backend, wheel

PLATFORM = "darwin/arm64"  # so that no base image is asked for its libraries
DEBIAN = DebianLock(
    platform="linux/amd64",
    libraries=Libraries(glibc="2.36", glibcxx="3.4.30"),
    root=(),
    test=(),
)
WHEELS = {"possible": "mach-o arm64", "refused": "pe amd64"}


def asked(tmp_path: Path, binary: str, *, expected: bool) -> tuple[Cell, Outcome | None, str]:
    """Return a cell, what preflight makes of it, and what people see."""
    read = matrix.load(Path(__file__).with_name("matrix.yaml"))
    backend = read.backends["onnxruntime"]
    refused = (PLATFORM,) if expected else ()
    backends = {"some": backend.model_copy(update={"refused": refused})}
    project = Project(
        root=tmp_path,
        matrix=read.model_copy(update={"backends": backends}),
        store=Store(tmp_path / "cache"),
    )
    locked_backend(project.images, PLATFORM, wheel(WHEELS[binary]))
    planned = plans.plan(project.matrix, Selection(platforms=(PLATFORM,)), PLATFORM)
    cell = plans.runnable(planned)[0]
    stream = io.StringIO()
    with reporter([cell.id], stream=stream, environment={}) as told:
        outcome = work._preflight(project, cell, told)
    return cell, outcome, stream.getvalue()


def test_a_cell_that_is_possible_is_worked_on(tmp_path: Path) -> None:
    _, outcome, said = asked(tmp_path, "possible", expected=False)
    assert outcome is None
    assert said == ""


def test_a_cell_that_is_refused_fails(tmp_path: Path) -> None:
    cell, outcome, said = asked(tmp_path, "refused", expected=False)
    assert outcome is not None
    assert isinstance(outcome.error, PreflightError)
    assert outcome.error.where == cell.id
    assert "FAILED" in said


def test_a_cell_that_is_refused_as_expected_does_not_fail(tmp_path: Path) -> None:
    _, outcome, said = asked(tmp_path, "refused", expected=True)
    assert outcome is not None
    assert outcome.error is None
    assert "holds Windows binaries" in (outcome.refused or "")
    assert "refused, as expected: x-1.0-py3-none-any.whl holds Windows binaries" in said
    assert "FAILED" not in said


def test_a_cell_that_became_possible_is_worked_on_and_says_so(tmp_path: Path) -> None:
    _, outcome, said = asked(tmp_path, "possible", expected=True)
    assert outcome is None
    assert f"it has become possible: take {PLATFORM} out of `refused` of backends.some" in said


@pytest.mark.parametrize(("expected", "failed"), [(True, False), (False, True)])
def test_only_an_unexpected_refusal_fails_the_run(
    tmp_path: Path, *, expected: bool, failed: bool
) -> None:
    _, outcome, _ = asked(tmp_path, "refused", expected=expected)
    assert outcome is not None
    notary = attested.unsigned(bare(tmp_path))
    finished = pipeline.Finished(outcomes=(outcome,), engine=None, notary=notary)
    assert finished.failed is failed


def bare(root: Path) -> Project:
    """Return a checkout with a matrix and nothing else."""
    read = matrix.load(Path(__file__).with_name("matrix.yaml"))
    return Project(root=root, matrix=read, store=Store(root / "cache"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bare(tmp_path)


def cell_of(project: Project, platform: str) -> Cell:
    return plans.cell(project.matrix, "onnxruntime", "fixture-768", platform)


def test_an_image_that_the_engine_cannot_run_is_not_built(project: Project) -> None:
    engine = Engine(
        kind="system",
        host="unix:///nowhere.sock",
        environment={},
        native="linux/amd64",
        platforms=("linux/amd64",),
        versions=Versions(docker="", buildx="", buildkit="", containerd="", runc="", qemu=""),
    )
    shared = Shared(
        engine=engine,
        run="",
        options=Options(jobs=1, rebuild=False, reprove=False),
        debian=InForce(base={}, toolchain=DEBIAN),
        bases=Once(),
        references=Once(),
    )
    cell = cell_of(project, "linux/arm64")
    stream = io.StringIO()
    with reporter([cell.id], stream=stream, environment={}) as told:
        job = pipeline.job(attested.unsigned(project), shared.options)
        outcome = work._outcome(project, cell, shared, told, job)
    assert isinstance(outcome.error, EngineError)
    assert "the system engine runs linux/amd64 only" in outcome.error.problem
    assert "FAILED" in stream.getvalue()


def test_a_host_without_wheels_makes_no_reference(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = project.images / "some"
    (directory / "locks").mkdir(parents=True)
    unsolved = lock(platform=PLATFORM, no_solution="Because x has no wheels")
    lock_path(directory, PLATFORM).write_text(format_requirements(unsolved))
    (directory / "locks" / "wheels.json").write_text(format_contents([unsolved]))
    (directory / "requirements.in").write_text("x\n")
    monkeypatch.setattr("builders.host.current", lambda: PLATFORM)
    toolchain = Toolchain(lock=DEBIAN, engine=lambda: pytest.fail("no engine is needed"))
    with (
        reporter([], stream=io.StringIO(), environment={}) as told,
        pytest.raises(ReferenceVectorsError, match=f"cannot be installed on {PLATFORM}: Because x"),
    ):
        stages.host_python(project, "some", toolchain, told)
