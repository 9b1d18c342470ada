"""The compiled scan for personal data: jumps from anchor to anchor, then writes the text with placeholders."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, void

from stages.text.ascii_table import ASCII, DIGIT
from stages.text.kernels import BYTES, CLASSES, INT64S, count_chars_between
from stages.text.kernels_addresses import find_email, find_ipv4, find_ipv6
from stages.text.kernels_numbers import MAX_GROUPS, find_card, find_iban, find_phones
from stages.text.kernels_secrets import KEY_ANCHORS, find_key, find_private_key

KINDS = ("private_key", "api_key", "email", "iban", "card", "ipv6", "ipv4", "phone")
"""In the order in which they win where two overlap."""
PRIVATE_KEY, API_KEY, EMAIL, IBAN, CARD, IPV6, IPV4, PHONE = range(8)
NUM_KINDS = len(KINDS)
MASKED_CHARS = NUM_KINDS
"""Column of the counts, behind those of the kinds: code points that were masked."""

_AT_SIGN, _COLON, _DIGIT, _PHONE, _KEY, _BEGIN = 1, 2, 4, 8, 16, 32
_HYPHEN = 0x2D


def _anchor_table():
    table = np.zeros(256, np.uint8)
    for char in KEY_ANCHORS:
        table[ord(char)] |= _KEY
    for digit in range(0x30, 0x3A):
        table[digit] |= _DIGIT
    for char, flag in {"@": _AT_SIGN, ":": _COLON, "+": _PHONE, "(": _PHONE, "-": _BEGIN}.items():
        table[ord(char)] |= flag
    return table


_ANCHOR = _anchor_table()


@njit
def _add(spans, m, span, kind, resume):
    """Add a span if one was found and it begins where its kind's last one ended, or later."""
    first, stop = span
    if first < resume[kind]:
        return m
    spans[m, 0], spans[m, 1], spans[m, 2] = first, stop, kind
    resume[kind] = stop
    return m + 1


@njit
def _scan(data, low, high, classes, kinds, spans, resume, work):
    """Every span of a document, kind by kind without overlap, about in the order of their starts; how many."""
    m = 0
    resume[:] = low
    i = low
    while i < high:
        anchor = _ANCHOR[data[i]]
        if anchor == 0:
            i += 1
            continue
        if anchor & (_DIGIT | _PHONE):
            if kinds[PHONE] and i >= resume[PHONE]:
                end, m = find_phones(data, low, high, i, work, spans, m, PHONE)
                resume[PHONE] = end
            if anchor & _DIGIT and (i == low or not ASCII[data[i - 1]] & DIGIT):
                if kinds[IBAN]:
                    m = _add(spans, m, find_iban(data, low, high, i), IBAN, resume)
                if kinds[CARD]:
                    m = _add(spans, m, find_card(data, low, high, i, work), CARD, resume)
                if kinds[IPV4]:
                    m = _add(spans, m, find_ipv4(data, low, high, i), IPV4, resume)
        if anchor & _AT_SIGN and kinds[EMAIL]:
            m = _add(spans, m, find_email(data, low, high, i, resume[EMAIL], classes), EMAIL, resume)
        if anchor & _COLON and kinds[IPV6]:
            m = _add(spans, m, find_ipv6(data, low, high, i), IPV6, resume)
        if anchor & _KEY and kinds[API_KEY]:
            m = _add(spans, m, find_key(data, low, high, i), API_KEY, resume)
        if anchor & _BEGIN and kinds[PRIVATE_KEY] and i >= resume[PRIVATE_KEY]:
            m = _add(spans, m, find_private_key(data, low, high, i), PRIVATE_KEY, resume)
        i += 1
    return m


@njit
def _resolve(spans, m):
    """Sort spans by start and kind, and leave none that overlaps another; how many are left.

    From left to right, a span that overlaps the last one kept replaces it if its kind comes first in KINDS, and goes
    otherwise. Spans arrive almost sorted.
    """
    for k in range(1, m):
        first, stop, kind = spans[k, 0], spans[k, 1], spans[k, 2]
        j = k
        while j > 0 and (spans[j - 1, 0] > first or (spans[j - 1, 0] == first and spans[j - 1, 2] > kind)):
            spans[j, 0], spans[j, 1], spans[j, 2] = spans[j - 1, 0], spans[j - 1, 1], spans[j - 1, 2]
            j -= 1
        spans[j, 0], spans[j, 1], spans[j, 2] = first, stop, kind
    kept = 0
    for k in range(m):
        if kept > 0 and spans[k, 0] < spans[kept - 1, 1]:
            if spans[k, 2] >= spans[kept - 1, 2]:
                continue
            kept -= 1
        spans[kept, 0], spans[kept, 1], spans[kept, 2] = spans[k, 0], spans[k, 1], spans[k, 2]
        kept += 1
    return kept


@njit(
    int64(BYTES, int64, int64, CLASSES, types.Array(types.boolean, 1, "C", readonly=True), int64[:, ::1]),
    nogil=True,
    cache=True,
)
def find_spans(data, low, high, classes, kinds, spans):
    """The spans of one text as it stands, without overlap: bytes from and to, and kind; how many there are.

    Args:
        spans: room for one a byte.
    """
    resume, work = np.empty(NUM_KINDS, np.int64), np.zeros((5, 2 * MAX_GROUPS), np.int64)
    return _resolve(spans, _scan(data, low, high, classes, kinds, spans, resume, work))


@njit
def _rewrite(data, low, high, spans, m, placeholders, sizes, out):
    """Write `data[low:high]` to `out` with a placeholder for every span; returns how many bytes that took."""
    at, i = 0, low
    for k in range(m):
        first, stop, kind = spans[k, 0], spans[k, 1], spans[k, 2]
        out[at : at + first - i] = data[i:first]
        at += first - i
        out[at : at + sizes[kind]] = placeholders[kind, : sizes[kind]]
        at += sizes[kind]
        i = stop
    out[at : at + high - i] = data[i:high]
    return at + high - i


@njit(
    void(
        BYTES, INT64S, CLASSES, types.Array(types.boolean, 1, "C", readonly=True),
        types.Array(uint8, 2, "C", readonly=True), INT64S, uint8[::1], uint8[::1], int64[::1], int64[:, ::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def mask_text(data, offsets, classes, kinds, placeholders, sizes, scratch, out, out_offsets, counts):
    """Write every document with placeholders for what was found, and count it.

    A document is scanned again until nothing more is found, so that masking it a second time changes nothing: without
    its neighbour, what overlapped a span of another kind may be one itself.

    Args:
        kinds: for every kind, whether to look for it.
        placeholders, sizes: the bytes that replace a span of each kind; they may hold nothing that is found.
        scratch: room for the longest document, `out`: for all, placeholders included: every span has 6 bytes or more.
        out, out_offsets: the new text and where each document starts in it.
        counts: per document, spans of each kind, and MASKED_CHARS.
    """
    longest = 0
    for d in range(offsets.shape[0] - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    spans = np.empty((longest + 1, 3), np.int64)
    resume = np.empty(NUM_KINDS, np.int64)
    work = np.zeros((5, 2 * MAX_GROUPS), np.int64)
    at = int64(0)
    for d in range(offsets.shape[0] - 1):
        out_offsets[d] = at
        counts[d, :] = 0
        end = at + offsets[d + 1] - offsets[d]
        out[at:end] = data[offsets[d] : offsets[d + 1]]
        while True:
            m = _resolve(spans, _scan(out, at, end, classes, kinds, spans, resume, work))
            if m == 0:
                break
            for k in range(m):
                counts[d, spans[k, 2]] += 1
                counts[d, MASKED_CHARS] += count_chars_between(out, spans[k, 0], spans[k, 1])
            size = _rewrite(out, at, end, spans, m, placeholders, sizes, scratch)
            end = at + size
            out[at:end] = scratch[:size]
        at = end
    out_offsets[offsets.shape[0] - 1] = at
