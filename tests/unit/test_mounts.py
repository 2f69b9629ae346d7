"""Mount points are read from the kernel's list."""

from __future__ import annotations

from pathlib import Path

from builders.engine import mounts


def test_mount_points_come_deepest_first() -> None:
    text = "\n".join(
        f"{number} 1 0:1 / {point} rw - tmpfs tmpfs rw"
        for number, point in enumerate(
            ["/", "/c/engine", r"/c/engine/a\040b/deep", "/c/engine2", "/run/x/netns/1"]
        )
    )
    assert mounts.mount_points(text, [Path("/c/engine"), Path("/run/x")]) == (
        Path("/c/engine/a b/deep"),
        Path("/run/x/netns/1"),
        Path("/c/engine"),
    )


def test_this_machines_root_is_mounted() -> None:
    assert mounts.mounted_below([Path("/")])[-1] == Path("/")


def test_what_is_not_mounted_is_left_alone(tmp_path: Path) -> None:
    mounts.unmount(tmp_path)
    assert mounts.mounted_below([tmp_path]) == ()
