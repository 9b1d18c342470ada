"""Any sentence-transformers model, on a CPU or a GPU.

On a GPU windows go in batches by tokens (`batches.py`), in half precision; the next documents are tokenised in a thread
meanwhile, and a batch that does not fit is halved, as are those after it. Vectors there agree to rounding.

On a CPU a batch is one window. Matrix products of some dozens of rows run at the processor's peak already, so nothing
is gained by more; nothing is padded; and a vector is the same to the last bit whatever else is in the batch. Linear
layers run in oneDNN, which is twice as fast as the MKL that torch brings along where the processor is not Intel's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.embedding.batches import Batch, Windows, cut_windows, plan_batches, pool
from stages.embedding.encoder import Encoded, Settings
from stages.embedding.models import EmbeddingModel
from stages.embedding.vectors import normalised
from stages.errors import AssetError, ConfigError, MissingPartError, StageError
from stages.text.batch import TextBatch

INSTALL = "pip install 'tamis[embedding]'"
POOL_BYTES = 8 << 20
"""Text that is tokenised at a time, and whose windows are sorted together."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Tokenised:
    ids: list[npt.NDArray[np.int64]]
    """Of every document, without the special tokens."""

    @property
    def num_tokens(self) -> npt.NDArray[np.int64]:
        return np.array([len(own) for own in self.ids], np.int64)


class TransformerEncoder:
    """A sentence-transformers model with its tokenizer; `encode` is what there is to call."""

    def __init__(self, model: EmbeddingModel, settings: Settings) -> None:
        self.settings = settings
        self.width = model.dimension
        self.device = _device(settings.device)
        self.on_gpu = self.is_batched = self.device != "cpu"
        self.network = _network(model, self.device)
        self.budget = settings.token_budget if self.on_gpu else 1
        self._counts = dict.fromkeys(("tokens", "padded_tokens", "windows", "halvings"), 0)
        self._tokenizer = _tokenizer(self.network, parallel=self.on_gpu)
        prompt = model.prompt if settings.prompt is None else settings.prompt
        self.before, self.after = self._special_tokens(prompt)
        self.capacity = self._capacity() - len(self.before) - len(self.after)
        if self.capacity < 1:
            raise ConfigError(f"embedding: no room for text in windows of {self._capacity()} tokens beside the prompt")
        self._prepare()

    def encode(self, batch: TextBatch) -> Encoded:
        parts = [self._encode_pool(tokenised) for tokenised in self._tokenised(batch)]
        if not parts:
            nothing = np.zeros(0, np.int32)
            return Encoded(np.zeros((0, self.width), np.float16), nothing, nothing)
        vectors, tokens, windows = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Encoded(vectors, tokens, windows)

    def counters(self) -> Mapping[str, float]:
        done = {name: float(count) for name, count in self._counts.items() if count or name != "halvings"}
        self._counts = dict.fromkeys(self._counts, 0)
        if self.on_gpu:
            import torch

            done["peak_gpu_bytes"] = float(torch.cuda.max_memory_allocated())
        return done

    def _encode_pool(self, tokenised: _Tokenised) -> tuple[npt.NDArray[Any], ...]:
        counts = tokenised.num_tokens
        windows = cut_windows(counts, self.capacity, self.settings.pooling)
        vectors = pool(self._window_vectors(tokenised, windows), windows, len(counts))
        used = np.bincount(windows.document, minlength=len(counts))
        return normalised(vectors).astype(np.float16), counts.astype(np.int32), used.astype(np.int32)

    def _window_vectors(self, tokenised: _Tokenised, windows: Windows) -> Floats:
        """One vector a window, `float32[w, d]`."""
        import torch

        special = len(self.before) + len(self.after)
        lengths = windows.num_tokens + special
        out = np.empty((len(lengths), self.width), np.float32)
        done: list[tuple[npt.NDArray[np.int64], Any]] = []
        with torch.inference_mode():
            for batch in self._batches(lengths):
                done += self._run(batch, tokenised, windows)
            for rows, vectors in done:  # copied at the end, so that a GPU is never waited for in between
                if vectors.shape[1] != self.width:
                    raise AssetError(
                        f"embedding: the encoder gives vectors of {vectors.shape[1]} numbers and not {self.width}, as "
                        "its files say: they belong to different models"
                    )
                out[rows] = vectors.float().cpu().numpy()
        self._counts["windows"] += len(lengths)
        self._counts["tokens"] += int(lengths.sum())
        return out

    def _batches(self, lengths: npt.NDArray[np.int64]) -> Iterator[Batch]:
        if self.is_batched:
            return plan_batches(lengths, self.budget, self.capacity + len(self.before) + len(self.after))
        return (Batch(np.array([window]), length) for window, length in enumerate(lengths.tolist()))

    def _run(self, batch: Batch, tokenised: _Tokenised, windows: Windows) -> list[tuple[npt.NDArray[np.int64], Any]]:
        """Vectors of a batch, in as many parts as memory makes necessary."""
        import torch

        size = max(1, self.budget // batch.length)
        done = []
        rows = batch.windows
        while len(rows):
            part, smaller = rows[:size], 0
            try:
                done.append((part, self._forward(*self._filled(part, batch.length, tokenised, windows))))
                self._counts["padded_tokens"] += len(part) * batch.length
            except torch.OutOfMemoryError as error:
                if len(part) == 1:
                    raise StageError(
                        f"embedding: a window of {batch.length} tokens does not fit into the memory of {self.device}; "
                        "set window_tokens to less, or device: cpu"
                    ) from error
                smaller = len(part) // 2
            if smaller:  # outside of the except block, which keeps what did not fit alive
                self.budget, size = smaller * batch.length, smaller
                self._counts["halvings"] += 1
                _free_memory()
            else:
                rows = rows[size:]
        return done

    def _filled(
        self, rows: npt.NDArray[np.int64], length: int, tokenised: _Tokenised, windows: Windows
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Token ids and which of them are there, `int64[len(rows), length]` each."""
        ids, mask = (np.zeros((len(rows), length), np.int64) for _ in range(2))
        before, after = len(self.before), len(self.after)
        for place, w in enumerate(rows.tolist()):
            text = tokenised.ids[windows.document[w]][windows.start[w] : windows.stop[w]]
            end = before + len(text)
            ids[place, :before], ids[place, before:end], ids[place, end : end + after] = self.before, text, self.after
            mask[place, : end + after] = 1
        return ids, mask

    def _forward(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Any:
        import torch

        features = {}
        for name, values in (("input_ids", ids), ("attention_mask", mask)):
            tensor = torch.from_numpy(values)
            features[name] = tensor.pin_memory().to(self.device, non_blocking=True) if self.on_gpu else tensor
        return self.network(features)["sentence_embedding"]

    def _tokenised(self, batch: TextBatch) -> Iterator[_Tokenised]:
        """Documents a few megabytes at a time; the next ones are tokenised in a thread while a GPU works."""
        sizes = np.diff(batch.utf8.offsets)
        cuts = np.flatnonzero(np.diff((np.cumsum(sizes) - sizes) // POOL_BYTES)) + 1
        texts = batch.table["text"]
        pools = [texts.take(rows).to_pylist() for rows in np.split(np.arange(batch.num_rows), cuts) if len(rows)]
        if not self.on_gpu:
            yield from map(self._tokenise, pools)
            return
        with ThreadPoolExecutor(1) as thread:
            coming = [thread.submit(self._tokenise, own) for own in pools[:1]]
            for number in range(len(pools)):
                following = [thread.submit(self._tokenise, own) for own in pools[number + 1 : number + 2]]
                yield coming[0].result()
                coming = following

    def _tokenise(self, texts: list[str]) -> _Tokenised:
        return _Tokenised([np.array(ids, np.int64) for ids in self._tokenizer(texts)])

    def _special_tokens(self, prompt: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ids before and after every window: what the tokenizer puts there, and the prompt."""
        (plain,) = self._tokenizer(["a"])
        framed = self.network.tokenizer("a")["input_ids"]
        place = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
        # The space after the prompt is the tokenizer's to make, with the first word of the text.
        before = [*framed[:place], *(self._tokenizer([prompt.strip()])[0] if prompt.strip() else [])]
        return np.array(before, np.int64), np.array(framed[place + len(plain) :], np.int64)

    def _capacity(self) -> int:
        most = self.network.max_seq_length or 512
        return int(min(most, self.settings.window_tokens or most))

    def _prepare(self) -> None:
        import torch

        self.network.eval()
        if self.on_gpu:
            self.network.to(getattr(torch, self.settings.precision))
        else:
            torch.set_num_threads(1)  # as all workers; and sums are then made in one order
            use_onednn(self.network)


def _device(wanted: str) -> str:
    try:
        import torch
    except ImportError as error:
        raise MissingPartError(f"this encoder needs torch and sentence-transformers. {INSTALL}") from error
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("embedding.device is cuda, and torch finds no such GPU here; write auto or cpu")
    return "cuda" if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()) else "cpu"


def _network(model: EmbeddingModel, device: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingPartError(f"this encoder needs sentence-transformers. {INSTALL}") from error
    folder = model.folder
    if model.name == "e5":
        from stages.embedding.e5 import converted

        folder = converted(model)
    try:
        return SentenceTransformer(str(folder), device=device, local_files_only=True)
    except Exception as error:  # whatever its many parts raise
        raise AssetError(f"sentence-transformers cannot load the encoder {folder}: {error}") from error


def _tokenizer(network: Any, parallel: bool) -> Any:
    """A function from texts to lists of ids, without special tokens and without a limit."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if parallel else "false")
    fast = getattr(network.tokenizer, "backend_tokenizer", None)
    if fast is None:
        return lambda texts: [
            network.tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"] for text in texts
        ]
    from tokenizers import Tokenizer

    own = Tokenizer.from_str(fast.to_str())
    own.no_truncation()
    own.no_padding()
    return lambda texts: [one.ids for one in own.encode_batch_fast(texts, add_special_tokens=False)]


def use_onednn(network: Any) -> None:
    """Let every linear layer of single precision run in oneDNN, with its weights laid out for it."""
    import torch

    ops = torch.ops.mkldnn
    has_onednn = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call,unused-ignore]
    if not (has_onednn and hasattr(ops, "_linear_pointwise")):
        return

    class Packed(torch.nn.Module):
        def __init__(self, linear: Any) -> None:
            super().__init__()
            self.weight = ops._reorder_linear_weight(linear.weight.detach(), None)
            self.bias = None if linear.bias is None else linear.bias.detach()

        def forward(self, inputs: Any) -> Any:
            return ops._linear_pointwise(inputs, self.weight, self.bias, "none", [], "")

    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear and child.weight.dtype == torch.float32:
                setattr(module, name, Packed(child))


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
