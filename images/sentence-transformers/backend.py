"""The sentence-transformers backend: safetensors in native classes of transformers, on the CPU."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from embedding_service import recipe as recipes
from embedding_service import tokens, weights
from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import ModelError
from embedding_service.inputs import Text
from embedding_service.pooling import normalised, padded
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

LIBRARY = "sentence_transformers."

MODULES = ("Transformer", "Pooling", "Dense", "Normalize")
"""The parts of a model that are known, by the class name at the end of their type."""

# torch's own, by either name; without any, the library takes Tanh.
_ACTIVATIONS = r"torch\.nn\.(modules\.(activation|linear)\.)?[A-Z]\w*"
_ACTIVATION = "torch.nn.Tanh"

# Vectors are pooled from the tokens': what other uses put after these means nothing to them, be it
# in the class alone or also in the file (bge has a pooler, a pre-trained BERT its heads, an old
# export the numbers of the positions).
_POOLER = re.compile(r"pooler\..*")
_UNUSED = re.compile(r"(pooler|cls|lm_head)\..*|(.*\.)?position_ids")

# What nomic-bert-2048's own code reads in config.json, and the names that the native class reads.
_FOREIGN_NAMES = {
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_layer": "num_hidden_layers",
    "layer_norm_epsilon": "layer_norm_eps",
    "rotary_emb_base": "rope_theta",
}
# What it reads besides, and the native class does in one way only.
_FOREIGN_VALUES = {"prenorm": False, "rotary_emb_fraction": 1.0, "rotary_scaling_factor": None}


class Backend:
    """A text encoder, pooled as its directory and its recipe agree, normalised by the recipe.

    transformers loads the encoder, since sentence-transformers does not tell what was missing; what
    comes after it is sentence-transformers' own.
    """

    name: ClassVar[str] = "sentence-transformers"
    libraries: ClassVar[tuple[str, ...]] = (
        "numpy",
        "sentence-transformers",
        "tokenizers",
        "torch",
        "transformers",
    )

    def __init__(
        self, recipe: Recipe, tokenizer: Tokenizer, encoder: Any, after: list[Any]
    ) -> None:
        self.capabilities = Capabilities(
            text=True, image=False, max_tokens=recipe.max_tokens, batching="padded"
        )
        self.tokenizer = tokenizer
        self.runtime = _runtime(encoder)
        self._recipe = recipe
        self._encoder = encoder
        self._after = after
        self._padding = encoder.config.pad_token_id or 0
        self._takes = frozenset(inspect.signature(encoder.forward).parameters)

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Load `model.safetensors`, `tokenizer.json` and the modules of `modules.json`.

        Raises:
            ModelError: The model is of another format, wants code of its own, has tensors missing,
                left over or in a pickle, or is not what its recipe says.
        """
        recipe = recipes.read(model_dir)
        if recipe.format != cls.name:
            raise ModelError(f"{cls.name} takes models in its own format, not {recipe.format}")
        weights.refuse_pickles(model_dir)
        after = modules(model_dir, recipe)
        weights.prepare(settings)
        encoder = _encoder(model_dir)
        tokenizer = tokens.tokenizer(model_dir)
        _check_encoder(encoder.config, recipe, words=tokenizer.get_vocab_size())
        parts = [_module(model_dir, kind, path, encoder, recipe) for kind, path in after]
        dimension = parts[-1].get_embedding_dimension()
        if dimension != recipe.dimension:
            raise ModelError(
                f"the vectors of {model_dir} have {dimension} dimensions; "
                f"the recipe of {recipe.name} declares {recipe.dimension}"
            )
        return cls(recipe, tokenizer, encoder, parts)

    def embed(self, inputs: Sequence[Text]) -> Vectors:
        """Return the texts' vectors, float32 of shape (texts, dimension)."""
        import torch  # noqa: PLC0415 -- takes seconds: `load` has imported it

        with torch.inference_mode():
            features: dict[str, Tensor] = {
                name: torch.from_numpy(array)
                for name, array in padded(inputs, padding=self._padding).items()
                if name in self._takes
            }
            hidden = self._encoder(**features).last_hidden_state
            features = {**features, "token_embeddings": hidden}
            for module in self._after:
                features = module(features)
            vectors: Vectors = features["sentence_embedding"].numpy()
        if not self._recipe.normalize:
            return vectors
        return normalised(vectors)

    def close(self) -> None:
        """Free the model."""
        del self._encoder, self._after


def modules(model_dir: Path, recipe: Recipe) -> list[tuple[str, str]]:
    """Return what comes after the encoder: class name and folder of each module, Pooling first.

    Normalize is not among them: the recipe decides, and must agree. Without modules.json, the
    directory is an encoder, which is pooled by the recipe.

    Raises:
        ModelError: A module is not known, contradicts the recipe, or is not the library's own (or
            its activation not torch's).
    """
    path = model_dir / "modules.json"
    listed = _read_json(path) if path.is_file() else []
    types = [str(module["type"]) for module in listed] or [f"{LIBRARY}Transformer"]
    kinds = [name.rpartition(".")[2] for name in types]
    for name, kind in zip(types, kinds, strict=True):
        if not name.startswith(LIBRARY):
            raise ModelError(
                f"{model_dir} wants code of its own, which is never run: {name} in modules.json"
            )
        if kind not in MODULES:
            raise ModelError(f"{path} asks for {name}; known are {', '.join(MODULES)}")
    order = "".join(kind[0] for kind in kinds)
    if not re.fullmatch("T(PD*N?)?", order) or (listed and listed[0]["path"]):
        raise ModelError(
            f"{path} has {', '.join(kinds)}: it must be a Transformer in the directory itself, a "
            "Pooling, any Dense, and Normalize at the end if at all"
        )
    if "N" in order and not recipe.normalize:
        raise ModelError(f"{path} normalises, the recipe of {recipe.name} does not")
    if ("D" in order) != recipe.dense_layers:
        has, claims = ("has", "none") if "D" in order else ("has no", "some")
        raise ModelError(f"{path} {has} dense layers, the recipe of {recipe.name} claims {claims}")
    after = [*zip(kinds, (str(module["path"]) for module in listed), strict=False)]
    for kind, folder in after:
        if kind == "Dense":
            _refuse_own_activation(model_dir / folder / "config.json")
    return [part for part in after if part[0] in ("Pooling", "Dense")] or [("Pooling", "")]


def _refuse_own_activation(path: Path) -> None:
    """Refuse a dense layer whose activation is not torch's.

    The library would take Tanh in its place, and only warn: other vectors.
    """
    activation = str(_read_json(path).get("activation_function", _ACTIVATION))
    if not re.fullmatch(_ACTIVATIONS, activation):
        raise ModelError(f"{path} wants code of its own, which is never run: {activation}")


def foreign(written: Mapping[str, Any], read: Mapping[str, Any]) -> str:
    """Return where config.json says what the native class does not read, and takes otherwise.

    Args:
        written: What config.json says.
        read: What the class took, by its own names.
    """
    taken = {
        name: (own, read[own])
        for name, own in _FOREIGN_NAMES.items()
        if own in read and own not in written
    }
    taken |= {name: (name, value) for name, value in _FOREIGN_VALUES.items()}
    return "; ".join(
        f"{name} is {written[name]}, and {own} is taken to be {value}"
        for name, (own, value) in taken.items()
        if name in written and written[name] != value
    )


def _encoder(model_dir: Path) -> Any:
    """Load the encoder by the native class of its configuration."""
    import torch  # noqa: PLC0415 -- takes seconds
    from transformers import AutoConfig, AutoModel  # noqa: PLC0415
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()
    written = _read_json(model_dir / "config.json")
    if written.get("model_type") not in CONFIG_MAPPING:
        wants = "wants code of its own, which is never run, and " if "auto_map" in written else ""
        raise ModelError(
            f"{model_dir} {wants}is of the type {written.get('model_type')}, "
            "which transformers has no class for"
        )
    own: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(model_dir, **own)
    read = {**(getattr(config, "rope_parameters", None) or {}), **config.to_dict()}
    if problem := foreign(written, read):
        raise ModelError(f"{model_dir}/config.json says otherwise than its class reads: {problem}")
    precisely: Mapping[str, Any] = {"dtype": torch.float32, "use_safetensors": True}
    encoder, found = AutoModel.from_pretrained(
        model_dir, config=config, output_loading_info=True, **precisely, **own
    )
    weights.refuse_random(
        model_dir,
        missing=found["missing_keys"],
        unexpected=found["unexpected_keys"],
        without=_POOLER,
        unused=_UNUSED,
    )
    return encoder.eval()


def _check_encoder(config: Any, recipe: Recipe, *, words: int) -> None:
    """Refuse a recipe or tokenizer that would lead out of the encoder's tables."""
    # nomic-bert-2048's own code has the first name. The native class has no table of positions.
    names = ("n_positions", "max_position_embeddings")
    positions = next((getattr(config, name) for name in names if hasattr(config, name)), 0)
    if recipe.max_tokens > positions:
        raise ModelError(
            f"the recipe of {recipe.name} takes {recipe.max_tokens} tokens; "
            f"its config.json has positions for {positions}"
        )
    if words > config.vocab_size:
        raise ModelError(
            f"the tokenizer of {recipe.name} has {words} tokens; "
            f"its config.json has rows for {config.vocab_size}"
        )


def _module(model_dir: Path, kind: str, path: str, encoder: Any, recipe: Recipe) -> Any:
    """Load a module that comes after the encoder."""
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling  # noqa: PLC0415

    if not path:
        return Pooling(encoder.config.hidden_size, recipe.pooling)
    own: Mapping[str, Any] = {"subfolder": path, "local_files_only": True}
    if kind == "Dense":
        return Dense.load(str(model_dir), **own).eval()
    pooling = Pooling.load(str(model_dir), **own)
    if pooling.pooling_mode != recipe.pooling:
        raise ModelError(
            f"{model_dir}/{path} pools by {pooling.pooling_mode}, "
            f"the recipe of {recipe.name} by {recipe.pooling}"
        )
    if not pooling.include_prompt:
        raise ModelError(f"{model_dir}/{path} leaves the prompt out of the pooling: not supported")
    return pooling


def _runtime(encoder: Any) -> Mapping[str, str]:
    import torch  # noqa: PLC0415 -- takes seconds

    return {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "attention": str(encoder.config._attn_implementation),  # noqa: SLF001 -- not told otherwise
    }


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
