"""Slow, obvious twins of the compiled kernels, in plain Python on plain strings. Tests compare the two on generated text."""

from __future__ import annotations

import re
from collections import Counter

from stages.text.unicode_tables import (
    APOSTROPHE,
    CLOSER,
    DIGIT,
    IGNORED,
    JOINER,
    LETTER,
    MARK,
    SPACE,
    TERMINAL,
    UNSPACED,
    classes,
)

TABLE = classes()
WORD = LETTER | MARK | DIGIT


def kind(char: str) -> int:
    return int(TABLE[ord(char)])


def strip(text: str) -> str:
    while text and kind(text[0]) & SPACE:
        text = text[1:]
    while text and kind(text[-1]) & SPACE:
        text = text[:-1]
    return text


def words(text: str) -> list[str]:
    """Words and punctuation, as `Words` defines them."""
    found, i = [], 0
    while i < len(text):
        start = i
        if kind(text[i]) & (SPACE | IGNORED):
            i += 1
            continue
        if not kind(text[i]) & WORD:
            while i < len(text) and text[i] == text[start]:
                i += 1
        elif kind(text[i]) & UNSPACED:
            i += 1
            while i < len(text) and kind(text[i]) & MARK:
                i += 1
        else:
            i += 1
            while i < len(text) and _goes_on(text, i):
                i += 1
        found.append(text[start:i])
    return found


def _goes_on(text: str, i: int) -> bool:
    here, before = kind(text[i]), kind(text[i - 1])
    if here & WORD:
        return not here & UNSPACED
    if here & JOINER:
        return True
    after = kind(text[i + 1]) if i + 1 < len(text) else 0
    if not after & WORD or after & UNSPACED:
        return False
    if here & APOSTROPHE or text[i] == "_":
        return True
    if text[i] == ",":
        return bool(before & DIGIT and after & DIGIT)
    return text[i] == "." and bool(before & DIGIT and after & DIGIT or not before & DIGIT and after & LETTER)


def is_punctuation(word: str) -> bool:
    return not kind(word[0]) & WORD


def lines(text: str) -> list[str]:
    pieces = text.split("\n")
    return [piece.removesuffix("\r") for piece in pieces[:-1]] + pieces[-1:]


def paragraphs(text: str) -> list[str]:
    """Pieces of the stripped text between runs of two or more newlines; "\\r" before a newline is part of it."""
    return [piece for piece in re.split(r"(?:\r?\n){2,}", strip(text)) if piece]


def sentences(text: str) -> list[str]:
    return [sentence for line in lines(text) for sentence in _sentences_of_line(strip(line))]


def _sentences_of_line(line: str) -> list[str]:
    found = []
    while line:
        end = _sentence_end(line)
        found.append(line[:end])
        line = strip(line[end:]) if end < len(line) else ""
    return found


def _sentence_end(line: str) -> int:
    i = 0
    while i < len(line):
        if not kind(line[i]) & TERMINAL:
            i += 1
            continue
        start = i
        while i < len(line) and kind(line[i]) & TERMINAL:
            i += 1
        run, after_run = line[start:i], i
        while i < len(line) and kind(line[i]) & CLOSER:
            i += 1
        if i == len(line):
            return i
        letters = _letters_before(line, start)
        if run.strip(".") == "" and (len(run) > 1 or letters == 1):
            continue
        if any(ord(char) > 0x7F for char in run) or kind(line[i]) & SPACE:
            return i
        if i == after_run and letters > 1 and "A" <= line[i] <= "Z":
            return i
    return len(line)


def _letters_before(line: str, i: int) -> int:
    """Letters right before a place, marks and digits counting as many: 1 only after a single letter."""
    count = 0
    while i > 0 and (kind(line[i - 1]) & WORD):
        count += 1 if kind(line[i - 1]) & LETTER else 99
        i -= 1
    return count


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def duplicates(items: list[str]) -> tuple[int, int]:
    """Items equal to an earlier one, and their characters."""
    seen: set[str] = set()
    count = chars = 0
    for item in items:
        if item in seen:
            count, chars = count + 1, chars + len(item)
        seen.add(item)
    return count, chars


def gopher(text: str, stop_words: tuple[str, ...]) -> dict[str, float | None]:
    tokens = words(text)
    plain = [word for word in tokens if not is_punctuation(word)]
    rows = lines(text)
    rows = rows[:-1] if rows[-1] == "" else rows
    return {
        "word_count": len(plain),
        "mean_word_length": ratio(sum(map(len, plain)), len(plain)),
        "hash_ratio": ratio(text.count("#"), len(tokens)),
        "ellipsis_ratio": ratio(text.count("...") + text.count("…"), len(tokens)),
        "bullet_line_ratio": ratio(sum(strip(row)[:1] in ("•", "-") for row in rows if strip(row)), len(rows)),
        "ellipsis_line_ratio": ratio(sum(strip(row).endswith(("...", "…")) for row in rows), len(rows)),
        "alpha_word_ratio": ratio(sum(any(kind(char) & LETTER for char in word) for word in tokens), len(tokens)),
        "stop_word_count": len(set(stop_words) & set(tokens)),
    }


def repetition(text: str) -> dict[str, float | None]:
    pieces = paragraphs(text)
    rows = re.split("\n+", "\n".join(lines(text)))
    tokens = words(text)
    found: dict[str, float | None] = {"char_count": len(text)}
    for name, items in (("paragraph", pieces), ("line", rows)):
        count, chars = duplicates(items)
        if name == "line" and not text:
            items = []
        found[f"duplicate_{name}_ratio"] = ratio(count, len(items))
        found[f"duplicate_{name}_char_ratio"] = ratio(chars, len(text))
    for n in (2, 3, 4):
        found[f"top_{n}gram_char_ratio"] = ratio(_top(tokens, n), len(text))
    for n in range(5, 11):
        found[f"duplicate_{n}gram_char_ratio"] = ratio(_duplicated(tokens, n), len(text))
    return found


def _top(tokens: list[str], n: int) -> int:
    grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    if not grams:
        return 0
    gram, count = grams.most_common(1)[0]
    return len(" ".join(gram)) * count


def _duplicated(tokens: list[str], n: int) -> int:
    seen = set()
    chars = i = 0
    while i <= len(tokens) - n:
        gram = tuple(tokens[i : i + n])
        if gram in seen:
            chars += len("".join(gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return chars


def fineweb(text: str) -> dict[str, float | None]:
    rows = [row for row in lines(text) if strip(row)]
    newlines = text.count("\n")
    return {
        "line_count": len(rows),
        "terminated_line_ratio": ratio(sum(bool(kind(row[-1]) & TERMINAL) for row in rows), len(rows)),
        "short_line_ratio": ratio(sum(len(row) <= 30 for row in rows), len(rows)),
        "duplicate_line_char_ratio": ratio(duplicates(rows)[1], len(text) - newlines),
        "newline_ratio": ratio(newlines, len(words(text))),
    }


POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
CITATION = re.compile(r"\[[0-9]*]|\[edit]|\[citation needed]")


def lowered(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def c4(text: str, terminal_punctuation: bool = True) -> tuple[str, dict[str, int | bool]]:
    found: dict[str, int | bool] = dict.fromkeys(
        ("lorem_ipsum", "curly_bracket"), False
    ) | dict.fromkeys(
        ("sentence_count", "long_word_line_count", "unfinished_line_count", "short_line_count", "javascript_line_count",
         "policy_line_count", "citation_count"), 0
    )  # fmt: skip
    kept = []
    for line in map(strip, lines(text)):
        tokens = "".join(" " if kind(char) & SPACE else char for char in line).split(" ")
        tokens = [token for token in tokens if token]
        if any(len(token) > 1000 for token in tokens):
            found["long_word_line_count"] += 1
            continue
        line, marks = CITATION.subn("", line)
        if terminal_punctuation and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
            found["unfinished_line_count"] += 1
            continue
        if len(tokens) < 3:
            found["short_line_count"] += 1
            continue
        low = lowered(line)
        found["lorem_ipsum"] |= "lorem ipsum" in low
        if "javascript" in low:
            found["javascript_line_count"] += 1
            continue
        found["curly_bracket"] |= "{" in line
        if any(phrase in low for phrase in POLICY):
            found["policy_line_count"] += 1
            continue
        found["sentence_count"] += len(_sentences_of_line(strip(line)))
        found["citation_count"] += marks
        kept.append(line)
    return strip("\n".join(kept)), found
