"""The compiled part of static embeddings: the sum of the rows of a document's pieces."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import float32, int32, int64, njit, types, void

INT32S = types.Array(int32, 1, "C", readonly=True)
INT64S = types.Array(int64, 1, "C", readonly=True)
ROWS = types.Array(float32, 2, "C", readonly=True)


@njit(void(ROWS, INT64S, INT64S, INT32S, INT64S, INT32S, INT64S, INT32S, float32[:, ::1], int32[::1]),
      nogil=True, cache=True)  # fmt: skip
def sum_rows(rows, begin, end, slot, first, pieces, own_first, own_pieces, out, counts):
    """Add up the rows of every document's pieces, piece after piece, and count them.

    Word `t` of document `d`, for `t` in `begin[d]:end[d]`, has the pieces `pieces[first[s]:first[s + 1]]` if its slot
    `s` is not negative, else `own_pieces[own_first[j]:own_first[j + 1]]` with `j = -1 - s`. `out`, `float32[n, d]`, and
    `counts`, `int32[n]`, are overwritten. Single precision in the order of the text: nothing else enters a sum.
    """
    width = rows.shape[1]
    for d in range(begin.shape[0]):
        total = out[d]
        total[:] = np.float32(0)
        count = 0
        for t in range(begin[d], end[d]):
            s = int64(slot[t])
            if s >= 0:
                low, high = first[s], first[s + 1]
                for p in range(low, high):
                    row = rows[pieces[p]]
                    for k in range(width):
                        total[k] += row[k]
            else:
                low, high = own_first[-1 - s], own_first[-s]
                for p in range(low, high):
                    row = rows[own_pieces[p]]
                    for k in range(width):
                        total[k] += row[k]
            count += high - low
        counts[d] = count
