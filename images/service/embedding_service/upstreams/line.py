"""A line to one upstream: texts out, checked vectors back, or why not."""

from __future__ import annotations

import email.utils
import http.client
import json
import math
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray

from embedding_service.contract import Vectors
from embedding_service.recipe import Recipe
from embedding_service.upstreams import answers
from embedding_service.upstreams.answers import UnusableAnswerError
from embedding_service.upstreams.exchange import Exchange, Reply, ReplyTooLongError
from embedding_service.upstreams.upstream import Upstream

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may succeed; 529 is some APIs' word for overload."""

REFUSED_TEXT = frozenset({400, 413, 422})
REFUSED_KEY = frozenset({401, 403})

WITNESS = "The quick brown fox jumps over the lazy dog."

MOST_APART = 0.2
"""How far the vectors of one text may be apart that two upstreams of a space make: the widest gate
that matrix.yaml has for two precisions of one space. Two models' are 1.2 to 1.4 apart."""


class TextRefusedError(Exception):
    """The API refuses the texts, or one of them."""


class FailingError(Exception):
    """The API fails, in a way that may pass.

    Args:
        message: How.
        later: Seconds after which to ask again, if it says so.
    """

    def __init__(self, message: str, *, later: float | None = None) -> None:
        super().__init__(message)
        self.later = later


class UnusableError(Exception):
    """The API is not what it is declared to be, or does not serve us: asking again is no use."""


class Witness:
    """A text that every upstream of a space must make the same vector of.

    Any thread may use it.

    Args:
        recipe: Says with which prompt it is sent.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.text = recipe.prefix + WITNESS
        self._lock = threading.Lock()
        self._first: tuple[str, NDArray[np.float64]] | None = None

    def hear(self, address: str, vector: NDArray[np.float32]) -> None:
        """Compare a vector with the one that the first upstream made, of shape (dimension,).

        Raises:
            UnusableError: They are too far apart to be of one space.
        """
        unit = vector.astype(np.float64)
        unit /= max(float(np.linalg.norm(unit)), np.finfo(np.float64).tiny)
        with self._lock:
            if self._first is None:
                self._first = (address, unit)
            first, expected = self._first
        distance = float(np.linalg.norm(unit - expected))
        if distance > MOST_APART:
            raise UnusableError(
                f"is not of the space it is declared to be of: its vector of a text is "
                f"{distance:.2f} from that of {first} (at most {MOST_APART:g})"
            )


class Line:
    """Asks one upstream; any thread may.

    Args:
        upstream: Which.
        recipe: What it is declared to make.
        witness: What it must agree with the others on.
        shortened: Whether it is asked for vectors of the recipe's dimension, rather than for those
            that it makes by itself.
    """

    def __init__(
        self, upstream: Upstream, recipe: Recipe, witness: Witness, *, shortened: bool
    ) -> None:
        self.upstream = upstream
        self._recipe = recipe
        self._witness = witness
        self._is_heard = False
        self._asked = {"model": upstream.model, "encoding_format": "base64"} | (
            {"dimensions": recipe.dimension} if shortened else {}
        )
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "equivec",  # without one, some APIs' front ends refuse
        }
        if upstream.key:
            headers["Authorization"] = f"Bearer {upstream.key}"
        self._exchange = Exchange(upstream.url, headers)

    def vectors(self, texts: Sequence[str], *, seconds: float) -> Vectors:
        """Return the texts' vectors, of shape (texts, dimension), in one request.

        With the first texts, and after every failure, the witness is sent: what answers there may
        be another model than before.

        Raises:
            FailingError: It fails, in a way that may pass.
            TextRefusedError: It refuses the texts.
            UnusableError: It is not what it is declared to be.
        """
        if self._is_heard:
            return self._answer(texts, seconds)
        found = self._answer([*texts, self._witness.text], seconds)
        self._witness.hear(self.upstream.address, found[-1])
        self._is_heard = True
        return found[:-1]

    def doubt(self) -> None:
        """Send the witness with the next texts."""
        self._is_heard = False

    def close(self) -> None:
        """Close its connections."""
        self._exchange.close()

    def _answer(self, texts: Sequence[str], seconds: float) -> Vectors:
        body = json.dumps(self._asked | {"input": list(texts)}).encode("ascii")
        # A number takes 25 characters at most, and what stands around a vector a few more.
        most_bytes = 2**16 + len(texts) * (32 * self._recipe.dimension + 256)
        try:
            reply = self._exchange.post("/embeddings", body, seconds=seconds, most_bytes=most_bytes)
        except ReplyTooLongError as error:
            raise UnusableError(f"answers with {error}") from error
        except TimeoutError as error:
            raise FailingError(f"gives no answer within {seconds:.3g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise FailingError(_described(error)) from error
        self._check(reply)
        try:
            return answers.vectors(reply.body, self._recipe, texts=len(texts))
        except UnusableAnswerError as error:
            raise UnusableError(str(error)) from error

    def _check(self, reply: Reply) -> None:
        code = answers.code(reply.body) or ""
        if self.upstream.key and self.upstream.key in code:
            code = ""
        found = f"{reply.status} {code}".strip()
        if reply.status in REFUSED_TEXT:
            raise TextRefusedError(found)
        if reply.status in REFUSED_KEY:
            raise UnusableError(f"refuses the API key ({reply.status})")
        if reply.status in AGAIN:
            raise FailingError(f"answers {found}", later=_later(reply.headers.get("Retry-After")))
        if reply.status != HTTPStatus.OK:
            raise UnusableError(f"answers {found} for {self.upstream.model}")
        # What another Equivec service says of its vectors.
        space = reply.headers.get("Equivec-Vector-Space") or self._recipe.vector_space
        if space != self._recipe.vector_space:
            raise UnusableError(
                f"makes vectors of the space {space[:100]!a}; "
                f"it is declared to be of {self._recipe.vector_space}"
            )
        precision = reply.headers.get("Equivec-Precision") or "float32"
        if precision not in ("float32", self._recipe.precision):
            raise UnusableError(
                f"has the precision {precision[:20]!a}; {self._recipe.precision} is declared"
            )


def _described(error: OSError | http.client.HTTPException) -> str:
    """Say how there was no answer; what came instead of HTTP is not quoted."""
    kind = type(error).__name__
    reason = error.strerror if isinstance(error, OSError) else None
    return f"cannot be reached ({kind}: {reason})" if reason else f"cannot be reached ({kind})"


def _later(header: str | None) -> float | None:
    """Return the seconds that a Retry-After names, which may be a date."""
    if not header:
        return None
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
