"""Fetching: files into the store, what is made of them, and the lock that says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import fixture, model
from builders.errors import FetchError, LockError, ModelError
from builders.files import sha256_of, tree_digests
from builders.matrix import Format, Matrix, Model, load
from builders.paths import ROOT
from builders.pretrained import arrival, fetching, making
from builders.pretrained.fetching import Fetched
from builders.pretrained.hub import Hub
from builders.project import Project
from builders.store import Store
from tests.unit import hub_server
from tests.unit.checkpoints import BERT, NOMIC, change_config, directory, original_nomic
from tests.unit.hub_server import COMMIT, HubServer

NAME = "owner/model"
FILES = ("model.safetensors", "config.json", "tokenizer.json")
CONVERTED: tuple[Format, ...] = ("onnx", "sentence-transformers", "gguf")
OFFLINE = Hub(endpoint="http://127.0.0.1:9")
"""A hub that no test may need."""


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return directory(BERT, tmp_path_factory.mktemp("bert") / "model")


@pytest.fixture
def server(bert: Path) -> Iterator[HubServer]:
    with hub_server.running({NAME: {name: (bert / name).read_bytes() for name in FILES}}) as hub:
        yield hub


@pytest.fixture
def hub(server: HubServer, tmp_path: Path) -> Hub:
    return Hub(endpoint=server.endpoint, cache=tmp_path / "hub")


def pinned(place: Path) -> dict[str, dict[str, object]]:
    """Return the pins of a directory's files, as an entry has them."""
    return {
        name: {
            "sha256": hashlib.sha256((place / name).read_bytes()).hexdigest(),
            "size": (place / name).stat().st_size,
        }
        for name in FILES
    }


def entry(name: str, place: Path, **changes: Any) -> Model:
    """Return the entry of a fixture's directory, as that of a model which is fetched."""
    known = load(ROOT / "matrix.yaml").models[name]
    pins = pinned(place)
    return Model.model_validate(
        {
            **known.model_dump(exclude={"known_answers"}),
            "source": f"file:{place}",
            "formats": CONVERTED,
            "files": pins,
            "weights": f"sha256:{pins['model.safetensors']['sha256']}",
            "tokenizer": f"sha256:{pins['tokenizer.json']['sha256']}",
            **changes,
        }
    )


def project(tmp_path: Path, **models: Model) -> Project:
    """Return a checkout with these models, and a store of its own."""
    root = tmp_path / "checkout"
    (root / "images" / "models").mkdir(parents=True, exist_ok=True)
    matrix: Matrix = load(ROOT / "matrix.yaml").model_copy(update={"models": models})
    return Project(root=root, matrix=matrix, store=Store(tmp_path / "cache"))


def fetched(tmp_path: Path, tried: Model, hub: Hub = OFFLINE, name: str = BERT) -> Fetched:
    return fetching.fetch(project(tmp_path, **{name: tried}), name, hub)


@pytest.mark.parametrize("name", [NOMIC, BERT])
def test_what_is_converted_is_what_the_fixture_writes(name: str, tmp_path: Path) -> None:
    place = directory(name, tmp_path / "model")
    checkout = project(tmp_path, **{name: entry(name, place)})
    fetching.fetch(checkout, name, OFFLINE)

    for form in CONVERTED:
        fixture.write(name, form, tmp_path / form)
        made = model.directory(checkout, name, form)
        assert {**tree_digests(tmp_path / form), "model.json": made.files["model.json"]} == dict(
            made.files
        )


@pytest.mark.parametrize("precision", ["float16", "q8_0"])
def test_a_gguf_is_converted_at_the_precision_of_the_entry(
    precision: str, bert: Path, tmp_path: Path
) -> None:
    found = fetched(tmp_path, entry(BERT, bert, precision=precision, formats=("gguf",)))

    fixture.write(BERT, "gguf", tmp_path / "gguf", precision)
    assert {path: file.sha256 for path, file in found.lock.formats["gguf"].items()} == tree_digests(
        tmp_path / "gguf"
    )


def test_the_original_layout_of_nomic_is_made_native(tmp_path: Path) -> None:
    place = original_nomic(tmp_path / "model")
    checkout = project(tmp_path, **{NOMIC: entry(NOMIC, place)})
    fetching.fetch(checkout, NOMIC, OFFLINE)
    fixture.write(NOMIC, "onnx", tmp_path / "expected")

    onnx = model.directory(checkout, NOMIC, "onnx").path / "model.onnx"
    assert onnx.read_bytes() == (tmp_path / "expected" / "model.onnx").read_bytes()
    made = model.directory(checkout, NOMIC, "sentence-transformers")
    config = json.loads((made.path / "config.json").read_bytes())
    assert "auto_map" not in config
    assert config["num_hidden_layers"] == 2
    source = (place / "model.safetensors").read_bytes()
    assert (made.path / "model.safetensors").read_bytes() == source


def test_the_first_fetch_from_a_hub_writes_the_lock_and_the_second_confirms_it(
    bert: Path, server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    pins = pinned(bert)
    del pins["config.json"]["sha256"], pins["config.json"]["size"]
    checkout = project(
        tmp_path, **{BERT: entry(BERT, bert, source=f"hub:{NAME}@{COMMIT}", files=pins)}
    )
    assert model.absent(checkout) == {BERT: f"needs the hub: `nox -s fetch -- --model {BERT}`"}

    first = fetching.fetch(checkout, BERT, hub)

    assert first.written == model.lock_path(checkout.root, BERT)
    assert first.completed == ("config.json",)
    assert model.read_lock(checkout.root, BERT) == first.lock
    assert first.lock.sources["config.json"].sha256 == pinned(bert)["config.json"]["sha256"]
    assert model.absent(checkout) == {}
    assert len(server.downloads()) == len(FILES)

    second = fetching.fetch(checkout, BERT, OFFLINE)
    assert (second.written, second.completed) == (None, ())
    assert model.directory(checkout, BERT, "onnx").files["model.onnx"]


def test_another_machine_gets_the_same_or_nothing(
    bert: Path, server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    tried = entry(BERT, bert, source=f"hub:{NAME}@{COMMIT}")
    fetched(tmp_path, tried, hub)
    lock = model.lock_path(tmp_path / "checkout", BERT)
    elsewhere = project(tmp_path / "elsewhere", **{BERT: tried})
    model.lock_path(elsewhere.root, BERT).write_bytes(lock.read_bytes())
    assert BERT in model.absent(elsewhere)

    assert fetching.fetch(elsewhere, BERT, hub).written is None

    document = json.loads(lock.read_bytes())
    document["formats"]["onnx"]["model.onnx"]["sha256"] = "0" * 64
    model.lock_path(elsewhere.root, BERT).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ModelError, match=r"is not what its lock says: onnx/model\.onnx sha256"):
        fetching.fetch(elsewhere, BERT, hub)


def test_a_damaged_file_in_the_hub_cache_is_fetched_again(
    bert: Path, server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    tried = entry(BERT, bert, source=f"hub:{NAME}@{COMMIT}")
    fetched(tmp_path, tried, hub)
    for blob in (tmp_path / "hub").rglob("blobs/*"):
        blob.write_bytes(b"damaged")

    fetched(tmp_path / "again", tried, hub)

    assert len(server.downloads()) == 2 * len(FILES)


def test_a_file_that_a_mirror_alters_is_refused(
    bert: Path, server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.files[NAME]["config.json"] += b"\n"
    tried = entry(BERT, bert, source=f"hub:{NAME}@{COMMIT}")

    with pytest.raises(
        FetchError, match=r"(?s)config\.json: not what its pin says.*expected sha256"
    ):
        fetched(tmp_path, tried, hub)
    assert not model.lock_path(tmp_path / "checkout", BERT).exists()
    assert not list((tmp_path / "cache" / "partial").iterdir())


def test_a_file_may_come_from_another_repository_under_another_name(
    bert: Path, server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    fixture.write(BERT, "onnx", tmp_path / "onnx")
    content = (tmp_path / "onnx" / "model.onnx").read_bytes()
    server.files["other/weights"] = {"onnx/model.onnx": content}
    tried = entry(
        BERT,
        bert,
        source=f"hub:{NAME}@{COMMIT}",
        formats=("onnx",),
        files={
            "model.onnx": {
                "source": f"hub:other/weights@{COMMIT}",
                "path": "onnx/model.onnx",
                "sha256": hashlib.sha256(content).hexdigest(),
            },
            "tokenizer.json": pinned(bert)["tokenizer.json"],
        },
    )

    found = fetched(tmp_path, tried, hub)

    assert set(found.lock.formats["onnx"]) == {"model.onnx", "tokenizer.json"}


def test_a_directory_that_changed_after_its_lock_is_refused(bert: Path, tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    checkout = project(tmp_path, **{BERT: entry(BERT, place)})
    assert model.absent(checkout)[BERT].startswith(f"needs file:{place} to be read: `nox -s fetch")
    fetching.fetch(checkout, BERT, OFFLINE)
    change_config(place, hidden_act="relu")
    assert model.directory(checkout, BERT, "onnx").files  # the store has what was pinned

    elsewhere = Project(root=checkout.root, matrix=checkout.matrix, store=Store(tmp_path / "new"))
    assert model.absent(elsewhere) == {}  # it is at hand, and read when it is needed
    with pytest.raises(FetchError, match=r"config\.json: not what its pin says"):
        model.directory(elsewhere, BERT, "onnx")


def test_a_directory_that_is_gone_is_missed_where_nothing_was_kept(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    checkout = project(tmp_path, **{BERT: entry(BERT, place)})
    fetching.fetch(checkout, BERT, OFFLINE)
    (place / "config.json").unlink()
    assert model.absent(checkout) == {}  # the store has it

    elsewhere = Project(root=checkout.root, matrix=checkout.matrix, store=Store(tmp_path / "new"))
    assert model.absent(elsewhere)[BERT].startswith(f"needs file:{place} to be read")


def test_matrix_and_lock_may_not_contradict_each_other(bert: Path, tmp_path: Path) -> None:
    tried = entry(BERT, bert)
    fetched(tmp_path, tried)
    other = pinned(bert)
    other["config.json"]["sha256"] = "0" * 64
    with pytest.raises(LockError, match=r"the sha256 of config\.json: .* by its lock, 0000"):
        fetched(tmp_path, entry(BERT, bert, files=other))
    del other["config.json"]
    with pytest.raises(LockError, match=r"its files: .* by its lock"):
        fetched(tmp_path, entry(BERT, bert, files=other))


def test_the_preprocessor_that_is_declared_is_there_and_the_same(
    bert: Path, tmp_path: Path
) -> None:
    declared = {"preprocessor": f"sha256:{'0' * 64}"}
    with pytest.raises(ModelError, match=r"it has no preprocessor_config\.json"):
        fetched(tmp_path, entry(BERT, bert).model_copy(update=declared))

    place = directory(BERT, tmp_path / "model")
    content = place / "preprocessor_config.json"
    content.write_text("{}", encoding="utf-8")
    digest = hashlib.sha256(content.read_bytes()).hexdigest()
    tried = entry(BERT, place, files={**pinned(place), content.name: {"sha256": digest}})
    with pytest.raises(ModelError, match=rf"its preprocessor is sha256:{digest}"):
        fetched(tmp_path, tried.model_copy(update=declared))


@pytest.mark.parametrize("which", ["weights", "tokenizer"])
def test_the_source_weights_and_tokenizer_are_those_that_are_declared(
    which: str, bert: Path, tmp_path: Path
) -> None:
    tried = entry(BERT, bert, **{which: f"sha256:{'0' * 64}"})

    with pytest.raises(ModelError, match=rf"models\.{BERT}: its {which}.? (is|are) sha256:"):
        fetched(tmp_path, tried)


def test_a_generated_model_is_not_fetched(tmp_path: Path) -> None:
    known = load(ROOT / "matrix.yaml").models[BERT]
    with pytest.raises(LockError, match=f"comes from fixture:{BERT}"):
        fetched(tmp_path, known)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimension": 768}, "its vectors have 384 numbers; matrix.yaml declares 768"),
        ({"max_tokens": 1024}, "positions for 512 tokens; matrix.yaml declares 1024"),
        ({"pooling": "model"}, "its pooling is a part of the model itself"),
        ({"dense_layers": True}, "dense layers"),
        ({"precision": "q8_0", "formats": ("onnx",)}, "converted to onnx as float32, not as q8_0"),
        ({"formats": ("openai",)}, "cannot be had as openai"),
    ],
)
def test_an_entry_that_the_model_does_not_fit_is_refused(
    change: dict[str, Any], message: str, bert: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        fetched(tmp_path, entry(BERT, bert, **change))
    assert not list((tmp_path / "checkout" / "images" / "models").iterdir())


def test_what_is_not_listed_is_named(bert: Path, tmp_path: Path) -> None:
    files = pinned(bert)
    del files["config.json"]
    with pytest.raises(ModelError, match=rf"models\.{BERT}: config\.json is not among its files"):
        fetched(tmp_path, entry(BERT, bert, files=files))


def other_architecture(place: Path, **changes: object) -> Path:
    directory(BERT, place)
    change_config(place, model_type="mpnet", **changes)
    return place


def test_another_architecture_goes_into_a_directory_as_it_is(tmp_path: Path) -> None:
    place = other_architecture(tmp_path / "model")
    checkout = project(tmp_path, **{BERT: entry(BERT, place, formats=("sentence-transformers",))})
    fetching.fetch(checkout, BERT, OFFLINE)

    made = model.directory(checkout, BERT, "sentence-transformers").path
    assert (made / "config.json").read_bytes() == (place / "config.json").read_bytes()
    assert json.loads((made / "1_Pooling" / "config.json").read_bytes())["pooling_mode_cls_token"]


def test_another_architecture_is_not_converted(tmp_path: Path) -> None:
    place = other_architecture(tmp_path / "model")
    with pytest.raises(ModelError, match=r"config\.json: its architecture is mpnet"):
        fetched(tmp_path, entry(BERT, place))


@pytest.mark.parametrize("form", ["sentence-transformers", "transformers"])
def test_a_directory_that_wants_remote_code_is_refused(form: Format, tmp_path: Path) -> None:
    place = other_architecture(tmp_path / "model", auto_map={"AutoModel": "modeling.Model"})
    with pytest.raises(ModelError, match="wants to run Python code of its own"):
        fetched(tmp_path, entry(BERT, place, formats=(form,)))
    # Another format runs no code of the model, or (vendored, and pinned) is there to run it.
    assert fetched(tmp_path, entry(BERT, place, formats=("remote-code",))).written


def test_modules_that_are_listed_go_in_as_they_are(bert: Path, tmp_path: Path) -> None:
    modules = (bert / "modules.json").read_bytes()
    pin = {"sha256": hashlib.sha256(modules).hexdigest()}
    files = {**pinned(bert), "modules.json": pin}
    tried = entry(BERT, bert, formats=("sentence-transformers",), files=files)

    assert set(fetched(tmp_path, tried).lock.formats["sentence-transformers"]) == set(files)


def test_a_pickle_is_no_file_of_an_entry(bert: Path) -> None:
    pin = {"sha256": "0" * 64}
    with pytest.raises(ValueError, match=r"pytorch_model\.bin: a pickle may run any program"):
        entry(BERT, bert, files={"pytorch_model.bin": pin})


def test_a_fetched_model_says_its_files_and_a_generated_one_has_none(bert: Path) -> None:
    with pytest.raises(ValueError, match="missing: it says which files are fetched"):
        entry(BERT, bert, files={})
    with pytest.raises(ValueError, match="only a hub: or file: source"):
        entry(BERT, bert, source=f"fixture:{BERT}")


def test_a_moving_revision_is_refused_and_the_message_says_why(bert: Path, tmp_path: Path) -> None:
    text = (ROOT / "tests" / "unit" / "matrix.yaml").read_text(encoding="utf-8")
    path = tmp_path / "matrix.yaml"
    path.write_text(text.replace("fixture:fixture-768", "hub:a/b@main", 1), encoding="utf-8")
    with pytest.raises(Exception, match=r"40 hexadecimal digits: a branch moves.*hub:a/b@main"):
        load(path)


def test_a_local_file_that_is_gone_is_named(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    tried = entry(BERT, place)
    (place / "config.json").unlink()
    with pytest.raises(FetchError, match=r"model/config\.json: cannot be read: No such file"):
        fetched(tmp_path, tried)


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a"
    place.write_bytes(b"before")
    store = Store(tmp_path / "cache")

    def digest_and_change(path: Path) -> str:
        found = sha256_of(path)
        place.write_bytes(b"after")
        return found

    monkeypatch.setattr(arrival, "sha256_of", digest_and_change)
    with pytest.raises(FetchError, match="it changed while it was read"):
        arrival.bring(store, place, arrival.Pin(sha256=None, size=None), source=place)
    assert not list((store.cache / "partial").iterdir())


def test_dense_layers_that_are_not_listed_are_asked_for(bert: Path, tmp_path: Path) -> None:
    forms = ("sentence-transformers",)
    tried = entry(BERT, bert, formats=forms, dense_layers=True)
    with pytest.raises(ModelError, match=r"dense layers are not among .*\n.*list modules\.json"):
        fetched(tmp_path, tried)


def test_weights_beyond_what_an_onnx_file_holds_are_refused(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_LARGEST_ONNX", 1_000_000)
    with pytest.raises(ModelError, match=r"weights have \d{8} bytes; an ONNX file holds 2 GiB"):
        fetched(tmp_path, entry(BERT, bert, formats=("onnx",)))
