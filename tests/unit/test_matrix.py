from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from builders.errors import MatrixError
from builders.matrix import (
    Backend,
    KnownAnswer,
    Matrix,
    Matryoshka,
    Model,
    ModelFile,
    Tolerance,
    load,
)

ROOT = Path(__file__).parents[2]
ZERO = f"sha256:{'0' * 64}"

TEXT = f"""\
epoch: 1704067200
engine: auto
publication: oci:dist/images
prefix: equivec
platforms:
  linux/amd64: {{}}
  linux/arm64: {{}}
tolerances:
  float32:
    max_abs_difference: 1e-5
    distance: 1e-4
    overlap_at_10: 1.0
backends:
  onnxruntime:
    title: ONNX Runtime
    licence: MIT
    formats: [onnx]
    platforms: [linux/amd64, linux/arm64]
    budget_mb: 80
models:
  fixture-768:
    source: fixture:fixture-768
    licence: Apache-2.0
    dimension: 768
    max_tokens: 2048
    precision: float32
    weights: {ZERO}
    tokenizer: {ZERO}
    pooling: mean
    normalize: true
    prompts:
      query: "search_query: "
    default_prompt: null
default:
  models: [fixture-768]
"""


def refused(path: Path, old: str, new: str) -> MatrixError:
    assert old in TEXT
    file = path / "matrix.yaml"
    file.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(MatrixError) as caught:
        load(file)
    return caught.value


def test_the_committed_file_is_valid() -> None:
    matrix = load(ROOT / "matrix.yaml")
    assert "onnxruntime" in matrix.backends
    assert matrix.models["fixture-768"].dimension == 768
    assert matrix.tolerances["float32"].distance == 1e-4


def test_a_small_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "matrix.yaml"
    file.write_text(TEXT)
    matrix = load(file)
    assert matrix.epoch == 1704067200
    assert list(matrix.platforms) == ["linux/amd64", "linux/arm64"]
    assert matrix.tolerances["float32"].max_abs_difference == 1e-5
    assert matrix.backends["onnxruntime"].budget_mb == 80.0
    assert matrix.models["fixture-768"].formats == ("onnx", "sentence-transformers", "gguf")
    assert matrix.models["fixture-768"].prompts == {"query": "search_query: "}
    assert matrix.default.backends == ()
    assert matrix.default.models == ("fixture-768",)


def test_a_prompt_may_be_the_default(tmp_path: Path) -> None:
    file = tmp_path / "matrix.yaml"
    file.write_text(TEXT.replace("default_prompt: null", "default_prompt: query"))
    assert load(file).models["fixture-768"].default_prompt == "query"


def test_where_there_are_no_models_none_is_misspelt(tmp_path: Path) -> None:
    """The table itself is wrong: that it lacks a name would explain nothing."""
    known = "    budget_mb: 80\n"
    text = TEXT.replace(known, f"{known}    not_for: {{other: because}}\n")
    file = tmp_path / "matrix.yaml"
    file.write_text(text[: text.index("models:")] + "models: 7\ndefault: {}\n")
    with pytest.raises(MatrixError, match="models: must be a mapping; is 7") as caught:
        load(file)
    assert "other" not in str(caught.value)


@pytest.mark.parametrize("precision", ["float16", "q8_0"])
def test_a_fixture_of_another_precision_is_only_had_as_gguf(tmp_path: Path, precision: str) -> None:
    file = tmp_path / "matrix.yaml"
    file.write_text(
        TEXT.replace("  float32:", f"  {precision}:").replace("n: float32", f"n: {precision}")
    )
    assert load(file).models["fixture-768"].formats == ("gguf",)


def test_the_default_selection_holds_no_other_precision_than_float32() -> None:
    matrix = load(ROOT / "matrix.yaml")
    assert {matrix.models[name].precision for name in matrix.default.models} == {"float32"}


def test_a_matrix_is_frozen() -> None:
    matrix = load(ROOT / "matrix.yaml")
    with pytest.raises(ValidationError):
        matrix.epoch = 1


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (
            "    pooling: mean",
            "    pooling: men",
            "29:5",
            "models.fixture-768.pooling: must be 'mean', 'cls' or 'model'; is 'men'; did ",
        ),
        (
            "    pooling: mean",
            "    pooling: mean\n    poling: mean",
            "30:5",
            "models.fixture-768.poling: unknown key, with 'mean'; did you mean 'pooling'?",
        ),
        ("epoch: 1704067200\n", "", "1:1", "epoch: missing"),
        ("    dimension: 768\n", "", "21:3", "models.fixture-768.dimension: missing"),
        (
            "epoch: 1704067200",
            "epoch: yesterday",
            "1:1",
            "epoch: must be a whole number; is 'yesterday'",
        ),
        (
            "epoch: 1704067200",
            "epoch: -1",
            "1:1",
            "epoch: must be greater than or equal to 0; is -1",
        ),
        (
            "  linux/arm64: {}",
            "  linux/arm64: {}\n  linux/arm46: {}",
            "8:3",
            "platforms.linux/arm46: must be 'linux/amd64', 'linux/arm64' or 'darwin/arm64'; ",
        ),
        ("linux/arm64: {}", "linux/arm64:", "7:3", "platforms.linux/arm64: must be a mapping; is"),
        (
            "linux/arm64: {}",
            "linux/arm64: {emulate: true}",
            "7:17",
            "platforms.linux/arm64.emulate: unknown key, with true",
        ),
        (
            "budget_mb: 80",
            "budget_mb: -80",
            "19:5",
            "backends.onnxruntime.budget_mb: must be greater than 0; is -80",
        ),
        ("distance: 1e-4", "distance: .nan", "11:5", "tolerances.float32.distance: must be a numb"),
        ("distance: 1e-4", "distance: 3", "11:5", "tolerances.float32.distance: must be less than"),
        (
            "formats: [onnx]",
            "formats: [onx]",
            "17:15",
            "backends.onnxruntime.formats[0]: must be 'onnx', 'sentence-transformers', 'gguf', ",
        ),
        (
            "formats: [onnx]",
            "formats: [onnx, onnx]",
            "17:5",
            "backends.onnxruntime.formats: names onnx more than once",
        ),
        (
            "formats: [onnx]",
            "formats: []",
            "17:5",
            "backends.onnxruntime.formats: must have at least 1 item",
        ),
        (
            "formats: [onnx]",
            "formats: onnx",
            "17:5",
            "backends.onnxruntime.formats: must be a list; is 'onnx'",
        ),
        (
            "platforms: [linux/amd64, linux/arm64]",
            "platforms: [linux/amd64, darwin/arm64]",
            "18:30",
            "backends.onnxruntime.platforms[1]: 'darwin/arm64' is not among platforms: linux/amd64",
        ),
        (
            "precision: float32",
            "precision: float16",
            "26:5",
            "models.fixture-768.precision: 'float16' is not among tolerances: float32; did you",
        ),
        (
            "precision: float32",
            "precision: float23",
            "26:5",
            "models.fixture-768.precision: a fixture can be float32, float16, q8_0; is 'float23'; ",
        ),
        (
            "default_prompt: null",
            "default_prompt: querry",
            "33:5",
            "models.fixture-768.default_prompt: 'querry' is not among models.fixture-768.prompts",
        ),
        (
            '    prompts:\n      query: "search_query: "\n    default_prompt: null',
            "    default_prompt: query",
            "31:5",
            "models.fixture-768.default_prompt: 'query' is not among models.fixture-768.prompts: ",
        ),
        (
            "models: [fixture-768]",
            "models: [fixture-786]",
            "35:12",
            "default.models[0]: 'fixture-786' is not among models: fixture-768; did you mean 'fix",
        ),
        (
            "models: [fixture-768]",
            "platforms: [darwin/arm64]",
            "35:15",
            "default.platforms[0]: 'darwin/arm64' is not among platforms: linux/amd64, linux/arm64",
        ),
        (
            "  onnxruntime:\n",
            "  ONNX Runtime:\n",
            "14:3",
            "backends.ONNX Runtime: must be lower-case letters and digits, with single '-', '.' or",
        ),
        (
            "  onnxruntime:\n",
            f"  {'o' * 51}:\n",
            "14:3",
            f"backends.{'o' * 51}: must have at most 50 characters",
        ),
        ("prefix: equivec", "prefix: Equivec/", "4:1", "prefix: must be an image name's beginning"),
        ("engine: auto", "engine: docker", "2:1", "engine: must be auto, private, or the URL of"),
        (
            "publication: oci:d",
            "publication: d",
            "3:1",
            "publication: must be oci: and a directory, or docker:// and a registry",
        ),
        (
            "publication: oci:dist/images",
            "publication: [oci:a, docker://ghcr.io/Acme]",
            "3:1",
            "publication: must be oci: and a directory, or docker:// and a registry: docker://ghcr",
        ),
        (
            "publication: oci:dist/images",
            "publication: [oci:a, oci:b]",
            "3:1",
            "publication: names 2 directories: registries are filled from one",
        ),
        (
            "publication: oci:dist/images",
            "publication: [docker://ghcr.io/a, docker://ghcr.io/a]",
            "3:1",
            "publication: names docker://ghcr.io/a more than once",
        ),
        ("publication: oci:dist/images", "publication: []", "3:1", "publication: must have at"),
        ("publication: oci:dist/images", "publication: {}", "3:1", "publication: must be a list"),
        (
            "fixture:fixture-768",
            "hub:x",
            "22:5",
            "models.fixture-768.source: must be fixture:NAME, hub:",
        ),
        (
            f"weights: {ZERO}",
            "weights: sha256:0",
            "27:5",
            "models.fixture-768.weights: must be sha256: and 64 lower-case hexadecimal digits",
        ),
        ("dimension: 768", "dimension: 0", "24:5", "models.fixture-768.dimension: must be greater"),
        ("dimension: 768", "dimension: 768.0", "24:5", "models.fixture-768.dimension: must be a "),
        ("normalize: true", "normalize: yes", "30:5", "models.fixture-768.normalize: must be true"),
        (
            "title: ONNX Runtime",
            "title: 1",
            "15:5",
            "backends.onnxruntime.title: must be text; is 1",
        ),
        (
            "title: ONNX Runtime",
            "title: ONNX\n    title: x",
            "16:5",
            "backends.onnxruntime.title: duplicate key: it stands in line 15 already",
        ),
        (
            'query: "search_query: "',
            'query: "x"\n      "": y',
            "33:7",
            "models.fixture-768.prompts.",
        ),
        (
            "default_prompt: null",
            "matryoshka: {dimensions: [512, 768]}",
            "33:5",
            "models.fixture-768.matryoshka: 768 is not shorter than 768",
        ),
        (
            "default_prompt: null",
            "matryoshka: {dimensions: [64, 64]}",
            "33:18",
            "models.fixture-768.matryoshka.dimensions: names 64 more than once",
        ),
        (
            "default_prompt: null",
            "matryoshka: {dimensions: [64], layernorm: true}",
            "33:36",
            "models.fixture-768.matryoshka.layernorm: unknown key, with true; did you mean 'layer_",
        ),
        (
            "default_prompt: null",
            f"inputs: [text]\n    preprocessor: {ZERO}",
            "33:5",
            "models.fixture-768.inputs: a preprocessor is of images: this model takes none",
        ),
    ],
)
def test_an_error_names_place_key_value_and_nearest_name(
    tmp_path: Path, old: str, new: str, place: str, message: str
) -> None:
    error = refused(tmp_path, old, new)
    assert error.where == f"{tmp_path}/matrix.yaml:{place}"
    assert error.problem.startswith(message)
    assert error.remedy
    assert error.exit_code == 10


def test_the_anchor_is_a_backend(tmp_path: Path) -> None:
    error = refused(tmp_path, "engine: auto\n", "engine: auto\nanchor: onnxrutime\n")
    assert "anchor: 'onnxrutime' is not among backends: onnxruntime" in str(error)


def test_gates_of_a_backend_are_for_models_there_are(tmp_path: Path) -> None:
    gate = "{fixture-786: {max_abs_difference: 1, distance: 1, overlap_at_10: 1}}"
    error = refused(tmp_path, "budget_mb: 80\n", f"budget_mb: 80\n    cross_backend: {gate}\n")
    assert "cross_backend.fixture-786: 'fixture-786' is not among models" in str(error)


def test_what_a_backend_is_not_for_is_a_model(tmp_path: Path) -> None:
    not_for = "not_for: {fixture-786: why}"
    error = refused(tmp_path, "budget_mb: 80\n", f"budget_mb: 80\n    {not_for}\n")
    assert "not_for.fixture-786: 'fixture-786' is not among models" in str(error)


def test_a_refusal_is_expected_on_a_platform_of_the_backend(tmp_path: Path) -> None:
    listed = "platforms: [linux/amd64]\n    refused: [linux/arm64]"
    error = refused(tmp_path, "platforms: [linux/amd64, linux/arm64]", listed)
    assert (
        "backends.onnxruntime.refused[0]: 'linux/arm64' is not among"
        " backends.onnxruntime.platforms: linux/amd64" in str(error)
    )


def test_one_run_tells_every_problem_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "matrix.yaml"
    file.write_text(
        TEXT.replace("engine: auto", "engine: x")
        .replace("distance: 1e-4", "distance: 01")
        .replace("precision: float32", "precision: int8")
        .replace("pooling: mean", "poling: mean")
        .replace("normalize: true", "normalize: true\n    normalize: true")
    )
    with pytest.raises(MatrixError) as caught:
        load(file)
    first, *lines = caught.value.problem.splitlines()
    assert first == "6 problems"
    assert [line.strip().removeprefix(f"{file}:").split(": ")[:2] for line in lines] == [
        ["2:1", "engine"],
        ["11:15", "tolerances.float32.distance"],
        ["21:3", "models.fixture-768.pooling"],
        ["26:5", "models.fixture-768.precision"],
        ["29:5", "models.fixture-768.poling"],
        ["31:5", "models.fixture-768.normalize"],
    ]
    assert caught.value.where == str(file)


def test_a_wrong_table_is_told_once_not_by_everything_that_uses_it(tmp_path: Path) -> None:
    error = refused(tmp_path, "tolerances:\n  float32:\n", "tolerances: none\nother:\n  float32:\n")
    assert "tolerances: must be a mapping" in error.problem
    assert "is not among tolerances" not in error.problem


@pytest.mark.parametrize(("text", "value"), [("", "null"), ("- a", "a list"), ("a", "'a'")])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str, value: str) -> None:
    file = tmp_path / "matrix.yaml"
    file.write_text(text)
    with pytest.raises(MatrixError, match=f"must be a mapping; is {value}"):
        load(file)


def test_names_that_make_one_id_of_two_cells(tmp_path: Path) -> None:
    backend = TEXT[TEXT.index("  onnxruntime:") : TEXT.index("models:\n")]
    model = TEXT[TEXT.index("  fixture-768:") : TEXT.index("default:\n")]
    file = tmp_path / "matrix.yaml"
    file.write_text(
        TEXT.replace(
            backend, backend + backend.replace("onnxruntime", "onnxruntime-fixture")
        ).replace(
            model, model + model.replace("  fixture-768:", "  768:", 1).replace("768:", "'768':", 1)
        )
    )
    with pytest.raises(MatrixError) as caught:
        load(file)
    assert "onnxruntime-fixture with 768 would both be onnxruntime-fixture-768: rename one" in str(
        caught.value
    )


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    error = refused(tmp_path, "engine: auto", f"engine: {'x' * 500}")
    assert error.problem.endswith(f"; is '{'x' * 58}…")


def test_a_value_stays_on_one_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "engine: auto", 'engine: "a\\nb"')
    assert error.problem.endswith("; is 'a\\nb'")


@pytest.mark.parametrize(
    "prefix", ["equivec", "ghcr.io/owner/equivec", "localhost:5000/a/b", "a.b_c-d"]
)
def test_prefixes_that_are_image_names(tmp_path: Path, prefix: str) -> None:
    file = tmp_path / "matrix.yaml"
    file.write_text(TEXT.replace("prefix: equivec", f"prefix: {prefix}"))
    assert load(file).prefix == prefix


def test_every_key_is_explained_in_the_documentation() -> None:
    text = (ROOT / "docs" / "matrix.md").read_text()
    for section in (Matrix, Tolerance, Backend, Model, KnownAnswer, Matryoshka, ModelFile):
        for key in section.model_fields:
            assert f"`{key}`" in text
