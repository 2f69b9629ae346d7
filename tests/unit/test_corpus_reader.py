from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders import corpus
from builders.errors import ReferenceVectorsError
from embedding_service.corpus import read_corpus

LINES = (
    '{"id": "one", "kind": "case", "text": "One", "emulated": true}',
    '{"id": "two", "kind": "empty", "text": ""}',
    '{"id": "three", "kind": "spaces", "text": "line\\u2028separator \\u00e9"}',
)


def written(directory: Path, *lines: str) -> Path:
    path = directory / "corpus.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_texts_in_their_order(tmp_path: Path) -> None:
    read = corpus.read(written(tmp_path, *LINES))
    assert read.ids == ("one", "two", "three")
    assert [text.text for text in read.texts] == ["One", "", "line\u2028separator é"]
    assert read.emulated().ids == ("one",)


def test_the_service_reads_what_is_written_for_it(tmp_path: Path) -> None:
    read = corpus.read(written(tmp_path, *LINES))
    path = tmp_path / "for-the-service.jsonl"
    path.write_bytes(read.to_jsonl())
    assert [(text.id, text.text) for text in read_corpus(path)] == [
        (text.id, text.text) for text in read.texts
    ]


def test_digest_is_of_what_is_embedded(tmp_path: Path) -> None:
    read = corpus.read(written(tmp_path, *LINES))
    another_kind = corpus.read(written(tmp_path, LINES[0].replace("case", "word"), *LINES[1:]))
    another_text = corpus.read(written(tmp_path, LINES[0].replace("One", "Two"), *LINES[1:]))
    assert another_kind.digest == read.digest
    assert another_text.digest != read.digest
    assert read.emulated().digest != read.digest


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "corpus.jsonl:4: malformed"),
        ('{"id": "four", "kind": "x"}', "text: Field required"),
        ('{"id": "", "kind": "x", "text": "t"}', "id: "),
        ('{"id": "four", "kind": "x", "text": 4}', "text: "),
        ('{"id": "four", "kind": "x", "text": "t", "emulatd": true}', "emulatd: Extra"),
        ('{"id": "four", "kind": "x", "text": "\\ud800"}', "malformed"),
        (LINES[1], "occur twice: two"),
    ],
)
def test_malformed_lines_are_refused(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ReferenceVectorsError, match=words):
        corpus.read(written(tmp_path, *LINES, line))


def test_corpus_without_emulated_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReferenceVectorsError, match="no text for emulated"):
        corpus.read(written(tmp_path, *LINES[1:]))


def test_missing_or_undecodable_file(tmp_path: Path) -> None:
    with pytest.raises(ReferenceVectorsError, match="cannot be read"):
        corpus.read(tmp_path / "nothing.jsonl")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(json.dumps({"id": "é"}, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(ReferenceVectorsError, match="cannot be read"):
        corpus.read(latin)
