"""The openai backend: no weights, but an API that speaks OpenAI's interface for embeddings.

By the environment:

- `EMBEDDING_OPENAI_BASE_URL`: where it is, as `https://api.openai.com/v1`.
- `EMBEDDING_OPENAI_API_KEY`, or `EMBEDDING_OPENAI_API_KEY_FILE`: a file that holds it. It is sent,
  and never logged. Neither: none is sent.
- `EMBEDDING_OPENAI_TIMEOUT`: seconds after which a text is given up, all attempts together (60).
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import SplitResult, urlsplit

import numpy as np

from embedding_service import recipe as recipes
from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import EmbeddingError, InputError, ModelError, SettingsError
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

UPSTREAM_FILE = "upstream.json"
"""In the model's directory: `{"model": NAME}`, what the API calls the model."""

PREFIX = "EMBEDDING_OPENAI_"
TIMEOUT_SECONDS = 60.0

AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""

REFUSED_TEXT = frozenset({400, 413, 422})
REFUSED_KEY = frozenset({401, 403})

FIRST_DELAY, LONGEST_DELAY = 0.25, 8.0
"""Seconds between attempts: each delay is twice the last one, unless the API names another."""

logger = logging.getLogger("upstream")


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """The API: where it is, and what it is asked with.

    Attributes:
        url: Of the interface; `/embeddings` is below it.
        key: Is sent, and never shown; empty if none is.
        seconds: After which a text is given up, all attempts together.
    """

    url: SplitResult
    key: str = field(repr=False)
    seconds: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Upstream:
        """Read the settings; a variable that is set but empty counts as not set.

        Raises:
            SettingsError: A value cannot be used; the message names the variable, and no key.
        """
        upstream = cls(
            url=_url(environment.get(f"{PREFIX}BASE_URL") or ""),
            key=_key(environment),
            seconds=_seconds(environment.get(f"{PREFIX}TIMEOUT") or str(TIMEOUT_SECONDS)),
        )
        if upstream.key and upstream.url.scheme == "http":
            logger.warning("the API key is sent to %s unencrypted", upstream.url.netloc)
        return upstream

    @property
    def address(self) -> str:
        """What it is called in messages."""
        return self.url.geturl()

    def connection(self, seconds: float) -> http.client.HTTPConnection:
        """Return a connection to it, which is made when it is used. No proxy is asked."""
        kind = (
            http.client.HTTPSConnection
            if self.url.scheme == "https"
            else http.client.HTTPConnection
        )
        return kind(self.url.hostname or "", self.url.port, timeout=seconds)


class Backend:
    """A model that is served elsewhere; texts are sent as they are, and numbers taken as they come.

    Each text is a request of its own.
    """

    name: ClassVar[str] = "openai"
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)

    def __init__(self, recipe: Recipe, upstream: Upstream, model: str) -> None:
        self.capabilities = Capabilities(text=True, image=False, max_tokens=recipe.max_tokens)
        self.runtime = {"upstream": upstream.address, "upstream_model": model}
        self._recipe = recipe
        self._upstream = upstream
        self._model = model
        # A vector's numbers take 22 characters at most.
        self._most_bytes = 2**16 + 32 * recipe.dimension

    @classmethod
    def load(cls, model_dir: Path, _settings: Settings) -> Self:
        """Read what is asked, and where. That the API answers, the service's self-check finds.

        Raises:
            ModelError: The model is of another format, or the directory does not say what the API
                calls it.
            SettingsError: The environment does not say where the API is.
        """
        recipe = recipes.read(model_dir)
        if recipe.format != "openai":
            raise ModelError(f"{cls.name} takes models in the format openai, not {recipe.format}")
        return cls(recipe, Upstream.from_environment(os.environ), _model(model_dir))

    def embed(self, inputs: Sequence[str]) -> Vectors:
        """Return the texts' vectors, float32 of shape (texts, dimension).

        Raises:
            InputError: The API refuses a text.
            EmbeddingError: It fails, or what it answers cannot be used.
        """
        return np.stack([self._vector(text, index) for index, text in enumerate(inputs)])

    def close(self) -> None:
        """Nothing is kept open."""

    def _vector(self, text: str, index: int) -> Vectors:
        content = {"model": self._model, "input": text, "encoding_format": "base64"}
        status, body = self._answer(json.dumps(content).encode("ascii"))
        if status in REFUSED_TEXT:
            raise InputError(f"the API refuses the text ({_refusal(status, body)})", index=index)
        if status in REFUSED_KEY:
            raise EmbeddingError(f"{self._upstream.address} refuses the API key ({status})")
        if status != HTTPStatus.OK:
            raise EmbeddingError(
                f"{self._upstream.address} answers {_refusal(status, body)} for {self._model}"
            )
        numbers = _numbers(body)
        if len(numbers) != self._recipe.dimension:
            raise EmbeddingError(
                f"{self._model} of {self._upstream.address} makes vectors of {len(numbers)} "
                f"numbers; the recipe of {self._recipe.name} says {self._recipe.dimension}"
            )
        return numbers

    def _answer(self, body: bytes) -> tuple[int, bytes]:
        """Ask until there is an answer that asking again would not change, or the time is over."""
        deadline = time.monotonic() + self._upstream.seconds
        delay = FIRST_DELAY
        while True:
            wait = delay
            try:
                answer = self._ask(body, max(deadline - time.monotonic(), 1.0))
            except (OSError, http.client.HTTPException) as error:
                found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            else:
                status, content, later = answer
                if status not in AGAIN:
                    return status, content
                found = _refusal(status, content)
                wait = delay if later is None else later
            if time.monotonic() + wait > deadline:
                raise EmbeddingError(
                    f"{self._upstream.address} gives no answer within "
                    f"{self._upstream.seconds:g} s; the last attempt: {found}"
                )
            time.sleep(wait)
            delay = min(2 * delay, LONGEST_DELAY)

    def _ask(self, body: bytes, seconds: float) -> tuple[int, bytes, float | None]:
        """Return the status, the body, and in how many seconds to ask again, if that is said."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._upstream.key:
            headers["Authorization"] = f"Bearer {self._upstream.key}"
        connection = self._upstream.connection(seconds)
        try:
            path = f"{self._upstream.url.path.rstrip('/')}/embeddings"
            connection.request("POST", path, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read(self._most_bytes + 1)
        finally:
            connection.close()
        if len(content) > self._most_bytes:
            raise EmbeddingError(
                f"{self._upstream.address} answers more than {self._most_bytes} bytes"
            )
        later = response.getheader("Retry-After", "")
        return response.status, content, float(later) if later.isdigit() else None


def _url(text: str) -> SplitResult:
    name = f"{PREFIX}BASE_URL"
    if not text:
        raise SettingsError(f"{name} is not set: it is the API's address, https://HOST/v1")
    url = urlsplit(text)
    try:
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # of the port
        usable = False
    if not usable or url.query or url.fragment:
        raise SettingsError(f"{name} must be an address such as https://HOST:PORT/v1")
    if url.username is not None or url.password is not None:
        raise SettingsError(f"{name} holds a user's name or password: a key has its own variable")
    return url


def _key(environment: Mapping[str, str]) -> str:
    name = f"{PREFIX}API_KEY"
    key, path = environment.get(name) or "", environment.get(f"{name}_FILE") or ""
    if key and path:
        raise SettingsError(f"{name} and {name}_FILE are both set: one of them is enough")
    if path:
        try:
            key = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE: {path} cannot be read") from error
        if not key:
            raise SettingsError(f"{name}_FILE: {path} is empty")
    if not (key.isascii() and (key.isprintable())) or " " in key:
        raise SettingsError(f"{name} holds what no key has: spaces, line ends or accents")
    return key


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= 3600:  # noqa: PLR2004 -- an hour; NaN is neither
        raise SettingsError(f"{PREFIX}TIMEOUT is {text!r}: it must be seconds from 1 to 3600")
    return seconds


def _model(model_dir: Path) -> str:
    path = model_dir / UPSTREAM_FILE
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read") from error
    name = content.get("model") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name or set(content) != {"model"}:
        raise ModelError(f'{path} must be {{"model": NAME}}, what the API calls the model')
    return name


def _numbers(body: bytes) -> Vectors:
    """Return the one vector of an answer.

    Raises:
        EmbeddingError: It holds none. The message quotes nothing of it.
    """
    try:
        (item,) = json.loads(body)["data"]
        found = item["embedding"]
        if isinstance(found, str):
            numbers = np.frombuffer(base64.b64decode(found, validate=True), "<f4")
        else:
            with np.errstate(over="ignore"):  # what is too large for float32 is found below
                numbers = np.array([_number(each) for each in found]).astype(np.float32)
    except (ValueError, TypeError, KeyError, OverflowError, binascii.Error) as error:
        raise EmbeddingError("the API answers with something else than one vector") from error
    if not np.isfinite(numbers).all():
        raise EmbeddingError("the API answers with NaN or infinity")
    vector: Vectors = numbers.astype(np.float32)
    return vector


def _number(found: object) -> float:
    if type(found) not in (int, float):  # true is an int, too
        raise TypeError("not a number")
    return float(found)  # type: ignore[arg-type]


def _refusal(status: int, body: bytes) -> str:
    """Return an answer's status, and its error's code if there is one: a message may hold texts."""
    try:
        error = json.loads(body)["error"]
        code = error.get("code") or error.get("type")
    except (ValueError, TypeError, KeyError, AttributeError):
        code = None
    is_code = isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum()
    return f"{status} {code[:60]}" if is_code and isinstance(code, str) else str(status)
