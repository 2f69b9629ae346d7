"""The argument lists of `oras` 1.2 and newer, as values.

https://oras.land/docs/category/oras-commands
"""

from __future__ import annotations

from pathlib import Path

from builders.registry.reference import Reference, Repository

Arguments = tuple[str, ...]


def resolve(reference: Reference, *, plain: bool) -> Arguments:
    """Print the digest of the manifest that is there."""
    return ("resolve", *_options(plain=plain), str(reference))


def fetch_manifest(reference: Reference, file: Path, *, plain: bool) -> Arguments:
    """Write a manifest's bytes to a file."""
    return ("manifest", "fetch", *_options(plain=plain), "--output", str(file), str(reference))


def push_manifest(reference: Reference, file: Path, media_type: str, *, plain: bool) -> Arguments:
    """Put a file's bytes there as a manifest."""
    options = (*_options(plain=plain), "--media-type", media_type)
    return ("manifest", "push", *options, str(reference), str(file))


def fetch_blob(reference: Reference, file: Path, *, plain: bool) -> Arguments:
    """Write a blob's bytes to a file."""
    options = (*_options(plain=plain), "--no-tty", "--output", str(file))
    return ("blob", "fetch", *options, str(reference))


def tag(reference: Reference, name: str, *, plain: bool) -> Arguments:
    """Put a tag on a manifest that is there."""
    return ("tag", *_options(plain=plain), str(reference), name)


def tags(repository: Repository, *, plain: bool) -> Arguments:
    """Print the tags of a repository."""
    return ("repo", "tags", *_options(plain=plain), str(repository))


def discover(reference: Reference, *, plain: bool) -> Arguments:
    """Print what refers to a manifest, as JSON."""
    return ("discover", *_options(plain=plain), "--format", "json", str(reference))


def copy_to_layout(reference: Reference, directory: Path, *, plain: bool) -> Arguments:
    """Copy an image, or an index and its images, to a layout.

    One blob after the other: where two fail at once, oras 1.2 panics, and does not say why.
    """
    options = (*_options("from-", plain=plain), "--to-oci-layout", "--no-tty", "--concurrency", "1")
    return ("cp", *options, str(reference), f"{directory}:copied")


def copy_from_layout(
    directory: Path, digest: str, repository: Repository, *, plain: bool
) -> Arguments:
    """Copy an image of a layout; no tag moves."""
    options = ("--from-oci-layout", *_options("to-", plain=plain), "--no-tty")
    return ("cp", *options, f"{directory}@{digest}", str(repository))


def copy_with_referrers(
    directory: Path, digest: str, repository: Repository, *, plain: bool
) -> Arguments:
    """Copy an index of a layout, all that it lists, and all that refers to any of those."""
    options = ("--recursive", "--from-oci-layout", *_options("to-", plain=plain), "--no-tty")
    return ("cp", *options, f"{directory}@{digest}", str(repository))


def _options(direction: str = "", *, plain: bool) -> Arguments:
    """Return how the registry is reached; said either way, since oras guesses for `localhost`."""
    return (f"--{direction}plain-http={'true' if plain else 'false'}",)
