"""Text to token ids and back, with the ids that tiktoken gives, several times as fast.

Text is split as Llama 3's regular expression does (`kernels_pretokens`); a pre-token met before is looked up in a memo
of fixed size, a new one is merged (`kernels_merges`). Special tokens that are written in a text are text: they encode
to ordinary tokens, as `tiktoken.Encoding.encode_ordinary` does, so no document can place one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stages.text.batch import Utf8
from stages.tokens import kernels_bpe
from stages.tokens.ids import Ids
from stages.tokens.unicode_split import split_classes
from stages.tokens.vocabulary import Vocabulary

SHORT_SETS, LONG_SETS = 1 << 20, 1 << 17
"""Sets of the two parts of the memo, of 64 and 128 bytes: 64 and 16 MiB."""
_SPARE = 8
"""Ids beyond the last that the kernel may write to."""


class Memo:
    """Pre-tokens met before, and their ids: 80 MiB, whatever passes through."""

    def __init__(self, short_sets: int = SHORT_SETS, long_sets: int = LONG_SETS) -> None:
        self.parts = (np.zeros((short_sets, 2, 4), np.uint64), np.zeros((long_sets, 2, 8), np.uint64))

    @property
    def num_bytes(self) -> int:
        return sum(part.nbytes for part in self.parts)


class Encoder:
    """A byte-level vocabulary at work. Threads may share it: each call takes a memo that no other call has."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._tables = (
            vocabulary.byte_ids, vocabulary.byte_pairs, vocabulary.pairs, vocabulary.bits, vocabulary.words,
            vocabulary.slots, vocabulary.token_bytes, vocabulary.token_starts, vocabulary.borders,
        )  # fmt: skip
        self._memos: list[Memo] = []

    @property
    def sha256(self) -> str:
        """Of the vocabulary's file."""
        return self.vocabulary.sha256

    @property
    def specials(self) -> Mapping[str, int]:
        """Ids that no text encodes to, by how they are written."""
        return self.vocabulary.specials

    @property
    def num_ids(self) -> int:
        """Ids there are, special ones included; an embedding needs as many rows."""
        return self.vocabulary.num_ids

    def tokens(self) -> list[bytes]:
        """The bytes of every id."""
        data, starts = self.vocabulary.token_bytes.tobytes(), self.vocabulary.token_starts.tolist()
        return [data[low:high] for low, high in pairwise(starts)]

    def encode(self, utf8: Utf8) -> Ids:
        """Ids of every document; none for an empty text. The text is valid UTF-8."""
        size = int(utf8.offsets[-1] - utf8.offsets[0])
        out, offsets = np.empty(size + _SPARE, np.uint32), np.empty(len(utf8.offsets), np.int64)
        try:
            memo = self._memos.pop()
        except IndexError:
            memo = Memo()
        count = kernels_bpe.encode(utf8.data, utf8.offsets, split_classes(), self._tables, memo.parts, out, offsets)
        self._memos.append(memo)
        return Ids(out[:count], offsets)

    def encode_text(self, text: str) -> npt.NDArray[np.uint32]:
        """Ids of one text: for names and tests."""
        data = np.frombuffer(text.encode(), np.uint8)
        return self.encode(Utf8(data, np.array([0, len(data)], np.int64))).values

    def decode(self, ids: npt.NDArray[np.uint32]) -> bytes:
        """The bytes that ids stand for, special tokens as they are written; a cut through a character stays one.

        Raises ValueError for an id that the vocabulary does not have.
        """
        ids = np.ascontiguousarray(ids, np.uint32)
        if len(ids) and int(ids.max()) >= self.vocabulary.num_ids:
            raise ValueError(f"id {int(ids.max())}: the vocabulary ends at {self.vocabulary.num_ids - 1}")
        starts = self.vocabulary.token_starts
        out = np.empty(int((starts[ids.astype(np.int64) + 1] - starts[ids]).sum()), np.uint8)
        kernels_bpe.decode(ids, self.vocabulary.token_bytes, starts, out)
        return out.tobytes()
