"""A slow, obvious twin of the scan for personal data: regular expressions, `ipaddress`, and loops over characters."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from stages.pii import PLACEHOLDERS
from stages.text.ascii_table import HEX, TOKEN, WORD
from stages.text.kernels_addresses import NO_MAIL, VERSION_WORDS
from stages.text.kernels_numbers import CARD_ISSUERS, IBAN_LENGTHS, PHONE_CUES
from stages.text.kernels_pii import KINDS
from stages.text.kernels_secrets import ALNUM, KEY_SHAPES, UPPER_ALNUM
from stages.text.unicode_tables import DIGIT, LETTER, MARK, classes

Found = tuple[int, int]
W = "A-Za-z0-9_"
ALPHABETS = {ALNUM: "A-Za-z0-9", UPPER_ALNUM: "A-Z0-9", TOKEN: r"A-Za-z0-9_\-", WORD: W, HEX: "0-9A-Fa-f"}


def private_keys(text: str) -> Iterator[Found]:
    label = r"(?:[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)"
    pattern = rf"-----BEGIN {label}-----((?:(?!-----).)*)-----END {label}-----"
    position = 0
    while match := re.compile(pattern, re.DOTALL).search(text, position):
        body = match[1]
        if len(re.findall("[A-Za-z0-9+/]", body)) >= 64 and len(body.encode()) <= 16_384:
            yield match.span()
            position = match.end()
        else:
            position = match.start() + 1


def api_keys(text: str) -> Iterator[Found]:
    found = []
    for prefix, _, alphabet, parts in KEY_SHAPES:
        chars = ALPHABETS[alphabet]
        tail = r"\.".join(rf"[{chars}]{{{least},{most}}}(?![{chars}])" for least, most in parts)
        for match in re.finditer(rf"(?<![{W}\-]){re.escape(prefix)}({tail})", text):
            if len(set(match[1].replace(".", ""))) >= 8:
                found.append(match.span())
    position = 0
    for first, stop in sorted(found):
        if first >= position:
            yield first, stop
            position = stop


def emails(text: str) -> Iterator[Found]:
    floor = 0
    for at in (i for i, char in enumerate(text) if char == "@"):
        first = at
        while first > floor and _is_local(text[first - 1]):
            if text[first - 1] == "." and (first == at or text[first] == "."):
                break
            first -= 1
        if at - first > 64:
            continue
        while first < at and text[first] in "._%+-'" and text[first] != "_":
            first += 1
        stop = _domain_end(text, at + 1)
        if first == at or stop is None:
            continue
        domain = "".join(char.lower() if char.isascii() else char for char in text[at + 1 : stop])
        if any(f".{domain}".endswith(f".{ending}") for ending in NO_MAIL):
            continue
        yield first, stop
        floor = stop


def _has(char: str, flags: int) -> bool:
    return bool(classes()[ord(char)] & flags)


def _is_local(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in "._%+-'"
    return ord(char) < 0x590 and _has(char, LETTER | MARK)


def _domain_end(text: str, first: int) -> int | None:
    limit = first
    while limit < len(text) and len(text[first : limit + 1].encode()) <= 255:
        limit += 1
    best, start, labels = None, first, 0
    while True:
        stop = start
        while stop < limit and (text[stop] == "-" or _is_alnum(text[stop])):
            stop += 1
        label = text[start:stop].rstrip("-")
        if not label or label[0] == "-":
            return best
        labels += 1
        if labels > 1:
            if label[0].isascii():
                match = re.match(r"(?i:xn--)[A-Za-z0-9-]*|[A-Za-z]{2,}(?![A-Za-z0-9-])", label)
            else:
                length = next((i for i, c in enumerate(label) if c.isascii() or not _has(c, LETTER | MARK)), len(label))
                match = re.match(r"[^\x00-\x7f]{2,}", label[:length])
            if match:
                best = start + match.end()
        if len(label) < stop - start or stop >= limit or text[stop] != ".":
            return best
        start = stop + 1


def _is_alnum(char: str) -> bool:
    return char.isalnum() if char.isascii() else _has(char, LETTER | MARK | DIGIT)


def ibans(text: str) -> Iterator[Found]:
    lengths = {entry[:2]: int(entry[2:]) for entry in IBAN_LENGTHS}
    position = 0
    for match in re.finditer(rf"(?<![{W}])(?=([A-Z]{{2}})[0-9]{{2}})", text):
        first, size = match.start(), lengths.get(match[1], 0)
        if first < position or not size:
            continue
        spaced = text[first + 4 : first + 5] == " "
        whole, rest = divmod(size, 4)
        shape = " ".join(["[A-Z0-9]{4}"] * whole) + (f" [A-Z0-9]{{{rest}}}" if rest else "")
        candidate = re.compile(rf"(?:{shape})(?![{W}])" if spaced else rf"[A-Z0-9]{{{size}}}(?![{W}])").match(
            text, first
        )
        if candidate:
            compact = candidate[0].replace(" ", "")
            if int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1:
                yield candidate.span()
                position = candidate.end()


def cards(text: str) -> Iterator[Found]:
    shape = r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}|[0-9]{14,19}"
    position = 0
    for match in re.finditer(r"(?<![0-9])[0-9]", text):
        found = re.compile(rf"(?<![{W}./+#@%\-])(?:{shape})(?![{W}]|[.\-][0-9])").match(text, match.start())
        if found and found.start() >= position:
            digits = re.sub("[ -]", "", found[0])
            sums = [int(c) if i % 2 == 0 else sum(map(int, str(2 * int(c)))) for i, c in enumerate(digits[::-1])]
            issuers = [
                size == len(digits) and low <= int(digits[: len(str(low))]) <= high for low, high, size in CARD_ISSUERS
            ]
            if sum(sums) % 10 == 0 and any(issuers):
                yield found.span()
                position = found.end()


NOT_ROUTED = [
    ipaddress.ip_network(net)
    for net in "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3".split()
]
ROUTED6 = ipaddress.ip_network("2000::/3")
NOT_ROUTED6 = [ipaddress.ip_network(net) for net in ("2001::/23", "2001:db8::/32", "3fff::/20")]


def ipv6s(text: str) -> Iterator[Found]:
    position = 0
    for match in re.finditer(rf"(?<![{W}:.])[23][0-9A-Fa-f]{{3}}(?=:)", text):
        run = re.compile("[0-9A-Fa-f:]+").match(text, match.start())
        assert run
        found = re.sub(r"(?<!:):\Z", "", run[0])
        stop = run.start() + len(found)
        if run.start() < position or len(found) > 39 or re.compile(rf"[{W}]|\.[0-9]").match(text, stop):
            continue
        try:
            address = ipaddress.IPv6Address(found)
        except ValueError:
            continue
        written = len([group for group in found.split(":") if group])
        if address in ROUTED6 and not any(address in net for net in NOT_ROUTED6) and written >= 3:
            yield run.start(), stop
            position = stop


def ipv4s(text: str) -> Iterator[Found]:
    octet = r"(?:0|[1-9][0-9]{0,2})(?![0-9])"
    shape = rf"(?<![{W}.])(?<![^0-9]-)(?<!^-)(?<![A-Za-z]/){octet}(?:\.{octet}){{3}}(?![{W}@]|\.[0-9]|-[A-Za-z])"
    for match in re.finditer(shape, text):
        numbers = [int(number) for number in match[0].split(".")]
        if max(numbers) > 255 or max(numbers) < 10:
            continue
        if any(ipaddress.ip_address(match[0]) in net for net in NOT_ROUTED):
            continue
        lead = re.sub(r"""[ :=.("'#]{1,3}\Z""", "", text[max(0, match.start() - 20) : match.start()])
        if not re.search(rf"(?<![A-Za-z0-9])(?:{'|'.join(VERSION_WORDS)})\Z", lead, re.IGNORECASE | re.ASCII):
            yield match.span()


GROUP = r"(?:\([0-9]{1,5}\)|[0-9]+)"
SEPARATOR = r"(?: / | - |[ \-./])"
RUN = re.compile(rf"(\+?)({GROUP}(?:{SEPARATOR}?{GROUP})*)")


def phones(text: str) -> Iterator[Found]:
    for run in RUN.finditer(text):
        groups = [(run.start(2) + m.start(), m[0]) for m in re.finditer(GROUP, run[2])]
        if len(groups) > 12 or len(run[0].encode()) < 7:
            continue
        before = text[max(0, run.start() - 2) : run.start()]
        begins = not re.search(rf"(?:[{W}.,/$#=&@%^~\\*+£€¥-]|[0-9]:)\Z", before)
        ends = not re.compile(rf"(?![xX][0-9])[{W}%@]|[:,][0-9]").match(text, run.end())
        found, g = False, 0
        while g < len(groups):
            for h in range(min(len(groups), g + 8), g, -1):
                first = run.start() if g == 0 else groups[g][0]
                stop = groups[h - 1][0] + len(groups[h - 1][1])
                cut_left = g > 0 and text[groups[g - 1][0] + len(groups[g - 1][1]) : first] != " "
                cut_right = h < len(groups) and text[stop : groups[h][0]] != " "
                open_ends = (g > 0 or begins) and (h < len(groups) or ends)
                if open_ends and not cut_left and not cut_right and _is_phone(text, first, stop, h - g < len(groups)):
                    yield first, stop
                    found, g = True, h
                    break
            else:
                g += 1
        digits = re.sub("[^0-9]", "", run[2])
        if found or run[1] or not begins or not ends or not 7 <= len(digits) <= 13 or run[2].endswith(")"):
            continue
        if len(groups) == 2 and re.fullmatch(r"\(?(?:19|20)[0-9]{2}\W{1,3}(?:19|20)[0-9]{2}", run[2]):
            continue
        lead = re.sub(r"""[ :.('">：]{1,4}\Z""", "", text[max(0, run.start() - 30) : run.start()])
        lead = "".join(c.lower() if c.isascii() else c for c in lead)
        if any(
            lead.endswith(cue) and not (cue[0].isascii() and re.search(rf"[A-Za-z0-9]{cue}\Z", lead))
            for cue in PHONE_CUES
        ):
            yield run.span()


def _is_phone(text: str, first: int, stop: int, is_cut: bool) -> bool:
    found = text[first:stop]
    if found.endswith(")") or (is_cut and not re.search(r"[+(./-]|[)][0-9]", found)):
        return False
    digits = re.sub("[^0-9]", "", found)
    if not 9 <= len(digits) <= 15:
        return False
    s = SEPARATOR
    if found[0] == "+":
        return _is_international(digits) and not (found[1:].isdigit() and len(digits) < 10)
    if re.match("00[0-9]{2,}[^0-9]", found) and _is_international(digits[2:]):
        return True
    american = re.fullmatch(
        rf"(?:1(?:{s})?)?(?:\([2-9][0-9]{{2}}\)({s})?|[2-9][0-9]{{2}}({s}))[2-9][0-9]{{2}}({s})[0-9]{{4}}", found
    )
    if american and not re.match(r"1[2-9]", found):
        one, two = (american[1] or american[2] or "").strip(), american[3].strip()
        if two != "/" and (one == ".") == (two == "."):
            return True
    trunk = re.fullmatch(
        rf"(?:\(0[1-9][0-9]{{0,3}}\)({s}?)|0[1-9][0-9]{{0,3}}({s}))[0-9]{{2,}}((?:{s}[0-9]{{2,}}){{0,3}})", found
    )
    if trunk and len(digits) <= 12:
        rest = [other.strip() for other in re.findall(s, trunk[3])]
        first_separator = (trunk[1] or trunk[2] or "").strip()
        is_date = re.match(rf"(?:\([0-9]{{2}}\){s}?|[0-9]{{2}}{s})[0-9]{{2}}{s}(?:19|20)[0-9]{{2}}(?![0-9])", found)
        is_date = is_date or re.fullmatch(rf".*{s}(?:19|20)[0-9]{{2}}{s}[0-9]{{2}}{s}[0-9]{{2}}", trunk[0])
        dots = rest and rest[0] == "." and (first_separator != "." or len(digits) == 12)
        if len(set(rest)) <= 1 and "/" not in rest and not is_date and not dots:
            return True
    if len(digits) > 12 or not re.fullmatch(
        rf"(?:[018]{s}?)?\([0-9]{{2,5}}\)(?: / |[ /-]| - )?[0-9]{{2,}}(?:(?: - |[ -])[0-9]{{2,}})+", found
    ):
        return False
    if re.match(rf"(?:[018]{s}?)?\((?:19|20)[0-9]{{2}}\)", found) or re.search(r"\)(?: / |/)", found):
        return False
    return not re.search(r"[0-9] ?\Z", text[max(0, first - 2) : first])


def _is_international(digits: str) -> bool:
    if len(digits) < 9 or digits[0] == "0" or digits[:2] in ("28", "83", "89"):
        return False
    if digits[0] == "1":
        return bool(re.fullmatch("1[2-9][0-9]{2}[2-9][0-9]{6}", digits))
    return digits[0] != "7" or len(digits) == 11


FINDERS = {
    "private_key": private_keys, "api_key": api_keys, "email": emails, "iban": ibans, "card": cards,
    "ipv6": ipv6s, "ipv4": ipv4s, "phone": phones,
}  # fmt: skip


def first_spans(text: str, kinds: tuple[str, ...] = KINDS) -> list[tuple[int, int, str]]:
    """What stands in the text before anything is masked, without overlap."""
    spans = [(*span, KINDS.index(kind)) for kind in KINDS if kind in kinds for span in FINDERS[kind](text)]
    kept: list[tuple[int, int, int]] = []
    for span in sorted(spans, key=lambda span: (span[0], span[2])):
        if kept and span[0] < kept[-1][1]:
            if span[2] >= kept[-1][2]:
                continue
            kept.pop()
        kept.append(span)
    return [(first, stop, KINDS[kind]) for first, stop, kind in kept]


def pii(text: str, kinds: tuple[str, ...] = KINDS) -> tuple[str, dict[str, int | None], float | None]:
    """The masked text, the counts of the kinds, and the share of code points masked."""
    counts: dict[str, int | None] = {f"{kind}_count": 0 if kind in kinds else None for kind in KINDS}
    num_chars, masked = len(text), 0
    while True:
        kept = [(first, stop, KINDS.index(kind)) for first, stop, kind in first_spans(text, kinds)]
        if not kept:
            return text, counts, min(1.0, masked / num_chars) if num_chars else None
        for first, stop, kind in reversed(kept):
            name = f"{KINDS[kind]}_count"
            counts[name] = (counts[name] or 0) + 1
            masked += stop - first
            text = text[:first] + PLACEHOLDERS[KINDS[kind]] + text[stop:]  # type: ignore[index]
