"""The source revision that a run works from, and whether the checkout is exactly that."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from builders.errors import ProcessError
from builders.process import run

READ = ("images", "builders", "tests/smoke")
"""Of these folders every file counts, be it ignored by Git: they are copied, or their digest is."""

_MARK = "matrix.yaml"
_SECONDS = 60.0
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"(?:[^/@]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>[\w.~-][\w.~/-]*)")
"""`git@github.com:acme/equivec.git`"""

_SCHEMES = ("https", "http", "ssh", "git")


class Source(BaseModel):
    """Which revision of the repository, as Git tells it; nothing in it is a path or a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: str | None = Field(default=None, description="commit; None where Git knows none")
    clean: bool = Field(
        default=False, description="whether the checkout holds that revision and nothing else"
    )
    repository: str | None = Field(
        default=None, description="URL of the remote repository, without credentials"
    )


def of(root: Path) -> Source:
    """Ask Git which revision a checkout is at.

    Args:
        root: The checkout.

    Returns:
        No revision where there is no Git, no repository, no commit, or where the checkout is no
        part of the repository that it lies in.
    """
    if _git(root, "ls-files", "--error-unmatch", _MARK) is None:
        return Source()
    status = _git(root, *STATUS)
    if status is None:
        return Source()
    return read(status, _git(root, "config", "--get", "remote.origin.url") or "")


STATUS = (
    *("status", "--porcelain=v2", "--branch", "-z"),
    *("--untracked-files=normal", "--ignored=matching", "--", "."),
)
"""What Git is asked: the commit, and each file that is not as it is there."""


def read(status: str, remote: str) -> Source:
    """Return what Git's answers say.

    Args:
        status: What it prints for `STATUS`.
        remote: Its remote's URL, as it is configured.
    """
    lines = status.split("\0")
    commits = [line.removeprefix("# branch.oid ") for line in lines if "# branch.oid " in line]
    revision = next((commit for commit in commits if _COMMIT.fullmatch(commit)), None)
    return Source(
        revision=revision,
        clean=revision is not None and not any(map(_differs, lines)),
        repository=public(remote.strip()),
    )


def public(remote: str) -> str | None:
    """Return the URL of a remote without what may be secret in it; None if it is a path."""
    short = _SHORT.fullmatch(remote)
    if short:
        return f"ssh://{short['host']}/{short['path']}"
    try:
        parts = urlsplit(remote)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _differs(line: str) -> bool:
    """Return whether a line of `STATUS` tells of a file that is not as it was committed."""
    if not line or line.startswith("#"):
        return False
    kind, _, path = line.partition(" ")
    if kind != "!":
        return True
    # Git's paths begin at the top of the repository, of which the checkout may be a part.
    read = any(f"/{folder}/" in f"/{path}" for folder in READ)
    return read and "__pycache__" not in path.rstrip("/").split("/")


def _git(root: Path, *arguments: str) -> str | None:
    """Return what Git says in a checkout; None if it refuses, or is not installed."""
    words = ("git", "--no-optional-locks", "-C", str(root), *arguments)
    try:
        return run(words, timeout=_SECONDS).stdout
    except ProcessError:
        return None
