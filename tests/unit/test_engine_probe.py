"""An engine is judged by what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders.engine.probe import EPOCH, build_argv, check_layers, keeps_digests, probe
from builders.errors import EngineError
from builders.formats import layout
from builders.formats.layer import TAR_GZIP, TAR_ZSTD
from builders.formats.layout import Layout
from tests.unit.images import Image, file, tar


def test_the_containerd_image_store_is_recognised() -> None:
    assert keeps_digests({"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]})


@pytest.mark.parametrize(
    "status", [None, [], [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]]]
)
def test_other_image_stores_do_not_pass(status: list[list[str]] | None) -> None:
    assert not keeps_digests({"Driver": "overlay2", "DriverStatus": status})


class Answering:
    """An engine that says this of itself; no test has one without the containerd image store."""

    def __init__(self, *status: list[str]) -> None:
        self._status = status

    def info(self) -> dict[str, object]:
        return {"DriverStatus": self._status}


def probed(engine: Any, directory: Path) -> None:
    probe(engine, {"PATH": str(directory)}, platform="linux/amd64", directory=directory)


def test_an_engine_with_another_image_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"not use the containerd image store\n.*Docker Desktop"):
        probed(Answering(["Backing Filesystem", "extfs"]), tmp_path)


def test_an_engine_that_cannot_build_is_refused(tmp_path: Path) -> None:
    """There is no `docker` on its PATH."""
    engine = Answering(["driver-type", "io.containerd.snapshotter.v1"])
    with pytest.raises(EngineError, match=r"cannot build as is needed: cannot start docker.*\n"):
        probed(engine, tmp_path)


def test_a_build_is_as_the_real_ones_are(tmp_path: Path) -> None:
    argv = build_argv(
        tmp_path, tmp_path / "out", platform="linux/arm64", contexts={"base": "oci-layout://x"}
    )
    assert argv[:3] == ("docker", "buildx", "build")
    assert argv[argv.index("--platform") + 1] == "linux/arm64"
    assert argv[argv.index("--network") + 1] == "none"
    assert "--build-context=base=oci-layout://x" in argv
    output = argv[argv.index("--output") + 1].split(",")
    assert {"type=oci", "tar=false", "rewrite-timestamp=true", "compression=zstd"} <= set(output)


def written(directory: Path, *times: int, media_type: str = TAR_ZSTD) -> Layout:
    layers = [tar([file(f"f{number}", mtime=time)]) for number, time in enumerate(times)]
    return layout.read(Image(layers=layers, media_type=media_type).write(directory / "layout"))


def test_layers_with_clamped_times_pass(tmp_path: Path) -> None:
    check_layers(written(tmp_path, EPOCH, EPOCH - 1))


def test_a_late_time_does_not(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not rewrite times: f1"):
        check_layers(written(tmp_path, EPOCH, EPOCH + 1))


def test_another_compression_does_not(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="other layers"):
        check_layers(written(tmp_path, EPOCH, EPOCH, media_type=TAR_GZIP))


def test_a_missing_layer_does_not(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="other layers"):
        check_layers(written(tmp_path, EPOCH))
