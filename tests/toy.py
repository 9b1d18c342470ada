"""Small stages for tests of the engine: quick, without compiled kernels."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from stages.contract import Allowed, Bounds, Count, Deduplication, Fact, Filter, Flag, Label, Map, Ratio, Signals
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


class SameStart(Deduplication):
    """Documents that begin with the same forty characters as another. Source: none, a toy."""

    duplicate: Fact = Flag()
    """Another document with this beginning is kept."""
    duplicate_of: Label = Allowed()
    """Id of the one that is kept."""
    num_copies: Count = Bounds()
    """Documents with this beginning."""

    def sketch(self, batch: TextBatch) -> pa.Table:
        starts = [xxhash.xxh3_64_intdigest(text[:40].encode()) for text in batch.table["text"].to_pylist()]
        return pa.table({"row": pa.array(np.arange(batch.num_rows)), "key": pa.array(starts, pa.uint64())})

    def resolve(self, rows: pa.Table) -> pa.Table:
        _, first, place = np.unique(rows["key"].to_numpy(), return_index=True, return_inverse=True)
        addresses = rows["address"].to_numpy()
        return pa.table({"address": addresses, "linked_to": addresses[first][place]})

    def settle(self, members: pa.Table, links: pa.Table) -> pa.Table:
        _, first, place, count = np.unique(
            members["cluster"].to_numpy(), return_index=True, return_inverse=True, return_counts=True
        )
        addresses = members["address"].to_numpy()
        return pa.table({"address": addresses, "kept": addresses[first][place], "copies": count[place]})

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        duplicate = pc.not_equal(resolution["address"], resolution["kept"])
        return batch, {
            "duplicate": duplicate.combine_chunks(),
            "duplicate_of": pc.if_else(duplicate, resolution["kept_id"], None).combine_chunks(),
            "num_copies": resolution["copies"].combine_chunks(),
        }
