"""The main job, as a newcomer meets it: the README's command in a clean copy of the checkout."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import engine, publication, verdict
from builders.attestation import files as attestations
from builders.attestation import provenance, test_result
from builders.attestation.statement import Kind
from builders.engine import connection, containers
from builders.paths import ROOT
from builders.store import cache_directory
from tests.system import another_host

PLATFORMS = ("linux/amd64", "linux/arm64")
BACKENDS = ("llama-cpp", "onnxruntime", "sentence-transformers")


def image(backend: str) -> str:
    return f"equivec/{backend}-fixture-768"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run of the README's command."""

    checkout: Path
    output: str


def commands() -> list[str]:
    """The commands that the README shows, in its order."""
    return re.findall(r"^python3 .*$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)


def environment() -> dict[str, str]:
    """As in a shell of a user who has nothing activated, with the cache that exists."""
    dropped = {"VIRTUAL_ENV", "PYTHONPATH", "NOX_CURRENT_SESSION"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    path = [entry for entry in kept["PATH"].split(os.pathsep) if not entry.startswith(str(ROOT))]
    return {**kept, "PATH": os.pathsep.join(path), "EQUIVEC_CACHE": str(cache_directory())}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git has of the checkout, and nothing that was made in it."""
    target = tmp_path_factory.mktemp("clone") / "equivec"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def run(checkout: Path) -> Run:
    completed = subprocess.run(
        ["bash", "-c", f"{commands()[0]} -- --fresh"],  # whatever this cache knows
        cwd=checkout,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout
    return Run(checkout=checkout, output=completed.stdout)


@pytest.fixture(scope="module")
def verdicts(run: Run) -> Mapping[tuple[str, str], verdict.Verdict]:
    """Every verdict, by backend and platform."""
    found = [verdict.read(path) for path in (run.checkout / "dist" / "verdicts").iterdir()]
    return {(judged.backend, judged.subject.platform): judged for judged in found}


def test_the_readme_shows_two_commands_of_one_line() -> None:
    assert [command.rpartition("-s ")[2] for command in commands()] == ["build-matrix", "tests"]


def test_every_cell_passes_every_check(verdicts: Mapping[tuple[str, str], verdict.Verdict]) -> None:
    assert sorted(verdicts) == list(itertools.product(BACKENDS, PLATFORMS))
    for judged in verdicts.values():
        assert judged.passed
        assert judged.failures == ()
        names = {check.name for check in judged.checks}
        # One of each kind: none was left out.
        assert {
            "inventory", "notices",
            "wheel-record", "elf-machine", "needed-libraries", "times", "byte-code",
            "smoke:shared-libraries-load", "smoke:embedding", "smoke:no-network",
            "parity:distance", "parity:max-abs-difference", "parity:overlap-at-10",
            "batch-invariance:distance", "exact:distance", "known-answer:definition",
        } <= names  # fmt: skip


def test_the_foreign_platform_is_called_emulated(
    run: Run, verdicts: Mapping[tuple[str, str], verdict.Verdict]
) -> None:
    native = engine.find(cache_directory(), note=print).native
    for (_, platform), judged in verdicts.items():
        expected = "native" if platform == native else "emulated"
        assert judged.environment.execution == expected
        row = next(line for line in run.output.splitlines() if judged.subject.digest[7:19] in line)
        assert judged.cell in row
        assert expected in row


def test_parity_is_within_the_limits_and_measured(
    verdicts: Mapping[tuple[str, str], verdict.Verdict],
) -> None:
    for judged in verdicts.values():
        figures = {check.name: check for check in judged.checks}
        distance = figures["parity:distance"]
        assert distance.limit == 1e-4
        assert isinstance(distance.figure, float)
        assert 0 <= distance.figure <= 1e-4


def test_what_was_tested_is_what_is_published(
    run: Run, verdicts: Mapping[tuple[str, str], verdict.Verdict]
) -> None:
    images = run.checkout / "dist" / "images"
    entries = json.loads((images / "index.json").read_bytes())["manifests"]
    assert len(entries) == len(BACKENDS)
    digests = {judged.subject.digest for judged in verdicts.values()}
    for entry in entries:
        index = json.loads((images / "blobs" / "sha256" / entry["digest"][7:]).read_bytes())
        platforms = [manifest["platform"]["architecture"] for manifest in index["manifests"]]
        assert sorted(platforms) == ["amd64", "arm64"]
        assert {manifest["digest"] for manifest in index["manifests"]} <= digests
    for (backend, platform), judged in verdicts.items():
        digest = judged.subject.digest
        assert publication.published_digest(images, image(backend), platform) == digest
        manifest = json.loads((images / "blobs" / "sha256" / digest[7:]).read_bytes())
        assert manifest["config"]["digest"] == judged.subject.config_digest


def test_what_was_found_is_stated_of_every_image_and_index(
    run: Run, verdicts: Mapping[tuple[str, str], verdict.Verdict]
) -> None:
    directory = run.checkout / "dist" / "attestations"
    for judged in verdicts.values():
        stated = {
            each.statement.kind: each.statement
            for each in attestations.read(directory, judged.subject.digest)
        }
        assert set(stated) == set(Kind)
        assert test_result.verdict_of(stated[Kind.TEST_RESULT]) == judged
        assert "matrix.yaml" in provenance.provenance_of(stated[Kind.PROVENANCE]).files
    listed = json.loads((run.checkout / "dist" / "images" / "index.json").read_bytes())
    for entry in listed["manifests"]:
        (index,) = attestations.read(directory, entry["digest"])
        assert set(test_result.platforms_of(index.statement)) == set(PLATFORMS)
    assert "\nunsigned: `trust` in matrix.yaml names nobody\n" in run.output


def test_a_stranger_finds_nothing_wrong_with_it(run: Run) -> None:
    python = run.checkout / ".nox" / "equivec" / "bin" / "python"
    completed = subprocess.run(
        [str(python), "-m", "builders", "verify", "oci:dist/images"],
        cwd=run.checkout,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    for question in ("content", "test-result", "provenance", "sbom"):
        assert completed.stdout.count(f" {question} ") >= len(BACKENDS) * len(PLATFORMS)
    assert completed.stdout.count("\nunsigned: all of it agrees") == len(BACKENDS)
    assert all(f"{image(backend)}\n" in completed.stdout for backend in BACKENDS)


def test_the_engine_has_the_images_under_readable_names(
    verdicts: Mapping[tuple[str, str], verdict.Verdict],
) -> None:
    used = engine.find(cache_directory(), note=print)
    with connection.connect(used.environment) as client:
        for (backend, platform), judged in verdicts.items():
            named = client.images.get(f"{image(backend)}:{platform.replace('/', '-')}")
            assert named.id == judged.subject.digest


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_images_share_no_more_than_they_should(
    verdicts: Mapping[tuple[str, str], verdict.Verdict], backend: str
) -> None:
    """Layers of service, backend and model are the same on both platforms; the others are not."""
    amd64, arm64 = (verdicts[backend, platform].subject.diff_ids for platform in PLATFORMS)
    root, byte_code, wheels, *rest, notices = zip(amd64, arm64, strict=True)

    assert len(rest) == 3
    assert root[0] != root[1]
    assert byte_code[0] != byte_code[1]
    assert wheels[0] != wheels[1]
    assert notices[0] != notices[1]
    assert all(one == other for one, other in rest)


def test_backends_share_what_they_can(
    verdicts: Mapping[tuple[str, str], verdict.Verdict],
) -> None:
    """Root file system, byte code and service."""
    layers = [verdicts[backend, PLATFORMS[0]].subject.diff_ids for backend in BACKENDS]
    for one, other in itertools.combinations(layers, 2):
        assert [a == b for a, b in zip(one, other, strict=True)] == [
            *(True, True),  # root file system, byte code
            False,  # wheels
            True,  # service
            *(False, False, False),  # backend, model, notices
        ]


@pytest.mark.parametrize("backend", ["llama-cpp", "sentence-transformers"])
def test_another_library_gives_the_same_vectors(
    verdicts: Mapping[tuple[str, str], verdict.Verdict], backend: str
) -> None:
    """Its float32 vectors are onnxruntime's, by the gate of one and the same library."""
    for platform in PLATFORMS:
        figures = {check.name: check for check in verdicts[backend, platform].checks}
        for name, limit in (("max-abs-difference", 1e-5), ("distance", 1e-4)):
            check = figures[f"cross-backend:onnxruntime:{name}"]
            assert check.passed
            assert check.limit == limit
            assert isinstance(check.figure, float)
            assert 0 < check.figure <= limit


def test_another_version_than_the_host_s_is_in_the_verdict(
    verdicts: Mapping[tuple[str, str], verdict.Verdict],
) -> None:
    """torch has no build for CPUs of one version for both platforms."""
    for (backend, platform), judged in verdicts.items():
        (check,) = [check for check in judged.checks if check.name == "parity:libraries"]
        differs = backend == "sentence-transformers" and platform != judged.environment.host
        assert check.figure == int(differs)
        assert sum(detail.startswith("torch: ") for detail in check.details) == int(differs)


def test_the_wheel_that_was_built_is_in_the_verdict(
    verdicts: Mapping[tuple[str, str], verdict.Verdict],
) -> None:
    for (backend, platform), judged in verdicts.items():
        machine = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[platform]
        names = list(judged.inputs.built_wheels)
        if backend == "llama-cpp":
            assert [name.endswith(f"{machine}.whl") for name in names] == [True]
            assert "smoke:promised-libraries" in {check.name for check in judged.checks}
        else:
            assert names == []


def test_no_container_is_left(run: Run) -> None:
    """Of a run that has ended; another may be working beside these tests."""
    used = engine.find(cache_directory(), note=print)
    with connection.connect(used.environment) as client:
        assert containers.sweep(client, cache_directory()) == 0


def test_a_second_run_does_nothing_and_says_so(run: Run) -> None:
    before = {
        path: path.stat().st_mtime_ns for path in (run.checkout / "dist" / "images").rglob("*")
    }
    python = run.checkout / ".nox" / "equivec" / "bin" / "python"
    completed = subprocess.run(
        [str(python), "-m", "builders", "build-matrix"],
        cwd=run.checkout,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert completed.returncode == 0, completed.stderr
    assert "6 unchanged" in completed.stdout
    assert "smoke" not in completed.stdout
    after = (run.checkout / "dist" / "images" / "blobs" / "sha256").iterdir()
    assert all(before[path] == path.stat().st_mtime_ns for path in after)


def test_the_row_of_a_host_elsewhere_is_absent_until_its_vectors_are_brought(
    run: Run, tmp_path: Path
) -> None:
    assert f"3 cells absent: a {another_host.PLATFORM} host is needed" in run.output
    path, python = tmp_path / "mac.json", run.checkout / ".nox" / "equivec" / "bin" / "python"

    def ran(command: str, option: str) -> str:
        completed = subprocess.run(
            [str(python), "-m", "builders", command, option, path, *another_host.SELECTED],
            cwd=run.checkout,
            env={**environment(), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    ran("reference", "--export")
    path.write_text(json.dumps(another_host.brought(json.loads(path.read_bytes()))), "utf-8")
    filled = ran("build-matrix", "--reference")
    row = [line for line in filled.splitlines() if another_host.CELL in line][-1]
    assert "passed" in row
    assert "1 passed, 2 unchanged" in filled
    assert "absent" not in filled
