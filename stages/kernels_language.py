"""Compiled passes of the stage `language`: the script of most letters, and the pieces of a text that are judged apart.

Layouts of arrays are those of `stages.text.kernels` and `stages.text.views`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import boolean, int32, int64, njit, types, uint8, void

from stages.text.kernels import BYTES, CLASSES, FLAGS, INT32S, INT64S, decode
from stages.text.kernels_lines import BLANK
from stages.text.unicode_tables import LETTER, SPACE

_LETTER, _VISIBLE = 1, 2
SCRIPTS = types.Array(uint8, 1, "C", readonly=True)


@njit(void(BYTES, INT64S, CLASSES, SCRIPTS, int32[::1], boolean[::1]), nogil=True, cache=True)
def find_scripts(data, offsets, classes, scripts, out, is_blank):
    """Row of the script that most letters of each document are of, the lower one of two equals, 0 if there are none;
    and whether a document is nothing but white space."""
    ascii_kinds = np.zeros(128, np.uint8)
    for code in range(128):
        ascii_kinds[code] = (classes[code] & LETTER != 0) * _LETTER | (classes[code] & SPACE == 0) * _VISIBLE
    counts = np.zeros(256, np.int64)
    for d in range(offsets.shape[0] - 1):
        counts[:] = 0
        latin, seen = int64(0), int64(0)
        i, high = offsets[d], offsets[d + 1]
        while i < high:
            byte = data[i]
            if byte < 0x80:
                seen |= ascii_kinds[byte]
                latin += ascii_kinds[byte] & _LETTER
                i += 1
                continue
            code, width = decode(data, i)
            counts[scripts[code] if classes[code] & LETTER else 0] += 1
            seen |= (classes[code] & SPACE == 0) * _VISIBLE
            i += width
        counts[scripts[ord("a")]] += latin
        counts[0] = 0
        most = np.argmax(counts)
        out[d] = most if counts[most] else 0
        is_blank[d] = seen == 0


@njit(
    int64(INT64S, INT64S, INT32S, INT32S, FLAGS, INT64S, INT64S, INT32S, int64,
          int64[::1], int64[::1], int64[::1], int64[::1]),
    nogil=True,
    cache=True,
)  # fmt: skip
def cut_pieces(
    line_begin, line_end, line_start, line_stop, line_flags, token_begin, token_end, token_start, min_bytes,
    document, begin, end, num_bytes,
):  # fmt: skip
    """Cut documents into pieces of whole lines, none across a blank line and all of at least `min_bytes`.

    Lines are taken together until they are long enough; what is left before a blank line is dropped. Fills the row of
    each piece's document, the range of its tokens and its bytes; returns how many pieces there are, at most one a line.
    """
    m = 0
    for d in range(line_begin.shape[0]):
        t = token_begin[d]
        first = -1
        for row in range(line_begin[d], line_end[d]):
            if line_flags[row] & BLANK:
                first = -1
                continue
            if first < 0:
                first = line_start[row]
            if line_stop[row] - first < min_bytes:
                continue
            while t < token_end[d] and token_start[t] < first:
                t += 1
            begin[m] = t
            while t < token_end[d] and token_start[t] < line_stop[row]:
                t += 1
            end[m] = t
            document[m] = d
            num_bytes[m] = line_stop[row] - first
            m += 1
            first = -1
    return m
