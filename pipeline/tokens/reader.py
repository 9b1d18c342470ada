"""Packed tokens as a sequence of sequences: mapped into memory, in any order, each token with where it came from.

    tokens = pipeline.open_tokens("runs/crawl")
    len(tokens), tokens[5].input_ids, tokens[5].labels()
    tokens.trace(5, 1000)                       # Origin(id="page-7", source="crawl/3.warc.gz", row=12, epoch=0, …)
    loader = tokens.loader(batch_size=8, num_workers=4, rank=rank, world_size=world_size)      # torch

Only local files can be mapped; copy those of an object store first.
"""

from __future__ import annotations

import bisect
import mmap
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.io.files import exists, read_json
from pipeline.io.footer import read_footer
from pipeline.io.pages import read_pages
from pipeline.tokens import samples
from pipeline.tokens.formats import BODIES, IDS, LOSS_MASK
from stages.errors import ConfigError, MissingPartError, RunError

if TYPE_CHECKING:
    from pipeline.tokens.loader import TokenLoader

MAX_OPEN = 32
"""Files mapped at a time."""


class Origin(NamedTuple):
    """Where a token comes from: the document's id, the file and the row in it, the epoch, and the token's place in the
    framed document (0 is `<|begin_of_text|>`)."""

    id: str
    source: str
    row: int
    epoch: int
    offset: int


@dataclass(frozen=True)
class PackedSequence:
    """One packed sequence. `input_ids` is a view of the file."""

    input_ids: npt.NDArray[np.uint32]
    document_starts: npt.NDArray[np.uint32]
    num_tokens: int
    loss_mask: npt.NDArray[np.uint8] | None

    @cached_property
    def cu_seqlens(self) -> npt.NDArray[np.int64]:
        """Where each piece of a document begins, where padding does, and the length: `int64[num_spans + 1]`."""
        return samples.spans(self.document_starts, self.num_tokens, len(self.input_ids))

    @property
    def position_ids(self) -> npt.NDArray[np.int64]:
        """Places that begin anew with every piece: `int64[length]`."""
        return samples.position_ids(self.cu_seqlens)

    def labels(self, *, across_documents: bool = False) -> npt.NDArray[np.int64]:
        """The next token at each place, -100 where there is none to predict; see `samples.labels`."""
        return samples.labels(
            self.input_ids,
            self.cu_seqlens,
            self.num_tokens,
            across_documents=across_documents,
            loss_mask=self.loss_mask,
        )


class Tokens(Sequence[PackedSequence]):
    """The sequences of one split, in their shuffled order. Opens files as they are needed; may be pickled."""

    def __init__(self, folder: str, split: str) -> None:
        self.folder, self.split = folder, split
        self.manifest: dict[str, Any] = read_json(f"{folder}/manifest.json")
        with _as_written(f"{folder}/manifest.json"):
            splits = self.manifest["splits"]
            if split in splits:
                self.sequence_length: int = _count(self.manifest["sequence_length"], least=1)
                self._parts: list[dict[str, Any]] = list(splits[split]["parts"])
                self._ends = list(accumulate(_count(part["sequences"]) for part in self._parts))
                self._stems = [os.path.join(folder, part["path"]) for part in self._parts]
                self._body: str = BODIES.get(self.manifest["format"], ".parquet")
        if split not in splits:
            there = ", ".join(splits)
            raise ConfigError(f"{folder} has no split '{split}'; there are: {there}. See tokens.validation_ratio")
        self._open: OrderedDict[int, _Part] = OrderedDict()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> PackedSequence: ...
    @overload
    def __getitem__(self, index: slice) -> list[PackedSequence]: ...
    def __getitem__(self, index: int | slice) -> PackedSequence | list[PackedSequence]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        part, row = self._find(index)
        return part.sequence(row)

    def __iter__(self) -> Iterator[PackedSequence]:
        return (self[i] for i in range(len(self)))

    def trace(self, index: int, place: int) -> Origin:
        """Where the token at a place of a sequence comes from. Raises IndexError for padding."""
        part, row = self._find(index)
        return part.origin(row, place)

    def loader(self, batch_size: int = 1, **options: Any) -> TokenLoader:
        """Batches of torch tensors; see `pipeline.tokens.loader.TokenLoader` for the options."""
        try:
            from pipeline.tokens.loader import TokenLoader
        except ModuleNotFoundError as error:
            raise MissingPartError(f"{error}; batches are made with torch: pip install 'tamis[train]'") from error
        return TokenLoader(self, batch_size, **options)

    def _find(self, index: int) -> tuple[_Part, int]:
        """The files that hold a sequence, and its row there."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        index %= len(self)
        number = bisect.bisect_right(self._ends, index)
        if number not in self._open:
            while len(self._open) >= MAX_OPEN:
                self._open.popitem(last=False)
            num_sequences = self._parts[number]["sequences"]
            self._open[number] = _Part(self._stems[number], self._body, num_sequences, self.sequence_length)
        self._open.move_to_end(number)
        return self._open[number], index - (self._ends[number] - self._parts[number]["sequences"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}


class _Part:
    """The files of some sequences: ids mapped into memory, the table beside them read when it is asked for."""

    def __init__(self, stem: str, body: str, num_sequences: int, length: int) -> None:
        self.num_sequences, self.length = num_sequences, length
        self.table, path = f"{stem}.parquet", f"{stem}{body}"
        for file in (self.table, path):
            if not os.path.isfile(file):
                raise RunError(f"{file} is gone, or not on this machine; tokens are read from local files")
        with _as_written(self.table), open(self.table, "rb") as stream:
            read_footer(stream)
        with _as_written(path), open(path, "rb") as stream:
            if body != ".parquet" and os.path.getsize(path) < 4 * length * num_sequences:
                raise ValueError(f"it is too small for {num_sequences} sequences of {length} tokens")
            self._places = _places(path, body, num_sequences, length)
            self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            if len(self._places) != num_sequences:
                raise RunError(f"{path} has {len(self._places)} sequences, its manifest says {num_sequences}")
            if num_sequences and not 0 <= self._places.min() <= self._places.max() <= len(self._bytes) - 4 * length:
                raise ValueError("its sequences do not lie in it")

    def sequence(self, row: int) -> PackedSequence:
        ids = np.frombuffer(self._bytes, "<u4", self.length, int(self._places[row]))
        starts, offsets, num_tokens = self._starts
        begin, end = offsets[row : row + 2]
        mask = self._masks[row] if self._masks is not None else None
        return PackedSequence(ids, starts[begin:end], int(num_tokens[row]), mask)

    def origin(self, row: int, place: int) -> Origin:
        starts, offsets, num_tokens = self._starts
        if not 0 <= place < num_tokens[row]:
            raise IndexError(f"place {place} of a sequence with {num_tokens[row]} tokens of documents")
        found = {name: self._trace[name][row].values for name in self._trace.column_names}
        begin, end = offsets[row : row + 2]
        k = int(np.searchsorted(starts[begin:end], place, side="right")) - 1
        offset = found["document_offsets"][k].as_py() + place - int(starts[begin + k])
        id_, source, number, epoch = (
            found[f"document_{name}"][k].as_py() for name in ("ids", "sources", "rows", "epochs")
        )
        return Origin(id_, source, number, epoch, offset)

    @cached_property
    def _starts(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
        with _as_written(self.table):
            table = pq.read_table(self.table, columns=["document_starts", "num_tokens"])
            column = table["document_starts"].combine_chunks()
            starts, offsets, num_tokens = (
                column.values.to_numpy(),
                column.offsets.to_numpy(),
                table["num_tokens"].to_numpy(),
            )
            _check_starts(starts, offsets, num_tokens, self.num_sequences, self.length)
        return starts, offsets, num_tokens

    @cached_property
    def _trace(self) -> pa.Table:
        names = [f"document_{name}" for name in ("ids", "sources", "rows", "epochs", "offsets")]
        with _as_written(self.table):
            table = pq.read_table(self.table, columns=names).combine_chunks()
            table.validate(full=True)
            if any(not np.array_equal(table[name].chunk(0).offsets.to_numpy(), self._starts[1]) for name in names):
                raise ValueError("its columns do not have as many pieces of documents as each other")
        return table

    @cached_property
    def _masks(self) -> npt.NDArray[np.uint8] | None:
        with _as_written(self.table):
            if LOSS_MASK not in pq.read_schema(self.table).names:
                return None
            column = pq.read_table(self.table, columns=[LOSS_MASK])[LOSS_MASK].combine_chunks()
            masks: npt.NDArray[np.uint8] = column.flatten().to_numpy().reshape(self.num_sequences, self.length)
        return masks


@contextmanager
def _as_written(path: str) -> Iterator[None]:
    """Reading of a file that is not as Tamis wrote it is a RunError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise RunError(f"{path} is damaged, or not as Tamis wrote it: {error}; copy it again from the run") from error


def _count(value: Any, least: int = 0) -> int:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r} is no number of sequences or tokens")
    return value


def _check_starts(
    starts: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int32],
    num_tokens: npt.NDArray[np.uint32],
    num_sequences: int,
    length: int,
) -> None:
    """Raises ValueError unless the pieces of every sequence begin at 0, rise, and lie in its tokens."""
    if len(num_tokens) != num_sequences or len(offsets) != num_sequences + 1:
        raise ValueError(f"it has {len(num_tokens)} sequences, its manifest says {num_sequences}")
    places = starts[offsets[0] : offsets[-1]].astype(np.int64)
    begins = (offsets[:-1] - offsets[0])[np.diff(offsets) > 0]
    is_first = np.zeros(len(places), np.bool_)
    is_first[begins] = True
    rises = np.diff(places, prepend=-1) > 0
    ends = np.repeat(num_tokens.astype(np.int64), np.diff(offsets))
    is_wrong = np.where(is_first, places != 0, ~rises) | (places >= ends)
    if is_wrong.any() or (num_tokens > length).any() or len(begins) != np.count_nonzero(num_tokens):
        raise ValueError("the places of its documents make no sense")


def _places(path: str, body: str, num_sequences: int, length: int) -> npt.NDArray[np.int64]:
    """The byte at which the ids of each sequence begin."""
    if body == ".parquet":
        return _plain_places(path, length)
    if body == ".mds":
        return np.fromfile(path, "<u4", num_sequences + 1, offset=4)[1:].astype(np.int64) - 4 * length
    return np.arange(num_sequences) * 4 * length


def _plain_places(path: str, length: int) -> npt.NDArray[np.int64]:
    """The same in a Parquet file whose ids are plain and not compressed, from the headers of its pages.

    Raises RunError for a file that was written otherwise.
    """
    found: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    with open(path, "rb") as stream:
        metadata = read_footer(stream)
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            columns = [row_group.column(i) for i in range(row_group.num_columns)]
            chunk = next((column for column in columns if column.path_in_schema.startswith(f"{IDS}.")), None)
            if chunk is None or chunk.compression != "UNCOMPRESSED" or not {"PLAIN", "RLE"}.issuperset(chunk.encodings):
                raise RunError(f"{path}: its ids are compressed, so they cannot be mapped; it is not as Tamis wrote it")
            for page in read_pages(stream, chunk):
                found.append(page.begin + page.level_bytes + np.arange(page.values // length) * 4 * length)
    return np.concatenate(found)


def open_tokens(path: str | os.PathLike[str], split: str = "train") -> Tokens:
    """The packed tokens of a run.

    Args:
        path: a run directory, or its folder `tokens`, wherever that was copied to.
        split: `train` or `validation`.

    Raises:
        RunError: there are no tokens, or not yet.
        ConfigError: there is no such split.
    """
    path = os.fspath(path).rstrip("/")
    for folder in (path, f"{path}/tokens"):
        if exists(f"{folder}/manifest.json"):
            return Tokens(folder, split)
    raise RunError(
        f"{path} holds no tokens: there is no manifest.json in it. A run whose last stage is `tokens` makes one"
    )
