"""Small stages for tests of the engine: quick, without compiled kernels."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.contract import Bounds, Count, Fact, Filter, Flag, Map, Ratio, Signals
from stages.text.batch import TextBatch


class Length(Filter):
    """Bytes and vowels of a text. Source: none, a toy."""

    byte_count: Count = Bounds(min=5, max=1000)
    """UTF-8 bytes."""
    vowel_ratio: Ratio = Bounds(min=0.1)
    """ASCII vowels over bytes."""

    def measure(self, batch: TextBatch) -> Signals:
        sizes = np.diff(batch.utf8.offsets)
        vowels = pc.count_substring_regex(batch.table["text"], "[aeiou]").combine_chunks().to_numpy()
        with np.errstate(invalid="ignore"):
            return {"byte_count": sizes, "vowel_ratio": vowels / sizes}


class Shorten(Map):
    """Cuts a text at its first `#`, and marks those that start with one. Source: none, a toy."""

    cut_count: Count = Bounds()
    """Characters that were cut off."""
    hopeless: Fact = Flag()
    """Nothing is left."""

    def transform(self, batch: TextBatch) -> tuple[TextBatch, Signals]:
        texts = batch.table["text"].to_pylist()
        cut = [text.split("#")[0] for text in texts]
        signals: Signals = {
            "cut_count": np.array([len(a) - len(b) for a, b in zip(texts, cut, strict=True)], np.int32),
            "hopeless": pa.array([text[:1] == "#" for text in texts], pa.bool_()),
        }
        return batch.with_text(pa.array(cut, pa.large_string())), signals
