"""Tokens as slots of a vocabulary that all models of a process share.

A token is looked up by its 64-bit hash once per batch; its slot is what models know it by. Each model keeps a memo of
what a slot stands for, so that a token seen before costs a model one addition of a short row. The vocabulary is
bounded. Once full it stays as it is, since what came first is what is common, and further tokens are computed whenever
they come. When those are more than a tenth of a batch, the corpus has turned to something else: vocabulary and memos
are given up and made anew. What was seen before never changes a result: a memo holds what would be computed again.

Three ways to cut a text into tokens:

- `whitespace`: as the fastText library reads a line, between spaces, tabs, \\n, \\r, \\v, \\f and NUL. Letters stay as
  they are. For models of others.
- `words`: the words and marks of `TextBatch.words`, lower-cased (`stages.text.unicode_lower`). For models of ours,
  which are trained on `training_text`.
- `cased words`: the same in the case that they are written in. For static embeddings that know case.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from stages.fasttext import kernels_tokens
from stages.fasttext.kernels_rows import read_only
from stages.fasttext.kernels_scores import TokenSlots
from stages.fasttext.model import Model
from stages.text.batch import TextBatch, Utf8
from stages.text.unicode_lower import lower

Tokens: TypeAlias = Literal["whitespace", "words", "cased words"]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]

MAX_SLOTS = 1 << int(kernels_tokens.SLOT_BITS)
MAX_VOCABULARY_BYTES = 1 << 24
MAX_MEMO_BYTES = 1 << 26
"""Of one model; the earliest slots, which are the commonest tokens, are kept."""


@dataclass(eq=False)
class Memo:
    """Sums of the rows of tokens, by slot, for one model; see `kernels_scores.sum_tokens`."""

    sums: npt.NDArray[np.float32]
    counts: Int32s


@dataclass(eq=False)
class Vocabulary:
    """Tokens by hash; slot 0 is `</s>`, the end of a line. See `stages.fasttext.kernels_tokens` for the arrays.

    Memory is reserved at once and used as it fills.
    """

    lower: Int32s
    """Table for lower-casing, empty for tokens as they are."""
    max_slots: int = MAX_SLOTS
    table: npt.NDArray[np.uint64] = field(init=False)
    starts: Int32s = field(init=False)
    token_bytes: npt.NDArray[np.uint8] = field(init=False)
    hashes: npt.NDArray[np.uint32] = field(init=False)
    fill: Int64s = field(init=False)
    """One value: slots in use."""
    is_outdated: bool = False
    """More than a tenth of the last batch's tokens found no room."""
    memos: WeakKeyDictionary[Model, Memo] = field(default_factory=WeakKeyDictionary)
    """They go with their models."""

    def __post_init__(self) -> None:
        self.table = np.zeros(2 * self.max_slots, np.uint64)
        self.starts = np.zeros(self.max_slots + 1, np.int32)
        self.token_bytes = np.empty(MAX_VOCABULARY_BYTES, np.uint8)
        self.hashes = np.empty(self.max_slots, np.uint32)
        self.fill = np.zeros(1, np.int64)
        intern_spaced(Utf8(np.frombuffer(b"</s>", np.uint8), np.array([0, 4], np.int64)), self)

    def memo(self, model: Model) -> Memo:
        """What is known of the slots by a model."""
        if model not in self.memos:
            width = len(model.labels) if model.is_projected else model.output.columns.shape[0]
            size = min(self.max_slots, max(1, MAX_MEMO_BYTES // (4 * width))) + 1
            self.memos[model] = Memo(np.empty((size, width), np.float32), np.zeros(size, np.int32))
        return self.memos[model]


@dataclass(frozen=True)
class Slots:
    """Tokens of documents, as slots: those of document `d` are `slot[begin[d]:end[d]]`.

    A token that the vocabulary has no room for, or that is long, has a negative slot: `-1 - j` is the bytes from
    `own_start[j]` to `own_stop[j]` of its document.
    """

    vocabulary: Vocabulary
    begin: Int64s
    end: Int64s
    slot: Int32s
    start: Int32s
    """Where each token begins, in bytes relative to the start of its document."""
    own_start: Int32s
    own_stop: Int32s

    def take(self, rows: Int64s) -> Slots:
        """The tokens of some of the documents."""
        return replace(self, begin=self.begin[rows], end=self.end[rows])

    def between(self, begin: Int64s, end: Int64s) -> Slots:
        """Any ranges of the tokens."""
        return replace(self, begin=begin, end=end)

    def arrays(self, utf8: Utf8, base: Int64s | None = None) -> TokenSlots:
        """What kernels read; `base` is the start of each text's document if that is not the text itself."""
        words = self.vocabulary
        arrays = TokenSlots(
            utf8.data, utf8.offsets[:-1] if base is None else base, self.begin, self.end, self.slot, self.own_start,
            self.own_stop, words.lower, words.starts, words.token_bytes, words.hashes,
        )  # fmt: skip
        return read_only(arrays)


_vocabularies: dict[Tokens, Vocabulary] = {}


def slots(batch: TextBatch, tokens: Tokens) -> Slots:
    """The batch's tokens as slots: looked up once, kept on the batch and taken along when documents are dropped."""
    return batch.view(f"{tokens} slots", lambda batch: _slots(batch, tokens))


def _slots(batch: TextBatch, tokens: Tokens) -> Slots:
    vocabulary = _vocabularies.get(tokens)
    if vocabulary is None or vocabulary.is_outdated:
        vocabulary = Vocabulary(lower() if tokens == "words" else np.zeros(0, np.int32))
        _vocabularies[tokens] = vocabulary
    if tokens == "whitespace":
        return intern_spaced(batch.utf8, vocabulary)
    return intern_words(batch, vocabulary)


def intern_spaced(utf8: Utf8, vocabulary: Vocabulary) -> Slots:
    """Slots of the tokens between white space."""
    n, size = len(utf8.offsets) - 1, int(utf8.offsets[-1] - utf8.offsets[0])
    most = (size + n) // 2 + 1
    begin, end, hashes = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(most, np.uint64)
    start, stop = np.empty(most, np.int32), np.empty(most, np.int32)
    m = kernels_tokens.split_spaced(utf8.data, utf8.offsets, begin, end, start, stop, hashes)
    return _intern(utf8, vocabulary, begin, end, start[:m], stop[:m], hashes[:m])


def intern_words(batch: TextBatch, vocabulary: Vocabulary) -> Slots:
    """Slots of the batch's words and marks."""
    words = batch.words
    return _intern(batch.utf8, vocabulary, words.begin, words.end, words.start, words.stop, words.hash)


def _intern(
    utf8: Utf8,
    vocabulary: Vocabulary,
    begin: Int64s,
    end: Int64s,
    start: Int32s,
    stop: Int32s,
    hashes: npt.NDArray[np.uint64],
) -> Slots:
    slot, own_start, own_stop = (np.empty(len(start), np.int32) for _ in range(3))
    num_own = np.empty(2, np.int64)
    kernels_tokens.intern(
        utf8.data, utf8.offsets, begin, end, start, stop, hashes, vocabulary.lower, vocabulary.table,
        vocabulary.starts, vocabulary.token_bytes, vocabulary.hashes, vocabulary.fill, slot, own_start, own_stop,
        num_own,
    )  # fmt: skip
    own, unplaced = num_own.tolist()
    vocabulary.is_outdated = unplaced > len(slot) // 10
    return Slots(vocabulary, begin, end, slot, start, own_start[:own], own_stop[:own])


def training_text(batch: TextBatch) -> list[str]:
    """The lower-cased words and marks of each document with one space between: a line to train a model on that will
    read tokens of kind `words`.

    No token of it starts with `__label__` or is `</s>`.
    """
    words, utf8, n = batch.words, batch.utf8, batch.num_rows
    size = int((words.stop - words.start).sum(dtype=np.int64)) * 3 // 2 + len(words.start) + 1
    out, offsets = np.empty(size, np.uint8), np.zeros(n + 1, np.int64)
    kernels_tokens.join_words(
        utf8.data, utf8.offsets, words.begin, words.end, words.start, words.stop, lower(), out, offsets
    )
    text = out.tobytes()
    return [text[a:b].decode() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
