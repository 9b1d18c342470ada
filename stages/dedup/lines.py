"""Lines and paragraphs that come again and again in a corpus: their hashes, and texts without them.

    hashes = span_hashes(batch, batch.lines)
    text, removed_count, removed_chars = remove_spans(batch, batch.lines, is_listed(hashes, Listed.of(frequent)))

`batch.paragraphs` in place of `batch.lines` does the same to paragraphs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.text.batch import TextBatch
from stages.text.views import Spans

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


class Removal(NamedTuple):
    """Texts without some spans: `text` (large_string), and for each document removed spans and their code points."""

    text: pa.Array
    removed_count: Int64s
    removed_chars: Int64s


@dataclass(frozen=True)
class Listed:
    """A set of hashes to be looked up: sorted, with an index over their upper bits."""

    hash: UInt64s
    index: Int64s
    shift: int

    @classmethod
    def of(cls, hashes: UInt64s) -> Listed:
        """The set of some hashes, in any order; 0 is never in it."""
        distinct = np.unique(hashes[hashes != 0])
        bits = max(1, len(distinct).bit_length())
        starts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        index = np.append(np.searchsorted(distinct, starts), len(distinct)).astype(np.int64)
        return cls(distinct, index, 64 - bits)


def bucket_of(hashes: UInt64s, num_buckets: int) -> Int64s:
    """The bucket, from 0 to `num_buckets - 1`, of each document, from an evenly distributed hash of it.

    By hash, not in order of reading: the same document falls into the same bucket, whatever the shards are.
    """
    if not 0 < num_buckets < 2**32:
        raise ValueError(f"num_buckets is {num_buckets}: must be between 1 and 2^32 - 1")
    upper = hashes >> np.uint64(32)
    return np.asarray((upper * np.uint64(num_buckets)) >> np.uint64(32)).astype(np.int64)


def span_hashes(batch: TextBatch, spans: Spans, min_chars: int = 1) -> UInt64s:
    """Hash of every line or paragraph without the white space at its ends, `uint64`, as long as the columns of `spans`.

    0 marks those of fewer than `min_chars` code points, blank ones included, which are never counted and never
    removed. Case, digits and punctuation count: rows of tables differ by their numbers alone.
    """
    from stages.dedup import kernels_lines
    from stages.text.unicode_tables import classes

    utf8, hashes = batch.utf8, np.zeros(len(spans.start), np.uint64)
    kernels_lines.hash_stripped(
        utf8.data, utf8.offsets, classes(), spans.begin, spans.end, spans.start, spans.stop, min_chars, hashes
    )
    return hashes


def is_listed(hashes: UInt64s, listed: Listed) -> Mask:
    """Which hashes are in the set, `bool`, as long as `hashes`."""
    from stages.dedup import kernels_lines

    out = np.empty(len(hashes), np.bool_)
    kernels_lines.find_listed(hashes, listed.hash, listed.index, np.uint64(listed.shift), out)
    return out


def remove_spans(batch: TextBatch, spans: Spans, drop: Mask) -> Removal:
    """The texts without the lines or paragraphs to drop, and how much went.

    A removed line takes its line break along, a removed paragraph the break to the next one; what stays keeps its
    bytes. A text that loses nothing stays as it is; one that loses everything is empty.

    Args:
        spans: `batch.lines` or `batch.paragraphs`.
        drop: `bool`, as long as the columns of `spans`.
    """
    from stages.dedup import kernels_lines

    utf8, n = batch.utf8, batch.num_rows
    out, offsets = np.empty(int(utf8.offsets[-1] - utf8.offsets[0]), np.uint8), np.empty(n + 1, np.int64)
    count, chars = np.empty(n, np.int64), np.empty(n, np.int64)
    kernels_lines.remove_spans(
        utf8.data, utf8.offsets, spans.begin, spans.end, spans.start, spans.stop, drop, out, offsets, count, chars
    )
    text = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]]))
    return Removal(text, count, chars)
