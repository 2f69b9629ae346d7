"""Runs inside the container: what its processes may do, and what they can reach."""

import json
import sys
from pathlib import Path

PLACES = ("/", "/tmp", "/var", "/opt/equivec", "/usr/lib")  # noqa: S108 (tried, never used)
STATUS = ("Uid", "Gid", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs")
UP = 0x1  # IFF_UP


def main() -> None:
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    found = {
        "processes": processes(),
        "root_options": next(mount[3].split(",") for mount in mounts if mount[1] == "/"),
        "writable": [place for place in PLACES if writable(Path(place))],
        "interfaces": [path.name for path in Path("/sys/class/net").iterdir() if up(path)],
    }
    sys.stdout.write(json.dumps(found) + "\n")


def processes() -> list[dict[str, str]]:
    """Return the identity and the rights of every process of the container."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            lines = (directory / "status").read_text("utf-8").splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        found.append({key: status.get(key, "") for key in ("Name", *STATUS)})
    return found


def writable(place: Path) -> bool:
    path = place / ".equivec-smoke"
    try:
        path.touch()
    except OSError:
        return False
    path.unlink()
    return True


def up(interface: Path) -> bool:
    return bool(int((interface / "flags").read_text("ascii"), 16) & UP)


main()
