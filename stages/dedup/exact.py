"""128-bit keys of whole texts: equal key, equal text."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from stages.dedup.folded import FoldedWords
from stages.text.batch import TextBatch

EMPTY_KEY = (0, 0)
"""Key of a document without anything to compare, which is equal to none; no other document has it."""


def exact_keys(
    batch: TextBatch, normalise: Literal["none", "words"] = "words", words: FoldedWords | None = None
) -> npt.NDArray[np.uint64]:
    """XXH3's 128-bit hash of every text, as `uint64[n, 2]` (high half, low half).

    128 bits, because among 10^11 documents 64-bit keys make about 270 false pairs, and 128-bit keys 10^-17.

    Args:
        normalise: `none` hashes the bytes of the text. `words` hashes the sequence of its folded words, so that case,
            punctuation, white space, NFC or NFD, and full or half width make no difference; accents, numbers and
            the order of words do (see `FoldedWords`). It is a hash of 64-bit hashes: two texts that differ in a single
            word have equal keys with a probability of 2^-64, all others of about 2^-128.
        words: the batch's folded words, if they are already there.

    Documents without words (`words`), or with white space and control characters alone (`none`), have EMPTY_KEY.
    """
    from xxhash import xxh3_128_digest

    if normalise == "words":
        words = words or FoldedWords.of(batch)
        data, bounds, empty = words.hash.view(np.uint8), words.bounds * 8, words.count == 0
    else:
        data, bounds, empty = batch.utf8.data, batch.utf8.offsets, _blank(batch)
    view = data.data  # slices of a memoryview cost a third of an array's
    digests = b"".join([xxh3_128_digest(view[low:high]) for low, high in pairwise(bounds.tolist())])
    keys = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
    keys[(keys == 0).all(axis=1), 1] = 1
    keys[empty] = EMPTY_KEY
    return keys


def _blank(batch: TextBatch) -> npt.NDArray[np.bool_]:
    from stages.dedup import kernels_fold
    from stages.text.unicode_tables import classes

    out = np.empty(batch.num_rows, np.bool_)
    kernels_fold.find_blank(batch.utf8.data, batch.utf8.offsets, classes(), out)
    return out
