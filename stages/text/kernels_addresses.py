"""Compiled search for e-mail and IP addresses around an anchor (`@`, `:`, a first digit).

Functions look at `data[low:high]`, one document, and return the first and last byte of what they found, `(-1, -1)` for
nothing. What is one is defined in `stages.pii`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import njit

from stages.text.ascii_table import ALNUM, ASCII, DIGIT, HEX, LETTER, LOCAL, WORD, padded
from stages.text.kernels import decode, decode_before
from stages.text.unicode_tables import DIGIT as ANY_DIGIT
from stages.text.unicode_tables import LETTER as ANY_LETTER
from stages.text.unicode_tables import MARK

NO_MAIL = (
    "png", "jpg", "jpeg", "gif", "webp", "svg", "bmp", "css", "js", "json", "html", "php", "xml", "pdf",
    "example", "test", "invalid", "localhost", "local", "example.com", "example.net", "example.org",
)  # fmt: skip
"""Last labels of what is no address of anybody: endings of files (`icon@2x.png`) and reserved domains (RFC 2606)."""
VERSION_WORDS = ("version", "ver", "v", "release", "build", "firmware", "rev", "revision", "section", "chapter")
"""What stands before four numbers that are no address."""
MAX_LOCAL, MAX_DOMAIN = 64, 255
"""Most code points of a local part, most bytes of a domain (RFC 5321)."""
MAX_SPACED = 0x0590
"""Latin, Greek, Cyrillic and Armenian letters are below; they may stand in a local part."""
MIN_GROUPS = 3
"""Fewest groups that an IPv6 address is written with: `x[2000::2]` is a slice."""

_NO_MAIL, _VERSION_WORDS = padded(NO_MAIL), padded(VERSION_WORDS)
_XN = np.frombuffer(b"xn--", np.uint8)
_DOT, _HYPHEN, _UNDERSCORE, _AT, _COLON, _SLASH, _ZERO, _NINE = 0x2E, 0x2D, 0x5F, 0x40, 0x3A, 0x2F, 0x30, 0x39
_LEAD = np.frombuffer(b" :=.(\"'#", np.uint8)


@njit
def lowered(byte):
    """An ASCII letter in lower case; any other byte as it is."""
    return byte + 32 if 65 <= byte <= 90 else byte


@njit
def ends_with_any(data, low, high, rows):
    """First byte of an entry that `data[low:high]` ends with, ASCII case folded and no letter or digit before; or -1.

    Args:
        rows: entries as `padded` makes them.
    """
    for row in range(rows.shape[0]):
        first = high - np.int64(rows[row, 0])
        if first < low or (first > low and rows[row, 1] < 0x80 and ASCII[data[first - 1]] & ALNUM):
            continue
        k = 0
        while first + k < high and lowered(data[first + k]) == rows[row, k + 1]:
            k += 1
        if first + k == high:
            return first
    return np.int64(-1)


@njit
def _local_start(data, floor, at, classes):
    """First byte of the local part before `@`, or `at` if there is none."""
    i, chars = at, 0
    while i > floor and chars <= MAX_LOCAL:
        byte = data[i - 1]
        if byte < 0x80:
            if not ASCII[byte] & LOCAL or (byte == _DOT and (i == at or data[i] == _DOT)):
                break
            i -= 1
        else:
            code, first = decode_before(data, floor, i)
            if code >= MAX_SPACED or not classes[code] & (ANY_LETTER | MARK):
                break
            i = first
        chars += 1
    if chars > MAX_LOCAL:
        return at
    while i < at and data[i] < 0x80 and not ASCII[data[i]] & WORD:
        i += 1
    return i


@njit
def _label_end(data, i, limit, classes):
    while i < limit:
        if data[i] < 0x80:
            if not ASCII[data[i]] & ALNUM and data[i] != _HYPHEN:
                break
            i += 1
        else:
            code, width = decode(data, i)
            if not classes[code] & (ANY_LETTER | MARK | ANY_DIGIT):
                break
            i += width
    return i


@njit
def _top_end(data, first, end, classes):
    """End of the top-level domain at the start of a label, or -1: ASCII letters, other letters, or `xn--…`."""
    i, chars = first, 0
    if data[first] < 0x80:
        while i < end and ASCII[data[i]] & LETTER:
            i += 1
        if i < end and data[i] < 0x80:
            for k in range(4):
                if first + k >= end or lowered(data[first + k]) != _XN[k]:
                    return np.int64(-1)
            while i < end and data[i] < 0x80:
                i += 1
        chars = i - first
    else:
        while i < end and data[i] >= 0x80:
            code, width = decode(data, i)
            if not classes[code] & (ANY_LETTER | MARK):
                break
            i += width
            chars += 1
    return i if chars >= 2 else np.int64(-1)


@njit
def _domain_end(data, first, high, classes):
    """End of the longest domain at byte `first`, or -1."""
    limit = min(high, first + MAX_DOMAIN)
    best, i, labels = np.int64(-1), first, 0
    while i < limit:
        label = i
        i = _label_end(data, label, limit, classes)
        end = i
        while end > label and data[end - 1] == _HYPHEN:
            end -= 1
        if end == label or data[label] == _HYPHEN:
            break
        labels += 1
        if labels > 1:
            top = _top_end(data, label, end, classes)
            if top >= 0:
                best = top
        if end < i or i >= limit or data[i] != _DOT:
            break
        i += 1
    return best


@njit
def find_email(data, low, high, at, floor, classes):
    """The e-mail address whose `@` is at byte `at` and that begins at `floor` or later."""
    first = _local_start(data, floor, at, classes)
    if first == at:
        return np.int64(-1), np.int64(-1)
    end = _domain_end(data, at + 1, high, classes)
    if end < 0:
        return np.int64(-1), np.int64(-1)
    nobody = ends_with_any(data, at + 1, end, _NO_MAIL)
    if nobody >= 0 and (data[nobody - 1] == _DOT or data[nobody - 1] == _AT):
        return np.int64(-1), np.int64(-1)
    return first, end


@njit
def _is_global_ipv4(a, b, c):
    """Globally routable by IANA's registry of special-purpose addresses, multicast and reserved ones left out."""
    if a == 0 or a == 10 or a == 127 or a >= 224:
        return False
    if (a == 100 and 64 <= b < 128) or (a == 169 and b == 254) or (a == 172 and 16 <= b < 32):
        return False
    if a == 192 and (b == 168 or (b == 0 and (c == 0 or c == 2)) or (b == 88 and c == 99)):
        return False
    if a == 198 and (b == 18 or b == 19 or (b == 51 and c == 100)):
        return False
    return not (a == 203 and b == 0 and c == 113)


@njit
def _after_version_word(data, low, i):
    for _ in range(3):
        known = False
        if i > low:
            for k in range(_LEAD.shape[0]):
                known |= data[i - 1] == _LEAD[k]
        if not known:
            break
        i -= 1
    return ends_with_any(data, low, i, _VERSION_WORDS) >= 0


@njit
def find_ipv4(data, low, high, first):
    """The IPv4 address that begins at byte `first`, a digit."""
    nothing = np.int64(-1), np.int64(-1)
    if first > low:
        before = data[first - 1]
        before_that = data[first - 2] if first - 1 > low else np.uint8(0x20)
        if ASCII[before] & WORD or before == _DOT:
            return nothing
        if before == _HYPHEN and not ASCII[before_that] & DIGIT:
            return nothing
        if before == _SLASH and ASCII[before_that] & LETTER:
            return nothing
    a = b = c = biggest = value = np.int64(0)
    i = first
    for octet in range(4):
        if octet > 0:
            if i >= high or data[i] != _DOT:
                return nothing
            i += 1
        start, value = i, np.int64(0)
        while i < high and ASCII[data[i]] & DIGIT and i - start < 4:
            value = value * 10 + data[i] - _ZERO
            i += 1
        if i == start or value > 255 or (i - start > 1 and data[start] == _ZERO):
            return nothing
        biggest = max(biggest, value)
        if octet == 0:
            a = value
        elif octet == 1:
            b = value
        elif octet == 2:
            c = value
    if i < high:
        after_that = data[i + 1] if i + 1 < high else np.uint8(0x20)
        if ASCII[data[i]] & WORD or data[i] == _AT or (data[i] == _DOT and ASCII[after_that] & DIGIT):
            return nothing
        if data[i] == _HYPHEN and ASCII[after_that] & LETTER:
            return nothing
    if biggest < 10 or not _is_global_ipv4(a, b, c) or _after_version_word(data, low, first):
        return nothing
    return first, i


@njit
def _hex_value(data, i, end):
    value = np.int64(0)
    while i < end:
        digit = np.int64(lowered(data[i]))
        value = value * 16 + (digit - 48 if digit < 58 else digit - 87)
        i += 1
    return value


@njit
def _is_global_ipv6(data, first, end):
    """Whether `data[first:end]`, hexadecimal digits and colons, is a well-formed address in 2000::/3, not a special
    one."""
    groups = doubles = value = second = 0
    i = first
    while i < end:
        start = i
        while i < end and data[i] != _COLON:
            i += 1
        if i - start > 4 or i == start:
            return False
        value = _hex_value(data, start, i)
        groups += 1
        if groups == 2 and doubles == 0:
            second = value
        if i == end:
            break
        i += 1
        if i == end:
            return False
        if data[i] == _COLON:
            doubles += 1
            i += 1
    if groups < MIN_GROUPS or not ((doubles == 0 and groups == 8) or (doubles == 1 and groups <= 7)):
        return False
    leading = _hex_value(data, first, first + 4)
    special = (leading == 0x2001 and (second < 0x200 or second == 0xDB8)) or (leading == 0x3FFF and second < 0x1000)
    return not special


@njit
def find_ipv6(data, low, high, colon):
    """The IPv6 address whose first `:` is at byte `colon`."""
    nothing = np.int64(-1), np.int64(-1)
    first = colon - 4
    if first < low or not (data[first] == 0x32 or data[first] == 0x33):
        return nothing
    for k in range(4):
        if not ASCII[data[first + k]] & HEX:
            return nothing
    if first > low and (ASCII[data[first - 1]] & WORD or data[first - 1] == _COLON or data[first - 1] == _DOT):
        return nothing
    end = colon
    while end < high and (ASCII[data[end]] & HEX or data[end] == _COLON) and end - first <= 40:
        end += 1
    if data[end - 1] == _COLON and data[end - 2] != _COLON:
        end -= 1
    if end - first > 39:
        return nothing
    if end < high:
        if ASCII[data[end]] & WORD:
            return nothing
        if data[end] == _DOT and end + 1 < high and ASCII[data[end + 1]] & DIGIT:
            return nothing
    return (first, end) if _is_global_ipv6(data, first, end) else nothing
