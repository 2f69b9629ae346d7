"""A release from its plan to its tags: repeatable after a failure at any point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from builders import plan as plans
from builders.errors import ReleaseError
from builders.listing import TESTED
from builders.project import Project
from builders.release import evidence, plan, wanted
from builders.release.evidence import Published
from builders.release.plan import ImageRelease, Move, ReleasePlan, Tags
from builders.release.version import Version
from builders.target import RegistryTarget, Target
from builders.verification import trust
from builders.verification.stated import Trusted


def planned(
    project: Project,
    targets: Sequence[Target],
    version: Version,
    selected: plans.Plan,
    *,
    note: Callable[[str], None],
) -> ReleasePlan:
    """Read what is published, verify what is said of it, and return what a release would do.

    Args:
        project: The checkout.
        targets: The publications of matrix.yaml.
        version: The release.
        selected: The plan: an image is released where one of its cells is selected.
        note: Told what goes on.

    Raises:
        LockError: A lock is missing or malformed.
        RegistryError: A target cannot be read.
        SelectionError: No image is selected.
        SigningError: `trust` names a file that is no key.
        ToolError: Signatures are to be verified, and there is no cosign.
    """
    images = wanted.wanted(project, selected)
    demands = wanted.demands(project)
    trusted = trust.trusted(project, trust.Named(), note)
    published = {target.where: _published(target, images, trusted, note) for target in targets}
    tags = {
        target.where: {name: looked_at(target, name, version) for name in published[target.where]}
        for target in targets
    }
    kinds = project.matrix.release.tags
    return plan.of(version, kinds, images, demands, published=published, tags=tags)


def looked_at(target: Target, name: str, version: Version) -> Tags:
    """Return an image's tags; of those that the version may get, where they are.

    A registry is asked for each digest, and an image may have many tags.
    """
    own = {version.tag(kind) for kind in plan.ORDER}
    return {tag: target.tag(name, tag) if tag in own else None for tag in target.released(name)}


def put(release: ReleasePlan, targets: Sequence[Target], *, note: Callable[[str], None]) -> None:
    """Put the tags of a plan that nothing speaks against, each after a last look at it.

    Args:
        release: What `planned` has returned.
        targets: The same targets.
        note: Told of each tag, once it is put.

    Raises:
        ReleaseError: The plan is refused, or another release has come between.
        RegistryError: A target failed: the same release, repeated, finishes the work.
    """
    if release.refused:
        raise ReleaseError(
            "refused: nothing was tagged",
            where=str(release.version),
            remedy="each reason is above; docs/release.md explains them",
        )
    named = {target.where: target for target in targets}
    for image, move in release.steps:
        _last_look(named[image.target], image, move, release.version)
        named[image.target].put_tag(image.name, move.tag, move.after)
        note(f"{_called(image, move)} -> {move.after}")
    for image in release.images:
        tags = looked_at(named[image.target], image.name, release.version)
        for move in image.moves:
            found = None if move.stays else plan.unsettled(release.version, move, tags)
            if found is not None:
                raise _between(found, image, move)


def _last_look(target: Target, image: ImageRelease, move: Move, version: Version) -> None:
    """Refuse a tag that is not where it was when the release was planned."""
    found = target.tag(image.name, move.tag)
    if found not in (move.before, move.after):
        raise _between(f"it is on {found} now, and was on {move.before}", image, move)
    if move.kind != "version":
        names = dict.fromkeys(target.released(image.name))
        (again,) = plan.moves(version, (move.kind,), move.after, names)
        if again.stays:
            raise _between(again.stays, image, move)


def _between(problem: str, image: ImageRelease, move: Move) -> ReleaseError:
    return ReleaseError(
        f"another release came between: {problem}",
        where=_called(image, move),
        remedy="let one release end before the next begins; what is tagged is verified, and the"
        " same release again finishes the work, or says why not",
    )


def _called(image: ImageRelease, move: Move) -> str:
    return f"{image.target} {image.name}:{move.tag}"


def _published(
    target: Target,
    images: Sequence[wanted.Wanted],
    trusted: Trusted,
    note: Callable[[str], None],
) -> dict[str, Published]:
    """Return what a target has of the images, by name; what it has not is left out."""
    # Where nobody is named, everybody's word counts. Only registries keep images' own signatures.
    verify = trusted.verify if trusted.who else None
    signature = trusted.signature if trusted.who and isinstance(target, RegistryTarget) else None
    found = {}
    for name in (image.name for image in images):
        digest = target.tag(name, TESTED)
        if digest is not None:
            note(f"reads {name} at {target.where}")
            found[name] = evidence.gather(target, name, digest, verify, signature)
    return found
