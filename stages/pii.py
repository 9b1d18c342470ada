"""Personal data and secrets: counted, and replaced by placeholders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from stages.contract import Bounds, Count, Map, Ratio, Signals
from stages.evidence import MOST, Located, Span
from stages.heuristics.ratios import ratio
from stages.text.batch import TextBatch

Kind: TypeAlias = Literal["email", "phone", "ipv4", "ipv6", "card", "iban", "api_key", "private_key"]
PLACEHOLDERS: dict[Kind, str] = {
    "email": "[EMAIL]",
    "phone": "[PHONE]",
    "ipv4": "[IP_ADDRESS]",
    "ipv6": "[IP_ADDRESS]",
    "card": "[CARD_NUMBER]",
    "iban": "[IBAN]",
    "api_key": "[API_KEY]",
    "private_key": "[PRIVATE_KEY]",
}
_PLACEHOLDER = re.compile(r"[\[<{][A-Za-z_ |]{0,60}[\]>}]")
MIN_SPAN_BYTES = 6


class Pii(Map):
    """Personal data and secrets, replaced by plain placeholders. Definitions are ours; formats are of RFC 5321 and 5890
    (e-mail), E.164 (phone), RFC 4291 and IANA's registries (addresses), ISO/IEC 7812 and ISO 13616 (cards, IBANs).

    The signals count what was found; `char_ratio` and the counts are of the text as it came. `action: annotate` drops
    nothing but still masks; `mask: false` counts and leaves the text alone. Where two kinds overlap, the first of
    private key, API key, e-mail, IBAN, card, IPv6, IPv4, phone stays. Masking twice changes nothing.

    Nothing but an e-mail address has an ASCII letter, digit or `_` right before or after it. Groups of digits are
    separated by one space, `-`, `.` or `/`, by ` / ` or ` - `, or by brackets around one of up to five digits.
    """

    email_count: Count = Bounds()
    """E-mail addresses: a local part of up to 64 letters, digits and `._%+-'` (ASCII; Latin, Greek, Cyrillic and
    Armenian letters too) without two dots in a row, `@`, and two or more labels in any script, the last of two or more
    letters of ASCII, or of others, or `xn--…`. Endings of files (`icon@2x.png`) and reserved domains (RFC 2606:
    `example.com`) are none."""
    phone_count: Count = Bounds()
    """Phone numbers. International: `+` and 9 to 15 digits (10 if in one group) of which the first are a country code;
    +1 and +7 have eleven in all; `00` for `+` if more groups follow. National: North American (3, 3 and 4 digits, area
    and exchange from 2 on, perhaps behind a 1); 9 to 12 digits in 2 to 5 groups of which the first begins with one
    zero; an area code in brackets that is no year, then two groups or more, 9 to 12 digits in all. Else 7 to 13 digits
    right behind a word such as "tel", "Fax:", "电话". Part of a longer run of digits may be one, cut at spaces, if it
    holds another separator. Dates, versions, prices and unmarked numbers are none."""
    ipv4_count: Count = Bounds()
    """IPv4 addresses: four numbers up to 255 without leading zeros, globally routable; not behind a dot, a letter and
    `/` or a word such as "version", nor before `.5` or `-rc`. Four numbers of one digit (`1.2.3.4`, `8.8.8.8`) are
    section numbers, versions or public resolvers, and stay."""
    ipv6_count: Count = Bounds()
    """IPv6 addresses in 2000::/3, written with three groups or more, without documentation (2001:db8::/32, 3fff::/20)
    and protocol ranges (2001::/23)."""
    card_count: Count = Bounds()
    """Payment cards: an issuer's prefix and length, Luhn's sum; in one piece or as 4-4-4-4, 4-6-5 or 4-6-4."""
    iban_count: Count = Bounds()
    """IBANs in capitals, in one piece or in groups of four: their country's length, remainder 1 modulo 97."""
    api_key_count: Count = Bounds()
    """Keys with a known prefix and shape (`stages.text.kernels_secrets.KEY_SHAPES`), of eight different characters or
    more: AWS, GitHub, GitLab, Slack, Google, Stripe, OpenAI and alike, Hugging Face, npm, PyPI, JSON web tokens, …"""
    private_key_count: Count = Bounds()
    """PEM and PGP private keys, from `-----BEGIN` to the end of the last line, with 64 characters of base64 or more."""
    char_ratio: Ratio = Bounds()
    """Code points masked, over all code points."""

    kinds: tuple[Kind, ...] = tuple(PLACEHOLDERS)
    """What to look for; counts of other kinds are null."""
    mask: bool = True
    """Replace what is found. `false` counts and leaves the text alone."""
    placeholders: dict[Kind, str] = {}
    """Text that replaces a kind, if not the default: `{email: "<EMAIL>"}`. Letters and `_` in brackets, so that it is
    never found itself. Beware of what your tokenizer takes for a special token."""

    @field_validator("placeholders")
    @classmethod
    def _cannot_be_found(cls, placeholders: dict[Kind, str]) -> dict[Kind, str]:
        for kind, text in placeholders.items():
            if not _PLACEHOLDER.fullmatch(text):
                raise ValueError(
                    f"placeholder {text!r} for {kind}: write up to 60 letters, spaces, | or _ in [], <> or {{}}"
                )
        return placeholders

    def transform(self, batch: TextBatch) -> tuple[TextBatch, Signals]:
        from stages.text import kernels_pii as kernels
        from stages.text.ascii_table import padded
        from stages.text.unicode_tables import classes

        utf8, n = batch.utf8, batch.num_rows
        chosen: list[Kind] = list(kernels.KINDS)  # type: ignore[arg-type]
        rows = padded(tuple((PLACEHOLDERS | self.placeholders)[kind] for kind in chosen))
        sizes, placeholders = rows[:, 0].astype(np.int64), np.ascontiguousarray(rows[:, 1:])
        growth = max(1.0, float(sizes.max()) / MIN_SPAN_BYTES)
        lengths = np.diff(utf8.offsets)
        out = np.empty(int(lengths.sum() * growth) + 1, np.uint8)
        scratch = np.empty(int(lengths.max(initial=0) * growth) + 1, np.uint8)
        offsets, counts = np.empty(n + 1, np.int64), np.empty((n, kernels.NUM_KINDS + 1), np.int64)
        looked_for = np.array([kind in self.kinds for kind in chosen])
        kernels.mask_text(
            utf8.data, utf8.offsets, classes(), looked_for, placeholders, sizes, scratch, out, offsets, counts
        )
        signals: Signals = {
            f"{kind}_count": counts[:, i] if looked_for[i] else pa.nulls(n, pa.int32()) for i, kind in enumerate(chosen)
        }
        signals["char_ratio"] = np.minimum(ratio(counts[:, kernels.MASKED_CHARS], batch.num_chars), 1.0)
        if not self.mask or not counts[:, kernels.MASKED_CHARS].any():
            return batch, signals
        text = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]]))
        return batch.with_text(text), signals

    def evidence(self, text: str, signal: str) -> list[Span]:
        """What is found in the text as it stands. Masking looks again until nothing is found, and may find more."""
        kinds = [kind for kind in self.kinds if signal in (f"{kind}_count", "char_ratio")]
        return find_secrets(text, kinds)


def find_secrets(text: str, kinds: Sequence[Kind]) -> list[Span]:
    """Where data of some kinds stands in a text."""
    from stages.text import kernels_pii as kernels
    from stages.text.unicode_tables import classes

    located = Located(text)
    utf8 = located.batch.utf8
    room = np.empty((len(utf8.data) + 1, 3), np.int64)
    wanted = np.array([kind in kinds for kind in kernels.KINDS])
    m = kernels.find_spans(utf8.data, utf8.offsets[0], utf8.offsets[1], classes(), wanted, room)
    first, stop, number = room[:m].T
    spans: list[Span] = []
    for place, kind in enumerate(kernels.KINDS):
        mine = number == place
        spans += located.spans(first[mine], stop[mine], kind.replace("_", " "))
    return sorted(spans)[:MOST]
