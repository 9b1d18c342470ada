"""The stage that takes out passages which stand elsewhere in the corpus already."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from stages.contract import Barrier, Bounds, Count, Ratio, Signals
from stages.dedup.folded import FoldedWords
from stages.dedup.passages import Passages, cut_passages
from stages.heuristics.ratios import ratio
from stages.text.batch import TextBatch

Int64s = npt.NDArray[np.int64]
_LOW_HALF = np.uint64(0xFFFFFFFF)


class Substring(Barrier):
    """Repeated passages anywhere in the corpus, all but the first copy (after Lee et al. 2022, arXiv 2107.06499).

    Fingerprints of windows of words, selected by winnowing (Schleimer et al. 2003, SIGMOD), take the place of a suffix
    array, so that the corpus may be of any size. Folded words count: case, punctuation, white space and the encoding of
    letters make no difference. In scripts without spaces a word is one letter.

    Of `min_words` words in a row one window is surely selected, the same one in every copy, so every repeat of as many
    words is found, within a document too. Windows are equal if 96 bits of hash are. What is taken out is what selected
    windows cover: at each end of a repeat up to `num_windows - 1` words may stay, and repeats from
    `min_words - num_windows + 1` words on are found if one of their windows happens to be selected. `num_windows: 1`
    selects all windows, which is exact. The first copy is the first in the document that `priority` prefers, or that is
    first in the input. It stays, unless something else drops its document: put stages that drop before this one.
    """

    removed_count: Count = Bounds()
    """Passages taken out."""
    removed_char_ratio: Ratio = Bounds()
    """Code points in them over code points of the text before."""

    min_words: int = Field(50, ge=2)
    """Words of a repeat that is found for sure; Lee et al. take 50 tokens."""
    num_windows: int = Field(16, ge=1)
    """Windows of which one is selected: a document of n words is sketched by about 2n / (num_windows + 1) rows of 24
    bytes. A window has `min_words - num_windows + 1` words; no fewer than `num_windows`."""
    remove: bool = True
    """`false` counts and leaves the text alone."""

    @model_validator(mode="after")
    def _windows_overlap(self) -> Substring:
        if self.num_windows > self.window:
            raise ValueError(
                f"num_windows is {self.num_windows}: at most {(self.min_words + 1) // 2} for min_words {self.min_words}"
            )
        return self

    @property
    def window(self) -> int:
        """Words in a window."""
        return self.min_words - self.num_windows + 1

    def sketch(self, batch: TextBatch) -> pa.Table:
        from stages.dedup import kernels_passages as kernels

        words = FoldedWords.of(batch)
        size = len(words.hash)
        rows, keys = np.empty(size, np.int64), np.empty(size, np.uint64)
        checks, firsts = np.empty(size, np.uint32), np.empty(size, np.int32)
        m = kernels.winnow(words.hash, words.bounds, self.window, self.num_windows, rows, keys, checks, firsts)
        return pa.table({"row": rows[:m], "key": keys[:m], "check": checks[:m], "first": firsts[:m]})

    def resolve(self, rows: pa.Table) -> pa.Table:
        rows = rows.filter(pa.array(_is_repeated(rows["key"].to_numpy())))
        key, check = rows["key"].to_numpy(), rows["check"].to_numpy()
        address, first = rows["address"].to_numpy(), rows["first"].to_numpy().astype(np.int64)
        order = np.lexsort([first, address, *_ranks(rows), check, key])
        key, check, address, first = key[order], check[order], address[order], first[order]
        opens = np.append(True, (key[1:] != key[:-1]) | (check[1:] != check[:-1]))[: len(key)]
        leader = np.maximum.accumulate(np.where(opens, np.arange(len(key)), 0))
        # A copy that overlaps the first one, in a text that repeats itself, begins where that ends.
        taken = np.where(address == address[leader], first[leader] + self.window, 0)
        start, stop = np.maximum(first, taken), first + self.window
        passages = start.astype(np.uint64) << np.uint64(32) | stop.astype(np.uint64)
        return pa.table({"address": address[~opens], "passage": passages[~opens]})

    def merge(self, links: pa.Table) -> pa.Table:
        return links.group_by("address", use_threads=False).aggregate([("passage", "list")]).rename_columns(
            ["address", "passages"]
        )  # fmt: skip

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        lists = resolution["passages"].combine_chunks()
        packed = np.asarray(lists.flatten()).astype(np.uint64)
        rows = np.asarray(pa.compute.list_parent_indices(lists)).astype(np.int64)
        first, stop = (packed >> np.uint64(32)).astype(np.int64), (packed & _LOW_HALF).astype(np.int64)
        text, count, chars = cut_passages(batch, Passages.union(batch.num_rows, rows, first, stop))
        signals: Signals = {"removed_count": count, "removed_char_ratio": ratio(chars, batch.num_chars)}
        return (batch.with_text(text) if self.remove and count.any() else batch), signals


def _is_repeated(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which keys come more than once."""
    order = np.argsort(keys)
    equal = keys[order][1:] == keys[order][:-1]
    out = np.zeros(len(keys), np.bool_)
    out[order[1:][equal]] = out[order[:-1][equal]] = True
    return out


def _ranks(rows: pa.Table) -> list[Int64s]:
    """The rank of each row's priority, if the barrier has any."""
    if "priority" not in rows.column_names:
        return []
    codes = rows["priority"].combine_chunks().dictionary_encode()
    values: list[bytes] = codes.dictionary.to_pylist()
    place = np.empty(len(values), np.int64)
    place[sorted(range(len(values)), key=values.__getitem__)] = np.arange(len(values))
    return [place[codes.indices.to_numpy()]]
