"""The hub: files of a repository, through huggingface_hub and the cache that it shares.

Its environment variables count: HF_TOKEN, HF_ENDPOINT (a mirror), HF_HOME, HF_HUB_OFFLINE. A
connection that breaks is taken up where it broke, and a server that asks to wait (429) is waited
for; what has arrived of a file is lost when the process ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.errors import FetchError
from builders.pretrained.source import HubFile

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

_LOGGER = logging.getLogger("huggingface_hub")


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A hub; what is None is what huggingface_hub's environment says.

    Attributes:
        endpoint: Its URL.
        cache: huggingface_hub's cache.
        note: Told when it waits, and tries again.
    """

    endpoint: str | None = None
    cache: Path | None = None
    note: Callable[[str], None] = lambda _text: None

    def bring(self, file: HubFile, received: Callable[[int], None]) -> Path:
        """Return a file of the hub's cache, downloaded if it is not there.

        Args:
            file: Which.
            received: Called with how many bytes have arrived since the last call.

        Raises:
            FetchError: It cannot be had.
        """
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 -- takes most of a second

        with self._explained(file):
            return Path(
                hf_hub_download(
                    file.repository,
                    file.path,
                    revision=file.commit,
                    cache_dir=self.cache,
                    endpoint=self.endpoint,
                    tqdm_class=_bar(received),
                    library_name="equivec",
                )
            )

    def forget(self, file: HubFile) -> None:
        """Drop a file from the hub's cache, so that it is downloaded anew."""
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 -- likewise

        found = try_to_load_from_cache(
            file.repository, file.path, cache_dir=self.cache, revision=file.commit
        )
        if isinstance(found, str):
            Path(found).resolve().unlink(missing_ok=True)  # the content, which it points to
            Path(found).unlink(missing_ok=True)

    def model(self, repository: str, commit: str) -> ModelInfo:
        """Return what the hub says of a repository: its files, their sizes and digests, its card.

        Raises:
            FetchError: It does not say.
        """
        from huggingface_hub import HfApi  # noqa: PLC0415 -- takes most of a second

        whole = HubFile(repository=repository, commit=commit, path="")
        with self._explained(whole):
            return HfApi(endpoint=self.endpoint).model_info(
                repository, revision=commit, files_metadata=True
            )

    @contextmanager
    def _explained(self, file: HubFile) -> Iterator[None]:
        """Turn the library's failures into errors that say what to do, and tell its warnings."""
        from huggingface_hub import errors  # noqa: PLC0415 -- takes most of a second

        # The library prints them itself, which would spoil a line that is redrawn.
        handlers, _LOGGER.handlers = _LOGGER.handlers, [_Notes(self.note)]
        try:
            yield
        # The order counts: some are subclasses of others.
        except errors.GatedRepoError as error:
            raise FetchError(
                "gated: its owner gives it to those who have agreed to its conditions",
                where=str(file),
                remedy=f"agree to them on the hub's page of {file.repository}, and set HF_TOKEN to"
                " a token of that account",
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise FetchError(
                "there is no such repository, or it is private",
                where=str(file),
                remedy="correct its name in matrix.yaml, or set HF_TOKEN",
            ) from error
        except errors.RevisionNotFoundError as error:
            raise FetchError(
                f"the repository has no commit {file.commit}",
                where=str(file),
                remedy="correct it in matrix.yaml: the hub lists a repository's commits",
            ) from error
        except errors.RemoteEntryNotFoundError as error:
            raise FetchError(
                "the repository has no such file at this commit",
                where=str(file),
                remedy="correct `path` or `source` of the file in matrix.yaml",
            ) from error
        except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
            raise FetchError(
                f"the hub cannot be reached, and its cache does not hold the file: {_cause(error)}",
                where=str(file),
                remedy="check the network, HF_ENDPOINT and HF_HUB_OFFLINE, and run it again",
            ) from error
        except OSError as error:  # HfHubHTTPError is one, and a file shorter than announced
            raise FetchError(
                f"could not be downloaded: {_cause(error)}",
                where=str(file),
                remedy="run it again later; HF_ENDPOINT names another mirror",
            ) from error
        except (errors.HFValidationError, RuntimeError) as error:
            raise FetchError(
                f"could not be downloaded: {_cause(error)}", where=str(file)
            ) from error
        finally:
            _LOGGER.handlers = handlers


class _Notes(logging.Handler):
    """Hands huggingface_hub's warnings on: that it waits, and tries again."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(record.getMessage().partition("\n")[0])


def _bar(received: Callable[[int], None]) -> type[Any]:
    """Return a progress bar that shows nothing, and tells what arrives."""
    from tqdm import tqdm  # noqa: PLC0415 -- comes with huggingface_hub

    class Bar(tqdm):  # type: ignore[misc] # it has no types
        def __init__(self, *_: object, **__: object) -> None:
            super().__init__(disable=True)

        def update(self, n: float | None = 1) -> None:
            received(int(n or 0))

    return Bar


def _cause(error: BaseException) -> str:
    """Return the first cause of an error, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
