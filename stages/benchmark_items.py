"""Items of benchmarks: read from their files, and an index of the n-grams of their words.

items = read_items({"gsm8k": ["gsm8k/test.jsonl:question+answer"]})
index = NgramIndex.of(items, ngram_size=13, min_words=8)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BeforeValidator

from stages.dedup.folded import FoldedWords
from stages.dedup.lines import Listed
from stages.errors import AssetError
from stages.files import read_bytes
from stages.text.batch import TextBatch

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
_BITS_A_NGRAM = 16
"""At least, in a filter; of which three are set."""
_TEXT_ENDINGS, _JSON_ENDINGS = (".txt", ".text"), (".jsonl", ".ndjson", ".json")
_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


def _one_file_will_do(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {name: (files,) if isinstance(files, str) else files for name, files in value.items()}


def _named(benchmarks: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    if not benchmarks:
        raise ValueError("name a benchmark and its files: {gsm8k: gsm8k/test.jsonl:question+answer}")
    for name, files in benchmarks.items():
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"benchmark '{name}': a name has letters, digits and _ . - alone")
        if not files:
            raise ValueError(f"benchmark '{name}' has no files")
    return benchmarks


Benchmarks = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_one_file_will_do), AfterValidator(_named)]
"""Files by the name of the benchmark; a single one needs no list."""


class Item(NamedTuple):
    """One question of a benchmark: `gsm8k:17` is the 17th record of its files."""

    label: str
    text: str


def file_and_columns(file: str) -> tuple[str, tuple[str, ...]]:
    """`items.jsonl:question+answer` as the file and its columns; none where none are named."""
    path, colon, names = file.rpartition(":")
    if not colon or not path or "/" in names or "\\" in names:
        return file, ()
    return path, tuple(names.split("+"))


def read_items(benchmarks: Mapping[str, Sequence[str]]) -> list[Item]:
    """The items of benchmarks, in order. Raises AssetError when a file cannot be read or a column is not there."""
    items = []
    for name, files in benchmarks.items():
        texts = [text for file in files for text in _texts(file)]
        items += [Item(f"{name}:{number}", text) for number, text in enumerate(texts, 1)]
    return items


def _texts(file: str) -> Iterator[str]:
    path, columns = file_and_columns(file)
    bare = path
    for ending in _COMPRESSED:
        bare = bare.removesuffix(ending)
    if bare.endswith(_TEXT_ENDINGS):
        yield from (line.strip() for line in _lines(path) if line.strip())
        return
    for number, record in enumerate(_records(path, bare), 1):
        if not isinstance(record, dict):
            raise AssetError(f"{path}: record {number} is no object with columns, but {str(record)[:40]!r}")
        chosen = columns or (("text",) if "text" in record else ())
        missing = [name for name in chosen if name not in record]
        if missing or not chosen:
            raise AssetError(
                f"{path}: record {number} has no column '{missing[0] if missing else 'text'}'; it has: "
                f"{', '.join(record)}. Say which make up an item: {path}:{'+'.join(list(record)[:2])}"
            )
        yield "\n".join(part for name in chosen for part in _strings(record[name]))


def _records(path: str, bare: str) -> Iterator[Any]:
    import orjson

    if bare.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            yield from pq.read_table(pa.BufferReader(read_bytes(path))).to_pylist()
        except pa.ArrowException as error:
            raise AssetError(f"{path} cannot be read: {error}") from error
        return
    if not bare.endswith(_JSON_ENDINGS):
        known = ", ".join((*_JSON_ENDINGS, ".parquet", *_TEXT_ENDINGS))
        raise AssetError(f"{path}: the format goes by the ending, which is none of {known}")
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise AssetError(f"{path}:{number} is no JSON: {error}; there must be one object a line") from error


def _lines(path: str) -> list[str]:
    try:
        return read_bytes(path).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise AssetError(f"{path} is not UTF-8: {error}") from error


def _strings(value: Any) -> Iterator[str]:
    """Every string in a value, in order: choices are lists, or objects of lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


class Filter(NamedTuple):
    """A Bloom filter of hashes in blocks of 64 bits: one look at memory an answer, about one in 200 wrong."""

    words: UInt64s
    shift: np.uint64

    @classmethod
    def of(cls, hashes: UInt64s) -> Filter:
        from stages import kernels_decontamination as kernels

        bits = max(1, (_BITS_A_NGRAM * len(hashes) // 64).bit_length())
        found = cls(np.zeros(1 << bits, np.uint64), np.uint64(64 - bits))
        kernels.fill_filter(hashes, found.shift, found.words)
        return found


@dataclass(frozen=True)
class NgramIndex:
    """Where the items of benchmarks have which n-gram.

    The items that have the n-gram `listed.hash[g]` are `item[first[g]:first[g + 1]]`, from the word `place` on. About
    30 bytes an n-gram.
    """

    labels: list[str]
    num_words: Int64s
    """Words of each item."""
    ngram_size: int
    sizes: Int64s
    """Words of the items that are shorter than an n-gram."""
    listed: Listed
    first: Int64s
    item: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    filter: Filter
    """Of the n-grams."""
    starts: Filter
    """Of the first `sizes[0]` words of the shorter items."""

    @classmethod
    def of(cls, items: Sequence[Item], ngram_size: int, min_words: int) -> Self:
        words = FoldedWords.of(TextBatch.from_texts([item.text for item in items]))
        hashes, item, place = _ngrams(words.hash, words.bounds, ngram_size, min_words)
        order = np.argsort(hashes, kind="stable")
        listed = Listed.of(hashes)
        short = np.flatnonzero((words.count >= max(1, min_words)) & (words.count < ngram_size))
        sizes = np.unique(words.count[short])
        size = int(sizes[0]) if len(sizes) else 0
        starts = words.hash[words.bounds[short, np.newaxis] + np.arange(size)].reshape(-1)
        return cls(
            labels=[item.label for item in items],
            num_words=words.count,
            ngram_size=ngram_size,
            sizes=sizes,
            listed=listed,
            first=np.append(np.searchsorted(hashes[order], listed.hash), len(hashes)).astype(np.int64),
            item=item[order].astype(np.int32),
            place=place[order].astype(np.int32),
            filter=Filter.of(hashes),
            starts=Filter.of(_ngrams(starts, np.arange(len(short) + 1) * size, size, size)[0]),
        )

    def find(self, words: FoldedWords) -> Int64s:
        """The n-grams that documents have, too: rows of document, first word, words, place in `listed`; by document."""
        from stages import kernels_decontamination as kernels

        return kernels.find_ngrams(
            words.hash, words.bounds, self.ngram_size, *self.filter, self.sizes, *self.starts, self.listed.hash,
            self.listed.index, np.uint64(self.listed.shift),
        )  # fmt: skip

    def shares(self, ngrams: Int64s) -> tuple[Int64s, npt.NDArray[np.float64]]:
        """The items that have some of the n-grams (places in `listed`), and the share of their words that these cover:
        the largest first, then in the order of the items."""
        places = np.unique(ngrams)
        counts = self.first[places + 1] - self.first[places]
        at = np.repeat(self.first[places] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        item, place = self.item[at].astype(np.int64), self.place[at].astype(np.int64)
        order = np.lexsort([place, item])
        item, place = item[order], place[order]
        size = np.minimum(self.num_words[item], self.ngram_size)
        opens = np.flatnonzero(np.append(True, item[1:] != item[:-1]))
        closes = np.append(opens[1:], len(item)) - 1
        fresh = np.minimum(size, np.append(place[1:], 0) - place)
        fresh[closes] = size[closes]
        share = np.add.reduceat(fresh, opens) / self.num_words[item[opens]]
        best = np.lexsort([item[opens], -share])
        return item[opens][best], share[best]


def _ngrams(words: UInt64s, bounds: Int64s, ngram_size: int, min_words: int) -> tuple[UInt64s, Int64s, Int64s]:
    """Hash, item and first word of every n-gram of items."""
    from stages import kernels_decontamination as kernels

    hashes, items, places = (
        np.empty(len(words), np.uint64),
        np.empty(len(words), np.int64),
        np.empty(len(words), np.int64),
    )
    m = kernels.hash_items(words, bounds, ngram_size, min_words, hashes, items, places)
    return hashes[:m], items[:m], places[:m]
