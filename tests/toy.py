"""Small stages for tests of the engine: quick, without compiled kernels."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from stages.contract import (
    Allowed,
    Barrier,
    Bounds,
    Census,
    Count,
    Fact,
    Filter,
    Flag,
    Label,
    Map,
    Ratio,
    Signals,
    SurveyedBarrier,
)
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


class Profile(Filter):
    """How often each vowel comes, as a vector. Source: none, a toy."""

    sum: Count = Bounds()
    """Vowels."""
    transient = ("letters",)

    @property
    def accelerated(self) -> bool:
        return True

    def attachments(self) -> dict[str, pa.DataType]:
        return {"vector": pa.list_(pa.float16(), 5), "letters": pa.list_(pa.uint32())}

    def measure(self, batch: TextBatch) -> Signals:
        texts = batch.table["text"].to_pylist()
        counts = np.array([[text.count(vowel) for vowel in "aeiou"] for text in texts], np.int32).reshape(-1, 5)
        flat = pa.array(counts.astype(np.float16).reshape(-1))
        return {
            "sum": counts.sum(axis=1).astype(np.int32),
            "vector": pa.FixedSizeListArray.from_arrays(flat, 5),
            "letters": pa.array([[ord(letter) for letter in text[:3]] for text in texts], pa.list_(pa.uint32())),
        }

    def counters(self) -> dict[str, float]:
        return {"calls": 1, "peak_width": 5}


class Share(Census):
    """How much of the corpus begins with the same letter. Source: none, a toy."""

    tallied = ()

    share: Ratio = Bounds(min=0.01)
    """Bytes of all texts that begin with the letter of this one, over all bytes."""
    scale: float = 1.0
    """What shares are multiplied with."""

    def tally(self, batch: TextBatch) -> pa.Table:
        firsts = [ord(text[:1] or " ") for text in batch.table["text"].to_pylist()]
        return pa.table({"key": pa.array(firsts, pa.uint64()), "bytes": np.diff(batch.utf8.offsets)})

    def combine(self, rows: pa.Table) -> pa.Table:
        return rows.group_by("key", use_threads=False).aggregate([("bytes", "sum")]).rename_columns(["key", "bytes"])

    def conclude(self, rows: pa.Table, num_documents: int) -> pa.Table:
        sizes = rows["bytes"].to_numpy()
        return pa.table({"letter": rows["key"], "share": self.scale * sizes / max(sizes.sum(), 1)})

    def measure(self, batch: TextBatch, reference: pa.Table) -> Signals:
        shares = dict(zip(reference["letter"].to_pylist(), reference["share"].to_pylist(), strict=True))
        return {"share": np.array([shares[ord(text[:1] or " ")] for text in batch.table["text"].to_pylist()])}


class SameVowels(SurveyedBarrier):
    """Documents whose rarest vowel is as rare as another's; the rarest one comes from a sample. Source: none, a toy."""

    reads = ("profile.vector",)
    tallied = ()

    duplicate: Fact = Flag()
    """Another document with as many of it is kept."""
    num_samples: int = 50
    """Documents in the sample."""

    def tally(self, batch: TextBatch) -> pa.Table:
        vectors = batch.signals["profile.vector"]
        keys = [xxhash.xxh3_64_intdigest(repr(vector).encode()) for vector in vectors.to_pylist()]
        return pa.table({"key": pa.array(keys, pa.uint64()), "vector": vectors})

    def sample_limit(self, num_documents: int) -> int:
        return self.num_samples

    def conclude(self, rows: pa.Table, num_documents: int) -> pa.Table:
        vectors = np.array(rows["vector"].to_pylist(), np.float64).reshape(-1, 5)
        return pa.table({"vowel": [int(vectors.sum(axis=0).argmin())], "num_rows": [len(vectors)]})

    def sketch(self, batch: TextBatch, reference: pa.Table | None = None) -> pa.Table:
        assert reference is not None
        assert not any(batch.table["text"].to_pylist())
        vectors = np.array(batch.signals["profile.vector"].to_pylist(), np.float64).reshape(-1, 5)
        key = vectors[:, reference["vowel"][0].as_py()].astype(np.uint64)
        return pa.table({"row": np.arange(batch.num_rows), "key": key})

    def resolve(self, rows: pa.Table) -> pa.Table:
        return SameStart.resolve(SameStart(priority=self.priority), rows)

    def merge(self, links: pa.Table) -> pa.Table:
        return links

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        return batch, {"duplicate": pc.not_equal(resolution["address"], resolution["kept"]).combine_chunks()}
