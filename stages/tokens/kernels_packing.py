"""Compiled parts of packing: where long documents are cut, which sequence a piece goes to, sequences laid out.

Documents come as Arrow has them: `ids` (`uint32[]`) and `offsets` (`int64[n + 1]`). A *framed* document is its ids with
one token before (`head` = 1) and one after (`tail` = 1), or none (0); places in it count from the first of these. A
piece is `start … stop` of a framed document. Every kernel has a slow, obvious twin in `tests/naive_packing.py`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from numba import int64, njit, types, uint32, void

IDS = types.Array(uint32, 1, "C", readonly=True)
INT64S = types.Array(int64, 1, "C", readonly=True)
MARKS = types.Array(types.uint8, 1, "C", readonly=True)
LINE_END, WIDE_END, SENTENCE_END, SPACE_START = 1, 2, 4, 8
"""Marks of a token: what its bytes end with (a line break; a sentence's end in a script without spaces; one that ends a
sentence if white space follows), and that they begin with white space."""


@njit
def _last_end(ids, base, low, high, marks):
    """The last place `p` in `low < p <= high` where a sentence or line ends right before it; -1 if there is none.

    Place `p` is the token `ids[base + p]`; `p` itself is one of the document's own ids.
    """
    for p in range(high, low, -1):
        last, following = ids[base + p - 1], ids[base + p]
        if last < marks.shape[0]:
            mark = marks[last]
            if mark & (LINE_END | WIDE_END):
                return p
            if mark & SENTENCE_END and following < marks.shape[0] and marks[following] & SPACE_START:
                return p
    return -1


@njit
def _cut(ids, offsets, marks, head, d, at, room):
    """Where a piece of document `d` that begins at `at` and has no more than `room` tokens ends.

    The last end of a sentence or line in the second half of the room, else where the room ends.
    """
    size = offsets[d + 1] - offsets[d]
    high = at + room
    low = max(at + room // 2, head)
    found = _last_end(ids, offsets[d] - head, low, min(high, head + size - 1), marks)
    return found if found >= 0 else high


@njit(
    int64(IDS, INT64S, MARKS, int64, int64, int64, int64[::1], int64[::1], int64[::1]),
    nogil=True,
    cache=True,
)
def cut_documents(ids, offsets, marks, head, tail, length, doc, start, stop):
    """Pieces of at most `length` tokens of every framed document, in order; returns how many."""
    m = 0
    for d in range(offsets.shape[0] - 1):
        size = offsets[d + 1] - offsets[d] + head + tail
        at = 0
        while size - at > length:
            after = _cut(ids, offsets, marks, head, d, at, length)
            doc[m], start[m], stop[m] = d, at, after
            at = after
            m += 1
        if size > at:
            doc[m], start[m], stop[m] = d, at, size
            m += 1
    return m


@njit
def _insert(first, following, used, room, b):
    """Put bin `b` on the list of those with its room."""
    size = room[b]
    following[b] = first[size]
    first[size] = b
    used[size >> 6] |= types.uint64(1) << types.uint64(size & 63)


@njit
def _remove(first, following, used, size):
    """Take the bin that was put last on the list of a room."""
    b = first[size]
    first[size] = following[b]
    if first[size] < 0:
        used[size >> 6] &= ~(types.uint64(1) << types.uint64(size & 63))
    return b


@njit
def _least_room(used, size, length):
    """The least room of at least `size` that any bin has; -1 if none has."""
    for word in range(size >> 6, used.shape[0]):
        bits = used[word]
        if bits:
            for room in range(max(size, word << 6), min(length, (word << 6) + 63) + 1):
                if (bits >> types.uint64(room & 63)) & types.uint64(1):
                    return room
    return -1


@njit
def _most_room(used, length):
    """The greatest room that any bin has; 0 if all are full."""
    for word in range(used.shape[0] - 1, -1, -1):
        bits = used[word]
        if bits:
            for room in range(min(length, (word << 6) + 63), max(1, word << 6) - 1, -1):
                if (bits >> types.uint64(room & 63)) & types.uint64(1):
                    return room
    return 0


@njit(
    types.UniTuple(int64, 2)(
        IDS, INT64S, MARKS, int64, int64, types.boolean, INT64S, INT64S, INT64S,
        int64[::1], int64, int64[::1], int64[::1], types.uint64[::1],
        int64[::1], int64[::1], int64[::1], int64[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def place(
    ids, offsets, marks, head, length, may_cut, doc, start, stop,
    room, num_bins, first, following, used, out_doc, out_start, out_stop, out_bin,
):  # fmt: skip
    """Place pieces into bins, in the given order, each into the one whose room it fits best (Ding et al. 2024).

    A piece that fits nowhere opens a bin or, with `may_cut`, is cut to the greatest room there is.

    Args:
        room: what each of the `num_bins` bins has left; long enough for those that will be opened.
        first, following, used: scratch: the list of bins for every room (`int64[length + 1]`, -1), the next bin in its
            list, and a bit for every room that has a list (`uint64[length // 64 + 1]`, 0).
        out_doc, out_start, out_stop, out_bin: the pieces as they were placed.

    Returns:
        The number of pieces and of bins.
    """
    for b in range(num_bins):
        if room[b] > 0:
            _insert(first, following, used, room, b)
    m = 0
    for k in range(doc.shape[0]):
        at = start[k]
        while at < stop[k]:
            after = stop[k]
            size = _least_room(used, after - at, length) if after - at <= length else -1
            if size < 0 and may_cut:
                size = _most_room(used, length)
                if size > 0:
                    after = _cut(ids, offsets, marks, head, doc[k], at, size)
            if size > 0:
                b = _remove(first, following, used, size)
            else:
                b = num_bins
                num_bins += 1
                room[b] = length
            room[b] -= after - at
            if room[b] > 0:
                _insert(first, following, used, room, b)
            out_doc[m], out_start[m], out_stop[m], out_bin[m] = doc[k], at, after, b
            at = after
            m += 1
    return m, num_bins


@njit(
    void(IDS, INT64S, int64, int64, int64, int64, INT64S, INT64S, INT64S, INT64S, uint32[:, ::1]),
    nogil=True,
    cache=True,
)
def lay_out(ids, offsets, begin, end, padding, first_sequence, doc, start, stop, sequence, out):
    """Write the tokens of pieces into their sequences, `out[sequence - first_sequence]`, and padding after the last.

    Args:
        begin, end: the tokens before and after every document; -1 for none.
        doc, start, stop, sequence: pieces, sequence by sequence, in the order in which they stand.
    """
    head = 1 if begin >= 0 else 0
    length = out.shape[1]
    k = 0
    for row in range(out.shape[0]):
        at = 0
        while k < doc.shape[0] and sequence[k] - first_sequence == row:
            d = doc[k]
            size = offsets[d + 1] - offsets[d]
            base = offsets[d] - head
            for p in range(start[k], stop[k]):
                if p < head:
                    out[row, at] = begin
                elif p < head + size:
                    out[row, at] = ids[base + p]
                else:
                    out[row, at] = end
                at += 1
            k += 1
        for i in range(at, length):
            out[row, i] = padding
