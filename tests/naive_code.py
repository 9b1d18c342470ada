"""A slow, obvious twin of the `code` stage: a loop over characters for comments and strings, and expressions for the
rest."""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import Any

from stages.heuristics.code_languages import LANGUAGES, Syntax, language_of_path
from stages.heuristics.code_languages import NAMES as LANGUAGE_NAMES
from stages.text.unicode_tables import DIGIT, LETTER, SPACE, classes
from tests import naive_pii

CODE, COMMENT, STRING, MARK = "code", "comment", "string", "mark"
BLANK = " \t\n\r"


def _has(char: str, flags: int) -> bool:
    return bool(classes()[ord(char)] & flags)


def parts(text: str, syntax: Syntax | None) -> list[str]:
    """The part of every character."""
    if syntax is None:
        return [CODE] * len(text)
    found: list[str] = []
    dead: dict[str, int] = {}
    last = before_line = ""
    depth = 0
    while len(found) < len(text):
        i = len(found)
        char = text[i]
        end = _comment_end(text, i, syntax)
        if end is not None:
            found += [COMMENT] * (end - i)
            continue
        if char in syntax.quotes + syntax.wide_quotes:
            close, size = _string(text, i, syntax, dead)
            if close is not None:
                line = text[text.rfind("\n", 0, i) + 1 : i]
                first = re.fullmatch(r"[ \t]*[rRuU]{0,2}", line) and depth == 0 and before_line in ("", ":")
                if syntax.docstrings and first:
                    found += [COMMENT] * (close + size - i)
                else:
                    found += [MARK] * size + [STRING] * (close - i - size) + [MARK] * size
                last = char
                continue
        if syntax.docstrings and char in "()[]{}":
            depth = max(0, depth + (1 if char in "([{" else -1))
        if char == "\n":
            before_line = last
        elif char not in BLANK:
            last = char
        found.append(CODE)
    return found


def _comment_end(text: str, i: int, syntax: Syntax) -> int | None:
    for opening, closing in syntax.block:
        if text.startswith(opening, i):
            depth, j = 1, i + len(opening)
            while j < len(text):
                if text.startswith(closing, j):
                    depth, j = depth - 1, j + len(closing)
                    if depth == 0:
                        return j
                elif syntax.nested and text.startswith(opening, j):
                    depth, j = depth + 1, j + len(opening)
                else:
                    j += 1
            return len(text)
    if not any(text.startswith(token, i) for token in syntax.line):
        return None
    if syntax.spaced and i > 0 and text[i - 1] not in BLANK:
        return None
    if syntax.at_start and text[text.rfind("\n", 0, i) + 1 : i].strip(" \t"):
        return None
    if syntax.escaped and text[i - 1 : i] == "\\":
        return None
    end = text.find("\n", i)
    return len(text) if end < 0 else end


def _string(text: str, i: int, syntax: Syntax, dead: dict[str, int]) -> tuple[int | None, int]:
    quote = text[i]
    if syntax.triple and text.startswith(quote * 3, i) and i >= dead.get(quote * 3, 0):
        match = re.compile(rf"(?:\\.|[^\\])*?(?={quote * 3})", re.DOTALL).match(text, i + 3)
        if match:
            return match.end(), 3
        dead[quote * 3] = len(text)
    if i < dead.get(quote, 0):
        return None, 1
    wide = quote in syntax.wide_quotes
    inner = rf"[^\\{quote}]" if wide else rf"[^\\{quote}\n]"
    match = re.compile(rf"(?:\\.|{inner})*+(?={quote})", re.DOTALL).match(text, i + 1)
    if match:
        return match.end(), 1
    end = text.find("\n", i)
    dead[quote] = len(text) if wide or end < 0 else end
    return None, 1


def visible(text: str) -> int:
    """Characters of a page outside comments, tags, script and style."""
    count = i = 0
    while i < len(text):
        if text.startswith("<!--", i):
            end = text.find("-->", i + 2)
            i = len(text) if end < 0 else max(end + 3, i + 5)
        elif re.compile("<[A-Za-z/!?]").match(text, i):
            name = re.compile("<(script|style)", re.IGNORECASE | re.ASCII).match(text, i)
            i += 1
            while i < len(text) and text[i] != ">":
                if text[i] in "\"'" and text[i - 1] == "=":
                    end = text.find(text[i], i + 1)
                    i = len(text) if end < 0 else end
                i += 1
            i += 1
            if name:
                close = re.compile(f"</{name[1]}", re.IGNORECASE | re.ASCII).search(text, i)
                i = close.start() if close else len(text)
        else:
            count += 1
            i += 1
    return count


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def code(text: str, path: str | None) -> dict[str, Any]:
    """Every signal of a file."""
    language = language_of_path(path)
    name = None if language < 0 else LANGUAGE_NAMES[language]
    syntax = LANGUAGES[name] if name else None
    part = parts(text, syntax)
    chars = len(text)
    letters, digits, spaces = (sum(_has(c, flag) for c in text) for flag in (LETTER, DIGIT, SPACE))
    words = "".join(" " if _has(c, SPACE) or c in string.punctuation else c for c in text).split(" ")
    words = [word for word in words if word]
    comment_chars = part.count(COMMENT)
    code_chars = chars - comment_chars

    lines: list[tuple[str, list[str]]] = []
    start = 0
    for line in text.split("\n"):
        lines.append((line, part[start : start + len(line)]))
        start += len(line) + 1
    last_is_broken = not lines[-1][0]
    if last_is_broken:
        lines.pop()
    stripped = [
        (line[:-1], p[:-1]) if line.endswith("\r") and (last_is_broken or i < len(lines) - 1) else (line, p)
        for i, (line, p) in enumerate(lines)
    ]
    breaks = chars - sum(len(line) for line, _ in stripped)
    codes = [("".join(c if q != COMMENT else "\0" for c, q in zip(line, p, strict=True))) for line, p in stripped]
    comments = ["".join(c if q == COMMENT else "\0" for c, q in zip(line, p, strict=True)) for line, p in stripped]
    squeezed = [
        "".join(c for c, q in zip(line, p, strict=True) if q != COMMENT and not _has(c, SPACE)) for line, p in lines
    ]
    num_code = sum(bool(line) for line in squeezed)
    times = Counter(line for line in squeezed if len(line) > 1 and line != "},")

    runs = [text[slice(*span)] for span in _string_spans(part)]
    string_words = [
        word for run in runs for word in _split(run) if len(word) > 20 and not re.search("https?://.", word, re.DOTALL)
    ]
    hexes = [
        m for m in re.finditer("(?<![A-Za-z0-9_])0[xX][0-9a-fA-F]+(?![A-Za-z0-9_])", text) if part[m.start()] != COMMENT
    ]
    encoded = [m[0] for pattern in ENCODED for m in re.finditer(pattern, text)]
    head = _fold(text[:200])
    commented, quoted = (
        bool(syntax and (syntax.line or syntax.block)),
        bool(syntax and (syntax.quotes or syntax.wide_quotes)),
    )

    def holding(word: str, where: list[str], fold: bool = True) -> int:
        return sum(word in (_fold(line) if fold else line) for line in where)

    todo = sum(any(word in _fold(line) for word in ("todo", "fixme", "your code here")) for line in comments)
    python = name == "python"
    page = name == "html"
    return {
        "language": name,
        "char_count": chars,
        "byte_count": len(text.encode()),
        "line_count": len(lines),
        "max_line_length": max((len(line) for line, _ in stripped), default=0),
        "mean_line_length": _ratio(chars - breaks, len(lines)),
        "word_count": len(words),
        "mean_word_length": _ratio(sum(map(len, words)), len(words)),
        "alnum_ratio": _ratio(letters + digits, chars),
        "alpha_ratio": _ratio(letters, chars),
        "visible_alpha_ratio": _ratio(letters, chars - spaces),
        "visible_digit_ratio": _ratio(digits, chars - spaces),
        "space_ratio": _ratio(spaces, chars),
        "replacement_ratio": _ratio(text.count("\ufffd"), chars),
        "comment_ratio": _ratio(comment_chars, chars) if commented else None,
        "xml": "<?xml version=" in text[:100],
        "visible_text_ratio": _ratio(visible(text), chars) if page else None,
        "visible_text_count": visible(text) if page else None,
        "autogenerated": any(phrase in head for phrase in ("generate", "autogen", "do not edit")),
        "encoded_ratio": _ratio(min(sum(map(len, encoded)), chars), chars),
        "longest_encoded_run": max(map(len, encoded), default=0),
        "duplicate_line_ratio": _ratio(sum(n for n in times.values() if n > 1), num_code),
        "string_ratio": _ratio(part.count(STRING), code_chars) if quoted else None,
        "long_string_line_ratio": (
            _ratio(sum(len(_split(line)) > 20 for run in runs for line in run.split("\n")), num_code)
            if quoted
            else None
        ),
        "long_string_word_ratio": _ratio(sum(map(len, string_words)), code_chars) if quoted else None,
        "hex_word_ratio": _ratio(sum(len(m[0]) for m in hexes), code_chars),
        "todo_line_ratio": _ratio(todo, len(lines)) if commented else None,
        "assert_line_ratio": _ratio(holding("assert", codes), num_code) if commented else None,
        "import_line_ratio": _ratio(holding("import", codes), num_code) if python else None,
        "print_line_ratio": _ratio(holding("print", codes, fold=False), num_code) if python else None,
        "pass_line_ratio": _ratio(holding("pass", codes), num_code) if python else None,
        "secret_count": _secrets(text),
    }


ENCODED = (
    r"[a-zA-Z0-9+/\n=]{64,}",
    r"(?:(?<![A-Za-z0-9_])|(?=\\))(?:(?:0[xX]|\\[xX])?[0-9a-fA-F]{2}(?![A-Za-z0-9_]),?[ \t-\r]*+){8,}",
    r"(?:\\u[0-9a-fA-F]{4}){8,}",
)


def _fold(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def _split(text: str) -> list[str]:
    return "".join(" " if _has(c, SPACE) else c for c in text).split()


def _string_spans(part: list[str]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for i, kind in enumerate(part):
        if kind == STRING:
            if spans and spans[-1][1] == i:
                spans[-1] = (spans[-1][0], i + 1)
            else:
                spans.append((i, i + 1))
    return spans


def _secrets(text: str) -> int:
    spans = sorted([*naive_pii.api_keys(text), *naive_pii.private_keys(text)])
    count = position = 0
    for first, stop in spans:
        if first >= position:
            count, position = count + 1, stop
    return count
