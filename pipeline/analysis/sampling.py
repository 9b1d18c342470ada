"""A sample of any input, before there is a run: the same documents whenever the input is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.io.input import Input
from pipeline.io.read import read_shard
from pipeline.io.shards import Manifest, list_shards
from stages.errors import MissingInputError
from stages.text.batch import TextBatch

MAX_SHARDS = 256
SHARD_BYTES = 4 << 20
"""Large files are cut into parts of so much, so that a sample is spread over them."""
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Sample:
    """Documents of an input.

    Attributes:
        table: as the input's manifest has it: id, text, incoming columns.
        files, file_bytes: of the whole input. shards, shards_read: parts of it, and those that were looked into.
        is_whole: nothing was left out.
        rejected: records that could not be read, by reason.
    """

    table: pa.Table
    files: int
    file_bytes: int
    shards: int
    shards_read: int
    is_whole: bool
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Bytes of each text."""
        return np.diff(TextBatch(self.table).utf8.offsets)

    def batches(self, batch_bytes: int) -> Iterator[TextBatch]:
        """The documents, about so many bytes at a time."""
        ends = np.cumsum(self.sizes)
        start = 0
        while start < len(ends):
            before = ends[start - 1] if start else 0
            stop = max(int(np.searchsorted(ends, before + batch_bytes, side="right")), start + 1)
            yield TextBatch(self.table.slice(start, stop - start))
            start = stop

    def thinned(self, num_bytes: int) -> TextBatch:
        """Every so many-th document, about `num_bytes` in all."""
        step = max(-(-int(self.sizes.sum()) // num_bytes), 1)
        return TextBatch(self.table.take(np.arange(0, self.table.num_rows, step)))


def take_sample(source: Input, sample_bytes: int) -> Sample:
    """About `sample_bytes` of text, an equal share from parts that lie evenly in the input.

    Raises MissingInputError when there is no input, or no document in it.
    """
    cut = source.model_copy(update={"shard_bytes": min(source.shard_bytes, SHARD_BYTES)})
    manifest = list_shards(cut)
    shards = manifest.shards
    places = np.unique(np.linspace(0, len(shards) - 1, min(len(shards), MAX_SHARDS)).round().astype(int)).tolist()
    tables, rejected = [manifest.schema.empty_table()], Counter[str]()
    left, is_whole = sample_bytes, len(places) == len(shards)
    for visited, place in enumerate(places):
        table, reasons, is_all = _take(cut, manifest, place, max(left // (len(places) - visited), 1))
        tables.append(table)
        rejected += reasons
        is_whole &= is_all
        left -= int(table["text"].nbytes)
    table = pa.concat_tables(tables)
    if not table.num_rows:
        why = ", ".join(f"{reason} {count:,}" for reason, count in rejected.most_common(3))
        raise MissingInputError(
            f"{', '.join(source.paths)}: no document could be read ({why or 'the files are empty'})"
        )
    files = {shard.path: shard.size for shard in shards}
    return Sample(table, len(files), sum(files.values()), len(shards), len(places), is_whole, dict(rejected))


def _take(source: Input, manifest: Manifest, place: int, share: int) -> tuple[pa.Table, Counter[str], bool]:
    """The beginning of a shard; why records could not be read; whether that is all of it."""
    tables, rejected = [manifest.schema.empty_table()], Counter[str]()
    chunks = read_shard(manifest.shards[place], manifest, source, min(CHUNK_BYTES, share))
    is_all = True
    for chunk in chunks:
        rejected.update(record.reason for record in chunk.rejected)
        table = chunk.table
        sizes = np.cumsum(np.diff(TextBatch(table).utf8.offsets))
        if len(sizes) and sizes[-1] >= share:
            fit = min(int(np.searchsorted(sizes, share)) + 1, len(sizes))
            tables.append(table.slice(0, fit))
            is_all = fit == len(sizes) and next(chunks, None) is None
            break
        share -= int(sizes[-1]) if len(sizes) else 0
        tables.append(table)
    return pa.concat_tables(tables), rejected, is_all
