"""Packing: kernels against their twins, and what must hold of every packing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.tokens import kernels_packing as kernels
from stages.tokens.kernels_packing import LINE_END, SENTENCE_END, SPACE_START, WIDE_END
from stages.tokens.packing import NO_MARKS, Documents, Frame, Pieces, best_fit, concatenate, lay_out, pack, token_marks
from tests import naive_packing as naive

FRAMES = (Frame(100, 101, 102), Frame(-1, 101, 102), Frame(100, -1, 102), Frame(-1, -1, 102))
MARKS = np.array([0, LINE_END, WIDE_END, SENTENCE_END, SPACE_START, SENTENCE_END | SPACE_START, 0, 0], np.uint8)
BYTES = [bytes([i]) for i in range(256)]


def documents(rows: list[list[int]], seed: int = 0) -> Documents:
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    keys = rng.integers(0, 2**64, len(rows), np.uint64)
    ids = np.array([token for row in rows for token in row], np.uint32)
    return Documents(ids, offsets, keys, np.argsort(keys))


def as_rows(pieces: Pieces) -> list[tuple[int, int, int, int]]:
    return list(
        zip(pieces.doc.tolist(), pieces.start.tolist(), pieces.stop.tolist(), pieces.sequence.tolist(), strict=True)
    )


few = st.lists(st.integers(0, 9), max_size=30)
corpora = st.lists(few | st.lists(st.integers(0, 9), min_size=40, max_size=120), max_size=12)
lengths = st.integers(2, 40)
frames = st.sampled_from(FRAMES)
packings = st.sampled_from(["best_fit", "concatenate"])


@given(corpora, lengths, frames)
def test_documents_are_cut_as_by_the_twin(rows, length, frame):
    given_ = documents(rows)
    doc, start, stop = (np.zeros(2000, np.int64) for _ in range(3))
    m = kernels.cut_documents(given_.ids, given_.offsets, MARKS, frame.head, frame.tail, length, doc, start, stop)
    found = list(zip(doc[:m].tolist(), start[:m].tolist(), stop[:m].tolist(), strict=True))
    assert found == naive.cut_documents(rows, MARKS.tolist(), frame.head, frame.tail, length)


@given(corpora, lengths, frames, st.lists(st.integers(0, 40), max_size=8), st.booleans())
def test_pieces_are_placed_as_by_the_twin(rows, length, frame, rooms, may_cut):
    given_ = documents(rows)
    pieces = naive.cut_documents(rows, MARKS.tolist(), frame.head, frame.tail, length)
    rooms = [min(room, length) for room in rooms]
    room = np.array([*rooms, *[0] * len(pieces)], np.int64)
    out = [np.zeros(8 * (len(pieces) + len(rooms)), np.int64) for _ in range(4)]
    doc, start, stop = (np.array([piece[i] for piece in pieces], np.int64) for i in range(3))
    m, num_bins = kernels.place(
        given_.ids, given_.offsets, MARKS, frame.head, length, may_cut, doc, start, stop, room, len(rooms),
        np.full(length + 1, -1), np.full(len(room), -1), np.zeros(length // 64 + 1, np.uint64), *out,
    )  # fmt: skip
    expected = naive.place(rows, MARKS.tolist(), frame.head, length, pieces, rooms, may_cut)
    assert list(zip(*(column[:m].tolist() for column in out), strict=True)) == expected
    assert room[:num_bins].tolist() == rooms


@given(corpora, lengths, frames, packings)
def test_every_token_is_there_once_and_in_order(rows, length, frame, packing):
    given_ = documents(rows)
    pieces = pack(given_, length, packing, frame, MARKS)
    out = lay_out(given_, pieces, frame, length, 0, pieces.num_sequences)
    found: dict[int, list[tuple[int, list[int]]]] = {}
    place, before = 0, -1
    for d, start, stop, sequence in as_rows(pieces):
        place = 0 if sequence != before else place
        before = sequence
        found.setdefault(d, []).append((start, out[sequence, place : place + stop - start].tolist()))
        place += stop - start
        assert place <= length
    for d, row in enumerate(rows):
        whole = [token for _, part in sorted(found.get(d, [])) for token in part]
        assert whole == naive.framed(row, frame.begin, frame.end)
    assert (out == frame.padding).sum() == out.size - pieces.num_tokens
    assert sorted(set(pieces.sequence.tolist())) == list(range(pieces.num_sequences))


@given(corpora, lengths, frames)
def test_concatenation_pads_nothing_but_the_end(rows, length, frame):
    given_ = documents(rows)
    pieces = concatenate(given_, length, frame)
    out = lay_out(given_, pieces, frame, length, 0, pieces.num_sequences)
    stream = [token for d in given_.order for token in naive.framed(rows[d], frame.begin, frame.end)]
    assert out.reshape(-1)[: len(stream)].tolist() == stream
    assert pieces.num_sequences == -(-len(stream) // length)


@given(corpora, lengths, frames, packings, st.randoms())
def test_the_order_of_rows_plays_no_part(rows, length, frame, packing, random):
    given_ = documents(rows)
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    other = documents([rows[d] for d in shuffled])
    keys = given_.keys[shuffled]
    other = Documents(other.ids, other.offsets, keys, np.argsort(keys))
    one, two = (pack(each, length, packing, frame, MARKS) for each in (given_, other))
    assert np.array_equal(
        lay_out(given_, one, frame, length, 0, one.num_sequences),
        lay_out(other, two, frame, length, 0, two.num_sequences),
    )


def corpus(sizes: np.ndarray, seed: int = 0) -> Documents:
    rng = np.random.default_rng(seed)
    offsets = np.append(0, np.cumsum(sizes)).astype(np.int64)
    keys = rng.integers(0, 2**64, len(sizes), np.uint64)
    return Documents(rng.integers(0, 90, int(offsets[-1]), np.uint32), offsets, keys, np.argsort(keys))


def fill(pieces: Pieces, length: int) -> float:
    return pieces.num_tokens / (pieces.num_sequences * length)


def test_best_fit_cuts_only_what_is_too_long():
    sizes = np.random.default_rng(1).lognormal(4.5, 1.2, 20_000).astype(int)
    given_, frame, length = corpus(sizes), FRAMES[0], 1024
    best, plain = best_fit(given_, length, frame), concatenate(given_, length, frame)
    assert fill(best, length) >= 0.999
    assert best.num_cut() == (sizes + 2 > length).sum()
    assert plain.num_cut() > 5 * best.num_cut()


@pytest.mark.parametrize(("low", "high"), [(600, 1000), (2000, 5000), (1000, 1022)])
def test_long_documents_are_cut_to_fill(low, high):
    """Where no documents are short enough for what others leave, sequences are taken apart."""
    given_ = corpus(np.random.default_rng(2).integers(low, high, 3000))
    pieces = best_fit(given_, 1024, FRAMES[0])
    assert fill(pieces, 1024) >= 0.999
    assert fill(best_fit(given_, 1024, FRAMES[0], NO_MARKS, min_fill=0), 1024) < 0.999


def test_cuts_are_at_sentence_ends():
    text = ("Some words of a sentence. " * 40).encode()
    marks = token_marks(BYTES)
    rows = [list(text)]
    pieces = best_fit(documents(rows), 100, Frame(256, 257, 258), marks, min_fill=0)
    for _, start, stop, _ in as_rows(pieces):
        part = bytes(naive.framed(rows[0], 0, 0)[start:stop]).strip(b"\0 ")
        assert part.startswith(b"Some")
        assert part.endswith(b".")


def test_neither_long_documents_nor_pieces_of_one_come_together():
    sizes = np.where(np.arange(4000) % 10 == 0, 3000, 100)
    given_ = corpus(sizes)
    pieces = best_fit(given_, 1024, FRAMES[0])
    for d in np.flatnonzero(sizes == 3000)[:200]:
        found = np.sort(pieces.sequence[pieces.doc == d])
        assert found[-1] - found[0] > len(found)
    long = pieces.sequence[sizes[pieces.doc] == 3000]
    assert abs(np.mean(long) / pieces.num_sequences - 0.5) < 0.05


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (b"end.", SENTENCE_END),
        (b'end."', SENTENCE_END),
        ("。".encode(), WIDE_END),
        ("。」".encode(), WIDE_END),
        (b" word", SPACE_START),
        (b"\n", LINE_END | SPACE_START),
        (b".\n\n", LINE_END),
        (b"3.14", 0),
        (b"", 0),
        (b"\xe3\x80", 0),
        (b"\xff.", SENTENCE_END),
    ],
)
def test_marks_of_tokens(token, expected):
    assert token_marks([token]).tolist() == [expected]


def test_nothing_and_one_token():
    for packing in ("best_fit", "concatenate"):
        assert pack(documents([]), 8, packing, FRAMES[0]).num_sequences == 0
        assert pack(documents([[]]), 8, packing, FRAMES[3]).num_sequences == 0
        pieces = pack(documents([[]]), 8, packing, FRAMES[0])
        assert lay_out(documents([[]]), pieces, FRAMES[0], 8, 0, 1).tolist() == [[100, 101] + [102] * 6]
