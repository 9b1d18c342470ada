"""Slow, obvious twin of `stages.fasttext`: reads a fastText file and judges one text at a time, in Python numbers.

Written from the file format and the definitions; nothing is shared with the kernels. Words and marks are those of
`tests.naive`, which has its own comparison.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests import naive

HIERARCHICAL, NEGATIVE, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
TINY = 1e-5


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def read(self, form: str) -> tuple:
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def floats(self, n: int) -> np.ndarray:
        return np.array(self.read(f"{n}f"))

    def word(self) -> bytes:
        end = self.data.index(b"\0", self.at)
        word, self.at = self.data[self.at : end], end + 1
        return word


@dataclass
class Quantiser:
    dim: int
    parts: int
    dsub: int
    last: int
    centroids: np.ndarray

    def row(self, codes: list[int]) -> np.ndarray:
        pieces = []
        for m, code in enumerate(codes):
            width = self.last if m == self.parts - 1 else self.dsub
            first = m * 256 * self.dsub + code * width
            pieces.append(self.centroids[first : first + width])
        return np.concatenate(pieces)


def read_quantiser(file: Bytes) -> Quantiser:
    dim, parts, dsub, last = file.read("4i")
    return Quantiser(dim, parts, dsub, last, file.floats(256 * dim))


def read_matrix(file: Bytes, quantised: bool) -> list[np.ndarray]:
    if not quantised:
        m, n = file.read("qq")
        return [file.floats(n) for _ in range(m)]
    (has_norms,) = file.read("?")
    m, _, size = file.read("qqi")
    codes = file.read(f"{size}B")
    parts = read_quantiser(file)
    rows = [parts.row(list(codes[i * parts.parts : (i + 1) * parts.parts])) for i in range(m)]
    if has_norms:
        norms = file.read(f"{m}B")
        of_norms = read_quantiser(file)
        rows = [row * of_norms.row([code])[0] for row, code in zip(rows, norms, strict=True)]
    return rows


def fnv(token: bytes) -> int:
    h = 2166136261
    for byte in token:
        h ^= byte if byte < 128 else byte - 256 & 0xFFFFFFFF
        h = h * 16777619 & 0xFFFFFFFF
    return h


def signed(h: int) -> int:
    return h - (1 << 32) if h >= 1 << 31 else h


@dataclass
class Model:
    loss: int
    word_ngrams: int
    buckets: int
    minn: int
    maxn: int
    words: dict[bytes, int]
    labels: list[str]
    counts: list[int]
    pruned: dict[int, int] | None
    rows: list[np.ndarray]
    output: list[np.ndarray]
    label_words: set[bytes] = field(default_factory=set)

    def bucket(self, h: int) -> list[int]:
        bucket = h % self.buckets
        if self.pruned is not None:
            if bucket not in self.pruned:
                return []
            bucket = self.pruned[bucket]
        return [len(self.words) + bucket]

    def subwords(self, word: str) -> list[int]:
        chars = f"<{word}>"
        found = []
        for i in range(len(chars)):
            for n in range(max(1, self.minn), self.maxn + 1):
                j = i + n
                if j > len(chars) or (n == 1 and (i == 0 or j == len(chars))):
                    continue
                found += self.bucket(fnv(chars[i:j].encode()))
        return found

    def features(self, tokens: list[str]) -> list[int]:
        """Rows of the input matrix, the end of the line included."""
        rows: list[int] = []
        hashes: list[int] = []
        for token in [*tokens, "</s>"]:
            raw = token.encode()
            if raw in self.label_words or (raw not in self.words and raw.startswith(b"__label__")):
                continue
            if raw in self.words:
                rows.append(self.words[raw])
            if self.maxn > 0 and token != "</s>":
                rows += self.subwords(token)
            hashes.append(signed(fnv(raw)))
            if token == "</s>":
                break
        for i, first in enumerate(hashes):
            h = first % (1 << 64)
            for other in hashes[i + 1 : i + self.word_ngrams]:
                h = (h * 116049371 + other) % (1 << 64)
                rows += self.bucket(h)
        return rows

    def probabilities(self, tokens: list[str]) -> list[float] | None:
        """Of every label; None if the model knows nothing of the text."""
        rows = self.features(tokens)
        if not rows:
            return None
        hidden = np.sum([self.rows[row] for row in rows], axis=0) / len(rows)
        values = [float(row @ hidden) for row in self.output[: len(self.labels)]]
        if self.loss == SOFTMAX:
            whole = sum(math.exp(value - max(values)) for value in values)
            out = [math.exp(value - max(values)) / whole + TINY for value in values]
        elif self.loss == HIERARCHICAL:
            out = self.leaves(values)
        else:
            out = [sigmoid(value) + TINY for value in values]
        return [min(1.0, p) for p in out]

    def leaves(self, values: list[float]) -> list[float]:
        n = len(self.labels)
        nodes = [(count, [label]) for label, count in enumerate(self.counts)]
        turns: list[list[tuple[int, bool]]] = [[] for _ in self.labels]
        leaf, inner = nodes, []
        for i in range(n - 1):
            pair = []
            for _ in range(2):
                from_leaves = bool(leaf) and (not inner or leaf[-1][0] < inner[0][0])
                pair.append(leaf.pop() if from_leaves else inner.pop(0))
            for right, (_, labels) in enumerate(pair):
                for label in labels:
                    turns[label].append((i, bool(right)))
            inner.append((pair[0][0] + pair[1][0], pair[0][1] + pair[1][1]))
        out = []
        for path in turns:
            p = 1.0
            for i, right in path:
                f = 1 / (1 + math.exp(-values[i]))
                p *= (f if right else 1 - f) + TINY
            out.append(p)
        return out


def sigmoid(x: float) -> float:
    if abs(x) > 8:
        return float(x > 0)
    step = int((x + 8) * 32)
    return 1 / (1 + math.exp(8 - step / 32))


def read(path: Path) -> Model:
    file = Bytes(path.read_bytes())
    magic, version = file.read("ii")
    assert (magic, version) == (793712314, 12)
    _, _, _, _, _, word_ngrams, loss, _, buckets, minn, maxn, _ = file.read("12i")
    file.read("d")
    size, num_words, _, _, num_pruned = file.read("iiiqq")
    entries = [(file.word(), *file.read("qb")) for _ in range(size)]
    pruned = dict(file.read("ii") for _ in range(num_pruned)) if num_pruned >= 0 else None
    (quantised,) = file.read("?")
    rows = read_matrix(file, quantised)
    (output_too,) = file.read("?")
    output = read_matrix(file, quantised and output_too)
    labels = entries[num_words:]
    return Model(
        loss, word_ngrams, buckets, minn, maxn,
        {word: i for i, (word, _, _) in enumerate(entries[:num_words])},
        [label.decode().removeprefix("__label__") for label, _, _ in labels], [count for _, count, _ in labels],
        pruned, rows, output, {label for label, _, _ in labels},
    )  # fmt: skip


def whitespace_tokens(text: str) -> list[str]:
    for separator in "\n\t\r\v\f\0":
        text = text.replace(separator, " ")
    return [token for token in text.split(" ") if token]


def lower(char: str) -> str:
    return char.lower() if len(char.lower()) == 1 else char


def word_tokens(text: str) -> list[str]:
    return ["".join(map(lower, word.text)) for word in naive.words(text)]
