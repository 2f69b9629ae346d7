"""Which machine does what of a plan, when its cells are spread over several."""

from __future__ import annotations

import dataclasses

from builders import matrix, plan
from builders.jobs import ImageJob, Job, Jobs, jobs, to_lines
from builders.paths import ROOT
from builders.plan import Plan
from builders.selection import Selection

MATRIX = matrix.load(ROOT / "matrix.yaml")


def planned(*only: str) -> Plan:
    return plan.plan(MATRIX, Selection(only=only), "linux/amd64")


def found(*only: str) -> Jobs:
    return jobs(planned(*only), MATRIX)


def cells(of: tuple[Job, ...]) -> list[str]:
    return [job.cell for job in of]


def test_images_are_built_and_proved_and_hosts_make_reference_vectors() -> None:
    images = (
        Job(cell="onnxruntime-fixture-768-linux-amd64", platform="linux/amd64"),
        Job(cell="onnxruntime-fixture-768-linux-arm64", platform="linux/arm64"),
    )
    host = Job(cell="onnxruntime-fixture-768-darwin-arm64", platform="darwin/arm64")
    assert found("onnxruntime-fixture-768-*") == Jobs(
        build=images,
        prove=images,
        reference=(host,),
        rebuild=(ImageJob(image="onnxruntime-fixture-768"),),
    )


def test_what_is_not_selected_or_cannot_be_is_nobodys_job() -> None:
    # gpt4all has no release for linux/arm64, and matrix.yaml expects that.
    chosen = planned("gpt4all-fixture-768-linux-*")
    refused = dataclasses.replace(
        chosen,
        cells=tuple(
            dataclasses.replace(cell, refused="no wheel" if cell.refusal_expected else None)
            for cell in chosen.cells
        ),
    )
    assert cells(jobs(refused, MATRIX).build) == ["gpt4all-fixture-768-linux-amd64"]
    # onnxruntime reads no GGUF.
    assert cells(found("*-fixture-768-q8-0-linux-amd64").build) == [
        "llama-cpp-fixture-768-q8-0-linux-amd64",
        "gpt4all-fixture-768-q8-0-linux-amd64",
    ]


def test_a_cell_that_is_refused_unexpectedly_is_a_job_that_fails() -> None:
    chosen = planned("onnxruntime-fixture-768-linux-amd64")
    refused = dataclasses.replace(
        chosen, cells=tuple(dataclasses.replace(cell, refused="why") for cell in chosen.cells)
    )
    assert cells(jobs(refused, MATRIX).prove) == ["onnxruntime-fixture-768-linux-amd64"]


def test_a_job_fetches_its_model_and_the_anchors() -> None:
    (job,) = found("llama-cpp-nomic-embed-text-v1.5-q8-0-linux-arm64").build
    assert job.models == ("nomic-embed-text-v1.5-q8-0",)
    (job,) = found("llama-cpp-nomic-embed-text-v1.5-q8-0-linux-arm64").prove
    assert job.models == ("nomic-embed-text-v1.5-q8-0", "nomic-embed-text-v1.5")
    assert found("llama-cpp-nomic-embed-text-v1.5-q8-0-*").rebuild == (
        ImageJob(
            image="llama-cpp-nomic-embed-text-v1.5-q8-0", models=("nomic-embed-text-v1.5-q8-0",)
        ),
    )


def test_a_job_fetches_the_model_of_what_answers_for_an_api() -> None:
    asking = MATRIX.models["fixture-768-api"].model_copy(
        update={"source": "openai:nomic-embed-text-v1.5"}
    )
    changed = MATRIX.model_copy(update={"models": {**MATRIX.models, "fixture-768-api": asking}})
    chosen = jobs(planned("openai-fixture-768-api-linux-arm64"), changed)
    assert chosen.build[0].models == chosen.prove[0].models == ("nomic-embed-text-v1.5",)


def test_the_default_selection_has_a_job_for_every_cell_of_its_own() -> None:
    chosen = jobs(plan.plan(MATRIX, Selection(), "darwin/arm64"), MATRIX)
    default = MATRIX.default
    expected = len(default.backends) * len(default.models)
    assert len(chosen.build) == len(chosen.prove) == 2 * expected
    assert len(chosen.reference) == expected


def test_outputs_are_lines_of_json() -> None:
    job = '{"cell":"onnxruntime-fixture-768-linux-amd64","platform":"linux/amd64","models":[]}'
    image = '{"image":"onnxruntime-fixture-768","models":[]}'
    assert to_lines(found("onnxruntime-fixture-768-linux-amd64")) == (
        f"build=[{job}]\nprove=[{job}]\nreference=[]\nrebuild=[{image}]\n"
    )


def test_without_cells_an_output_is_an_empty_list() -> None:
    hosts = jobs(plan.plan(MATRIX, Selection(platforms=("darwin/arm64",)), "linux/amd64"), MATRIX)
    assert "build=[]\nprove=[]\n" in to_lines(hosts)
