"""The tokenizer of the fixture models: uncased BERT WordPiece, as a Hugging Face file.

Uncased, as nearly all embedding models with WordPiece are, and as every runtime supports it.
"""

from __future__ import annotations

import json

from builders.fixture_vocabulary import CONTINUATION, SPECIAL, vocabulary

_CLASSIFY, _SEPARATE = "[CLS]", "[SEP]"


def tokenizer_json(size: int) -> bytes:
    """Return the tokenizer.json (UTF-8) of a vocabulary of `size` tokens.

    It neither truncates nor pads: a tokenizer that cuts a text in silence yields the vector of
    another text.
    """
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(token, place) for place, token in enumerate(SPECIAL)],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_special(_CLASSIFY, 0), _sequence("A", 0), _special(_SEPARATE, 0)],
            "pair": [
                _special(_CLASSIFY, 0),
                _sequence("A", 0),
                _special(_SEPARATE, 0),
                _sequence("B", 1),
                _special(_SEPARATE, 1),
            ],
            "special_tokens": {
                token: {"id": token, "ids": [SPECIAL.index(token)], "tokens": [token]}
                for token in (_CLASSIFY, _SEPARATE)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": CONTINUATION, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": CONTINUATION,
            "max_input_chars_per_word": 100,
            "vocab": {token: place for place, token in enumerate(vocabulary(size))},
        },
    }
    return f"{json.dumps(document, ensure_ascii=False, indent=1)}\n".encode()


def _added(token: str, place: int) -> dict[str, object]:
    return {
        "id": place,
        "content": token,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _special(token: str, segment: int) -> dict[str, object]:
    return {"SpecialToken": {"id": token, "type_id": segment}}


def _sequence(name: str, segment: int) -> dict[str, object]:
    return {"Sequence": {"id": name, "type_id": segment}}
