"""Compiled search for API keys and private keys: where one stands around or behind an anchor.

Functions look at `data[low:high]`, one document, and return the first and last byte of what they found, `(-1, -1)` for
nothing. They are called from `kernels_pii` and `stages.heuristics.kernels_code`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import njit

from stages.text.ascii_table import ALNUM, ASCII, DIGIT, HEX, LETTER, TOKEN, UPPER, WORD, padded

UPPER_ALNUM = UPPER | DIGIT
LONG = 4096
KEY_SHAPES: tuple[tuple[str, int, int, tuple[tuple[int, int], ...]], ...] = (
    ("AKIA", 1, UPPER_ALNUM, ((16, 16),)),  # AWS access key id
    ("ASIA", 1, UPPER_ALNUM, ((16, 16),)),  # AWS, temporary
    ("ghp_", 3, ALNUM, ((36, 255),)),  # GitHub: personal, OAuth, user, server, refresh
    ("gho_", 3, ALNUM, ((36, 255),)),
    ("ghu_", 3, ALNUM, ((36, 255),)),
    ("ghs_", 3, ALNUM, ((36, 255),)),
    ("ghr_", 3, ALNUM, ((36, 255),)),
    ("github_pat_", 6, WORD, ((82, 255),)),  # GitHub, fine-grained
    ("glpat-", 5, TOKEN, ((20, 255),)),  # GitLab
    ("xoxb-", 4, TOKEN, ((24, 255),)),  # Slack: bot, user, app, refresh, session
    ("xoxp-", 4, TOKEN, ((24, 255),)),
    ("xoxa-", 4, TOKEN, ((24, 255),)),
    ("xoxr-", 4, TOKEN, ((24, 255),)),
    ("xoxs-", 4, TOKEN, ((24, 255),)),
    ("AIza", 2, TOKEN, ((35, 35),)),  # Google API
    ("GOCSPX-", 6, TOKEN, ((28, 28),)),  # Google OAuth client
    ("sk_live_", 2, ALNUM, ((24, 255),)),  # Stripe: secret, restricted, webhook
    ("rk_live_", 2, ALNUM, ((24, 255),)),
    ("whsec_", 5, ALNUM, ((32, 255),)),
    ("sk-", 2, TOKEN, ((40, 255),)),  # OpenAI, Anthropic and those that copied them
    ("hf_", 2, ALNUM, ((34, 34),)),  # Hugging Face
    ("npm_", 3, ALNUM, ((36, 36),)),
    ("pypi-AgEI", 4, TOKEN, ((50, LONG),)),
    ("dop_v1_", 3, HEX, ((64, 64),)),  # DigitalOcean
    ("shpat_", 5, HEX, ((32, 32),)),  # Shopify
    ("shpss_", 5, HEX, ((32, 32),)),
    ("SG.", 1, TOKEN, ((22, 22), (43, 43))),  # SendGrid
    ("eyJ", 2, TOKEN, ((10, LONG), (10, LONG), (10, LONG))),  # JSON web token
)
"""Prefix, place of its anchor (its rarest byte), alphabet, and the fewest and most characters of each part; parts are
separated by dots, and a part is a maximal run of the alphabet."""
MIN_DISTINCT = 8
"""Fewest different characters of a key behind its prefix: `ghp_xxxx…` is none."""
MIN_KEY_BODY, MAX_KEY_BODY = 64, 16_384
"""Fewest characters of base64 in a private key (an Ed25519 key has 64), and most bytes of any kind."""

_PREFIXES = padded(tuple(prefix for prefix, _, _, _ in KEY_SHAPES))
_ANCHORS = np.array([anchor for _, anchor, _, _ in KEY_SHAPES], np.int64)
_ALPHABETS = np.array([alphabet for _, _, alphabet, _ in KEY_SHAPES], np.uint8)
_PARTS = np.array([[*parts, *[(0, 0)] * (3 - len(parts))] for _, _, _, parts in KEY_SHAPES], np.int64)
_NUM_PARTS = np.array([len(parts) for _, _, _, parts in KEY_SHAPES], np.int64)
_PAIRS = np.zeros((256, 256), np.bool_)
for _shape in KEY_SHAPES:
    _PAIRS[ord(_shape[0][_shape[1] - 1]), ord(_shape[0][_shape[1]])] = True
KEY_ANCHORS = frozenset(prefix[anchor] for prefix, anchor, _, _ in KEY_SHAPES)
_BEGIN, _END, _KIND = (np.frombuffer(text, np.uint8) for text in (b"-----BEGIN ", b"-----END ", b"PRIVATE KEY"))
_BLOCK = np.frombuffer(b" BLOCK", np.uint8)
_HYPHEN, _DOT, _SPACE, _PLUS, _SLASH = 0x2D, 0x2E, 0x20, 0x2B, 0x2F


@njit
def equals_at(data, i, high, pattern):
    """Whether `data[i:high]` starts with a pattern."""
    if i + pattern.shape[0] > high:
        return False
    for k in range(pattern.shape[0]):
        if data[i + k] != pattern[k]:
            return False
    return True


@njit
def _starts_with(data, i, high, row):
    size = np.int64(row[0])
    if i + size > high:
        return False
    for k in range(size):
        if data[i + k] != row[k + 1]:
            return False
    return True


@njit
def _parts_end(data, i, high, shape):
    """End of the parts of a key behind its prefix, or -1; they hold enough different characters."""
    seen_low, seen_high = np.uint64(0), np.uint64(0)
    distinct = 0
    for part in range(_NUM_PARTS[shape]):
        if part > 0:
            if i >= high or data[i] != _DOT:
                return -1
            i += 1
        first = i
        while i < high and ASCII[data[i]] & _ALPHABETS[shape] and i - first <= _PARTS[shape, part, 1]:
            bit = np.uint64(1) << np.uint64(data[i] & 63)
            if data[i] < 64:
                distinct += seen_low & bit == 0
                seen_low |= bit
            else:
                distinct += seen_high & bit == 0
                seen_high |= bit
            i += 1
        if i - first < _PARTS[shape, part, 0] or i - first > _PARTS[shape, part, 1]:
            return -1
    return i if distinct >= MIN_DISTINCT else -1


@njit
def find_key(data, low, high, i):
    """The API key whose prefix has its anchor at byte `i`."""
    if i == low or not _PAIRS[data[i - 1], data[i]]:
        return -1, -1
    for shape in range(_ANCHORS.shape[0]):
        anchor = _ANCHORS[shape]
        if _PREFIXES[shape, anchor + 1] != data[i]:
            continue
        first = i - anchor
        if first < low or not _starts_with(data, first, high, _PREFIXES[shape]):
            continue
        if first > low and ASCII[data[first - 1]] & TOKEN:
            continue
        end = _parts_end(data, first + np.int64(_PREFIXES[shape, 0]), high, shape)
        if end >= 0:
            return first, end
    return -1, -1


@njit
def _label_end(data, i, high):
    """End of `RSA PRIVATE KEY-----` or its like at byte `i`, or -1."""
    first = i
    while i < high and (ASCII[data[i]] & UPPER_ALNUM or data[i] == _SPACE) and i - first <= 40:
        i += 1
    last = i - _BLOCK.shape[0] if i - _BLOCK.shape[0] >= first and equals_at(data, i - 6, i, _BLOCK) else i
    if last - _KIND.shape[0] < first or not equals_at(data, last - 11, last, _KIND):
        return -1
    for k in range(5):
        if i + k >= high or data[i + k] != _HYPHEN:
            return -1
    return i + 5


@njit
def find_private_key(data, low, high, i):
    """The PEM or PGP private key that begins at byte `i`, up to the end of its last line."""
    if not equals_at(data, i, high, _BEGIN):
        return -1, -1
    body = _label_end(data, i + _BEGIN.shape[0], high)
    if body < 0:
        return -1, -1
    base64 = 0
    j = body
    while j < high and j - body <= MAX_KEY_BODY:
        if data[j] == _HYPHEN and equals_at(data, j, high, _END[:5]):
            break
        base64 += (ASCII[data[j]] & (LETTER | DIGIT)) != 0 or data[j] == _PLUS or data[j] == _SLASH
        j += 1
    if base64 < MIN_KEY_BODY or not equals_at(data, j, high, _END):
        return -1, -1
    end = _label_end(data, j + _END.shape[0], high)
    return (i, end) if end >= 0 else (-1, -1)
