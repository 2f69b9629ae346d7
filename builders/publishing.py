"""The end of the main job: what passed is published, and it is stated what that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from builders import licences, publication
from builders.engine import connection
from builders.engine import images as engine_images
from builders.errors import PublicationError, SigningError
from builders.formats import oci
from builders.formats.layout import blob_path
from builders.pipeline import Finished
from builders.project import Project
from builders.publication import PassedImage
from builders.registry import publish as registry_publish
from builders.report import Reporter
from builders.store import roomy


def publish(project: Project, finished: Finished, reporter: Reporter) -> Finished:
    """Publish the images that passed, take out those that did not, and name them in the engine.

    The directory comes first; registries are filled from it.

    Returns:
        What became of the cells: one whose weights may not be handed on has failed now.

    Raises:
        PublicationError: The publication is damaged, or does not hold what was tested.
        RegistryError: A registry refuses; what was published in the directory stays.
    """
    finished = _licensed(project, finished, reporter)
    passed = [
        PassedImage(
            name=outcome.cell.image,
            platform=outcome.cell.platform,
            layout=outcome.layout.directory,
            digest=outcome.verdict.subject.digest,
        )
        for outcome in finished.outcomes
        if outcome.error is None and outcome.layout and outcome.verdict
    ]
    withdrawn = [
        *finished.withdrawn,
        *(
            (outcome.cell.image, outcome.cell.platform)
            for outcome in finished.outcomes
            if outcome.error is not None or outcome.refused is not None
        ),
    ]
    with project.store.exclusive("publication"), roomy(project.publication):
        indexes = publication.publish(project.publication, passed, withdrawn)
    for tested in passed:
        found = publication.published_digest(project.publication, tested.name, tested.platform)
        if found != tested.digest:
            raise PublicationError(
                f"{found} is published, {tested.digest} was tested", where=tested.name
            )
    changed = {*(image.name for image in passed), *(name for name, _ in withdrawn)}
    remarks = _stated(
        project,
        finished,
        {name: digest for name, digest in sorted(indexes.items()) if name in changed},
    )
    if passed and finished.engine is not None:
        with connection.connect(finished.engine.environment) as client:
            for outcome in finished.outcomes:
                if outcome.error is None and outcome.layout:
                    # Of an earlier run's images, the engine may have been cleaned since.
                    digest = engine_images.load(client, outcome.layout)
                    name = f"{outcome.cell.image}:{outcome.cell.platform.replace('/', '-')}"
                    engine_images.tag(client, digest, name)
    _spread(project, finished, sorted(changed & indexes.keys()), reporter)
    return replace(finished, remarks=(*finished.remarks, *remarks))


def _spread(project: Project, finished: Finished, names: Sequence[str], reporter: Reporter) -> None:
    """Bring what is published in the directory to the registries of matrix.yaml."""
    if not project.registries or not names:
        return
    with ExitStack() as stack:
        stack.enter_context(project.store.exclusive("registries"))
        step = stack.enter_context(reporter.step("registries"))
        engine = finished.engine
        client = None
        if engine is not None:
            client = stack.enter_context(connection.connect(engine.environment))
        signer = finished.notary.signer
        registry_publish.publish(project, names, engine=client, signer=signer, note=step.note)


def _stated(project: Project, finished: Finished, indexes: Mapping[str, str]) -> tuple[str, ...]:
    """State the test results of published indexes, by their digests.

    Returns:
        Of what there is none, and why nothing is signed, if nothing is: a line each.

    Raises:
        SigningError: One cannot be signed.
    """
    notary = finished.notary
    here = {
        outcome.verdict.subject.digest: outcome.verdict
        for outcome in finished.outcomes
        if outcome.verdict is not None
    }
    remarks = []
    for name, digest in indexes.items():
        index = _blob(project, digest)
        try:
            verdicts = {
                manifest.digest: here.get(manifest.digest)
                or notary.believed(_blob(project, manifest.digest))
                for manifest in oci.Index.model_validate_json(index).manifests
            }
        except SigningError as error:
            remarks.append(f"no test result of the index of {name}: {error.where}: {error.problem}")
        else:
            notary.index(name, index, verdicts)
    if notary.signer.reason:
        remarks.append(f"unsigned: {notary.signer.reason}")
    return tuple(remarks)


def _blob(project: Project, digest: str) -> bytes:
    return blob_path(project.publication, digest).read_bytes()


def _licensed(project: Project, finished: Finished, reporter: Reporter) -> Finished:
    """Fail the cells that passed, and whose weights' licence was not accepted."""
    outcomes = []
    for outcome in finished.outcomes:
        error = licences.refusal(project.matrix, outcome.cell.model)
        if outcome.error is None and outcome.layout and error is not None:
            reporter.failed(outcome.cell.id, error)
            outcomes.append(replace(outcome, error=error))
        else:
            outcomes.append(outcome)
    return replace(finished, outcomes=tuple(outcomes))
