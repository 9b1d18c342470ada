"""Static embeddings: a vector for every piece of a vocabulary, a document's vector the mean of its pieces'.

The format is that of sentence-transformers' `StaticEmbedding` (a table and a tokenizer), read without torch. The
document is cut into the words and marks of the shared text pass, and the model's own tokenizer is asked for the pieces
of each distinct word once in a process. What comes again costs one look-up and the addition of its rows: that is what
makes it fast. Words of scripts without spaces are single code points.

So vectors are those of sentence-transformers where the tokenizer cuts at spaces and marks anyway, as WordPiece does.
Elsewhere (marks that a BPE would join with a space, Kana and Thai) they differ a little.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.embedding import kernels_static
from stages.embedding.encoder import Encoded
from stages.embedding.models import EmbeddingModel, read_table
from stages.embedding.vectors import normalised
from stages.errors import AssetError, MissingPartError
from stages.fasttext.tokens import Slots, Tokens, Vocabulary, slots
from stages.text.batch import TextBatch
from stages.text.unicode_lower import lower

WORDS_AT_ONCE = 1 << 12
"""Words that the tokenizer is asked for in one call: its answer takes kilobytes a word until the ids are taken out."""
_lock = Lock()
"""Vocabularies and what encoders know of them belong to the process; threads take turns."""


class StaticEncoder:
    """A table of rows and a tokenizer."""

    def __init__(self, model: EmbeddingModel) -> None:
        self.rows = read_table(model.files["weights"])
        self.tokenizer = _tokenizer(model)
        self.tokens: Tokens = "words" if model.lower or self._folds_case() else "cased words"
        self._known: tuple[Vocabulary | None, _Pieces] = (None, _Pieces())
        self._num_tokens = 0

    def encode(self, batch: TextBatch) -> Encoded:
        n = batch.num_rows
        sums, counts = np.empty((n, self.rows.shape[1]), np.float32), np.empty(n, np.int32)
        with _lock:
            view = slots(batch, self.tokens)
            known = self._pieces(view.vocabulary)
            own = self._own_pieces(view, batch)
            kernels_static.sum_rows(
                self.rows, view.begin, view.end, view.slot, known.first, known.pieces, own.first, own.pieces, sums,
                counts,
            )  # fmt: skip
        self._num_tokens += int(counts.sum(dtype=np.int64))
        return Encoded(normalised(sums).astype(np.float16), counts, (counts > 0).astype(np.int32))

    def counters(self) -> Mapping[str, float]:
        done, self._num_tokens = self._num_tokens, 0
        return {"tokens": done}

    def _folds_case(self) -> bool:
        upper, lower = (self.tokenizer.encode(word, add_special_tokens=False).ids for word in ("The Ä", "the ä"))
        return bool(upper == lower)

    def _pieces(self, vocabulary: Vocabulary) -> _Pieces:
        """Pieces of all slots; the tokenizer is asked for those that are new."""
        if self._known[0] is not vocabulary:
            self._known = vocabulary, _Pieces()
        known = self._known[1]
        num_slots, old = int(vocabulary.fill[0]), known.num_words
        if num_slots > old:
            starts = vocabulary.starts[old : num_slots + 1].tolist()
            text = vocabulary.token_bytes[starts[0] : starts[-1]].tobytes()
            known.add(self._ids([text[a - starts[0] : b - starts[0]] for a, b in pairwise(starts)]))
        return known

    def _own_pieces(self, view: Slots, batch: TextBatch) -> _Pieces:
        """Pieces of the words without a slot, in their order; none of those in documents that are gone."""
        words = [b""] * len(view.own_start)
        if words:
            full = np.flatnonzero(view.begin < view.end)
            documents = full[np.argsort(view.begin[full], kind="stable")]
            places = np.flatnonzero(view.slot < 0)
            nearest = np.searchsorted(view.begin[documents], places, side="right") - 1
            places, nearest = places[nearest >= 0], documents[nearest[nearest >= 0]]
            places, nearest = places[places < view.end[nearest]], nearest[places < view.end[nearest]]
            rows = -1 - view.slot[places]
            base = batch.utf8.offsets[nearest]
            spans = zip((base + view.own_start[rows]).tolist(), (base + view.own_stop[rows]).tolist(), strict=True)
            for row, (low, high) in zip(rows.tolist(), spans, strict=True):
                words[row] = batch.utf8.data[low:high].tobytes()
        own = _Pieces()
        own.add(self._ids(_lower(words) if self.tokens == "words" else words))
        return own

    def _ids(self, words: list[bytes]) -> list[list[int]]:
        ids: list[list[int]] = []
        for start in range(0, len(words), WORDS_AT_ONCE):
            texts = [word.decode() for word in words[start : start + WORDS_AT_ONCE]]
            ids += [one.ids for one in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        return ids


class _Pieces:
    """Rows of words: those of word `w` are `pieces[first[w]:first[w + 1]]`."""

    def __init__(self) -> None:
        self.first: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self.pieces: npt.NDArray[np.int32] = np.zeros(0, np.int32)

    @property
    def num_words(self) -> int:
        return len(self.first) - 1

    def add(self, ids: list[list[int]]) -> None:
        ends = self.first[-1] + np.cumsum([len(own) for own in ids], dtype=np.int64)
        self.first = np.concatenate([self.first, ends])
        self.pieces = np.concatenate([self.pieces, np.array([piece for own in ids for piece in own], np.int32)])


def _lower(words: list[bytes]) -> list[bytes]:
    """In lower case, by the table that words with a slot go by."""
    table = lower()
    codes = np.frombuffer(b"\n".join(words).decode().encode("utf-32-le"), np.uint32)
    small = np.minimum(codes, len(table) - 1)
    folded = np.where(codes < len(table), table[small], codes).astype(np.uint32)
    return folded.tobytes().decode("utf-32-le").encode().split(b"\n")


def _tokenizer(model: EmbeddingModel) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingPartError(
            "static embeddings need the package tokenizers. pip install 'tokenizers>=0.20'"
        ) from error
    try:
        tokenizer = Tokenizer.from_file(str(model.files["tokenizer"]))
    except Exception as error:  # the library raises plain Exception
        raise AssetError(f"{model.files['tokenizer']} is no tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
