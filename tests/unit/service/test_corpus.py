from __future__ import annotations

from pathlib import Path

import pytest

from embedding_service.corpus import Entry, read_corpus
from embedding_service.errors import SettingsError
from embedding_service.inputs import Image


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_it_is_read_in_its_order_and_further_keys_are_left_alone(tmp_path: Path) -> None:
    corpus = written(
        tmp_path / "corpus.jsonl",
        '{"id": "b", "text": "h\\u00e9", "kind": "accents", "emulated": true}',
        '{"id": "a", "text": ""}',
    )
    assert read_corpus(corpus) == (Entry(id="b", input="hé"), Entry(id="a", input=""))


def test_a_text_may_hold_what_some_take_for_a_line_end(tmp_path: Path) -> None:
    corpus = written(tmp_path / "corpus.jsonl", '{"id": "a", "text": "one\u2028two\x85three"}')
    assert read_corpus(corpus) == (Entry(id="a", input="one\u2028two\x85three"),)


def test_an_image_is_the_bytes_of_its_file(tmp_path: Path) -> None:
    corpus = written(tmp_path / "corpus.jsonl", '{"id": "a", "image": "iVBO/w=="}')
    content = bytes([0x89, 0x50, 0x4E, 0xFF])
    assert read_corpus(corpus) == (Entry(id="a", input=Image(content=content)),)


@pytest.mark.parametrize(
    "line",
    [
        *("", "{", "[]", '{"id": "b"}', '{"id": 1, "text": "x"}'),
        '{"id": "b", "text": "x", "image": "iVBO"}',
        '{"id": "b", "image": "iVB"}',
        '{"id": "b", "image": "iV BO"}',
        '{"id": "b", "image": "\\u00e9"}',
        '{"id": "b", "image": 1}',
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    corpus = written(tmp_path / "corpus.jsonl", '{"id": "a", "text": "x"}', line)
    with pytest.raises(SettingsError, match=r"corpus\.jsonl:2: not an object with strings"):
        read_corpus(corpus)


def test_an_id_that_occurs_twice_is_named(tmp_path: Path) -> None:
    line = '{"id": "a", "text": "x"}'
    with pytest.raises(SettingsError, match=r"corpus\.jsonl:2: the id 'a' occurs twice"):
        read_corpus(written(tmp_path / "corpus.jsonl", line, line))


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds nothing"):
        read_corpus(written(tmp_path / "corpus.jsonl"))


def test_a_missing_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_corpus(tmp_path / "corpus.jsonl")
