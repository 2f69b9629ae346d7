from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import SmokeError
from builders.smoke import cell as smoke_cell
from builders.smoke.cell import SmokeCell, SmokeWheel

CELL = SmokeCell(
    id="onnxruntime-fixture-768-linux-arm64",
    platform="linux/arm64",
    emulated=True,
    backend="onnxruntime",
    model="fixture-768",
    dimension=768,
    normalize=True,
    vector_space=f"sha256:{'a' * 64}",
    precision="float32",
    wheels=(SmokeWheel(name="numpy", version="2.4.6", modules=("numpy",)),),
    libraries=(),
    seconds=60,
)


def test_facts_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(CELL.model_dump_json(indent=2), encoding="utf-8")
    assert smoke_cell.read(path) == CELL


@pytest.mark.parametrize("text", ["", "{}", CELL.model_dump_json().replace("768,", "0,", 1)])
def test_malformed_facts_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "facts.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SmokeError, match="facts of the cell cannot be read"):
        smoke_cell.read(path)


def test_execution() -> None:
    assert CELL.execution == "emulated"
    assert CELL.model_copy(update={"emulated": False}).execution == "native"


def test_mount_points_and_the_directories_above_them_are_explained() -> None:
    """What `docker diff` gave for a container that had changed nothing (Docker 26.1.5)."""
    listed = ("/usr", "/usr/bin", "/usr/bin/sh", "/sbin", "/sbin/docker-init", "/corpus.jsonl")
    assert smoke_cell.unexplained(listed) == ()


def test_every_other_change_is_found() -> None:
    changed = ("/srv/x", "/usr/bin/python3.11", "/etc/passwd", "/opt/equivec/model/model.json")
    assert smoke_cell.unexplained(("/usr", *changed)) == changed
