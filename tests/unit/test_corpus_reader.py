from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from builders import corpus, matrix
from builders.errors import ReferenceVectorsError
from builders.matrix import Model
from embedding_service.corpus import read_corpus
from embedding_service.inputs import Image

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
    assert [(entry.id, entry.input) for entry in read_corpus(path)] == [
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
    with pytest.raises(ReferenceVectorsError, match="nothing for emulated"):
        corpus.read(written(tmp_path, *LINES[1:]))


def test_missing_or_undecodable_file(tmp_path: Path) -> None:
    with pytest.raises(ReferenceVectorsError, match="cannot be read"):
        corpus.read(tmp_path / "nothing.jsonl")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(json.dumps({"id": "é"}, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(ReferenceVectorsError, match="cannot be read"):
        corpus.read(latin)


ROOT = Path(__file__).parents[2]
MODELS = matrix.load(ROOT / "matrix.yaml").models


def picture(directory: Path, **changes: object) -> str:
    """Write an image and return its line."""
    (directory / "images").mkdir(exist_ok=True)
    (directory / "images" / "a.png").write_bytes(b"pixels")
    digest = hashlib.sha256(b"pixels").hexdigest()
    line = {"id": "a", "kind": "x", "file": "a.png", "sha256": digest, "emulated": True}
    return json.dumps(line | changes)


def listed(directory: Path, *lines: str) -> Path:
    path = directory / "images.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_images_are_read_with_their_bytes(tmp_path: Path) -> None:
    lines = (picture(tmp_path), picture(tmp_path, id="b", emulated=False))
    found = corpus.read_images(listed(tmp_path, *lines))
    assert {image.id: image.content for image in found.images} == {"a": b"pixels", "b": b"pixels"}
    assert found.emulated().ids == ("a",)
    assert json.loads(found.to_jsonl().splitlines()[1]) == {
        "id": "b",
        "image": base64.b64encode(b"pixels").decode(),
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "0" * 64}, r"images\.jsonl:1: a\.png is another image"),
        ({"file": "b.png"}, r"images\.jsonl:1: b\.png cannot be read"),
        ({"file": "../a.png"}, "file: "),
        ({"file": "a.svg"}, "file: "),
        ({"emulated": False}, "nothing for emulated"),
    ],
)
def test_unusable_images_are_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ReferenceVectorsError, match=words):
        corpus.read_images(listed(tmp_path, picture(tmp_path, **changes)))


def test_images_with_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReferenceVectorsError, match="occur twice: a"):
        corpus.read_images(listed(tmp_path, picture(tmp_path), picture(tmp_path)))


def test_a_model_of_texts_gets_them_all_and_no_image() -> None:
    whole = corpus.read(ROOT / corpus.COMMITTED)
    for name in ("fixture-768", "fixture-bert-384"):
        assert corpus.committed(ROOT, MODELS[name]) == whole


def changed(**changes: object) -> Model:
    return MODELS["fixture-siglip"].model_copy(update=changes)


def test_a_model_of_few_tokens_gets_the_texts_that_fit_any_tokenizer() -> None:
    found = corpus.committed(ROOT, changed(inputs=("text",)))
    lengths = [len(text.text.encode()) for text in found.texts]
    assert (max(lengths), found.images) == (62, ())
    assert len(lengths) > 40
    assert found.emulated() == corpus.read(ROOT / corpus.COMMITTED).emulated()


def test_a_model_of_images_gets_them_after_the_texts() -> None:
    both = corpus.committed(ROOT, changed())
    alone = corpus.committed(ROOT, changed(inputs=("image",)))
    assert alone.texts == ()
    assert both.ids == (*(text.id for text in both.texts), *alone.ids)
    assert both.without(["word"]).images == both.images


def test_the_service_reads_the_images_that_are_written_for_it(tmp_path: Path) -> None:
    images = corpus.read_images(ROOT / corpus.IMAGES)
    path = tmp_path / "for-the-service.jsonl"
    path.write_bytes(images.to_jsonl())
    assert [(entry.id, entry.input) for entry in read_corpus(path)] == [
        (image.id, Image(content=image.content)) for image in images.images
    ]
