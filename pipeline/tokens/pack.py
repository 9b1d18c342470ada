"""The last phases of a run with tokens: ranges of keys packed into sequences, and the manifest that lists them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.exchange import first_key
from pipeline.io.files import write_json
from pipeline.io.shards import ROW_BITS, Shard
from pipeline.io.write import Written
from pipeline.plan import Phase, TokenPhases
from pipeline.records import Record, check_files, read_records
from pipeline.runs import Run
from pipeline.stats import Stats
from pipeline.stats import merge as merge_stats
from pipeline.tokens.formats import GROUP_TOKENS, TRACE, Chunk, mds_description, write_sequences
from pipeline.tokens.shuffle import finish, read_partition, splits_of
from stages.tokens.packing import Documents, Frame, Packing, Pieces, lay_out, pack

FOLDER = "tokens"
MAX_TOKENS = 1 << 29
"""Tokens of a partition, at most: Arrow counts the values of a list in 31 bits."""


def group_tokens(records: Sequence[Record], packing: Packing, output_bytes: int) -> list[tuple[str, int, int]]:
    """The tasks of the pack phase: a split, and which of how many parts of its keys.

    The number of parts is a power of two and follows from the number of tokens alone.
    """
    stats = merge_stats(record.stats for record in records)
    groups = []
    for split in splits_of(packing.validation_ratio):
        counts = stats["shuffle"][split]
        tokens = counts["tokens"] + 2 * counts["documents"]
        wanted = -(-tokens // min(MAX_TOKENS, max(1, output_bytes // 4)))
        num_parts = 1 << (wanted - 1).bit_length() if wanted else 0
        groups += [(split, part, num_parts) for part in range(num_parts)]
    return groups


def pack_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Pack the documents of one range of keys and write their sequences."""
    started = time.perf_counter()
    phases = run.plan.tokens
    assert phases is not None
    packing = phases.packing
    packing.setup()
    split, part, num_parts = run.groups(phase)[rank]
    rows = read_partition(run, split, first_key(part, num_parts), first_key(part + 1, num_parts) - 1)
    frame, length = packing.frame(), packing.sequence_length
    documents = as_documents(rows)
    pieces = pack(documents, length, packing.packing, frame, packing.token_marks())
    stem = f"{FOLDER}/{split}/{part:05d}"
    files = write_sequences(
        run.path,
        stem,
        packing.format,
        trace_table(rows, pieces, run.manifest.shards),
        _chunks(documents, pieces, frame, length, rows),
        length,
    )
    counts = {**_counts(rows, documents, pieces, frame, run.manifest.shards), "sequences": pieces.num_sequences}
    return finish(run, phase, rank, files, {"packed": {split: counts}}, started, report)


def as_documents(rows: pa.Table) -> Documents:
    """Rows of a partition as what packing takes. Their order is by key; rows of equal key are of the same text, id and
    epoch, and come as the input has them."""
    ids = rows["ids"].combine_chunks()
    values = np.ascontiguousarray(ids.values.to_numpy(zero_copy_only=False))
    order = pc.sort_indices(rows, [(name, "ascending") for name in ("key", "id", "epoch", "address")])
    return Documents(
        values, ids.offsets.to_numpy().astype(np.int64), rows["key"].to_numpy(), order.to_numpy().astype(np.int64)
    )


def trace_table(rows: pa.Table, pieces: Pieces, shards: Sequence[Shard]) -> pa.Table:
    """The table of `TRACE`: where each sequence comes from."""
    first = pieces.first()
    sizes = pieces.stop - pieces.start
    ends = np.concatenate([[0], np.cumsum(sizes)])
    begins = np.repeat(ends[first[:-1]], np.diff(first))
    sources, numbers = _sources(rows["address"].to_numpy(), shards)
    taken = pa.array(pieces.doc)
    columns = {
        "document_starts": pa.array(ends[:-1] - begins, pa.uint32()),
        "document_ids": rows["id"].take(taken).combine_chunks(),
        "document_epochs": rows["epoch"].take(taken).combine_chunks(),
        "document_offsets": pa.array(pieces.start, pa.uint32()),
        "document_sources": sources.take(taken),
        "document_rows": numbers.take(taken),
    }
    offsets = pa.array(first, pa.int32())
    lists = {name: pa.ListArray.from_arrays(offsets, values) for name, values in columns.items()}
    num_tokens = pa.array(np.diff(ends[first]), pa.uint32())
    return pa.table({"num_tokens": num_tokens, **lists}, schema=TRACE)


def _sources(addresses: np.ndarray[Any, Any], shards: Sequence[Shard]) -> tuple[pa.Array, pa.Array]:
    """File and row of each document. Rows of a part of a JSON lines file count from the byte that its name ends with:
    `pages.jsonl@67108864`."""
    shard = (addresses >> np.uint64(ROW_BITS)).astype(np.int64)
    row = addresses & np.uint64((1 << ROW_BITS) - 1)
    is_part = [s.format == "jsonl" and s.start > 0 for s in shards]
    names = pa.array([f"{s.path}@{s.start}" if part else s.path for s, part in zip(shards, is_part, strict=True)])
    first = np.array([s.first_row for s in shards], np.uint64)
    return names.take(pa.array(shard)), pa.array(row + first[shard])


def _chunks(documents: Documents, pieces: Pieces, frame: Frame, length: int, rows: pa.Table) -> Iterator[Chunk]:
    """The sequences a row group at a time, with the loss mask if the documents have one."""
    masks = _mask_documents(rows, documents) if "loss_mask" in rows.column_names else None
    step = max(1, GROUP_TOKENS // length)
    for first in range(0, pieces.num_sequences, step):
        stop = min(first + step, pieces.num_sequences)
        ids = lay_out(documents, pieces, frame, length, first, stop)
        if masks is None:
            yield ids, None
        else:
            learnt = Frame(begin=frame.head - 1, end=2 * frame.tail - 1, padding=0)  # the end is, the beginning is not
            yield ids, lay_out(masks, pieces, learnt, length, first, stop).astype(np.uint8)


def _mask_documents(rows: pa.Table, documents: Documents) -> Documents:
    masks = rows["loss_mask"].combine_chunks()
    values = np.ascontiguousarray(masks.values.cast(pa.uint8()).to_numpy().astype(np.uint32))
    return Documents(values, masks.offsets.to_numpy().astype(np.int64), documents.keys, documents.order)


def _counts(
    rows: pa.Table, documents: Documents, pieces: Pieces, frame: Frame, shards: Sequence[Shard]
) -> dict[str, Any]:
    paths = pa.array([shard.path for shard in shards])
    places = (rows["address"].to_numpy() >> np.uint64(ROW_BITS)).astype(np.int64)
    of_source = pa.table({"source": paths.take(pa.array(places)), "tokens": pa.array(documents.lengths(frame))})
    grouped = of_source.group_by("source").aggregate([("tokens", "sum"), ([], "count_all")]).sort_by("source")
    return {
        "documents": rows.num_rows,
        "tokens": pieces.num_tokens,
        "pieces": len(pieces.doc),
        "cut_documents": pieces.num_cut(),
        "sources": {
            row["source"]: {"documents": row["count_all"], "tokens": row["tokens_sum"]} for row in grouped.to_pylist()
        },
    }


def publish_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Write `tokens/manifest.json`, and what a format wants beside its files. Checks that all of them are there."""
    started = time.perf_counter()
    phases = run.plan.tokens
    assert phases is not None
    records = read_records(run.path, phases.pack, range(run.num_tasks(phases.pack) or 0))
    for record in records:
        check_files(run.path, phases.pack, record)
    packing = phases.packing
    packing.setup()
    groups = run.groups(phases.pack)
    splits = {}
    for split in splits_of(packing.validation_ratio):
        of_split = [record for record, group in zip(records, groups, strict=True) if group[0] == split]
        splits[split] = _split_manifest(of_split, split, packing.sequence_length)
        if packing.format == "mds":
            write_json(f"{run.path}/{FOLDER}/{split}/index.json", _mds_index(of_split, packing.sequence_length))
    write_json(f"{run.path}/{FOLDER}/manifest.json", {**_manifest(packing, phases), "splits": splits})
    return finish(run, phase, rank, [], {}, started, report)


def _manifest(packing: Packing, phases: TokenPhases) -> dict[str, Any]:
    frame = packing.frame()
    return {
        "version": 1,
        "format": packing.format,
        "packing": packing.packing,
        "sequence_length": packing.sequence_length,
        "seed": packing.seed,
        "validation_ratio": packing.validation_ratio,
        "tokenizer": {
            **packing.tokenizer(),
            "begin": frame.begin if frame.head else None,
            "end": frame.end if frame.tail else None,
            "padding": frame.padding,
        },
        "near_duplicates": list(phases.duplicates),
    }


def _split_manifest(records: Sequence[Record], split: str, length: int) -> dict[str, Any]:
    names = ("sequences", "documents", "tokens", "pieces", "cut_documents")
    counts = merge_stats(record.stats["packed"][split] for record in records)
    totals = {name: counts.get(name, 0) for name in names}
    fill = totals["tokens"] / (totals["sequences"] * length) if totals["sequences"] else None
    return {
        **totals,
        "fill": fill,
        "sources": dict(sorted(counts.get("sources", {}).items())),
        "parts": [_part(record, split) for record in records],
    }


def _part(record: Record, split: str) -> dict[str, Any]:
    stem = record.files[-1].path.removeprefix(f"{FOLDER}/").removesuffix(".parquet")
    files = [
        {"path": file.path.removeprefix(f"{FOLDER}/"), "bytes": file.bytes, "checksum": file.checksum}
        for file in record.files
    ]
    return {"path": stem, "sequences": record.stats["packed"][split]["sequences"], "files": files}


def _mds_index(records: Sequence[Record], length: int) -> dict[str, Any]:
    """MDS's list of files, which must lie beside it."""

    def shard(file: Written) -> dict[str, Any]:
        data = {"basename": file.path.rpartition("/")[2], "bytes": file.bytes, "hashes": {}}
        return {**mds_description(length), "raw_data": data, "samples": file.rows, "zip_data": None}

    return {"version": 2, "shards": [shard(record.files[0]) for record in records]}
