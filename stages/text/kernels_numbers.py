"""Compiled search for payment cards, IBANs and phone numbers from their first digit on.

Functions look at `data[low:high]`, one document, and return the first and last byte of what they found, `(-1, -1)` for
nothing. What is one is defined in `stages.pii`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import njit

from stages.text.ascii_table import ASCII, DIGIT, LETTER, UPPER, WORD, padded
from stages.text.kernels_addresses import ends_with_any

IBAN_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
).split()
"""Countries and the characters of an IBAN of theirs (ISO 13616, SWIFT's registry)."""
CARD_ISSUERS = (
    (4, 4, 16), (4, 4, 19), (51, 55, 16), (2221, 2720, 16), (34, 34, 15), (37, 37, 15), (6011, 6011, 16),
    (6011, 6011, 19), (644, 659, 16), (644, 659, 19), (300, 305, 14), (36, 36, 14), (38, 39, 14), (3528, 3589, 16),
    (3528, 3589, 19), (62, 62, 16), (62, 62, 17), (62, 62, 18), (62, 62, 19), (2200, 2204, 16),
)  # fmt: skip
"""First and last prefix of an issuer, and digits of its cards (ISO/IEC 7812): Visa, Mastercard, American Express,
Discover, Diners Club, JCB, UnionPay, Mir. Visa's 13 digits are out of use and look like an EAN."""
PHONE_CUES = (
    "tel", "phone", "telephone", "telefon", "telefono", "teléfono", "téléphone", "fax", "telefax", "mobile", "mobil",
    "móvil", "cell", "whatsapp", "hotline", "gsm", "тел", "Тел", "телефон", "Телефон", "факс", "Факс", "电话", "電話",
    "手机", "手機", "传真", "傳真", "전화", "팩스", "โทร", "هاتف",
)  # fmt: skip
"""Words right before a number that make it a phone number."""
MAX_GROUPS, MAX_DIGITS, MIN_CUED_DIGITS, MAX_CUED_DIGITS = 12, 15, 7, 13
"""Most groups of a run of digits that is looked at, most digits of a phone number (E.164); digits behind a cue."""

_LENGTHS = np.zeros(26 * 26, np.int64)
for _entry in IBAN_LENGTHS:
    _LENGTHS[(ord(_entry[0]) - 65) * 26 + ord(_entry[1]) - 65] = int(_entry[2:])
_ISSUERS = np.array(CARD_ISSUERS, np.int64)
_CUES = padded(PHONE_CUES)
_SPACE, _HYPHEN, _DOT, _SLASH, _PLUS, _COLON, _COMMA = 0x20, 0x2D, 0x2E, 0x2F, 0x2B, 0x3A, 0x2C
_OPENING, _CLOSING, _ZERO, _PERCENT, _AT, _X = 0x28, 0x29, 0x30, 0x25, 0x40, 0x58
_NOT_BEFORE = np.frombuffer(b".,-/$#=&@%^~\\*+", np.uint8)
_CUE_LEAD = np.frombuffer(b" :.('\">", np.uint8)
_NOT_BEFORE_CARD = np.frombuffer(b".-/_+#@%", np.uint8)
NUMBER, GROUP_START, GROUP_SIZE, GROUP_SEPARATOR, GROUP_PAREN = range(5)
"""Rows of the work space of `find_phones`: digits of a number; of each group of digits its first byte, its size, the
byte that separates it from the one before (0 = none), and whether brackets are around it."""


@njit
def is_one_of(byte, chars):
    """Whether a byte is in a short array."""
    for k in range(chars.shape[0]):
        if byte == chars[k]:
            return True
    return False


@njit
def find_iban(data, low, high, digit):
    """The IBAN whose first check digit is at byte `digit`."""
    nothing = np.int64(-1), np.int64(-1)
    first = digit - 2
    if first < low or digit + 2 >= high or not ASCII[data[first]] & UPPER or not ASCII[data[first + 1]] & UPPER:
        return nothing
    if first > low and ASCII[data[first - 1]] & WORD:
        return nothing
    size = _LENGTHS[(np.int64(data[first]) - 65) * 26 + np.int64(data[first + 1]) - 65]
    spaced = data[digit + 2] == _SPACE
    i, remainder = digit + 2, np.int64(0)
    if size == 0 or not ASCII[data[digit + 1]] & DIGIT:
        return nothing
    for k in range(4, size):
        if spaced and k % 4 == 0:
            if i >= high or data[i] != _SPACE:
                return nothing
            i += 1
        if i >= high or not ASCII[data[i]] & (UPPER | DIGIT):
            return nothing
        remainder = _append(remainder, data[i])
        i += 1
    for k in range(4):
        remainder = _append(remainder, data[first + k])
    if remainder != 1 or (i < high and ASCII[data[i]] & WORD):
        return nothing
    return first, i


@njit
def _append(remainder, byte):
    """A number modulo 97 with one more character behind it; A is 10, Z is 35."""
    if ASCII[byte] & DIGIT:
        return (remainder * 10 + np.int64(byte) - 48) % 97
    return (remainder * 100 + np.int64(byte) - 55) % 97


@njit
def _is_card_number(digits, size):
    """Luhn's sum and an issuer's prefix and length."""
    total = 0
    for k in range(size):
        digit = digits[size - 1 - k] * (1 + k % 2)
        total += digit - 9 if digit > 9 else digit
    if total % 10 or digits[0] == 0:
        return False
    prefix = 0
    known = False
    for k in range(4):
        prefix = prefix * 10 + digits[k]
        for issuer in range(_ISSUERS.shape[0]):
            within = _ISSUERS[issuer, 0] <= prefix <= _ISSUERS[issuer, 1]
            known |= within and size == _ISSUERS[issuer, 2]
    return known


@njit
def find_card(data, low, high, first, work):
    """The payment card number that begins at byte `first`, a digit."""
    nothing = np.int64(-1), np.int64(-1)
    if first > low and (ASCII[data[first - 1]] & WORD or is_one_of(data[first - 1], _NOT_BEFORE_CARD)):
        return nothing
    digits, sizes = work[NUMBER], work[GROUP_SIZE]
    total = groups = 0
    separator = np.uint8(0)
    i = first
    while True:
        start = i
        while i < high and ASCII[data[i]] & DIGIT and total < 20:
            digits[total] = np.int64(data[i]) - _ZERO
            total += 1
            i += 1
        sizes[groups] = i - start
        groups += 1
        if groups == 1 and total != 4:
            break
        done = (groups == 4 and total == 16) or (groups == 3 and sizes[1] == 6)
        if done or i + 1 >= high or not ASCII[data[i + 1]] & DIGIT:
            break
        if groups == 1 and (data[i] == _SPACE or data[i] == _HYPHEN):
            separator = data[i]
        if data[i] != separator or groups == 4:
            break
        i += 1
    solid = groups == 1 and 14 <= total <= 19
    by_four = groups == 4 and sizes[1] == 4 and sizes[2] == 4 and sizes[3] == 4
    by_six = groups == 3 and sizes[1] == 6 and (sizes[2] == 4 or sizes[2] == 5)
    if not (solid or by_four or by_six) or not _is_card_number(digits, total):
        return nothing
    if i < high:
        if ASCII[data[i]] & WORD:
            return nothing
        if (data[i] == _DOT or data[i] == _HYPHEN) and i + 1 < high and ASCII[data[i + 1]] & DIGIT:
            return nothing
    return first, i


@njit
def _group_end(data, i, high):
    """End of a group of digits, with brackets or without, or `i`; and whether it has some."""
    bracket = i < high and data[i] == _OPENING
    j = i + bracket
    while j < high and ASCII[data[j]] & DIGIT:
        j += 1
    if not bracket:
        return j, False
    inside = j - i - 1
    if 1 <= inside <= 5 and j < high and data[j] == _CLOSING:
        return j + 1, True
    return i, False


@njit
def _read_run(data, i, high, work):
    """Groups of digits from byte `i` on, one separator or none between them: their number and the end of the last.

    ` / ` and ` - ` are one separator. Groups past MAX_GROUPS are counted and not kept.
    """
    groups = 0
    end = i
    separator = np.int64(0)
    while True:
        stop, bracket = _group_end(data, i, high)
        if stop == i:
            break
        if groups < MAX_GROUPS:
            work[GROUP_START, groups] = i
            work[GROUP_SIZE, groups] = stop - i - 2 * bracket
            work[GROUP_SEPARATOR, groups] = separator
            work[GROUP_PAREN, groups] = bracket
        groups += 1
        end = i = stop
        separator = np.int64(0)
        if i < high and (data[i] == _SPACE or data[i] == _HYPHEN or data[i] == _DOT or data[i] == _SLASH):
            separator = np.int64(data[i])
            i += 1
            if separator == _SPACE and i + 1 < high and data[i + 1] == _SPACE:
                if data[i] == _SLASH or data[i] == _HYPHEN:
                    separator = np.int64(data[i])
                    i += 2
    return groups, end


@njit
def _is_year(digits, at):
    return (digits[at] == 1 and digits[at + 1] == 9) or (digits[at] == 2 and digits[at + 1] == 0)


@njit
def _is_international(digits, total, groups):
    if digits[0] == 0 or total < 9 or (groups == 1 and total < 10):
        return False
    leading = digits[0] * 10 + digits[1]
    if leading == 28 or leading == 83 or leading == 89:
        return False
    if digits[0] == 1:
        return total == 11 and digits[1] > 1 and digits[4] > 1
    return digits[0] != 7 or total == 11


@njit
def _is_north_american(work, g, h, total):
    digits, sizes, separators = work[NUMBER], work[GROUP_SIZE], work[GROUP_SEPARATOR]
    first = 0
    if total == 11 and sizes[g] == 1 and digits[0] == 1 and not work[GROUP_PAREN, g]:
        g, first = g + 1, 1
    if h - g != 3 or sizes[g] != 3 or sizes[g + 1] != 3 or sizes[g + 2] != 4 or work[GROUP_PAREN, g + 1]:
        return False
    if digits[first] < 2 or digits[first + 3] < 2 or separators[g + 2] == _SLASH or separators[g + 2] == 0:
        return False
    dotted = (separators[g + 1] == _DOT) + (separators[g + 2] == _DOT)
    return dotted != 1


@njit
def _has_trunk_zero(work, g, h, total):
    digits, sizes, separators = work[NUMBER], work[GROUP_SIZE], work[GROUP_SEPARATOR]
    groups = h - g
    if digits[0] != 0 or digits[1] == 0 or not 9 <= total <= 12 or not 2 <= groups <= 5 or not 2 <= sizes[g] <= 5:
        return False
    for k in range(g + 1, h):
        if sizes[k] < 2 or work[GROUP_PAREN, k]:
            return False
        if k > g + 1 and (separators[k] != separators[g + 2] or separators[k] == _SLASH or separators[k] == 0):
            return False
    if groups > 2 and separators[g + 2] == _DOT and (separators[g + 1] != _DOT or total == 12):
        return False
    date = groups >= 3 and sizes[g] == 2 and sizes[g + 1] == 2 and sizes[g + 2] == 4 and _is_year(digits, 4)
    year_first = groups == 4 and sizes[g + 1] == 4 and sizes[g + 2] == 2 and sizes[g + 3] == 2
    return not (date or (year_first and _is_year(digits, sizes[g])))


@njit
def _has_area_code(data, low, work, g, h, total):
    """Two or more groups behind an area code in brackets, which is no year and follows no number."""
    digits, sizes, separators = work[NUMBER], work[GROUP_SIZE], work[GROUP_SEPARATOR]
    at = 0
    if sizes[g] == 1 and not work[GROUP_PAREN, g] and (digits[0] == 8 or digits[0] <= 1):
        g, at = g + 1, 1
    if not 9 <= total <= 12 or h - g < 3 or not work[GROUP_PAREN, g] or not 2 <= sizes[g] <= 5:
        return False
    if sizes[g] == 4 and _is_year(digits, at):
        return False
    for k in range(g + 1, h):
        if sizes[k] < 2 or work[GROUP_PAREN, k]:
            return False
        if separators[k] == _SLASH or separators[k] == _DOT or (k > g + 1 and separators[k] == 0):
            return False
    before = work[GROUP_START, g - at] - 1
    if before >= low and data[before] == _SPACE:
        before -= 1
    return before < low or not ASCII[data[before]] & DIGIT


@njit
def _collect(data, work, g, h):
    """The digits of the groups from `g` to `h` into the work space; how many there are, or -1 for too many."""
    total = 0
    for k in range(g, h):
        if work[GROUP_SIZE, k] + total > MAX_DIGITS:
            return -1
        first = work[GROUP_START, k] + work[GROUP_PAREN, k]
        for i in range(first, first + work[GROUP_SIZE, k]):
            work[NUMBER, total] = np.int64(data[i]) - _ZERO
            total += 1
    return total


@njit
def _is_phone(data, low, work, g, h, groups, plus):
    """Whether the groups from `g` to `h` of a run are a phone number."""
    if work[GROUP_PAREN, h - 1]:
        return False
    marked = plus
    for k in range(g, h):
        hidden = k > g and work[GROUP_SEPARATOR, k] != _SPACE
        marked |= work[GROUP_PAREN, k] != 0 or hidden
    if (h - g < groups and not marked) or (h < groups and work[GROUP_SEPARATOR, h] != _SPACE):
        return False
    total = _collect(data, work, g, h)
    if total < 9:
        return False
    if plus:
        return _is_international(work[NUMBER], total, h - g)
    exit_code = work[NUMBER, 0] == 0 and work[NUMBER, 1] == 0 and work[GROUP_SIZE, g] > 3 and h - g > 1
    if exit_code and not work[GROUP_PAREN, g] and _is_international(work[NUMBER, 2:], total - 2, h - g):
        return True
    if _is_north_american(work, g, h, total) or _has_trunk_zero(work, g, h, total):
        return True
    return _has_area_code(data, low, work, g, h, total)


@njit
def _is_cued(data, low, first, work, groups):
    """Whether a whole run of 7 to 13 digits follows a word for telephone, and is no span of years."""
    total = _collect(data, work, 0, groups)
    if total < MIN_CUED_DIGITS or total > MAX_CUED_DIGITS or work[GROUP_PAREN, groups - 1]:
        return False
    years = groups == 2 and work[GROUP_SIZE, 0] == 4 and work[GROUP_SIZE, 1] == 4
    if years and _is_year(work[NUMBER], 0) and _is_year(work[NUMBER], 4):
        return False
    for _ in range(4):
        if first - 3 >= low and data[first - 1] == 0x9A and data[first - 2] == 0xBC and data[first - 3] == 0xEF:
            first -= 3  # a full-width colon
        elif first > low and is_one_of(data[first - 1], _CUE_LEAD):
            first -= 1
        else:
            break
    return ends_with_any(data, low, first, _CUES) >= 0


@njit
def _may_begin(data, low, first):
    if first == low:
        return True
    before = data[first - 1]
    if ASCII[before] & WORD or is_one_of(before, _NOT_BEFORE):
        return False
    if before == _COLON and first - 1 > low and ASCII[data[first - 2]] & DIGIT:  # a time
        return False
    pound_or_yen = first - 2 >= low and data[first - 2] == 0xC2 and (before == 0xA3 or before == 0xA5)
    euro = first - 3 >= low and data[first - 3] == 0xE2 and data[first - 2] == 0x82 and before == 0xAC
    return not (pound_or_yen or euro)


@njit
def _may_end(data, end, high):
    if end == high:
        return True
    after = data[end]
    digit_follows = end + 1 < high and ASCII[data[end + 1]] & DIGIT != 0
    if ASCII[after] & LETTER:
        return after & 0xDF == _X and digit_follows  # an extension
    if ASCII[after] & WORD or after == _PERCENT or after == _AT:
        return False
    return not ((after == _COLON or after == _COMMA) and digit_follows)


@njit
def find_phones(data, low, high, first, work, spans, m, kind):
    """Phone numbers of the run of digits that begins at byte `first`, added to `spans` from row `m` on.

    Args:
        first: a digit, or `+` or `(` before one.
        work: `int64[5, 24]`, overwritten.

    Returns the end of the run, or `first` if there is none, and the rows of `spans` in use.
    """
    plus = data[first] == _PLUS
    groups, end = _read_run(data, first + plus, high, work)
    if groups == 0:
        return first, m
    if groups > MAX_GROUPS or end - first < MIN_CUED_DIGITS:
        return end, m
    may_begin, may_end = _may_begin(data, low, first), _may_end(data, end, high)
    found = False
    g = 0
    while g < groups:
        h = min(groups, g + 8) if (may_begin if g == 0 else work[GROUP_SEPARATOR, g] == _SPACE) else g
        while h > g and not ((h < groups or may_end) and _is_phone(data, low, work, g, h, groups, plus and g == 0)):
            h -= 1
        if h > g:
            stop = end if h == groups else work[GROUP_START, h] - 1
            spans[m, 0], spans[m, 1], spans[m, 2] = (first if g == 0 else work[GROUP_START, g]), stop, kind
            m += 1
            found = True
        g = max(h, g + 1)
    if not found and may_begin and may_end and not plus and _is_cued(data, low, first, work, groups):
        spans[m, 0], spans[m, 1], spans[m, 2] = first, end, kind
        m += 1
    return end, m
