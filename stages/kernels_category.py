"""Compiled counting of the marks of code, line by line, and of mathematics, word by word.

Twins: `tests/naive_category.py`. What the marks mean is in `stages.category`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from numba import int64, njit, uint64, void

from stages.text.kernels import BYTES, DOT, FLAGS, INT32S, INT64S, ONE, UINT64S, decode, digest
from stages.text.kernels_words import PUNCTUATION

KEYWORD, COMMAND, STRONG, WEAK = 1, 2, 4, 8
"""Kinds of listed words: of programming languages, TeX commands, words of mathematics, words of reasoning."""
POINTS = 3
"""What a mark of mathematics counts; weak ones count 1."""
_TAB, _SPACE, _HASH, _DOLLAR, _OPEN, _CLOSE, _STAR, _PLUS, _SLASH = 0x09, 0x20, 0x23, 0x24, 0x28, 0x29, 0x2A, 0x2B, 0x2F
_COLON, _SEMICOLON, _EQUALS, _OPEN_SQUARE, _BACKSLASH, _CLOSE_SQUARE = 0x3A, 0x3B, 0x3D, 0x5B, 0x5C, 0x5D
_CARET, _UNDERSCORE, _BACKTICK, _OPEN_CURLY, _PIPE, _CLOSE_CURLY, _TILDE = 0x5E, 0x5F, 0x60, 0x7B, 0x7C, 0x7D, 0x7E
_HYPHEN, _BANG, _LESS, _MORE, _QUOTE, _QUESTION, _AND = 0x2D, 0x21, 0x3C, 0x3E, 0x22, 0x3F, 0x26


@njit
def _is_letter(byte):
    return (byte | 0x20) >= 0x61 and (byte | 0x20) <= 0x7A


@njit
def _is_digit(byte):
    return byte >= 0x30 and byte <= 0x39


@njit
def _in_name(byte):
    return _is_letter(byte) or _is_digit(byte) or byte == _UNDERSCORE


@njit
def _kind_of(hash_, keys, kinds):
    """Kind of a listed word, 0 for any other; open addressing, kind 0 marks a free slot."""
    mask = uint64(keys.shape[0] - 1)
    slot = hash_ & mask
    while kinds[slot] != 0 and keys[slot] != hash_:
        slot = (slot + ONE) & mask
    return kinds[slot]


@njit
def _count_quotes(data, low, high):
    """Runs of three double quotes in a line."""
    count = 0
    i = low
    while i + 2 < high:
        if data[i] == _QUOTE and data[i + 1] == _QUOTE and data[i + 2] == _QUOTE:
            count += 1
            i += 2
        i += 1
    return count


@njit
def _is_fence(data, low, high):
    return high - low >= 3 and (
        (data[low] == _BACKTICK and data[low + 1] == _BACKTICK and data[low + 2] == _BACKTICK)
        or (data[low] == _TILDE and data[low + 1] == _TILDE and data[low + 2] == _TILDE)
    )


@njit
def _is_neutral(data, low, high):
    """A comment, a heading, an item of a list, a row of a table: a line that says nothing about what it is."""
    first = data[low]
    if first == _HASH:
        return high == low + 1 or data[low + 1] == _SPACE or data[low + 1] == _HASH or data[low + 1] == _BANG
    if first == _PIPE or first == _STAR:
        return True
    return high - low > 1 and first == _SLASH and (data[low + 1] == _SLASH or data[low + 1] == _STAR)


@njit
def _symbols(data, low, high):
    """Marks in `data[low:high]` that code has and prose has not, addresses and links of Markdown left out."""
    marks = 0
    i = low
    while i < high:
        byte = data[i]
        if byte == _COLON and i + 2 < high and data[i + 1] == _SLASH and data[i + 2] == _SLASH:
            while i < high and data[i] != _SPACE:
                i += 1
            continue
        if byte == _CLOSE_SQUARE and i + 1 < high and data[i + 1] == _OPEN:
            marks -= 1
        elif byte == _OPEN:
            marks += i > low and _in_name(data[i - 1])
        elif (
            byte == _EQUALS or byte == _SEMICOLON or byte == _OPEN_CURLY or byte == _CLOSE_CURLY or byte == _LESS
            or byte == _MORE or byte == _PIPE or byte == _OPEN_SQUARE or byte == _CLOSE_SQUARE or byte == _AND
            or byte == _PLUS or byte == 0x40 or byte == _STAR
        ):  # fmt: skip
            marks += 1
        elif byte == _UNDERSCORE:
            marks += i > low and i + 1 < high and _in_name(data[i - 1]) and _in_name(data[i + 1])
        elif byte == _DOLLAR or byte == 0x25:
            marks += i + 1 < high and (_is_letter(data[i + 1]) or data[i + 1] == _OPEN_CURLY)
        i += 1
    return marks


@njit
def _has_command(data, low, high, keys, kinds):
    """Whether a TeX command stands in `data[low:high]`."""
    for i in range(low, high - 1):
        if data[i] == _BACKSLASH and _is_letter(data[i + 1]):
            end = i + 1
            while end < high and _is_letter(data[end]):
                end += 1
            if _kind_of(digest(data, i + 1, end)[0], keys, kinds) & COMMAND:
                return True
    return False


@njit
def _is_code(data, low, high, indent, keys, kinds):
    """Whether a line, without the white space around it, reads like code; what ends like a sentence and TeX do
    not."""
    last = data[high - 1]
    if last == DOT or last == _QUESTION:
        return False
    points = _symbols(data, low, high)
    if last == _OPEN_CURLY or last == _SEMICOLON or last == _CLOSE_CURLY:
        points += 2
    elif last == _OPEN or last == _OPEN_SQUARE or last == _BACKSLASH:
        points += 1
    end = low
    while end < high and (_is_letter(data[end]) or (end == low and data[end] == _HASH)):
        end += 1
    if end > low and _kind_of(digest(data, low, end)[0], keys, kinds) & KEYWORD:
        points += 1
        if last == _COLON or (end == high and indent > 0):
            points += 2
    if indent >= 2 and points > 0:
        points += 1
    return points >= 2 and points * 25 >= high - low and not _has_command(data, low, high, keys, kinds)


@njit(void(BYTES, INT64S, INT64S, INT64S, INT32S, INT32S, UINT64S, FLAGS, int64[:, ::1]), nogil=True, cache=True)
def count_code(data, offsets, begin, end, start, stop, keys, kinds, out):
    """Columns of `out`: bytes of lines that may be code, and of those that read like code, white space around them not
    counted. Lines between fences are code; comments and lines between triple quotes are left out.

    Args:
        begin, end, start, stop: the lines.
        keys, kinds: listed words, in a table of open addressing.
    """
    for d in range(begin.shape[0]):
        visible = code = int64(0)
        fenced = quoted = False
        for k in range(begin[d], end[d]):
            low, high = offsets[d] + start[k], offsets[d] + stop[k]
            indent = 0
            while low < high and (data[low] == _SPACE or data[low] == _TAB):
                indent += 4 if data[low] == _TAB else 1
                low += 1
            while high > low and (data[high - 1] == _SPACE or data[high - 1] == _TAB):
                high -= 1
            if low == high:
                continue
            if _is_fence(data, low, high):
                fenced = not fenced
                continue
            if fenced:
                visible += high - low
                code += high - low
                continue
            quotes = _count_quotes(data, low, high)
            if quotes > 0 or quoted:
                quoted = quoted != (quotes % 2 == 1)
                continue
            if _is_neutral(data, low, high):
                continue
            visible += high - low
            if _is_code(data, low, high, indent, keys, kinds):
                code += high - low
        out[d, 0], out[d, 1] = visible, code


@njit
def _is_operand(data, low, high, num_chars, flags):
    """Whether a word may stand in a formula: one letter, or something that ends with a digit or begins with one."""
    return (flags & PUNCTUATION) == 0 and (num_chars == 1 or _is_digit(data[high - 1]) or _is_digit(data[low]))


@njit
def _is_symbol(code):
    """×, ÷, ±, ¬, the blocks of mathematical operators and letters; arrows and geometric shapes are none."""
    return (
        code == 0xD7 or code == 0xF7 or code == 0xB1 or code == 0xAC
        or (code >= 0x2200 and code <= 0x22FF)
        or (code >= 0x27C0 and code <= 0x27EF)
        or (code >= 0x2A00 and code <= 0x2AFF)
        or (code >= 0x1D400 and code <= 0x1D7FF)
    )  # fmt: skip


@njit
def _ends_raised(data, low, high):
    """Whether a word ends with a superscript or subscript: ¹ ² ³, U+2070 to U+209F."""
    if high - low >= 3 and data[high - 3] == 0xE2 and (data[high - 2] == 0x81 or data[high - 2] == 0x82):
        return data[high - 2] == 0x82 or data[high - 1] >= 0xB0
    return high - low >= 3 and data[high - 2] == 0xC2 and (data[high - 1] == 0xB2 or data[high - 1] == 0xB3)


@njit
def _mark_points(data, first, last, i, before, after, asked):
    """Points of an ASCII mark at byte `i`; `before`, `after`: whether the tokens around it are operands; `asked`:
    whether the one before is a parameter of an address (`?x=1&y=2`)."""
    byte = data[i]
    left = data[i - 1] if i > first else _SPACE
    right = data[i + 1] if i + 1 < last else _SPACE
    if byte == _EQUALS:
        lone = not asked and left != _EQUALS and right != _EQUALS and left != _BANG and left != _LESS and left != _MORE
        return POINTS if lone and (before or after) else 0
    if byte == _CARET:
        return POINTS if before or after else 0
    if byte == _PLUS or byte == _STAR:
        return POINTS if before and after else 0
    if byte == _LESS or byte == _MORE or byte == _HYPHEN:
        return POINTS if before and after and left == _SPACE and right == _SPACE else 0
    if byte == _DOLLAR:
        opens = _is_letter(right) or right == _BACKSLASH
        return 1 if opens or _is_letter(left) or left == _CLOSE_CURLY else 0
    return 0


@njit(
    void(BYTES, INT64S, INT64S, INT64S, INT32S, INT32S, UINT64S, INT32S, FLAGS, UINT64S, FLAGS, int64[:, ::1]),
    nogil=True,
    cache=True,
)
def count_maths(data, offsets, begin, end, start, stop, hashes, num_chars, flags, keys, kinds, out):
    """Columns of `out`: words, punctuation excluded, and points of mathematics.

    Args:
        begin to flags: the words.
        keys, kinds: listed words, in a table of open addressing.
    """
    for d in range(begin.shape[0]):
        words = points = int64(0)
        first, last = offsets[d], offsets[d + 1]
        was_operand = was_asked = False  # the token before
        for k in range(begin[d], end[d]):
            low, high = first + start[k], first + stop[k]
            operand = _is_operand(data, low, high, num_chars[k], flags[k])
            if flags[k] & PUNCTUATION:
                if data[low] < 0x80:
                    if high == low + 1:
                        follows = k + 1 < end[d] and _is_operand(
                            data, first + start[k + 1], first + stop[k + 1], num_chars[k + 1], flags[k + 1]
                        )
                        points += _mark_points(data, first, last, low, was_operand, follows, was_asked)
                elif _is_symbol(decode(data, low)[0]):
                    points += POINTS
            else:
                words += 1
                kind = _kind_of(hashes[k], keys, kinds)
                if kind & COMMAND and low > first and data[low - 1] == _BACKSLASH:
                    points += POINTS
                elif kind & STRONG or _ends_raised(data, low, high):
                    points += POINTS
                elif kind & WEAK:
                    points += 1
            was_operand = operand or (data[low] == _CLOSE and high == low + 1)
            was_asked = low > first and (data[low - 1] == _QUESTION or data[low - 1] == _AND)
        out[d, 0], out[d, 1] = words, points
