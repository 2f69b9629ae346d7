"""The ONNX Runtime backend: `model.onnx` and `tokenizer.json`, on the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from embedding_service import recipe as recipes
from embedding_service import tokens
from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import ModelError
from embedding_service.inputs import Text
from embedding_service.pooling import mean_pooled, normalised, padded
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

OUTPUT = "last_hidden_state"
INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class Backend:
    """A text model in the ONNX format, pooled and normalised in numpy by its recipe."""

    name: ClassVar[str] = "onnxruntime"
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "onnxruntime", "tokenizers")

    def __init__(self, recipe: Recipe, tokenizer: Tokenizer, session: InferenceSession) -> None:
        self.capabilities = Capabilities(
            text=True, image=False, max_tokens=recipe.max_tokens, batching="padded"
        )
        self.tokenizer = tokenizer
        self.runtime = {"execution_provider": ", ".join(session.get_providers())}
        self._recipe = recipe
        self._session = session

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Load `model.onnx` and `tokenizer.json`.

        Raises:
            ModelError: The model is of another format, or its graph has other inputs or outputs.
        """
        recipe = recipes.read(model_dir)
        if recipe.format != "onnx":
            raise ModelError(f"{cls.name} takes models in the format onnx, not {recipe.format}")
        if recipe.dense_layers:
            raise ModelError(
                f"{cls.name} pools {OUTPUT} itself and has no dense layers to put after it, "
                f"which the recipe of {recipe.name} claims"
            )
        # Read when the library is loaded: without it, ONNX Runtime writes a device id into the
        # home directory and sends events (https://github.com/microsoft/onnxruntime/pull/27379).
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime  # noqa: PLC0415 -- after the variable above

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        # Waiting threads would otherwise keep their processors busy.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            str(model_dir / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        _check_graph(
            inputs={node.name for node in session.get_inputs()},
            outputs={node.name for node in session.get_outputs()},
        )
        return cls(recipe, tokens.tokenizer(model_dir), session)

    def embed(self, inputs: Sequence[Text]) -> Vectors:
        """Return the texts' vectors, float32 of shape (texts, dimension)."""
        fields = padded(inputs)
        feeds = {node.name: fields[node.name] for node in self._session.get_inputs()}
        hidden: NDArray[np.float32] = self._session.run([OUTPUT], feeds)[0]
        if self._recipe.pooling == "cls":
            vectors = hidden[:, 0]
        else:
            vectors = mean_pooled(hidden, fields["attention_mask"])
        return normalised(vectors) if self._recipe.normalize else vectors

    def close(self) -> None:
        """Free the model."""
        del self._session


def _check_graph(*, inputs: set[str], outputs: set[str]) -> None:
    if unknown := sorted(inputs - INPUTS):
        raise ModelError(
            f"model.onnx asks for {', '.join(unknown)}; "
            f"the inputs known are {', '.join(sorted(INPUTS))}"
        )
    if OUTPUT not in outputs:
        raise ModelError(f"model.onnx has no output {OUTPUT}, only {', '.join(sorted(outputs))}")
