"""Documents to sequences of one length: every token once, and a record of which document it came from.

A document is *framed*: `<|begin_of_text|>`, its ids, `<|end_of_text|>`. A framed document that is cut into pieces gains
nothing where it is cut: only its first piece begins with the one, only its last ends with the other, and its pieces
one after the other are the framed document again. What no piece fills is padding, after the last piece of a sequence.

`concatenate` lays documents end to end and cuts wherever a sequence is full: no padding but in the last sequence,
and about one cut document a sequence. `best_fit` (Ding et al. 2024, "Fewer Truncations Improve Language Modeling",
arXiv:2404.10830) cuts only documents that are longer than a sequence, at the end of a sentence where it can, and puts
the pieces, longest first, each into the sequence with the least room that is enough. Few sequences have room left
then; if more than `1 - MIN_FILL` of all is padding (a corpus of long documents), the emptiest ones are taken apart and
their documents cut to fill the others.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from stages.contract import Stage

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
UInt32s = npt.NDArray[np.uint32]
Marks = npt.NDArray[np.uint8]

MIN_FILL = 0.999
"""What `best_fit` fills of all sequences, at least."""
NO_MARKS = np.zeros(0, np.uint8)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Frame(NamedTuple):
    """The special tokens of a sequence: around every document (-1: none), and after the last."""

    begin: int
    end: int
    padding: int

    @property
    def head(self) -> int:
        return int(self.begin >= 0)

    @property
    def tail(self) -> int:
        return int(self.end >= 0)


class Packing(Stage):
    """The part of a stage that gives documents token ids which says how these are packed and written.

    The stage attaches `ids` (list<uint32>, without those of the frame; null = none to write) and perhaps `loss_mask`
    (list<uint8>, as long: 1 = to be learnt). The fields here change no signal, so a run that changes only them
    measures nothing again.
    """

    output_fields: ClassVar[tuple[str, ...]] = (
        "sequence_length",
        "packing",
        "format",
        "validation_ratio",
        "seed",
    )

    sequence_length: Annotated[int, Field(ge=2)] = 8192
    """Tokens in a sequence."""
    packing: Literal["best_fit", "concatenate"] = "best_fit"
    """`best_fit` keeps documents whole where it can, `concatenate` lays them end to end."""
    format: Literal["parquet", "megatron", "raw", "mds"] = "parquet"
    """What `tokens/` holds: Parquet, Megatron's `.bin` and `.idx`, a plain `.bin` with datatrove's index, or MosaicML's
    MDS."""
    validation_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the documents that go to `tokens/validation`; near duplicates go where the kept one goes."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Changes the order of the documents."""

    @abstractmethod
    def frame(self) -> Frame:
        """The special tokens that packing adds."""

    @abstractmethod
    def tokenizer(self) -> dict[str, Any]:
        """What the manifest says of the vocabulary: `name`, `hash`, `size`."""

    def token_marks(self) -> Marks:
        """Where documents may be cut, see `token_marks`; without marks anywhere."""
        return NO_MARKS


@dataclass(frozen=True)
class Documents:
    """Token ids of `n` documents as Arrow has them, `ids[offsets[d]:offsets[d + 1]]`, and what orders them.

    `keys` is a hash of each document and epoch; `order` is a permutation of the documents, by key.
    """

    ids: UInt32s
    offsets: Int64s
    keys: UInt64s
    order: Int64s

    def lengths(self, frame: Frame) -> Int64s:
        """Tokens of every framed document."""
        return np.diff(self.offsets) + (frame.head + frame.tail)


@dataclass(frozen=True)
class Pieces:
    """What stands where: pieces in the order of their sequences and places, all `int64[m]`.

    Piece `k` is `start[k] … stop[k]` of the framed document `doc[k]`, in sequence `sequence[k]`.
    """

    doc: Int64s
    start: Int64s
    stop: Int64s
    sequence: Int64s

    @property
    def num_sequences(self) -> int:
        return int(self.sequence[-1]) + 1 if len(self.sequence) else 0

    @property
    def num_tokens(self) -> int:
        return int((self.stop - self.start).sum())

    def num_cut(self) -> int:
        """Documents of more than one piece."""
        return int((np.unique(self.doc, return_counts=True)[1] > 1).sum())

    def first(self) -> Int64s:
        """The first piece of every sequence, and the number of pieces: `int64[num_sequences + 1]`."""
        return np.searchsorted(self.sequence, np.arange(self.num_sequences + 1))

    def take(self, rows: Int64s) -> Pieces:
        return Pieces(self.doc[rows], self.start[rows], self.stop[rows], self.sequence[rows])


def pack(documents: Documents, length: int, packing: str, frame: Frame, marks: Marks = NO_MARKS) -> Pieces:
    """The pieces of all documents in sequences of `length` tokens.

    Args:
        packing: `best_fit` or `concatenate`.
        marks: of every token, see `token_marks`; without them long documents are cut anywhere.
    """
    if packing == "concatenate":
        return concatenate(documents, length, frame)
    return best_fit(documents, length, frame, marks)


def concatenate(documents: Documents, length: int, frame: Frame) -> Pieces:
    """Documents in their order end to end, cut at every multiple of `length`."""
    ends = np.cumsum(documents.lengths(frame)[documents.order])
    total = int(ends[-1]) if len(ends) else 0
    begins = np.union1d(np.concatenate([ends - np.diff(ends, prepend=0), [0]]), np.arange(0, total, length))
    begins = begins[begins < total].astype(np.int64)
    stops = np.append(begins[1:], total)[: len(begins)]
    place = np.searchsorted(ends, begins, side="right")
    origin = np.append(0, ends)[place]
    return Pieces(documents.order[place], begins - origin, stops - origin, begins // length)


def best_fit(
    documents: Documents, length: int, frame: Frame, marks: Marks = NO_MARKS, min_fill: float = MIN_FILL
) -> Pieces:
    """Best-fit decreasing, with the emptiest sequences taken apart where fewer than `min_fill` of all would be filled.

    Sequences come in the order of the key of the piece that opened them, each of them hashed, so that neither long
    documents nor the pieces of one come together; the documents of a sequence in the order of their keys.
    """
    pieces = _cut_documents(documents, length, frame, marks)
    bins = _Bins(documents, length, frame, marks, len(pieces.doc))
    pieces = bins.place(pieces.take(_longest_first(pieces, documents)), may_cut=False)
    total = pieces.num_tokens
    surplus = bins.num_bins - max(-(-total // length), int(total / (min_fill * length))) if min_fill else 0
    if surplus > 0:
        pieces = _taken_apart(pieces, surplus, bins, documents)
    return _in_order(pieces, documents)


def _cut_documents(documents: Documents, length: int, frame: Frame, marks: Marks) -> Pieces:
    from stages.tokens import kernels_packing as kernels

    most = int((documents.lengths(frame) // (length - length // 2) + 1).sum())
    doc, start, stop = (np.empty(most, np.int64) for _ in range(3))
    m = kernels.cut_documents(documents.ids, documents.offsets, marks, frame.head, frame.tail, length, doc, start, stop)
    return Pieces(doc[:m], start[:m], stop[:m], np.zeros(m, np.int64))


class _Bins:
    """Sequences being filled: the room that each has left."""

    def __init__(self, documents: Documents, length: int, frame: Frame, marks: Marks, most: int) -> None:
        self.documents, self.length, self.frame, self.marks = documents, length, frame, marks
        self.room = np.zeros(most, np.int64)
        self.num_bins = 0

    def place(self, pieces: Pieces, *, may_cut: bool) -> Pieces:
        """The pieces, perhaps cut, in the order in which they were placed, each with its bin."""
        from stages.tokens import kernels_packing as kernels

        length = self.length
        cuts = (length.bit_length() + 1) * self.num_bins if may_cut else 0
        doc, start, stop, bin_ = (np.empty(len(pieces.doc) + cuts, np.int64) for _ in range(4))
        m, self.num_bins = kernels.place(
            self.documents.ids, self.documents.offsets, self.marks, self.frame.head, length, may_cut,
            pieces.doc, pieces.start, pieces.stop, self.room, self.num_bins,
            np.full(length + 1, -1, np.int64), np.full(len(self.room), -1, np.int64),
            np.zeros(length // 64 + 1, np.uint64), doc, start, stop, bin_,
        )  # fmt: skip
        return Pieces(doc[:m], start[:m], stop[:m], bin_[:m])


def _taken_apart(pieces: Pieces, surplus: int, bins: _Bins, documents: Documents) -> Pieces:
    """The pieces of the `surplus` emptiest bins cut to fill the others."""
    emptiest = np.argsort(-bins.room[: bins.num_bins], kind="stable")[:surplus]
    given_up = np.zeros(bins.num_bins, np.bool_)
    given_up[emptiest] = True
    number = np.cumsum(~given_up) - 1
    bins.room[: bins.num_bins - surplus] = bins.room[: bins.num_bins][~given_up]
    bins.num_bins -= surplus
    loose = given_up[pieces.sequence]
    kept = pieces.take(np.flatnonzero(~loose))
    freed = pieces.take(np.flatnonzero(loose))
    added = bins.place(freed.take(_longest_first(freed, documents)), may_cut=True)
    return Pieces(
        np.append(kept.doc, added.doc),
        np.append(kept.start, added.start),
        np.append(kept.stop, added.stop),
        np.append(number[kept.sequence], added.sequence),
    )


def _longest_first(pieces: Pieces, documents: Documents) -> Int64s:
    return np.lexsort([*_total_order(pieces, documents), pieces.start - pieces.stop])


def _total_order(pieces: Pieces, documents: Documents) -> tuple[Int64s, Int64s, UInt64s]:
    """Sort keys of pieces, least first for `np.lexsort`: none are equal, and the order of rows plays no part."""
    rank = np.empty(len(documents.order), np.int64)
    rank[documents.order] = np.arange(len(documents.order))
    return pieces.start, rank[pieces.doc], mixed(documents.keys[pieces.doc], pieces.start.astype(np.uint64))


def _in_order(pieces: Pieces, documents: Documents) -> Pieces:
    """Bins in the order of the pieces that opened them, which come first; within a bin by key."""
    start, rank, key = _total_order(pieces, documents)
    _, opener = np.unique(pieces.sequence, return_index=True)
    sequence = np.empty(len(opener), np.int64)
    sequence[np.lexsort([start[opener], rank[opener], key[opener]])] = np.arange(len(opener))
    number = sequence[pieces.sequence]
    rows = np.lexsort([start, rank, key, number])
    return Pieces(pieces.doc[rows], pieces.start[rows], pieces.stop[rows], number[rows])


def lay_out(documents: Documents, pieces: Pieces, frame: Frame, length: int, first: int, stop: int) -> UInt32s:
    """The tokens of sequences `first … stop - 1`, `uint32[stop - first, length]`."""
    from stages.tokens import kernels_packing as kernels

    low, high = np.searchsorted(pieces.sequence, [first, stop])
    out = np.empty((stop - first, length), np.uint32)
    part = slice(int(low), int(high))
    kernels.lay_out(
        documents.ids, documents.offsets, *frame, first,
        pieces.doc[part], pieces.start[part], pieces.stop[part], pieces.sequence[part], out,
    )  # fmt: skip
    return out


def mixed(keys: UInt64s, numbers: UInt64s) -> UInt64s:
    """A hash of pairs of numbers: MurmurHash3's finaliser over their sum, the second one spread."""
    h = keys + (numbers + np.uint64(1)) * _GOLDEN
    for multiplier in (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)):
        h = (h ^ (h >> np.uint64(33))) * multiplier
    return h ^ (h >> np.uint64(33))


_ENDING = re.compile(r"""([.!?…]|[。！？．｡।॥။៕۔؟])[)\]}»”’"'」』）】]*$""")


def token_marks(vocabulary: Sequence[bytes]) -> Marks:
    """What each token ends and begins with, for cuts at the ends of sentences; `uint8`, as long as the vocabulary.

    A line break, or the mark that ends a sentence in a script without spaces, ends one by itself; `.`, `!`, `?` and `…`
    do where white space follows.
    """
    from stages.tokens.kernels_packing import LINE_END, SENTENCE_END, SPACE_START, WIDE_END

    marks = np.zeros(len(vocabulary), np.uint8)
    for i, token in enumerate(vocabulary):
        text = token.decode("utf-8", "replace")
        found: Any = _ENDING.search(text)
        marks[i] = (
            LINE_END * text.endswith("\n")
            | (SENTENCE_END if found and found[1] in ".!?…" else WIDE_END if found else 0)
            | SPACE_START * text[:1].isspace()
        )
    return marks
