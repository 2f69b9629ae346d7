"""Whether any package can be had on a platform: the indexes are asked, and the wheel is opened."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from builders import preflight
from builders.errors import LockError, SelectionError
from builders.formats import wheel as wheel_file
from builders.lock.debian import Libraries
from builders.lock.wheels import Wheel, distribution
from builders.network import download
from builders.network.indexes import TARGETS, Candidate, Indexes, NoSolutionError, closest
from builders.network.transfer import Item
from builders.preflight import Answer
from builders.project import Project
from builders.store import Store
from builders.wheelhouse import recipe

_ABSENT = re.compile(r"was not found|there is no version of|there are no versions of")
"""What uv says of a project or version that no index has."""


@dataclass(frozen=True, kw_only=True)
class PackageAnswer(Answer):
    """Whether a package can be had on a platform.

    Attributes:
        platform: Such as `linux/arm64`.
        version: Which version was looked at; None if the indexes tell of none.
        wheel: The wheel that an installer would take, opened; None if none fits.
        offered: Where none fits, the file names of that version's wheels for Python 3.11.
        source: Where none fits, the file name of its source archive; None if there is none.
        recipes: Where none fits, the folders of recipes that build it, from the checkout's root.
        alternatives: Where it cannot be had, the backends of the matrix that run there.
    """

    platform: str
    version: str | None
    wheel: Wheel | None = None
    offered: tuple[str, ...] = ()
    source: str | None = None
    recipes: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()


def parse(text: str) -> Requirement:
    """Read which package is asked about: a name, with a version specifier or not.

    Raises:
        SelectionError: It is something else.
    """
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise _not_a_package(text) from error
    if requirement.url or requirement.marker or requirement.extras:
        raise _not_a_package(text)
    return requirement


def examine(
    project: Project,
    indexes: Indexes,
    requirement: Requirement,
    platform: str,
    *,
    progress: Callable[[int, int], None],
) -> PackageAnswer:
    """Tell whether a package can be had on a platform; what it requires itself is not looked at.

    Args:
        project: Whose base images, recipes and backends it is held against, and whose store the
            wheel is brought to.
        indexes: Where it is looked for.
        requirement: The package, as `parse` gives it.
        platform: One of `TARGETS`.
        progress: Called with the bytes of the wheel that are there, and all of them.

    Raises:
        SelectionError: The indexes do not have such a package.
        LockError: An index states no digest, or the base's lock cannot be read.
        FetchError: An index cannot be reached.
        ArchiveError: The wheel is malformed or hostile.
    """
    with tempfile.TemporaryDirectory(dir=project.store.cache) as scratch:
        wanted = Path(scratch) / "requirements.in"
        wanted.write_text(f"{requirement}\n", encoding="utf-8")
        question = _Question(
            requirement=requirement, platform=platform, wanted=wanted, indexes=indexes
        )
        try:
            candidates = indexes.locate(wanted, platform)
        except NoSolutionError as error:
            return _without_wheel(question, project, error)
        wheel = _opened(closest(candidates, platform), project.store, indexes, progress)
        return _with_wheel(question, project, wheel)


def describe(wheel: Wheel, libraries: Libraries | None) -> str:
    """Tell for people what an opened wheel holds, and which libraries it needs."""
    contents = wheel.contents
    if not contents.binaries:
        return f"{wheel.file} holds no machine code"
    text = f"{wheel.file} holds {', '.join(contents.binaries)}"
    if libraries is None:
        return text
    asked = ", ".join(
        f"{name}_{wanted} (the image has {name}_{there})"
        for name, wanted, there in (
            ("GLIBC", contents.glibc, libraries.glibc),
            ("GLIBCXX", contents.glibcxx, libraries.glibcxx),
        )
        if wanted is not None
    )
    return f"{text}; asks for {asked}" if asked else text


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What is asked of whom; `wanted` is a file that holds the requirement."""

    requirement: Requirement
    platform: str
    wanted: Path
    indexes: Indexes

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


def _with_wheel(question: _Question, project: Project, wheel: Wheel) -> PackageAnswer:
    """Judge the wheel that an installer would take."""
    platform = question.platform
    libraries = preflight.libraries(project.images, platform)
    reasons = preflight.wheel_reasons(wheel, platform, libraries)
    if not reasons:
        return PackageAnswer(
            platform=platform,
            version=wheel.version,
            wheel=wheel,
            reasons=(),
            how=(describe(wheel, libraries),),
        )
    newest = _newest_elsewhere(question)
    if newest is not None and Version(newest) > Version(wheel.version):
        older = (
            f"{wheel.version} is the newest version with a wheel that installs on {platform}:"
            f" {newest} has none"
        )
        reasons = (*reasons, older)
    return PackageAnswer(
        platform=platform,
        version=wheel.version,
        wheel=wheel,
        reasons=reasons,
        how=(),
        alternatives=_alternatives(project, platform),
    )


def _without_wheel(question: _Question, project: Project, error: NoSolutionError) -> PackageAnswer:
    """Tell what there is in place of a wheel that fits."""
    name, platform = question.name, question.platform
    source = _source(question)
    version = source.version if source else _newest_elsewhere(question)
    version = version or _pinned(question.requirement)
    wheels = question.indexes.wheels(name, version) if version else ()
    offered = sorted({one.file for one in wheels})
    if source is None and not offered and _ABSENT.search(error.problem):
        raise SelectionError(
            error.problem,
            where=f"--package {question.requirement}",
            remedy="check its spelling and version, and which indexes pip is configured for",
        ) from error
    recipes = _recipes(project.images, name)
    if source is None and not offered:
        text = f"no wheel for {platform}, in uv's words: {error.problem}"
    else:
        text = _situation(f"{name} {version}", platform, offered, source)
    possible = source is not None and bool(recipes)
    if possible:
        text += f", by the recipe in {' or '.join(recipes)}"
    elif source is not None:
        text += ", and no recipe in images/*/wheels does that"
    return PackageAnswer(
        platform=platform,
        version=version,
        offered=tuple(offered),
        source=source.file if source else None,
        recipes=recipes,
        reasons=() if possible else (text,),
        how=(text,) if possible else (),
        alternatives=() if possible else _alternatives(project, platform),
    )


def _situation(name: str, platform: str, offered: list[str], source: Candidate | None) -> str:
    """Say which wheels and source archive there are."""
    text = f"{name}: no wheel for {platform if offered else 'any platform'}"
    if offered:
        text += f", only {', '.join(offered)}"
    if source is not None:
        return f"{text}; it would be compiled from source ({source.file})"
    return f"{text}, and no source archive"


def _source(question: _Question) -> Candidate | None:
    """Return the source archive that an installer would compile."""
    try:
        (source,) = question.indexes.locate(question.wanted, question.platform, [question.name])
    except NoSolutionError:
        return None
    return source


def _newest_elsewhere(question: _Question) -> str | None:
    """Return the newest version that has a wheel for another platform."""
    versions: list[str] = []
    for platform in TARGETS:
        if platform != question.platform:
            with contextlib.suppress(NoSolutionError):
                found = question.indexes.locate(question.wanted, platform)
                versions += [one.version for one in found]
    return max(versions, key=Version) if versions else None


def _pinned(requirement: Requirement) -> str | None:
    """Return the one version that a requirement names."""
    specifiers = [*requirement.specifier]
    if len(specifiers) != 1 or specifiers[0].operator != "==":
        return None
    version = str(specifiers[0].version)
    return None if version.endswith(".*") else version


def _opened(
    candidate: Candidate, store: Store, indexes: Indexes, progress: Callable[[int, int], None]
) -> Wheel:
    """Bring a wheel into the store and look inside."""
    if not candidate.sha256:
        raise LockError(
            f"the index states no sha256 of {candidate.file}",
            remedy="have the index generated with digests (PEP 503), or use another",
        )
    (size,) = download.measure([candidate.url], settings=indexes.settings)
    item = Item(name=candidate.file, url=candidate.url, sha256=candidate.sha256, size=size)
    download.fetch([item], store, progress=progress, settings=indexes.settings)
    name, version = distribution(candidate.file)
    return Wheel(
        name=name,
        version=version,
        sha256=candidate.sha256,
        file=candidate.file,
        size=size,
        contents=wheel_file.inspect(store.path(candidate.sha256), name=candidate.file),
    )


def _recipes(images: Path, name: str) -> tuple[str, ...]:
    """Return the folders of the recipes that build a project, from the checkout's root."""
    return tuple(
        f"{images.name}/{backend.name}/{recipe.FOLDER}/{name}"
        for backend in sorted(images.iterdir())
        if name in recipe.names(backend)
    )


def _alternatives(project: Project, platform: str) -> tuple[str, ...]:
    """Return the backends of the matrix that run on a platform, by their locks."""
    return tuple(
        name
        for name, backend in project.matrix.backends.items()
        if platform in backend.platforms and _is_possible(project.images, name, platform)
    )


def _is_possible(images: Path, backend: str, platform: str) -> bool:
    try:
        return preflight.judge(images, backend, platform).possible
    except LockError:  # not locked, or wrongly: nothing to recommend, and another command's error
        return False


def _not_a_package(text: str) -> SelectionError:
    return SelectionError(
        f"not a package's name: {text!r}",
        where="--package",
        remedy="write NAME or NAME==VERSION: gpt4all, gpt4all==2.8.2",
    )
