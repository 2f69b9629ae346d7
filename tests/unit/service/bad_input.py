"""Bad input, of every kind, and what the service has to answer to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.unit.service.tiny_model import VOCABULARY

EMBED = "/embed"
OPENAI = "/v1/embeddings"
GENERATE = "/embedding/generate"
ROUTES = (EMBED, OPENAI, GENERATE)

MB = 10**6

SECRET = "secret"  # noqa: S105 -- what no message may hold

Refusal = tuple[int, str]
"""A status and a code."""

INVALID: Refusal = (422, "invalid_request")
NO_JSON: Refusal = (400, "invalid_json")
OTHER_TYPE: Refusal = (415, "unsupported_media_type")
BODY_TOO_LARGE: Refusal = (413, "body_too_large")
TOO_LONG: Refusal = (413, "text_too_long")
TOO_MANY: Refusal = (413, "too_many_inputs")
NO_TOKEN: Refusal = (422, "unknown_token")
NO_MODEL: Refusal = (404, "model_not_found")
NO_DIMENSIONS: Refusal = (422, "unknown_dimensions")
NO_PROMPT: Refusal = (422, "unknown_input_type")


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A request, and how it is refused.

    Attributes:
        name: What is bad.
        refusal: The status and the code.
        said: What the message says of it.
        routes: Where to send it.
        text: What stands in the place of a text.
        fields: What else stands in the body.
        body: The whole body, instead of all these.
        content_type: As which it is sent.
    """

    name: str
    refusal: Refusal
    said: str
    routes: Sequence[str] = ROUTES
    text: object = field(default=SECRET, repr=False)
    fields: Mapping[str, object] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"

    def sent_to(self, route: str) -> bytes:
        """Return the body of the request to one of the routes."""
        if self.body is not None:
            return self.body
        own = {"input": self.text, "model": "tiny"} if route == OPENAI else {"text": self.text}
        return json.dumps({**own, **self.fields}).encode()


def requests() -> Iterator[Bad]:
    """Yield every request."""
    yield from _bodies()
    yield from _content_types()
    yield from _texts()
    yield from _lists()
    yield from _tokens()
    yield from _numbers_of_inputs()
    yield from _fields()
    yield from _dimensions()


def _bodies() -> Iterator[Bad]:
    for name, body, refusal, said in (
        ("no body", b"", INVALID, "body: Field required"),
        ("an empty object", b"{}", INVALID, "body"),
        ("a list as body", b'["secret"]', INVALID, "body: Input should be a"),
        ("null as body", b"null", INVALID, "body: "),
        ("a text as body", b'"secret"', INVALID, "body: Input should be a"),
        ("half a body", b'{"text": "secret', NO_JSON, "Unterminated string"),
        ("no JSON", b"secret", NO_JSON, "Expecting value, at character 0"),
        ("invalid UTF-8", b'{"text": "\xff"}', NO_JSON, "it is not UTF-8, at byte 10"),
        ("deep nesting", b"[" * MB, NO_JSON, "nested too deeply"),
        ("a long number", b"9" * 9999, NO_JSON, "a number of thousands of digits"),
        ("50 MB of zeros", bytes(50 * MB), BODY_TOO_LARGE, "the request's body has more than"),
        ("50 MB of JSON", b'"' + b"x" * 50 * MB + b'"', BODY_TOO_LARGE, "has more than"),
    ):
        yield Bad(name=name, body=body, refusal=refusal, said=said)


def _content_types() -> Iterator[Bad]:
    said = "the body must be JSON, announced as Content-Type: application/json"
    for sent in ("text/plain", "application/x-www-form-urlencoded", "", "json", "application/"):
        yield Bad(name=f"sent as {sent!r}", content_type=sent, refusal=OTHER_TYPE, said=said)


def _texts() -> Iterator[Bad]:
    surrogates = "a text cannot hold lone surrogates"
    for name, text, refusal, said in (
        ("a NUL", "secret\0", INVALID, "a text cannot hold NUL characters"),
        ("a high surrogate", "secret\ud800", INVALID, surrogates),
        ("a low surrogate", "\udfffsecret", INVALID, surrogates),
        ("surrogates in the wrong order", "\udc00\ud800", INVALID, surrogates),
        ("a long text", "secret " * 7, TOO_LONG, "9 tokens, prompt and special tokens included"),
        ("a megabyte of text", "secret " * (MB // 7), TOO_LONG, "the model takes 8"),
        ("a number", 1, INVALID, "body."),
        ("null", None, INVALID, "body."),
        ("an object", {SECRET: 1}, INVALID, "body."),
    ):
        yield Bad(name=f"{name} as text", text=text, refusal=refusal, said=said)
    yield Bad(
        name="surrogates encoded",
        routes=[EMBED],
        body=b'{"text": "\xed\xa0\x80"}',
        refusal=INVALID,
        said=surrogates,
    )
    texts = "Input should be a valid string"
    yield Bad(name="texts", routes=[EMBED], text=[SECRET], refusal=INVALID, said=texts)


def _lists() -> Iterator[Bad]:
    for name, text, said in (
        ("no inputs", [], "at least 1 item"),
        ("a NUL in a list", ["a", "\0"], "body.input.texts.1: a text cannot hold NUL"),
        ("a surrogate in a list", ["a", "\ud800"], "cannot hold lone surrogates"),
        ("a token among texts", [SECRET, 1], "body.input.texts.1: "),
        ("a text among tokens", [1, SECRET], "body.input.tokens.1: "),
        ("a text among lists", [[1], SECRET], "body.input.lists_of_tokens.1: "),
        ("100000 inputs of no form", ["a", *[1] * 99_999], "body.input.texts.1: "),
    ):
        yield Bad(name=name, routes=[OPENAI], text=text, refusal=INVALID, said=said)


def _tokens() -> Iterator[Bad]:
    rows = len(VOCABULARY)
    unknown = f"a token is none of this model's vocabulary, which are 0 to {rows - 1}"
    for name, text, refusal, said in (
        ("a token too far", [rows], NO_TOKEN, unknown),
        ("a token too far in a list", [[0], [0, rows]], NO_TOKEN, unknown),
        ("a token beyond all numbers", [10**30], NO_TOKEN, unknown),
        ("a negative token", [-1], INVALID, "greater than or equal to 0"),
        ("half a token", [0, 0.5], INVALID, "body.input.tokens.1: Input should be a valid integer"),
        ("true as a token", [True], INVALID, "Input should be a valid integer"),
        ("too many tokens", [0] * 9, TOO_LONG, "11 tokens"),
    ):
        yield Bad(name=name, routes=[OPENAI], text=text, refusal=refusal, said=said)


def _numbers_of_inputs() -> Iterator[Bad]:
    for name, one in (("texts", SECRET), ("lists of tokens", [0])):
        for count in (2049, 100_000):
            yield Bad(
                name=f"{count} {name}",
                routes=[OPENAI],
                text=[one] * count,
                refusal=TOO_MANY,
                said=f"{count} inputs; at most 2048 are taken in one request",
            )

    for name, one in (("texts", ""), ("lists of tokens", [])):
        said = "List should have at most 100000 items"
        many: list[object] = [one] * 1_000_000
        yield Bad(name=f"a million {name}", routes=[OPENAI], text=many, refusal=TOO_MANY, said=said)


def _fields() -> Iterator[Bad]:
    fields: Mapping[str, object]
    many = {f"x{number}": number for number in range(100_000)}
    for name, fields, refusal, said in (
        ("an unknown field", {"texts": SECRET}, INVALID, "body.texts: Extra inputs are not"),
        ("100000 unknown fields", many, INVALID, " fields, of which at most "),
        ("9 unknown fields", dict(list(many.items())[:9]), INVALID, "; and 1 more"),
        ("7 unknown fields", dict(list(many.items())[:7]), INVALID, "body.x6: Extra inputs are"),
        ("a field's name", {"\ud800": 1}, INVALID, "as a unicode string"),
        ("another prompt", {"input_type": SECRET}, NO_PROMPT, "for these input types: query"),
        ("a word for true", {"truncate": SECRET}, INVALID, "body.truncate: Input should be a"),
    ):
        yield Bad(name=name, fields=fields, refusal=refusal, said=said)
    for name, fields, refusal, said in (
        ("another model", {"model": SECRET}, NO_MODEL, "the model that is served is tiny"),
        ("another encoding", {"encoding_format": SECRET}, INVALID, "'float' or 'base64'"),
        ("an object as user", {"user": {}}, INVALID, "body.user: Input should be a valid string"),
    ):
        yield Bad(name=name, routes=[OPENAI], fields=fields, refusal=refusal, said=said)


def _dimensions() -> Iterator[Bad]:
    dimensions: object
    for dimensions in (-1, 0, -(10**30)):
        yield _bad_dimensions(dimensions, INVALID, "body.dimensions: Input should be greater")
    for dimensions in ("6", 5.5, True, [6]):
        yield _bad_dimensions(dimensions, INVALID, "body.dimensions: Input should be a valid int")
    for dimensions in (5, 7, 10**30):
        yield _bad_dimensions(dimensions, NO_DIMENSIONS, "tiny has vectors of these dimensions: 6")


def _bad_dimensions(dimensions: object, refusal: Refusal, said: str) -> Bad:
    fields = {"dimensions": dimensions}
    return Bad(name=f"{dimensions!r} dimensions", fields=fields, refusal=refusal, said=said)
