"""A slow, obvious twin of `stages.kernels_category`: the same counts by Python strings."""

from __future__ import annotations

import re

from stages.category_words import COMMANDS, KEYWORDS, STRONG, WEAK
from stages.text.batch import TextBatch
from stages.text.kernels_words import PUNCTUATION

_RAISED = re.compile("[\u00b2\u00b3\u00b9\u2070-\u207f\u2080-\u20bf]$")
_SYMBOLS = [(0x2200, 0x22FF), (0x27C0, 0x27EF), (0x2A00, 0x2AFF), (0x1D400, 0x1D7FF)]


def code_counts(text: str) -> tuple[int, int]:
    """Bytes of lines that may be code, and of those that read like code."""
    visible = code = 0
    fenced = quoted = False
    for raw in text.replace("\r\n", "\n").split("\n"):
        line = raw.strip(" \t")
        size = len(line.encode())
        indent = sum(4 if char == "\t" else 1 for char in raw[: len(raw) - len(raw.lstrip(" \t"))])
        if not line:
            continue
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        elif fenced:
            visible, code = visible + size, code + size
        elif (quotes := len(re.findall('"""', line))) or quoted:
            quoted = quoted != (quotes % 2 == 1)
        elif not re.match(r"#( |#|!|$)|[|*]|//|/\*", line):
            visible += size
            code += size * reads_like_code(line, indent)
    return visible, code


def reads_like_code(line: str, indent: int) -> bool:
    if line.endswith((".", "?")) or any(name in COMMANDS for name in re.findall(r"\\([A-Za-z]+)", line)):
        return False
    bare = re.sub(r"://[^ ]*", "", line)
    points = (
        len(re.findall(r"[=;{}<>|\[&+@*]", bare)) + len(re.findall(r"\](?!\()", bare)) - len(re.findall(r"\]\(", bare))
    )
    points += len(re.findall(r"(?<=[A-Za-z0-9_])\(", bare)) + len(
        re.findall(r"(?<=[A-Za-z0-9_])_(?=[A-Za-z0-9_])", bare)
    )
    points += len(re.findall(r"[$%](?=[A-Za-z{])", bare))
    points += 2 * line.endswith(("{", ";", "}")) + line.endswith(("(", "[", "\\"))
    first = re.match("#?[A-Za-z]*", line)
    assert first is not None
    if first[0] in KEYWORDS:
        points += 1 + 2 * (line.endswith(":") or (first[0] == line and indent > 0))
    points += indent >= 2 and points > 0
    return points >= 2 and points * 25 >= len(line.encode())


def maths_counts(batch: TextBatch, row: int) -> tuple[int, int]:
    """Words, and points of mathematics."""
    words = batch.words
    raw = batch.table["text"][row].as_py().encode()
    spans = range(words.begin[row], words.end[row])
    tokens = [(int(words.start[k]), int(words.stop[k]), bool(words.flags[k] & PUNCTUATION)) for k in spans]
    count = points = 0
    for i, (start, stop, is_mark) in enumerate(tokens):
        word = raw[start:stop].decode()
        if is_mark:
            points += mark_points(raw, tokens, i)
            continue
        count += 1
        lowered = word if word.lower() == word else word[0].lower() + word[1:]
        is_command = word in COMMANDS and raw[:start].endswith(b"\\")
        if is_command or lowered in STRONG or (_RAISED.search(word) and stop - start >= 3):
            points += 3
        elif lowered in WEAK:
            points += 1
    return count, points


def mark_points(raw: bytes, tokens: list[tuple[int, int, bool]], i: int) -> int:
    start, stop, _ = tokens[i]
    mark = raw[start:stop].decode()
    left = chr(raw[start - 1]) if start else " "
    right = chr(raw[stop]) if stop < len(raw) else " "
    before = i > 0 and (is_operand(raw, tokens[i - 1]) or raw[tokens[i - 1][0] : tokens[i - 1][1]] == b")")
    after = i + 1 < len(tokens) and is_operand(raw, tokens[i + 1])
    if len(mark) == 1 and ord(mark) >= 0x80:
        return 3 * (mark in "×÷±¬" or any(low <= ord(mark) <= high for low, high in _SYMBOLS))
    match mark:
        case "=":
            asked = i > 0 and raw[: tokens[i - 1][0]].endswith((b"?", b"&"))
            return 3 * (not asked and left not in "=!<>" and right != "=" and (before or after))
        case "^":
            return 3 * (before or after)
        case "+" | "*":
            return 3 * (before and after)
        case "<" | ">" | "-":
            return 3 * (before and after and left == right == " ")
        case "$":
            return int(bool(re.match(r"[A-Za-z\\]", right) or re.match(r"[A-Za-z}]", left)))
    return 0


def is_operand(raw: bytes, token: tuple[int, int, bool]) -> bool:
    start, stop, is_mark = token
    word = raw[start:stop].decode()
    return not is_mark and (len(word) == 1 or bool(re.match("[0-9]", word) or re.search("[0-9]$", word)))
