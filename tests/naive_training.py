"""Slow, obvious twins of the kernels of training: fastText's features by its own definitions, and gradient steps."""

from __future__ import annotations

import math


def fnv(text: bytes) -> int:
    """FNV-1a on 32 bits, with bytes as signed characters, as fastText has it."""
    h = 2166136261
    for byte in text:
        signed = byte - 256 if byte >= 128 else byte
        h = ((h ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return h


def ngrams(token: str, minn: int, maxn: int) -> list[str]:
    """Character n-grams of `<token>`, without single brackets."""
    text = f"<{token}>"
    return [
        text[i : i + n]
        for i in range(len(text))
        for n in range(1, maxn + 1)
        if n >= minn and i + n <= len(text) and not (n == 1 and (i == 0 or i + n == len(text)))
    ]


def rows(text: str, words: list[str], minn: int, maxn: int, word_ngrams: int, num_buckets: int) -> list[int]:
    """Rows of a text's tokens: word, character n-grams, word n-grams; in the order of the kernel."""
    tokens = [token for token in text.split(" ") if token]
    out = []
    for k, token in enumerate(tokens):
        if token in words:
            out.append(words.index(token))
        out += [len(words) + fnv(gram.encode()) % num_buckets for gram in ngrams(token, minn, maxn)]
        h = signed(fnv(token.encode())) % 2**64
        for other in tokens[k + 1 : k + word_ngrams]:
            h = (h * 116049371 + signed(fnv(other.encode()))) % 2**64
            out.append(len(words) + h % num_buckets)
    return out


def signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value


def fit_pass(
    texts: list[list[int]], order: list[int], labels: list[bool], weights: list[float], step: float, num_rows: int
) -> list[float]:
    """Values of the rows after one pass of AdaGrad from zero."""
    values, squares = [0.0] * num_rows, [1e-8] * num_rows
    for d in order:
        own = texts[d]
        if not own or weights[d] == 0:
            continue
        logit = sum(values[row] for row in own) / len(own)
        gradient = (1 / (1 + math.exp(-logit)) - labels[d]) * weights[d] / len(own)
        for row in own:
            squares[row] += gradient * gradient
            values[row] -= step * gradient / math.sqrt(squares[row])
    return values
