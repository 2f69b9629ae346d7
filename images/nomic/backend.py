"""The nomic backend: a text and a vision encoder that bring their own code, on the CPU.

nomic-embed-text-v1.5 and nomic-embed-vision-v1.5 run on the code of the repository nomic-bert-2048,
which needs transformers < 5. Here that code is vendored: part of the model directory, see
`embedding_service.vendored`.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from embedding_service import pictures, tokens, vendored, weights
from embedding_service import recipe as recipes
from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import ImageTooLargeError, InputError, ModelError
from embedding_service.inputs import Given, Image, Text
from embedding_service.pooling import mean_pooled, normalised, padded
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PROCESSOR = "CLIPImageProcessor"
"""The processor of images. transformers has another one for CLIP: its pixels differ a little."""

LONGEST = 300
"""How many times an image may be as long as it is wide, or as wide as it is long."""

_NOTHING = re.compile(r"(?!)")


class Backend:
    """An encoder of texts, an encoder of images, or both with one vector space."""

    name: ClassVar[str] = "nomic"
    libraries: ClassVar[tuple[str, ...]] = (
        "einops",
        "numpy",
        "pillow",
        "tokenizers",
        "torch",
        "transformers",
    )

    def __init__(
        self, recipe: Recipe, tokenizer: Tokenizer | None, embedded: Mapping[type, Embed]
    ) -> None:
        import torch  # noqa: PLC0415 -- takes seconds: `load` has imported it

        self.capabilities = Capabilities(
            text=Text in embedded,
            image=Image in embedded,
            max_tokens=recipe.max_tokens,
            batching="padded",
        )
        self.tokenizer = tokenizer
        self.runtime = {"cpu_capability": torch.backends.cpu.get_cpu_capability()}
        self._normalize = recipe.normalize
        self._embedded = dict(embedded)

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Load what the recipe's `inputs` ask for: `text/`, `vision/`, and the code of both.

        Raises:
            ModelError: The model is of another format, its recipe asks for what its code does not
                do, its configuration for code that is not in the directory, or its weights are not
                those of its code.
        """
        recipe = recipes.read(model_dir)
        if recipe.format != "remote-code":
            raise ModelError(
                f"{cls.name} takes models in the format remote-code, not {recipe.format}"
            )
        if recipe.pooling != "mean" or recipe.dense_layers:
            raise ModelError(
                f"{cls.name} takes the mean of a text's tokens, with no dense layers after it; "
                f"the recipe of {recipe.name} claims otherwise"
            )
        # Where torch would keep what it compiles, which is nothing. With transformers 4 it looks
        # for a place when it is imported, and a container has no temporary directory.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(model_dir)
        weights.prepare(settings)
        tokenizer: Tokenizer | None = None
        embedded: dict[type, Embed] = {}
        if "text" in recipe.inputs:
            text = _encoder(model_dir, "text", recipe)
            _check_positions(text.config, recipe)
            tokenizer = tokens.tokenizer(model_dir)
            embedded[Text] = _TextEncoder(model=text)
        if "image" in recipe.inputs:
            embedded[Image] = _VisionEncoder(
                model=_encoder(model_dir, "vision", recipe), processor=_processor(model_dir)
            )
        return cls(recipe, tokenizer, embedded)

    def embed(self, inputs: Sequence[Given]) -> Vectors:
        """Return the vectors of texts and images, float32 of shape (inputs, dimension).

        Raises:
            ImageError: One of the inputs is no image that can be read.
        """
        import torch  # noqa: PLC0415 -- takes seconds: `load` has imported it

        rows: dict[int, NDArray[np.float32]] = {}
        for kind, encoder in self._embedded.items():
            places = [place for place, given in enumerate(inputs) if isinstance(given, kind)]
            if not places:
                continue
            try:
                with torch.inference_mode():
                    vectors = encoder([inputs[place] for place in places])
            except InputError as error:
                error.index = places[error.index]
                raise
            rows.update(zip(places, vectors, strict=True))
        found = np.stack([rows[place] for place in range(len(inputs))])
        return normalised(found) if self._normalize else found

    def close(self) -> None:
        """Free the model."""
        del self._embedded


Embed = Callable[[Sequence[Any]], Vectors]
"""Returns the vectors of inputs of one kind, not normalised, of shape (inputs, dimension)."""


@dataclass(frozen=True, kw_only=True)
class _TextEncoder:
    model: Any

    def __call__(self, texts: Sequence[Text]) -> Vectors:
        fields = padded(texts)
        return mean_pooled(_states(self.model, fields), fields["attention_mask"])


@dataclass(frozen=True, kw_only=True)
class _VisionEncoder:
    model: Any
    processor: Any

    def __call__(self, images: Sequence[Image]) -> Vectors:
        """Return the first state of each image: the rule of the model card."""
        decoded = [_picture(image, place) for place, image in enumerate(images)]
        # Said, or an image of 1 or 3 pixels' height is taken for one of so many channels.
        layout = "channels_last"
        fields = self.processor(images=decoded, input_data_format=layout, return_tensors="np")
        first: Vectors = _states(self.model, {"pixel_values": fields["pixel_values"]})[:, 0]
        return first


def _encoder(model_dir: Path, part: str, recipe: Recipe) -> Any:
    """Make an encoder by its own code, and load its weights, all of them and no others.

    Its own `from_pretrained` is not used: that of nomic-bert-2048 prefers a pickle, and takes
    weights with tensors that are missing or left over.
    """
    from safetensors.torch import load_file  # noqa: PLC0415 -- takes seconds

    directory = model_dir / part
    weights.refuse_pickles(directory)
    encoder_class = vendored.model_class(directory / "config.json", model_dir, recipe)
    config = encoder_class.config_class.from_dict(_read_json(directory / "config.json"))
    # What nomic-bert-2048's `from_pretrained` says: its checkpoints have no pooler.
    takes = inspect.signature(encoder_class).parameters
    options = {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}
    encoder = encoder_class(config, **options)
    loaded = load_file(directory / "model.safetensors")
    own = encoder.state_dict()
    weights.refuse_random(
        directory,
        missing=own.keys() - loaded.keys(),
        unexpected=loaded.keys() - own.keys(),
        without=_NOTHING,
        unused=_NOTHING,
    )
    encoder.load_state_dict(loaded)  # refuses a tensor of another shape
    return encoder.eval()


def _check_positions(config: Any, recipe: Recipe) -> None:
    """Refuse texts that change the vectors of later ones.

    With a scaling factor, nomic-bert-2048 rescales its rotary positions for the longest text it has
    seen, and does not go back.
    """
    trained = getattr(config, "max_trained_positions", None)
    if getattr(config, "rotary_scaling_factor", None) and trained and recipe.max_tokens > trained:
        raise ModelError(
            f"the recipe of {recipe.name} takes {recipe.max_tokens} tokens; "
            f"beyond {trained}, its code changes the vectors of all texts that follow"
        )


def _processor(model_dir: Path) -> Any:
    """Return the processor that makes pixels of an image with Pillow and numpy."""
    from transformers.models.clip import image_processing_clip  # noqa: PLC0415 -- takes seconds

    path = model_dir / "preprocessor_config.json"
    config = _read_json(path)
    wanted = config.get("image_processor_type")
    if wanted != PROCESSOR:
        raise ModelError(f"{path} asks for the processor {wanted}; known is {PROCESSOR}")
    return getattr(image_processing_clip, PROCESSOR).from_dict(config)


def _picture(image: Image, index: int) -> Any:
    """Return an image's pixels as Pillow has them.

    The processor makes the short side as long as the model's: the long one grows with it, and would
    be cut only then.
    """
    picture = pictures.decoded(image.content, index=index)
    if max(picture.size) > LONGEST * min(picture.size):
        raise ImageTooLargeError(
            f"one side of the image is more than {LONGEST} times as long as the other", index=index
        )
    return picture


def _states(model: Any, fields: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return the last hidden states, of shape (inputs, states, dimension)."""
    import torch  # noqa: PLC0415 -- takes seconds

    arguments = {name: torch.from_numpy(array) for name, array in fields.items()}
    states: NDArray[np.float32] = model(**arguments).last_hidden_state.numpy()
    return states


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
