"""fastText model files (.bin, .ftz): what is in them, as arrays that kernels read.

The format is that of fastText 0.9 (versions 11 and 12 of the file; little-endian, no padding): a header of training
arguments, the dictionary (entries, then the buckets that pruning has left), the input matrix and the output matrix,
each either dense float32 or product-quantised (Joulin et al. 2016, arXiv 1612.03651). The file is mapped into memory
and the input matrix is read from there, row by row, as tokens need it: workers on one machine share its pages, and a
model of gigabytes costs what is used of it. The output matrix is copied (labels times dimensions); so is the index of
the dictionary.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from stages.errors import AssetError, StageError
from stages.fasttext.kernels_rows import Input, index_words, read_entries, read_only
from stages.fasttext.kernels_scores import HIERARCHICAL, NEGATIVE, ONE_VS_ALL, SOFTMAX, Output

MAGIC, VERSIONS = 793712314, (11, 12)
SUPERVISED = 3
MAX_COUNT = 10**9
"""Of a label in training: fastText's tree needs the sum of all to stay below 10^15."""
MAX_NGRAM = 1 << 16
PREFIX = "__label__"
Bytes: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Model:
    """A supervised model. Compared and hashed by identity: `load` gives the same object for the same file."""

    path: str
    labels: tuple[str, ...]
    """Without fastText's prefix `__label__`, in the order of the file: the most frequent first."""
    input: Input
    output: Output

    @property
    def is_projected(self) -> bool:
        """Label space is no wider than the hidden layer, so that token vectors are kept in label space."""
        return self.input.word_ngrams <= 1 and len(self.labels) <= self.output.columns.shape[0]

    def label_rows(self, labels: tuple[str, ...] | list[str]) -> npt.NDArray[np.int32]:
        """Rows of some labels, with or without prefix. Raises StageError for a label that the model does not know."""
        rows = {label: row for row, label in enumerate(self.labels)}
        unknown = [label for label in labels if label.removeprefix(PREFIX) not in rows]
        if unknown:
            some = ", ".join(self.labels[:8]) + (", …" if len(self.labels) > 8 else "")
            raise StageError(f"{self.path} has no label '{unknown[0]}'; its {len(self.labels)} labels are {some}")
        return np.array([rows[label.removeprefix(PREFIX)] for label in labels], np.int32)


def load(path: str) -> Model:
    """The model in a file, read once a process as long as the file does not change.

    Raises StageError for a file that is not there, is no fastText model, is damaged, of an unknown version, or holds
    word vectors without labels.
    """
    if not Path(path).is_file():
        raise AssetError(f"there is no model file {path}")
    status = os.stat(path)
    return _load(os.path.realpath(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _load(path: str, _modified: int, size: int) -> Model:
    if size == 0:
        raise StageError(f"{path} is not a fastText model: it is empty")
    return _read(_Reader(path, np.memmap(path, np.uint8, "r").view(np.ndarray)))


class _Reader:
    """A position in a mapped file; whatever does not fit into the file is an error that names it."""

    def __init__(self, path: str, data: Bytes) -> None:
        self.path, self.data, self.at = path, data, 0

    def fail(self, why: str) -> Any:
        raise StageError(f"{self.path} is a damaged fastText model: {why}")

    def unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack("<" + form, self.array(np.uint8, struct.calcsize("<" + form)).tobytes())

    def array(self, dtype: type[np.generic], size: int) -> npt.NDArray[Any]:
        """`size` values from here on, without a copy; they may lie at any byte."""
        end = self.at + size * np.dtype(dtype).itemsize
        if size < 0 or end > len(self.data):
            self.fail(f"it ends after {len(self.data)} bytes, before what its header announces")
        values = self.data[self.at : end].view(dtype)
        self.at = end
        return values


class _Header(NamedTuple):
    dim: int
    window: int
    epoch: int
    min_count: int
    negatives: int
    word_ngrams: int
    loss: int
    model: int
    buckets: int
    minn: int
    maxn: int
    update_rate: int
    threshold: float


class _Dictionary(NamedTuple):
    labels: tuple[str, ...]
    label_counts: list[int]
    num_words: int
    word_keys: npt.NDArray[np.uint64]
    word_ids: npt.NDArray[np.int32]
    bucket_bits: npt.NDArray[np.uint64]
    bucket_ranks: npt.NDArray[np.int32]
    bucket_rows: npt.NDArray[np.int32]
    is_pruned: bool
    num_bucket_rows: int


class _Matrix(NamedTuple):
    """Either `dense` or the rest is empty; see `Input`."""

    num_rows: int
    dense: npt.NDArray[np.float32]
    codes: Bytes
    centroids: npt.NDArray[np.float32]
    dsub: int
    norm_codes: Bytes
    norm_centroids: npt.NDArray[np.float32]


def _read(file: _Reader) -> Model:
    header = _read_header(file)
    words = _read_dictionary(file, header)
    is_quantised = _read_flag(file)
    if words.is_pruned and not is_quantised:
        file.fail("its dictionary is pruned but its matrix is not quantised")
    matrix = _read_matrix(file, header.dim, is_quantised)
    output = _read_matrix(file, header.dim, _read_flag(file) and is_quantised)
    ngrams = header.maxn > 0 or header.word_ngrams > 1
    needed = words.num_words + (words.num_bucket_rows if words.is_pruned else header.buckets if ngrams else 0)
    if matrix.num_rows < needed:
        file.fail(f"its input matrix has {matrix.num_rows} rows, and its dictionary needs {needed}")
    if output.num_rows < len(words.labels):
        file.fail(f"its output matrix has {output.num_rows} rows for {len(words.labels)} labels")
    rows = Input(
        words.word_keys, words.word_ids, words.bucket_bits, words.bucket_ranks, words.bucket_rows, words.num_words,
        header.buckets, header.minn, header.maxn, header.word_ngrams, matrix.dense, matrix.codes, matrix.centroids,
        matrix.dsub, matrix.norm_codes, matrix.norm_centroids,
    )  # fmt: skip
    weights = _decode(output, header.dim)[: len(words.labels)]
    if not np.isfinite(weights).all():
        file.fail("its output matrix holds what is no number")
    layer = Output(header.loss, np.ascontiguousarray(weights.T), *_tree(words.label_counts))
    return Model(file.path, words.labels, read_only(rows), read_only(layer))


def _read_header(file: _Reader) -> _Header:
    if len(file.data) < 8 or file.unpack("i")[0] != MAGIC:
        raise StageError(f"{file.path} is not a fastText model")
    (version,) = file.unpack("i")
    if version not in VERSIONS:
        raise StageError(f"{file.path} is a fastText model of version {version}; known are {VERSIONS}: train it again")
    header = _Header(*file.unpack("12id"))
    if header.model != SUPERVISED:
        raise StageError(
            f"{file.path} holds word vectors without labels; a classifier is trained with `fasttext supervised`"
        )
    if version == 11:  # models of that version had no character n-grams, whatever they say
        header = header._replace(maxn=0)
    ngrams = header.maxn > 0 or header.word_ngrams > 1
    sizes = (header.word_ngrams, header.minn, header.maxn)
    if header.dim <= 0 or header.buckets < ngrams or min(sizes) < 0 or max(sizes) > MAX_NGRAM:
        file.fail(f"dimensions {header.dim}, buckets {header.buckets}, n-grams {sizes}")
    if header.loss not in (HIERARCHICAL, NEGATIVE, SOFTMAX, ONE_VS_ALL):
        file.fail(f"there is no loss {header.loss}")
    return header


def _read_dictionary(file: _Reader, header: _Header) -> _Dictionary:
    size, num_words, num_labels, _, num_pruned = file.unpack("iiiqq")
    if size != num_words + num_labels or num_words < 0 or num_labels <= 0 or size > len(file.data) // 10:
        file.fail(f"it has {size} entries, {num_words} words and {num_labels} labels")
    start, stop, count = (np.empty(size, np.int64) for _ in range(3))
    kind = np.empty(size, np.uint8)
    file.at = read_entries(file.data, file.at, start, stop, count, kind)
    if file.at < 0:
        file.fail("it ends within its dictionary")
    if kind[:num_words].any() or not (kind[num_words:] == 1).all():
        file.fail("its words do not come before its labels")
    if count[num_words:].min() < 0 or count[num_words:].max() > MAX_COUNT:
        file.fail("the count of a label is out of range")
    keys = np.zeros(_power_of_two(2 * size), np.uint64)
    ids = np.full(len(keys), -1, np.int32)
    index_words(file.data, start, stop, keys, ids)
    labels = [
        file.data[a:b].tobytes().decode("utf-8", "replace")
        for a, b in zip(start[num_words:], stop[num_words:], strict=True)
    ]
    pairs = file.array(np.int32, 2 * max(0, num_pruned)).reshape(-1, 2)
    if num_pruned > 0 and not (pairs.min() >= 0 and pairs[:, 0].max() < header.buckets):
        file.fail(f"its dictionary keeps a bucket that is none of its {header.buckets}")
    if len(np.unique(pairs[:, 0])) < len(pairs):
        file.fail("its dictionary keeps a bucket twice")
    return _Dictionary(
        tuple(label.removeprefix(PREFIX) for label in labels), count[num_words:].tolist(), num_words, keys, ids,
        *_index_buckets(pairs, header.buckets if num_pruned >= 0 else 0), num_pruned >= 0,
        int(pairs[:, 1].max()) + 1 if len(pairs) else 0,
    )  # fmt: skip


def _index_buckets(
    pairs: npt.NDArray[np.int32], num_buckets: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Bits, ranks and rows of the buckets that pruning has left, given as pairs of bucket and row; see `Input`."""
    bits = np.zeros((num_buckets + 63) // 64, np.uint64)
    np.bitwise_or.at(bits, pairs[:, 0] >> 6, np.uint64(1) << (pairs[:, 0] & 63).astype(np.uint64))
    in_each = np.bitwise_count(bits)
    ranks = np.cumsum(in_each, dtype=np.int32) - in_each
    return bits, ranks, pairs[np.argsort(pairs[:, 0]), 1].astype(np.int32)


def _read_flag(file: _Reader) -> bool:
    (flag,) = file.unpack("B")
    return bool(flag) if flag in (0, 1) else file.fail(f"byte {file.at - 1} should be 0 or 1, not {flag}")


def _read_matrix(file: _Reader, dim: int, is_quantised: bool) -> _Matrix:
    nothing, floats = np.zeros(0, np.uint8), np.zeros(0, np.float32)
    if not is_quantised:
        m, n = file.unpack("qq")
        _check_shape(file, m, n, dim)
        return _Matrix(
            m, file.array(np.float32, m * n).reshape(m, n), nothing.reshape(0, 1), floats, 1, nothing, floats
        )
    has_norms = _read_flag(file)
    m, n, size = file.unpack("qqi")
    _check_shape(file, m, n, dim)
    codes = file.array(np.uint8, size)
    num_parts, dsub, centroids = _read_centroids(file, dim)
    if size != m * num_parts:
        file.fail(f"a matrix of {m} rows has {size} codes, {num_parts} a row")
    norm_codes, norm_centroids = nothing, floats
    if has_norms:
        norm_codes = file.array(np.uint8, m)
        norm_centroids = _read_centroids(file, 1)[2]
    dense = np.zeros((0, n), np.float32)
    return _Matrix(m, dense, codes.reshape(m, num_parts), centroids, dsub, norm_codes, norm_centroids)


def _check_shape(file: _Reader, m: int, n: int, dim: int) -> None:
    if n != dim or not 0 < m <= len(file.data):
        file.fail(f"a matrix is {m} by {n}, and the model has {dim} dimensions")


def _read_centroids(file: _Reader, dim: int) -> tuple[int, int, npt.NDArray[np.float32]]:
    """Parts of a row, columns of a part, and 256 centroids for each part."""
    columns, num_parts, dsub, last = file.unpack("4i")
    if columns != dim or dsub <= 0 or num_parts != -(-dim // dsub) or last != dim - (num_parts - 1) * dsub:
        file.fail(f"a quantiser has {num_parts} parts of {dsub} columns, the last of {last}, for {columns} columns")
    return num_parts, dsub, file.array(np.float32, 256 * dim).copy()


def _decode(matrix: _Matrix, dim: int) -> npt.NDArray[np.float32]:
    """A whole matrix, dense: for the output layer."""
    if not len(matrix.codes):
        return np.array(matrix.dense, np.float32)
    out = np.empty((matrix.num_rows, dim), np.float32)
    for part in range(matrix.codes.shape[1]):
        first, last = part * matrix.dsub, min(dim, (part + 1) * matrix.dsub)
        centroids = matrix.centroids[256 * first : 256 * last].reshape(256, last - first)
        out[:, first:last] = centroids[matrix.codes[:, part]]
    if len(matrix.norm_codes):
        with np.errstate(all="ignore"):
            out *= matrix.norm_centroids[matrix.norm_codes][:, None]
    return out


def _tree(counts: list[int]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Children (left, right) and parent of every node of the Huffman tree over labels, as fastText builds it.

    Labels come sorted by falling count, so the two rarest nodes are always at the ends of two queues.
    """
    n = len(counts)
    weights = [*counts, *[10**15] * (n - 1)]
    children, parent = np.full((2 * n - 1, 2), -1, np.int32), np.full(2 * n - 1, -1, np.int32)
    leaf, inner = n - 1, n
    for node in range(n, 2 * n - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[inner]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(inner)
                inner += 1
        children[node] = pair
        parent[pair] = node
        weights[node] = weights[pair[0]] + weights[pair[1]]
    return children, parent


def _power_of_two(size: int) -> int:
    return 1 << max(1, size - 1).bit_length()
