"""Slow, obvious twins of the compiled text passes and of the four heuristic stages, one document at a time.

Written from the definitions, on Python strings; nothing is shared with the kernels but the table of character classes,
which has a test of its own.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from stages.text import unicode_tables as u

ENGLISH = {"the", "be", "to", "of", "and", "that", "have", "with"}
CITATION = re.compile(r"\[[0-9]*\]|\[edit\]|\[citation needed\]")


@dataclass(frozen=True)
class Span:
    """A piece of a text: where it lies in UTF-8 bytes, and its characters."""

    start: int
    stop: int
    text: str


def has(char: str, flags: int) -> bool:
    return bool(u.classes()[ord(char)] & flags)


def is_space(char: str) -> bool:
    return has(char, u.SPACE)


def spans(text: str, cuts: list[tuple[int, int]]) -> list[Span]:
    """Spans in bytes for pairs of positions in characters."""
    at = [0]
    for char in text:
        at.append(at[-1] + len(char.encode()))
    return [Span(at[low], at[high], text[low:high]) for low, high in cuts]


def strip(text: str) -> str:
    while text and is_space(text[0]):
        text = text[1:]
    while text and is_space(text[-1]):
        text = text[:-1]
    return text


# Words


def words(text: str) -> list[Span]:
    cuts = []
    i = 0
    while i < len(text):
        if has(text[i], u.SPACE | u.IGNORED):
            i += 1
            continue
        stop = word_stop(text, i)
        cuts.append((i, stop))
        i = stop
    return spans(text, cuts)


def word_stop(text: str, i: int) -> int:
    in_word = u.LETTER | u.MARK | u.DIGIT
    first = text[i]
    i += 1
    if not has(first, in_word):
        while first in ".-" and text[i : i + 1] == first:
            i += 1
        return i
    if has(first, u.UNSPACED):
        while i < len(text) and has(text[i], u.MARK):
            i += 1
        return i
    while i < len(text):
        before, char, after = text[i - 1], text[i], text[i + 1 : i + 2]
        after = "" if after and has(after, u.UNSPACED) else after
        goes_on = has(char, in_word) and not has(char, u.UNSPACED)
        if has(char, u.APOSTROPHE) or char == "_":
            goes_on = bool(after) and has(before, in_word) and has(after, in_word)
        elif char in ".," and after:
            goes_on = has(before, u.DIGIT) and has(after, u.DIGIT)
            goes_on |= char == "." and has(before, u.LETTER | u.MARK) and has(after, u.LETTER)
        if not (goes_on or has(char, u.JOINER)):
            break
        i += 1
    return i


def is_punctuation(word: str) -> bool:
    return not has(word[0], u.LETTER | u.MARK | u.DIGIT)


def has_letter(word: str) -> bool:
    return any(has(char, u.LETTER) for char in word)


# Lines, paragraphs, sentences


def lines(text: str) -> list[Span]:
    cuts = []
    low = 0
    for piece in text.split("\n"):
        high = low + len(piece)
        ends_in_return = piece.endswith("\r") and high < len(text)
        cuts.append((low, high - ends_in_return))
        low = high + 1
    return spans(text, cuts)


def paragraphs(text: str) -> list[Span]:
    """Pieces between runs of two or more newlines of the text without white space around it."""
    body = strip(text)
    if not body:
        return []
    low = text.index(body)
    cuts = []
    for gap in [*re.finditer(r"(\r?\n){2,}", body), None]:
        high = len(text[: text.index(body)]) + (gap.start() if gap else len(body))
        cuts.append((low, high))
        if gap:
            low = text.index(body) + gap.end()
    return spans(text, cuts)


def paragraph_text(span: Span) -> str:
    return span.text.replace("\r\n", "\n")


def sentences(text: str) -> list[Span]:
    out = []
    for line in lines(text):
        body = strip(line.text)
        low = line.start + len(line.text[: len(line.text) - len(strip_left(line.text))].encode())
        while body:
            stop = sentence_stop(body)
            size = len(body[:stop].encode())
            out.append(Span(low, low + size, body[:stop]))
            rest = strip_left(body[stop:])
            low += len(body[: len(body) - len(rest)].encode())
            body = rest
    return out


def strip_left(text: str) -> str:
    while text and is_space(text[0]):
        text = text[1:]
    return text


def sentence_stop(body: str) -> int:
    """Length of the first sentence of a stripped piece of a line.

    A piece never starts inside a word, so what stands before it makes no difference.
    """
    i = 0
    while i < len(body):
        if not has(body[i], u.TERMINAL):
            i += 1
            continue
        before = body[:i]
        run = i
        while i < len(body) and has(body[i], u.TERMINAL):
            i += 1
        marks = body[run:i]
        close = i
        while close < len(body) and has(body[close], u.CLOSER):
            close += 1
        if close == len(body):
            return close
        size = letters_at_end(before)
        if marks.replace(".", "") or (marks == "." and size != 1):
            if not marks.isascii() or is_space(body[close]):
                return close
            if close == i and size == 2 and "A" <= body[close] <= "Z":
                return close
        i = close
    return len(body)


def letters_at_end(text: str) -> int:
    """1 if the text ends in a word of one letter, 2 if in a longer word whose last character is a letter, else 0."""
    if not text or not has(text[-1], u.LETTER):
        return 0
    return 2 if len(text) > 1 and has(text[-2], u.LETTER | u.MARK | u.DIGIT) else 1


# Line flags


def is_blank(line: str) -> bool:
    return not strip(line)


def is_bullet(line: str) -> bool:
    return strip(line)[:1] in ("•", "-") and not is_blank(line)


def ends_in_ellipsis(line: str) -> bool:
    return strip(line).endswith(("...", "…"))


def is_terminated(line: str) -> bool:
    return not is_blank(line) and has(line[-1], u.TERMINAL)


# Stages


def ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def gopher(text: str, stop_words: set[str] = ENGLISH) -> dict[str, float | None]:
    tokens = [word.text for word in words(text)]
    plain = [token for token in tokens if not is_punctuation(token)]
    rows = [line.text for line in lines(text)]
    if rows[-1] == "":
        rows = rows[:-1]
    return {
        "word_count": len(plain),
        "mean_word_length": ratio(sum(map(len, plain)), len(plain)),
        "hash_ratio": ratio(text.count("#"), len(tokens)),
        "ellipsis_ratio": ratio(text.count("...") + text.count("…"), len(tokens)),
        "bullet_line_ratio": ratio(sum(map(is_bullet, rows)), len(rows)),
        "ellipsis_line_ratio": ratio(sum(map(ends_in_ellipsis, rows)), len(rows)),
        "alpha_word_ratio": ratio(sum(map(has_letter, tokens)), len(tokens)),
        "stop_word_count": len(stop_words & set(tokens)),
    }


def repeated(items: list[str]) -> list[str]:
    """The second and later copies."""
    return [item for i, item in enumerate(items) if item in items[:i]]


def top_ngram(tokens: list[str], n: int) -> int:
    grams = [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    if not grams:
        return 0
    counts = Counter(grams)
    most = max(counts.values())
    return next(len(gram) * most for gram in grams if counts[gram] == most)


def duplicate_ngrams(tokens: list[str], n: int) -> int:
    seen = set()
    chars = i = 0
    while i + n <= len(tokens):
        gram = tuple(tokens[i : i + n])
        if gram in seen:
            chars += sum(map(len, gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return chars


def repetition(text: str) -> dict[str, float | None]:
    tokens = [word.text for word in words(text)]
    blocks = [paragraph_text(paragraph) for paragraph in paragraphs(text)]
    rows = [line.text for line in lines(text)]
    rows = [row for i, row in enumerate(rows) if row or i in (0, len(rows) - 1)]
    if not text:
        rows = []
    return {
        "char_count": len(text),
        "duplicate_paragraph_ratio": ratio(len(repeated(blocks)), len(blocks)),
        "duplicate_paragraph_char_ratio": ratio(sum(map(len, repeated(blocks))), len(text)),
        "duplicate_line_ratio": ratio(len(repeated(rows)), len(rows)),
        "duplicate_line_char_ratio": ratio(sum(map(len, repeated(rows))), len(text)),
        **{f"top_{n}gram_char_ratio": ratio(top_ngram(tokens, n), len(text)) for n in (2, 3, 4)},
        **{f"duplicate_{n}gram_char_ratio": ratio(duplicate_ngrams(tokens, n), len(text)) for n in range(5, 11)},
    }


def fineweb(text: str) -> dict[str, float | None]:
    rows = [line.text for line in lines(text)]
    full = [row for row in rows if not is_blank(row)]
    newlines = len(rows) - 1
    return {
        "line_count": len(full),
        "terminated_line_ratio": ratio(sum(map(is_terminated, full)), len(full)),
        "short_line_ratio": ratio(sum(len(row) <= 30 for row in full), len(full)),
        "duplicate_line_char_ratio": ratio(sum(map(len, repeated(full))), sum(map(len, rows))),
        "newline_ratio": ratio(newlines, len(words(text))),
    }


def ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def c4(text: str, terminal_punctuation: bool = True) -> tuple[str, dict[str, float | None]]:
    counts: dict[str, float | None] = dict.fromkeys(
        ("long_word_line", "unfinished_line", "short_line", "javascript_line", "policy_line", "citation"), 0
    )

    def count(name: str, by: int = 1) -> None:
        counts[name] = (counts[name] or 0) + by

    kept: list[str] = []
    lorem_ipsum = curly_bracket = False
    for line in lines(text):
        row = strip(line.text)
        parts = "".join(" " if is_space(char) else char for char in row).split(" ")
        parts = [part for part in parts if part]
        if any(len(part) > 1000 for part in parts):
            count("long_word_line")
            continue
        row, marks = CITATION.subn("", row)
        if terminal_punctuation and (not row.endswith((".", "?", "!", '"', "'")) or row.endswith("...")):
            count("unfinished_line")
            continue
        if len(parts) < 3:
            count("short_line")
            continue
        low = ascii_lower(row)
        lorem_ipsum |= "lorem ipsum" in low
        if "javascript" in low:
            count("javascript_line")
            continue
        curly_bracket |= "{" in row
        policies = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
        if any(policy in low for policy in policies):
            count("policy_line")
            continue
        count("citation", marks)
        kept.append(row)
    signals: dict[str, float | None] = {
        "lorem_ipsum": lorem_ipsum,
        "curly_bracket": curly_bracket,
        "sentence_count": sum(len(sentences(row)) for row in kept),
    }
    return strip("\n".join(kept)), signals | {f"{name}_count": number for name, number in counts.items()}


def repeated_ngram_ratio(text: str, n: int) -> float | None:
    """Code points in words that a repeated n-gram covers, over code points in words."""
    tokens = [span.text for span in words(text)]
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    covered = {i + k for i, gram in enumerate(grams) if grams.count(gram) > 1 for k in range(n)}
    return ratio(sum(len(tokens[i]) for i in covered), sum(map(len, tokens)))


def divergence(text: str, corpus: list[str], buckets: int, bucket_of: Callable[[str], int]) -> float | None:
    """Kullback-Leibler divergence of a text's words from those of a corpus, add-one smoothed, in nats."""
    own = Counter(bucket_of(span.text) for span in words(text))
    all_ = Counter(bucket_of(span.text) for other in corpus for span in words(other))
    if not own:
        return None
    size, total = sum(own.values()), sum(all_.values()) + buckets
    return sum(count / size * math.log(count / size * total / (all_[bucket] + 1)) for bucket, count in own.items())
