"""Containers are started such that they can do no harm."""

from __future__ import annotations

from pathlib import Path

from builders.engine.containers import RUN_LABEL, Limits, ReadOnlyMount, container_options


def test_a_container_can_do_no_harm() -> None:
    options = container_options(run="r", mounts=[], environment={}, limits=Limits())
    assert options["network_mode"] == "none"
    assert options["use_config_proxy"] is False
    assert options["read_only"] is True
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges"]
    assert options["init"] is True
    assert options["labels"] == {RUN_LABEL: "r"}
    assert not {"privileged", "cap_add", "user", "tmpfs", "volumes", "ports"} & set(options)


def test_mounts_are_read_only() -> None:
    mount = ReadOnlyMount(source=Path("/a b"), target="/corpus")
    options = container_options(run="r", mounts=[mount], environment={}, limits=Limits())
    assert options["mounts"] == [
        {"Type": "bind", "Source": "/a b", "Target": "/corpus", "ReadOnly": True}
    ]


def test_limits_are_passed_on() -> None:
    limits = Limits(memory_bytes=2**30, cpus=1.5)
    options = container_options(run="r", mounts=[], environment={"A": "b"}, limits=limits)
    assert options["mem_limit"] == 2**30
    assert options["nano_cpus"] == 1_500_000_000
    assert options["environment"] == {"A": "b"}
