"""The SigLIP 2 backend: texts and images in one space, with the native classes of transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from embedding_service import pictures, tokens, weights
from embedding_service import recipe as recipes
from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import ModelError
from embedding_service.inputs import Given, Image, Text
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FORMAT = "transformers"

MODEL_TYPE = "siglip"
"""Also of SigLIP 2, where images have a fixed size. (`siglip2` are those of any size, NaFlex.)"""

PADDING = 0

ATTENTION = "sdpa"

_NOTHING = re.compile("(?!)")
"""Every tensor of the class counts: no name matches this."""


class Backend:
    """A SigLIP 2 of a fixed image size, pooled by the model itself and normalised by the recipe.

    The parts that decide the vectors are named, not chosen by what is installed: the tokenizer's
    file with lower case before it, and PIL's image processor (torchvision's resizes otherwise).
    """

    name: ClassVar[str] = "siglip2"
    libraries: ClassVar[tuple[str, ...]] = (
        "numpy",
        "pillow",
        "tokenizers",
        "torch",
        "transformers",
    )

    def __init__(self, recipe: Recipe, tokenizer: Tokenizer, processor: Any, model: Any) -> None:
        self.capabilities = Capabilities(
            text=True, image=True, max_tokens=recipe.max_tokens, batching="fixed"
        )
        self.tokenizer = tokenizer
        self.runtime = _runtime()
        self._recipe = recipe
        self._processor = processor
        self._model = model

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Load `model.safetensors`, both configurations, and `tokenizer.json`.

        Raises:
            ModelError: The model is of another format or type, wants code of its own, has weights
                missing or left over or in a pickle, or is not what its recipe says.
        """
        recipe = recipes.read(model_dir)
        if recipe.format != FORMAT:
            raise ModelError(f"{cls.name} takes models in the format {FORMAT}, not {recipe.format}")
        if recipe.pooling != "model":
            raise ModelError(
                f"{recipe.name} is pooled by the model itself; its recipe says {recipe.pooling}"
            )
        weights.refuse_pickles(model_dir)
        _check_type(_read_json(model_dir / "config.json"), model_dir)
        weights.prepare(settings)
        model = _model(model_dir)
        tokenizer = _tokenizer(model_dir)
        processor = _processor(model_dir)
        _check(model.config, recipe, words=tokenizer.get_vocab_size(), size=processor.size)
        return cls(recipe, tokenizer, processor, model)

    def embed(self, inputs: Sequence[Given]) -> Vectors:
        """Return the vectors of texts and images, float32 of shape (inputs, dimension).

        Raises:
            ImageError: An input is no image that can be read.
        """
        import torch  # noqa: PLC0415 -- takes seconds: `load` has imported it

        # First what may be refused, whatever else there is to compute.
        ids = self._token_ids(inputs)
        pixels = {
            row: self._pixels(each, row)
            for row, each in enumerate(inputs)
            if isinstance(each, Image)
        }
        vectors = np.empty((len(inputs), self._recipe.dimension), dtype=np.float32)
        with torch.inference_mode():
            if ids:
                features = self._model.get_text_features(
                    input_ids=torch.from_numpy(np.stack(list(ids.values())))
                )
                vectors[list(ids)] = features.pooler_output.numpy()
            if pixels:
                features = self._model.get_image_features(
                    pixel_values=torch.from_numpy(np.stack(list(pixels.values())))
                )
                vectors[list(pixels)] = features.pooler_output.numpy()
        if not self._recipe.normalize:
            return vectors
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def close(self) -> None:
        """Free the model."""
        del self._model, self._processor

    def _token_ids(self, inputs: Sequence[Given]) -> dict[int, NDArray[np.int64]]:
        """Return the tokens of each text, by its place: always as many as in the training.

        The model has no attention mask and pools the last position, be it padding.
        """
        texts = {row: each for row, each in enumerate(inputs) if isinstance(each, Text)}
        ids = np.full((len(texts), self._recipe.max_tokens), PADDING, dtype=np.int64)
        for row, text in zip(ids, texts.values(), strict=True):
            row[: len(text.ids)] = text.ids
        return dict(zip(texts, ids, strict=True))

    def _pixels(self, image: Image, row: int) -> NDArray[np.float32]:
        """Return an image as the model takes it, of shape (channels, height, width)."""
        picture = pictures.decoded(image.content, index=row)
        processed = self._processor(images=picture, return_tensors="np")
        pixels: NDArray[np.float32] = processed["pixel_values"][0].astype(np.float32)
        return pixels


def _check_type(configuration: Mapping[str, Any], model_dir: Path) -> None:
    if "auto_map" in configuration:
        raise ModelError(f"{model_dir} wants code of its own, which is never run")
    if configuration.get("model_type") != MODEL_TYPE:
        raise ModelError(
            f"{model_dir} is of the type {configuration.get('model_type')}, not {MODEL_TYPE}"
        )


def _model(model_dir: Path) -> Any:
    import torch  # noqa: PLC0415 -- takes seconds
    from transformers import SiglipModel  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()
    # It warns of the class's own defaults, before it reads the configuration.
    logging.set_verbosity_error()
    model, found = SiglipModel.from_pretrained(
        model_dir,
        dtype=torch.float32,
        attn_implementation=ATTENTION,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    weights.refuse_random(
        model_dir,
        missing=found["missing_keys"],
        unexpected=found["unexpected_keys"],
        without=_NOTHING,
        unused=_NOTHING,
    )
    return model.eval()


def _tokenizer(model_dir: Path) -> Tokenizer:
    """Return the tokenizer, with lower case before all else: so the model was trained."""
    loaded = tokens.tokenizer(model_dir)
    from tokenizers import normalizers  # noqa: PLC0415 -- after `tokens` has set its variable

    own = [] if loaded.normalizer is None else [loaded.normalizer]
    loaded.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
    return loaded


def _processor(model_dir: Path) -> Any:
    from transformers.models.siglip.image_processing_pil_siglip import (  # noqa: PLC0415
        SiglipImageProcessorPil,
    )

    return SiglipImageProcessorPil.from_pretrained(model_dir, local_files_only=True)


def _check(config: Any, recipe: Recipe, *, words: int, size: Mapping[str, int]) -> None:
    """Refuse a recipe, a tokenizer or a size of images that the weights are not for."""
    text, vision = config.text_config, config.vision_config
    for what, found, expected in (
        ("dimensions of a text's vector", text.projection_size, recipe.dimension),
        ("dimensions of an image's vector", vision.hidden_size, recipe.dimension),
        ("tokens of a text", text.max_position_embeddings, recipe.max_tokens),
    ):
        if found != expected:
            raise ModelError(
                f"{what}: {found} by config.json, {expected} by the recipe of {recipe.name}"
            )
    if words > text.vocab_size:
        raise ModelError(
            f"the tokenizer of {recipe.name} has {words} tokens; "
            f"its config.json has rows for {text.vocab_size}"
        )
    if (size["height"], size["width"]) != (vision.image_size, vision.image_size):
        raise ModelError(
            f"preprocessor_config.json makes images of {size['width']} x {size['height']} pixels; "
            f"config.json has positions for {vision.image_size} x {vision.image_size}"
        )


def _runtime() -> Mapping[str, str]:
    import torch  # noqa: PLC0415 -- takes seconds: `load` has imported it

    return {
        "attention": ATTENTION,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
