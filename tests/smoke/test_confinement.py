"""The container may do little and reaches nothing, and its service needs no more than that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from builders.smoke import cell as smoke_cell
from builders.smoke.cell import SmokeCell

USER = "65532"


@pytest.fixture(scope="session")
def found(run_inside: Callable[..., list[dict[str, Any]]], cell: SmokeCell) -> dict[str, Any]:
    return run_inside("confinement")[0]


def test_no_process_is_root(found: dict[str, Any], cell: SmokeCell) -> None:
    assert len(found["processes"]) >= 3  # the init, the service, and the one that looks
    for process in found["processes"]:
        assert process["Uid"].split() == [USER] * 4, process
        assert process["Gid"].split() == [USER] * 4, process


def test_no_process_has_capabilities(found: dict[str, Any], cell: SmokeCell) -> None:
    for process in found["processes"]:
        for right in ("CapPrm", "CapEff", "CapBnd"):
            assert int(process[right], 16) == 0, process
        assert process["NoNewPrivs"] == "1", process


def test_root_file_system_is_read_only(found: dict[str, Any], cell: SmokeCell) -> None:
    assert "ro" in found["root_options"]
    assert found["writable"] == []


def test_no_network(found: dict[str, Any], cell: SmokeCell) -> None:
    assert found["interfaces"] == ["lo"]


def test_nothing_on_disk_changed(host: Host, cell: SmokeCell) -> None:
    """Asked of the engine, which compares the container's file system with its image's."""
    engine = testinfra.get_host("local://")
    # A letter, a space and a path each; the directories above mount points are among them.
    lines = engine.check_output("docker diff %s", host.backend.name).splitlines()
    changed = smoke_cell.unexplained(line[2:] for line in lines)
    assert not changed, f"{len(changed)} paths changed: {', '.join(changed[:20])}"
