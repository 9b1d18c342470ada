"""Slow, obvious twins of the kernels in `stages.tokens.kernels_packing`, on plain lists."""

from __future__ import annotations

from stages.tokens.kernels_packing import LINE_END, SENTENCE_END, SPACE_START, WIDE_END

Piece = tuple[int, int, int]
"""Document, start, stop."""


def framed(ids: list[int], begin: int, end: int) -> list[int]:
    return [begin] * (begin >= 0) + ids + [end] * (end >= 0)


def cut(ids: list[int], marks: list[int], head: int, at: int, room: int) -> int:
    """Where a piece that begins at `at` and has no more than `room` tokens ends."""

    def mark(place: int) -> int:
        token = ids[place - head]
        return marks[token] if token < len(marks) else 0

    def ends_well(place: int) -> bool:
        if not head < place < head + len(ids):
            return False
        after_mark = mark(place - 1) & SENTENCE_END and mark(place) & SPACE_START
        return bool(mark(place - 1) & (LINE_END | WIDE_END) or after_mark)

    good = [place for place in range(at + room // 2 + 1, at + room + 1) if ends_well(place)]
    return good[-1] if good else at + room


def cut_documents(documents: list[list[int]], marks: list[int], head: int, tail: int, length: int) -> list[Piece]:
    pieces = []
    for d, ids in enumerate(documents):
        at, size = 0, len(ids) + head + tail
        while size - at > length:
            stop = cut(ids, marks, head, at, length)
            pieces.append((d, at, stop))
            at = stop
        if at < size:
            pieces.append((d, at, size))
    return pieces


def place(
    documents: list[list[int]],
    marks: list[int],
    head: int,
    length: int,
    pieces: list[Piece],
    room: list[int],
    may_cut: bool,
) -> list[tuple[int, int, int, int]]:
    """Pieces with their bins; `room` is what each bin has left, and grows.

    Of bins with equal room the one that came to it last is taken.
    """
    stack = [b for b, left in enumerate(room) if left]
    placed = []
    for d, start, stop in pieces:
        while start < stop:
            fitting = [b for b in stack if room[b] >= stop - start]
            after = stop
            if fitting:
                best = min(room[b] for b in fitting)
            elif may_cut and stack:
                best = max(room[b] for b in stack)
                after = cut(documents[d], marks, head, start, best)
            else:
                best = 0
            if best:
                b = [b for b in stack if room[b] == best][-1]
                stack.remove(b)
            else:
                b = len(room)
                room.append(length)
            room[b] -= after - start
            if room[b]:
                stack.append(b)
            placed.append((d, start, after, b))
            start = after
    return placed
