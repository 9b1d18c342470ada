"""Hashes of a batch's folded words: what texts have in common when case, punctuation and encoding do not count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.text.batch import TextBatch


@dataclass(frozen=True)
class FoldedWords:
    """Words in order: `hash[bounds[d]:bounds[d + 1]]` (`uint64`) are those of document `d`; `bounds` is `int64[n + 1]`.

    Words are those of `stages.text.views.Words` without punctuation, folded as `stages.text.unicode_fold` says: case,
    NFC or NFD, full or half width, plain or typographic apostrophes and soft hyphens make no difference; accents do.
    (In NFD, the 54 symbols like `≠` and `΅` leave a mark behind that counts as a word or as part of the next one.)
    """

    bounds: npt.NDArray[np.int64]
    hash: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, batch: TextBatch) -> FoldedWords:
        from stages.dedup import kernels_fold
        from stages.text.unicode_fold import folding
        from stages.text.unicode_tables import classes

        utf8, tables = batch.utf8, folding()
        bounds = np.empty(batch.num_rows + 1, np.int64)
        hashes = np.empty(int(utf8.offsets[-1] - utf8.offsets[0]), np.uint64)
        m = kernels_fold.hash_words(utf8.data, utf8.offsets, classes(), tables.single, tables.several, bounds, hashes)
        return cls(bounds, hashes[:m])

    @property
    def count(self) -> npt.NDArray[np.int64]:
        """Words of each document."""
        return np.diff(self.bounds)
