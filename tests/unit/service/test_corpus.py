from __future__ import annotations

from pathlib import Path

import pytest

from embedding_service.corpus import Text, read_corpus
from embedding_service.errors import SettingsError


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_it_is_read_in_its_order_and_further_keys_are_left_alone(tmp_path: Path) -> None:
    corpus = written(
        tmp_path / "corpus.jsonl",
        '{"id": "b", "text": "h\\u00e9", "kind": "accents", "emulated": true}',
        '{"id": "a", "text": ""}',
    )
    assert read_corpus(corpus) == (Text(id="b", text="hé"), Text(id="a", text=""))


def test_a_text_may_hold_what_some_take_for_a_line_end(tmp_path: Path) -> None:
    corpus = written(tmp_path / "corpus.jsonl", '{"id": "a", "text": "one\u2028two\x85three"}')
    assert read_corpus(corpus) == (Text(id="a", text="one\u2028two\x85three"),)


@pytest.mark.parametrize("line", ["", "{", "[]", '{"id": "b"}', '{"id": 1, "text": "x"}'])
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    corpus = written(tmp_path / "corpus.jsonl", '{"id": "a", "text": "x"}', line)
    with pytest.raises(SettingsError, match=r"corpus\.jsonl:2: not an object with strings"):
        read_corpus(corpus)


def test_an_id_that_occurs_twice_is_named(tmp_path: Path) -> None:
    line = '{"id": "a", "text": "x"}'
    with pytest.raises(SettingsError, match=r"corpus\.jsonl:2: the id 'a' occurs twice"):
        read_corpus(written(tmp_path / "corpus.jsonl", line, line))


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no text"):
        read_corpus(written(tmp_path / "corpus.jsonl"))


def test_a_missing_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_corpus(tmp_path / "corpus.jsonl")
