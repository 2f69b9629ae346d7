"""The plan of a release: which tags go where, and what speaks against it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from builders.matrix.release import TagKind
from builders.release import judgement
from builders.release.evidence import Published
from builders.release.version import Version, newest
from builders.release.wanted import Demands, Wanted

Tags = Mapping[str, str | None]
"""The released tags of an image, with the digests that they are on: None where not looked at."""

ORDER: tuple[TagKind, ...] = get_args(TagKind)
"""In which tags are put: every image's own version first, `latest` last."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """One tag of one image.

    Attributes:
        tag: Such as `1.2`.
        kind: Which of the policy's it is.
        before: The digest that it is on now; None if there is no such tag.
        after: The digest that is released.
        stays: Why it does not move; empty if it does.
    """

    tag: str
    kind: TagKind
    before: str | None
    after: str
    stays: str = ""

    @property
    def due(self) -> bool:
        """Whether there is something to do."""
        return not self.stays and self.before != self.after


@dataclass(frozen=True, kw_only=True)
class ImageRelease:
    """What becomes of one image at one target.

    Attributes:
        target: What matrix.yaml calls the target.
        name: `<prefix>/<backend>-<model>`.
        digest: `sha256:…` of its index; None if it is not published there.
        says: What speaks for it: the verdict of each platform, in a few words.
        moves: Its tags, in the order in which they are put; none where it is refused.
        refusals: Why it may not be released; none if it may.
    """

    target: str
    name: str
    digest: str | None
    says: tuple[str, ...]
    moves: tuple[Move, ...]
    refusals: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """What a release does, or why it is refused: nothing is released unless everything may be.

    Attributes:
        version: The release.
        revision: Of the checkout, if Git knows one.
        images: Every image at every target.
        refusals: What speaks against it as a whole.
    """

    version: Version
    revision: str | None
    images: tuple[ImageRelease, ...]
    refusals: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether anything speaks against it."""
        return bool(self.refusals) or any(image.refusals for image in self.images)

    @property
    def steps(self) -> tuple[tuple[ImageRelease, Move], ...]:
        """The tags to put, in order: `latest` moves when every version is there."""
        due = [(image, move) for image in self.images for move in image.moves if move.due]
        return tuple(sorted(due, key=lambda step: ORDER.index(step[1].kind)))


def of(
    version: Version,
    kinds: Sequence[TagKind],
    wanted: Sequence[Wanted],
    demands: Demands,
    *,
    published: Mapping[str, Mapping[str, Published]],
    tags: Mapping[str, Mapping[str, Tags]],
) -> ReleasePlan:
    """Return what a release would do.

    Args:
        version: The release.
        kinds: The policy's tags.
        wanted: The images.
        demands: What their verdicts must say.
        published: What there is of them, by target and name.
        tags: The tags of each of those.
    """
    return ReleasePlan(
        version=version,
        revision=demands.source.revision,
        images=tuple(
            _planned(
                version,
                kinds,
                _image(image, demands, published, target=target),
                tags[target].get(image.name, {}),
            )
            for target in published
            for image in wanted
        ),
        refusals=demands.refusals,
    )


def moves(version: Version, kinds: Sequence[TagKind], digest: str, tags: Tags) -> tuple[Move, ...]:
    """Return what becomes of an image's tags.

    A tag moves forward alone: `latest`, `1` and `1.2` stay where a newer release has them, and
    a pre-release gets only its own version.

    Args:
        version: The release.
        kinds: The policy's tags.
        digest: What is released.
        tags: The image's tags, with the digests of those of the version.
    """
    return tuple(
        Move(
            tag=version.tag(kind),
            kind=kind,
            before=tags.get(version.tag(kind)),
            after=digest,
            stays=_stays(version, kind, tags),
        )
        for kind in ORDER
        if kind in kinds
    )


def conflict(version: Version, digest: str, tags: Tags) -> str | None:
    """Return why a version may not be given to a digest: another has it; None if it may."""
    found = tags.get(str(version))
    if found in (None, digest):
        return None
    return f"{version} is on {found}, and a version never moves: release this as another one"


def unsettled(version: Version, move: Move, tags: Tags) -> str | None:
    """Return what has come between a release and its tags, once they are put; None if nothing.

    Args:
        version: The release.
        move: One of its tags, which was due.
        tags: The image's tags, with the digests of those of the version.
    """
    found = tags.get(move.tag)
    newer = _newer(version, move.kind, tags)
    if newer is not None and found == move.after:
        return f"{newer} was released meanwhile, and {move.tag} may belong to it: release it again"
    if newer is None and found != move.after:
        return f"{move.tag} is on {found} now, and was put on {move.after}"
    return None


def _image(
    wanted: Wanted,
    demands: Demands,
    published: Mapping[str, Mapping[str, Published]],
    *,
    target: str,
) -> ImageRelease:
    """Return what speaks for an image at a target, and against it."""
    found = published[target].get(wanted.name)
    digest = None if found is None else found.index.digest
    others = tuple(
        f"{other} has {images[wanted.name].index.digest}: publish it again"
        for other, images in published.items()
        if digest and wanted.name in images and images[wanted.name].index.digest != digest
    )
    return ImageRelease(
        target=target,
        name=wanted.name,
        digest=digest,
        says=() if found is None else judgement.says(wanted, found, demands),
        moves=(),
        refusals=(*judgement.refusals(wanted, found, demands), *others),
    )


def _planned(
    version: Version, kinds: Sequence[TagKind], image: ImageRelease, tags: Tags
) -> ImageRelease:
    """Return an image with what becomes of its tags."""
    if image.digest is None:
        return image
    taken = conflict(version, image.digest, tags)
    if taken is not None:
        return replace(image, refusals=(*image.refusals, taken))
    due = () if image.refusals else moves(version, kinds, image.digest, tags)
    return replace(image, moves=due)


def _stays(version: Version, kind: TagKind, tags: Tags) -> str:
    """Return why a tag does not move; nothing if it does."""
    if kind == "version":
        return ""
    if version.pre:
        return f"{version} is a pre-release"
    newer = _newer(version, kind, tags)
    return "" if newer is None else f"{newer} is newer"


def _newer(version: Version, kind: TagKind, tags: Tags) -> Version | None:
    """Return the release that a moving tag belongs to rather than to this one."""
    if kind == "version":
        return None
    found = newest(tags, kind, version)
    return found if found is not None and found.is_newer_than(version) else None
