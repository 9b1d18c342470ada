"""Compiled search for what marks a source file: encoded data, secrets, generated code, and what a page shows.

Functions look at `data[low:high]`, one document, and are called from `kernels_code_counts`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import njit

from stages.text.ascii_table import ASCII, HEX, LETTER, WORD
from stages.text.kernels_addresses import lowered
from stages.text.kernels_secrets import KEY_ANCHORS, find_key, find_private_key

MIN_BASE64, MIN_ESCAPES = 64, 8
"""Shortest run of base64 characters, fewest hexadecimal bytes and `\\u` escapes in a row, that count as encoded."""

_GENERATE, _AUTOGEN, _DO_NOT = (np.frombuffer(text, np.uint8) for text in (b"generate", b"autogen", b"do not edit"))
_XML = np.frombuffer(b"<?xml version=", np.uint8)
_SCRIPT, _STYLE, _COMMENT = (np.frombuffer(text, np.uint8) for text in (b"script", b"style", b"<!--"))
_ANCHORS = np.zeros(256, np.bool_)
_ANCHORS[[ord(char) for char in KEY_ANCHORS]] = True
_BASE64 = np.zeros(256, np.bool_)
_BASE64[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\n=")] = True
_LESS, _MORE, _SLASH, _BANG, _QUESTION, _HYPHEN, _BACKSLASH = 0x3C, 0x3E, 0x2F, 0x21, 0x3F, 0x2D, 0x5C
_LOWER_U, _LOWER_X, _COMMA, _ZERO, _EQUALS, _QUOTE, _APOSTROPHE = 0x75, 0x78, 0x2C, 0x30, 0x3D, 0x22, 0x27


@njit
def matches(data, i, high, pattern, fold):
    """Whether `data[i:high]` starts with a pattern; with ASCII case folded, the pattern in lower case, if so asked."""
    if i + pattern.shape[0] > high:
        return False
    for k in range(pattern.shape[0]):
        byte = lowered(data[i + k]) if fold else data[i + k]
        if byte != pattern[k]:
            return False
    return True


@njit
def _hex_byte_end(data, i, high, first):
    """End of a byte in hexadecimal digits (41, 0x41, \\x41) and what separates it from the next, or -1."""
    start = i
    if i + 1 < high and (data[i] == _ZERO or data[i] == _BACKSLASH) and data[i + 1] | 0x20 == _LOWER_X:
        i += 2
    if i + 2 > high or not ASCII[data[i]] & HEX or not ASCII[data[i + 1]] & HEX:
        return -1
    if first and start > 0 and data[start] != _BACKSLASH and ASCII[data[start - 1]] & WORD:
        return -1
    i += 2
    if i < high and ASCII[data[i]] & WORD:
        return -1
    if i < high and data[i] == _COMMA:
        i += 1
    while i < high and (data[i] == 0x20 or 0x09 <= data[i] <= 0x0D):
        i += 1
    return i


@njit
def _may_be_hex(data, i, high):
    """Whether the word at byte `i` begins with 0x or has two characters, the first of them hexadecimal."""
    if not ASCII[data[i]] & HEX or i + 1 >= high:
        return False
    return i + 2 >= high or not ASCII[data[i + 2]] & WORD or data[i + 1] | 0x20 == _LOWER_X


@njit
def _escape_end(data, i, high):
    """End of a `\\u0041` at byte `i`, or -1."""
    if i + 6 > high or data[i] != _BACKSLASH or data[i + 1] != _LOWER_U:
        return -1
    for k in range(2, 6):
        if not ASCII[data[i + k]] & HEX:
            return -1
    return i + 6


@njit
def count_encoded(data, low, high):
    """Characters of runs of base64, of hexadecimal bytes and of `\\u` escapes, and of the longest one."""
    encoded = longest = np.int64(0)
    i = low
    while i + MIN_BASE64 <= high:
        last = i + MIN_BASE64 - 1
        while last >= i and _BASE64[data[last]]:
            last -= 1
        if last >= i:  # a run cannot begin before what is behind `last`
            i = last + 1
            continue
        first = i
        while i < high and _BASE64[data[i]]:
            i += 1
        encoded += i - first
        longest = max(longest, i - first)
    i = low
    while i < high:
        byte = data[i]
        if byte != _BACKSLASH and not _may_be_hex(data, i, high):
            i += 1
            if ASCII[byte] & WORD:
                while i < high and ASCII[data[i]] & WORD:
                    i += 1
            continue
        first, items = i, 0
        end = _escape_end(data, i, high)
        escapes = end >= 0
        while end >= 0:
            items += 1
            i = end
            end = _escape_end(data, i, high)
        if not escapes:
            end = _hex_byte_end(data, i, high, i > low)
            while end >= 0:
                items += 1
                i = end
                end = _hex_byte_end(data, i, high, False)
        if items >= MIN_ESCAPES:
            encoded += i - first
            longest = max(longest, i - first)
        if items == 0:
            i += 1
            if byte != _BACKSLASH:
                while i < high and ASCII[data[i]] & WORD:
                    i += 1
    return encoded, longest


@njit
def _tag_end(data, i, high):
    """Behind the `>` of the tag that begins at byte `i`; quoted values of attributes may hold one."""
    while i < high:
        byte = data[i]
        if byte == _MORE:
            return i + 1
        if (byte == _QUOTE or byte == _APOSTROPHE) and data[i - 1] == _EQUALS:
            i += 1
            while i < high and data[i] != byte:
                i += 1
        i += 1
    return high


@njit
def _closing_tag(data, i, high, name):
    """The closing tag of an element whose content begins at byte `i`, or the end."""
    while i < high:
        if data[i] == _LESS and i + 1 < high and data[i + 1] == _SLASH and matches(data, i + 2, high, name, True):
            break
        i += 1
    return i


@njit
def count_visible(data, low, high):
    """Code points of a page without comments, tags and what is in script and style."""
    visible = np.int64(0)
    i = low
    while i < high:
        if data[i] != _LESS or i + 1 >= high:
            visible += data[i] & 0xC0 != 0x80
            i += 1
            continue
        after = data[i + 1]
        if matches(data, i, high, _COMMENT, False):
            i += 4
            while i < high and not (data[i] == _MORE and data[i - 1] == _HYPHEN and data[i - 2] == _HYPHEN):
                i += 1
            i += 1
        elif ASCII[after] & LETTER or after == _SLASH or after == _BANG or after == _QUESTION:
            script, style = matches(data, i + 1, high, _SCRIPT, True), matches(data, i + 1, high, _STYLE, True)
            i = _tag_end(data, i + 1, high)
            if script or style:
                i = _closing_tag(data, i, high, _SCRIPT if script else _STYLE)
        else:
            visible += 1
            i += 1
    return visible


@njit
def count_secrets(data, low, high):
    """API keys and private keys."""
    secrets = np.int64(0)
    i = low
    while i < high:
        if _ANCHORS[data[i]]:
            end = np.int64(find_key(data, low, high, i)[1])
            if end < 0 and data[i] == _HYPHEN:
                end = np.int64(find_private_key(data, low, high, i)[1])
            if end >= 0:
                secrets += 1
                i = max(end, i + 1)
                continue
        i += 1
    return secrets


@njit
def look_at_head(data, low, high):
    """Whether the first 200 code points say that a file was generated, and the first 100 that it is XML."""
    generated = xml = False
    chars = 0
    i = low
    limit = low
    xml_limit = low
    while limit < high and chars < 200:
        limit += 1
        while limit < high and data[limit] & 0xC0 == 0x80:
            limit += 1
        chars += 1
        if chars <= 100:
            xml_limit = limit
    while i < limit:
        xml |= i < xml_limit and matches(data, i, xml_limit, _XML, False)
        generated |= matches(data, i, limit, _GENERATE, True) or matches(data, i, limit, _AUTOGEN, True)
        generated |= matches(data, i, limit, _DO_NOT, True)
        i += 1
    return generated, xml
