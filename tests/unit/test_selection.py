from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from builders import selection
from builders.errors import SelectionError
from builders.matrix import Matrix, load
from builders.selection import Selection

DEFAULT = "not in the default selection (use --all)"


@pytest.fixture
def matrix() -> Matrix:
    return load(Path(__file__).with_name("matrix.yaml"))


def parse(*words: str) -> Selection:
    parser = argparse.ArgumentParser()
    selection.add_arguments(parser)
    return selection.from_arguments(parser.parse_args(words))


def selected(matrix: Matrix, *words: str) -> set[str]:
    reasons = selection.reasons(parse(*words), matrix)
    return {name.id.removeprefix("onnxruntime-fixture-") for name in reasons if not reasons[name]}


def test_options_repeat_and_split_at_commas() -> None:
    words = ("--platform", "linux/amd64, linux/arm64", "--platform", "linux/amd64")
    assert parse(*words).platforms == ("linux/amd64", "linux/arm64")
    assert parse("--only", "a*", "--only", "[a,b]").only == ("a*", "[a,b]")
    assert parse("--model", "m", "--backend", "b", "--all") == Selection(
        backends=("b",), models=("m",), all=True
    )
    assert parse() == Selection()


def test_an_option_without_a_name_is_an_error() -> None:
    with pytest.raises(SelectionError, match="--backend: names nothing"):
        parse("--backend", ",")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), {"768-linux-amd64", "768-linux-arm64", "768-darwin-arm64"}),
        (("--platform", "linux/arm64"), {"768-linux-arm64"}),
        (("--platform", "linux/arm64", "--all"), {"768-linux-arm64", "bert-384-linux-arm64"}),
        (("--backend", "onnxruntime", "--platform", "linux/amd64"), {"768-linux-amd64"}),
        (
            ("--model", "fixture-bert-384", "--platform", "linux/arm64,linux/amd64"),
            {"bert-384-linux-amd64", "bert-384-linux-arm64"},
        ),
        (("--only", "*-bert-*-amd64"), {"bert-384-linux-amd64"}),
        (("--only", "*linux-amd64"), {"768-linux-amd64", "bert-384-linux-amd64"}),
        (
            ("--only", "*768*amd64", "--only", "*384*amd64"),
            {"768-linux-amd64", "bert-384-linux-amd64"},
        ),
        (("--only", "*amd64", "--model", "fixture-768"), {"768-linux-amd64"}),
    ],
)
def test_what_is_selected(matrix: Matrix, words: tuple[str, ...], expected: set[str]) -> None:
    assert selected(matrix, *words) == expected


def test_all_selects_every_cell(matrix: Matrix) -> None:
    reasons = selection.reasons(Selection(all=True), matrix)
    assert set(reasons.values()) == {None}
    assert len(reasons) == len(matrix.backends) * len(matrix.models) * len(matrix.platforms)


@pytest.mark.parametrize(
    ("words", "cell", "reason"),
    [
        ((), "onnxruntime-fixture-bert-384-linux-amd64", DEFAULT),
        (
            ("--platform", "linux/arm64"),
            "onnxruntime-fixture-768-linux-amd64",
            "not selected by --platform linux/arm64",
        ),
        (("--platform", "linux/arm64"), "onnxruntime-fixture-bert-384-linux-arm64", DEFAULT),
        (
            ("--model", "fixture-768", "--all"),
            "onnxruntime-fixture-bert-384-linux-arm64",
            "not selected by --model fixture-768",
        ),
        (
            ("--only", "*768*amd64", "--only", "*384*amd64"),
            "onnxruntime-fixture-768-linux-arm64",
            "not selected by --only *768*amd64 --only *384*amd64",
        ),
    ],
)
def test_why_a_cell_is_not_selected(
    matrix: Matrix, words: tuple[str, ...], cell: str, reason: str
) -> None:
    reasons = selection.reasons(parse(*words), matrix)
    assert {name.id: why for name, why in reasons.items()}[cell] == reason


@pytest.mark.parametrize(
    ("words", "where", "problem", "remedy"),
    [
        (
            ("--backend", "onnxruntim"),
            "--backend",
            "'onnxruntim' is not in matrix.yaml; did you mean 'onnxruntime'?",
            "there are: onnxruntime",
        ),
        (
            ("--platform", "arm64"),
            "--platform",
            "'arm64' is not in matrix.yaml; did you mean 'linux/arm64'?",
            "there are: linux/amd64, linux/arm64, darwin/arm64",
        ),
        (
            ("--model", "zzz"),
            "--model",
            "'zzz' is not in matrix.yaml",
            "there are: fixture-768, fixture-bert-384",
        ),
        (
            ("--only", "onnxruntime-*-amd46"),
            "--only",
            "no cell's id matches 'onnxruntime-*-amd46'",
            "onnxruntime-fixture-768-linux-amd64",
        ),
        (
            ("--only", "*-amd64", "--platform", "linux/arm64"),
            "selection",
            "no cell matches all of the selection",
            "onnxruntime-fixture-768-linux-amd64",
        ),
    ],
)
def test_a_selection_of_nothing_says_what_there_is(
    matrix: Matrix, words: tuple[str, ...], where: str, problem: str, remedy: str
) -> None:
    with pytest.raises(SelectionError) as caught:
        selection.reasons(parse(*words), matrix)
    assert caught.value.where == where
    assert caught.value.problem.startswith(problem)
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 11


def test_one_glob_of_two_that_matches_nothing_is_an_error(matrix: Matrix) -> None:
    with pytest.raises(SelectionError, match="matches 'sentence-"):
        selection.reasons(Selection(only=("onnx*", "sentence-*")), matrix)
