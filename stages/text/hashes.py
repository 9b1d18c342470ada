"""Hashes of whole texts: what chance is made of, so that a document's fate depends on the document alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import xxhash

from stages.text.batch import TextBatch


def text_hashes(batch: TextBatch, seed: int = 0) -> npt.NDArray[np.uint64]:
    """XXH3 of 64 bits of each text; another seed, other hashes. Equal texts have equal hashes, whatever their ids; a
    document without text, such as a dialog, has that of its id."""
    view, digest = batch.utf8.data.data, xxhash.xxh3_64_intdigest
    hashes = np.array([digest(view[a:b], seed) for a, b in pairwise(batch.utf8.offsets.tolist())], np.uint64)
    for row in np.flatnonzero(np.diff(batch.utf8.offsets) == 0).tolist():
        hashes[row] = digest(str(batch.table["id"][row]).encode(), seed)
    return hashes
