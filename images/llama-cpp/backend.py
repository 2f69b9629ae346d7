"""The llama.cpp backend: `model.gguf` and `tokenizer.json`, on the CPU."""

from __future__ import annotations

import ctypes
import functools
import importlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from embedding_service import gguf, tokens
from embedding_service import recipe as recipes
from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import InputError, ModelError
from embedding_service.inputs import Text
from embedding_service.pooling import normalised
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

logger = logging.getLogger("llama.cpp")


class Backend:
    """A text encoder in the GGUF format; llama.cpp pools, as the file says.

    The text is tokenised by `tokenizer.json`: llama.cpp's own tokenizers differ from it on accents
    and on Chinese, Japanese and Korean. Each text is computed alone: a batch of texts is one long
    text to llama.cpp's attention, which is not faster on a CPU, and moves the vectors.
    """

    name: ClassVar[str] = "llama-cpp"
    libraries: ClassVar[tuple[str, ...]] = ("llama-cpp-python", "numpy", "tokenizers")

    def __init__(self, recipe: Recipe, tokenizer: Tokenizer, model: _Model) -> None:
        self.capabilities = Capabilities(
            text=True, image=False, max_tokens=recipe.max_tokens, batching="none"
        )
        self.tokenizer = tokenizer
        self.runtime = runtime()
        self._recipe = recipe
        self._model = model

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Load `model.gguf` and `tokenizer.json`.

        Raises:
            ModelError: The model is of another format, is not what its recipe says, or no variant
                of the library runs on this processor.
        """
        recipe = recipes.read(model_dir)
        if recipe.format != "gguf":
            raise ModelError(f"{cls.name} takes models in the format gguf, not {recipe.format}")
        tokenizer = tokens.tokenizer(model_dir)
        path = model_dir / gguf.MODEL_FILE
        header = gguf.read_header(path)
        gguf.check_recipe(header, recipe)
        gguf.check_vocabulary(
            header,
            own=tokenizer.get_vocab_size(with_added_tokens=False),
            known=tokenizer.get_vocab_size(with_added_tokens=True),
        )
        model = _Model(path, limit=recipe.max_tokens, threads=settings.threads)
        return cls(recipe, tokenizer, model)

    def embed(self, inputs: Sequence[Text]) -> Vectors:
        """Return the texts' vectors, float32 of shape (texts, dimension); any thread may call it.

        Raises:
            InputError: A text has a token that the model has no row for.
        """
        for index, text in enumerate(inputs):
            if max(text.ids) >= self._model.vocabulary:
                raise InputError("the text has a token that the model does not know", index=index)
        vectors = self._model.embed([text.ids for text in inputs])
        if not self._recipe.normalize:
            return vectors
        return normalised(vectors)

    def close(self) -> None:
        """Free the model."""
        self._model.close()


class _Model:
    """Weights that are loaded once, and a context to compute in for each thread.

    Two threads in one context crash the process; contexts share the weights, which are only read
    (llama.cpp's tests/test-thread-safety.cpp computes so). A context that a thread is done with
    serves the next one.

    Args:
        path: The file.
        limit: The longest text, in tokens: a longer one would abort the process.
        threads: How many compute one text.
    """

    def __init__(self, path: Path, *, limit: int, threads: int) -> None:
        self._library = library()
        parameters = self._library.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self._limit = limit
        self._threads = threads
        self._model = self._library.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self._model:
            raise ModelError(f"llama.cpp cannot load {path}; the lines above say why")
        self.vocabulary: int = self._library.llama_vocab_n_tokens(
            self._library.llama_model_get_vocab(self._model)
        )
        self._dimension: int = self._library.llama_model_n_embd_out(self._model)
        self._idle = [self._context()]

    def embed(self, texts: Sequence[Sequence[int]]) -> Vectors:
        """Return the pooled vectors of texts, of shape (texts, dimension).

        Args:
            texts: The tokens of each.
        """
        try:
            context = self._idle.pop()
        except IndexError:  # each is in use by another thread
            context = self._context()
        try:
            return np.stack([self._vector(context, text) for text in texts])
        finally:
            self._idle.append(context)

    def close(self) -> None:
        while self._idle:
            self._library.llama_free(self._idle.pop())
        self._library.llama_model_free(self._model)

    def _context(self) -> Any:
        parameters = self._library.llama_context_default_params()
        # A text is computed in one piece: where the last two are less than the first, llama.cpp
        # cuts it in silence or ends the process.
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = self._limit
        parameters.n_seq_max = 1
        parameters.n_threads = parameters.n_threads_batch = self._threads
        parameters.embeddings = True
        # It rounds keys and values to float16.
        parameters.flash_attn_type = self._library.LLAMA_FLASH_ATTN_TYPE_DISABLED
        # On macOS too everything is computed on the CPU.
        parameters.offload_kqv = parameters.op_offload = False
        context = self._library.llama_init_from_model(self._model, parameters)
        if not context:
            raise MemoryError(f"llama.cpp has no context for {self._limit} tokens")
        return context

    def _vector(self, context: Any, text: Sequence[int]) -> Vectors:
        memory = self._library.llama_get_memory(context)
        if memory:  # an encoder has none
            self._library.llama_memory_clear(memory, True)  # noqa: FBT003 -- its C signature
        array = (self._library.llama_token * len(text))(*text)
        batch = self._library.llama_batch_get_one(array, len(text))
        if status := self._library.llama_decode(context, batch):
            raise RuntimeError(f"llama_decode returned {status}")
        pooled = self._library.llama_get_embeddings_seq(context, 0)
        vector: Vectors = np.ctypeslib.as_array(pooled, (self._dimension,)).copy()
        return vector


@functools.cache
def library() -> ModuleType:
    """Return llama.cpp's functions, with the variant that fits this processor best loaded.

    Raises:
        ModelError: There are variants, and none runs on this processor.
    """
    llama = importlib.import_module("llama_cpp.llama_cpp")
    llama.llama_log_set(_LOG, None)
    ggml = importlib.import_module("llama_cpp._ggml")
    ggml.libggml.ggml_backend_load_all_from_path(os.fsencode(ggml.libggml_base_path))
    variants = _variants()
    if variants and not any(map(_is_loaded, variants)):
        names = ", ".join(map(variant_name, variants))
        raise ModelError(f"this processor can run none of llama.cpp's variants: {names}")
    llama.llama_backend_init()
    return llama


def runtime() -> Mapping[str, str]:
    """Return which variant of the library is loaded, and the instructions that it uses.

    Raises:
        ModelError: See `library`.
    """
    # It says CPU : SSE3 = 1 | AVX = 1 | …
    features = re.findall(r"(\w+) = [1-9]", library().llama_print_system_info().decode())
    loaded = [variant_name(path) for path in _variants() if _is_loaded(path)]
    return {
        "cpu_variant": loaded[0] if loaded else "native",
        "cpu_features": " ".join(features),
    }


def variant_name(path: Path) -> str:
    """Return what llama.cpp calls the variant in a file `libggml-cpu-<name>.so`."""
    return path.stem.removeprefix("libggml-cpu-")


def _variants() -> list[Path]:
    """Return the files of the variants; a build for one processor (as on macOS) has none."""
    directory: Path = importlib.import_module("llama_cpp._ggml").libggml_base_path
    return sorted(directory.glob("libggml-cpu-*.so"))


def _is_loaded(path: Path) -> bool:
    try:
        ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    except OSError:
        return False
    return True


def _log(level: int, text: bytes, _: object) -> None:
    """Keep llama.cpp's errors (`GGML_LOG_LEVEL_ERROR`); the rest is for its developers."""
    if line := text.decode(errors="replace").strip():
        logger.log(logging.ERROR if level == 4 else logging.DEBUG, "%s", line)  # noqa: PLR2004


_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_log)
