"""Small stages for tests of the engine: quick, without compiled kernels."""

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from stages.contract import Allowed, Barrier, Bounds, Count, Fact, Filter, Flag, Label, Map, Ratio, Signals
from stages.text.batch import TextBatch
from stages.tokens.packing import Frame, Marks, Packing, token_marks


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


class SameStart(Barrier):
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
        order = [
            ("key", "ascending"),
            *([("priority", "ascending")] if self.priority else []),
            ("address", "ascending"),
        ]
        rows = rows.sort_by(order)
        _, first, place, count = np.unique(
            rows["key"].to_numpy(), return_index=True, return_inverse=True, return_counts=True
        )
        addresses = rows["address"].to_numpy()
        return pa.table({"address": addresses, "kept": addresses[first][place], "copies": count[place]})

    def merge(self, links: pa.Table) -> pa.Table:
        return links

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        duplicate = pc.not_equal(resolution["address"], resolution["kept"])
        return batch, {
            "duplicate": duplicate.combine_chunks(),
            "duplicate_of": pc.if_else(duplicate, resolution["kept_id"], None).combine_chunks(),
            "num_copies": resolution["copies"].combine_chunks(),
        }


class ByteTokens(Packing, Filter):
    """The bytes of a text as its token ids. Source: none, a toy."""

    transient: ClassVar[tuple[str, ...]] = ("ids",)

    count: Count = Bounds()
    """Tokens, special ones excluded."""

    def attachments(self) -> dict[str, pa.DataType]:
        return {"ids": pa.list_(pa.uint32())}

    def frame(self) -> Frame:
        return Frame(begin=256, end=257, padding=258)

    def tokenizer(self) -> dict[str, object]:
        return {"name": "bytes", "hash": "none", "size": 259}

    def token_marks(self) -> Marks:
        return token_marks([bytes([i]) for i in range(256)])

    def measure(self, batch: TextBatch) -> Signals:
        data, offsets = batch.utf8.data, batch.utf8.offsets
        ids = pa.ListArray.from_arrays(
            pa.array(offsets - offsets[0], pa.int32()), pa.array(data[offsets[0] : offsets[-1]].astype(np.uint32))
        )
        return {"count": np.diff(offsets), "ids": ids}


class MaskedTokens(ByteTokens):
    """The same, and capital letters are not to be learnt. Source: none, a toy."""

    transient: ClassVar[tuple[str, ...]] = ("ids", "loss_mask")

    def attachments(self) -> dict[str, pa.DataType]:
        return {**super().attachments(), "loss_mask": pa.list_(pa.uint8())}

    def measure(self, batch: TextBatch) -> Signals:
        found = super().measure(batch)
        ids = found["ids"]
        values = ids.values.to_numpy()
        learnt = pa.array(((values < 65) | (values > 90)).astype(np.uint8))
        return {**found, "loss_mask": pa.ListArray.from_arrays(ids.offsets, learnt)}


class Copies(Filter):
    """How often a document is written, as its column `copies` says. Source: none, a toy."""

    copies: Count = Bounds()
    """Times."""

    def measure(self, batch: TextBatch) -> Signals:
        return {"copies": batch.table["copies"].combine_chunks()}
