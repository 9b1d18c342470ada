"""The stage that finds what benchmarks ask in the text that a model is to learn from, and the report on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from stages.benchmark_items import Benchmarks, NgramIndex, file_and_columns, read_items
from stages.contract import Allowed, Bounds, Count, Label, Map, Ratio, Signals
from stages.dedup.folded import FoldedWords
from stages.dedup.passages import Passages, cut_passages
from stages.errors import AssetError
from stages.evidence import MOST, Located, Span
from stages.files import file_hash
from stages.heuristics.ratios import ratio
from stages.text.batch import TextBatch

MAX_ITEMS = 1000
"""Items that are named for one document, those with the largest shares."""


class Decontamination(Map):
    """Text that benchmark items have, too, found by n-grams of words: GPT-3's 13 (Brown et al. 2020, arXiv 2005.14165,
    appendix C), as in lm-evaluation-harness. datatrove takes 12 (`NGramsDecontFilter`), Llama 3 looks for 8.

    An n-gram of the document is contaminated if any item has the same words in a row. Words are folded: case,
    punctuation, white space and the encoding of letters make no difference; in scripts without spaces a word is one
    letter. Items shorter than an n-gram are looked for whole, if they have `min_words` words; still shorter ones stand
    everywhere and are not looked for. N-grams are equal if 64 bits of hash are: 10^13 words of text against 10^7
    n-grams make about five accidental matches.

    As in GPT-3 and datatrove one n-gram is enough. In `mode: drop` the document goes (datatrove), in `mode: cut` the
    passage and what is around it (GPT-3, lm-evaluation-harness). To drop only what holds most of an item, which is how
    PaLM and Llama 3 judge items, write `ngram_count: {max: null}, item_ratio: {max: 0.7}`. All but `ngram_count` are of
    the text as it came.
    """

    ngram_count: Count = Bounds(max=0)
    """Contaminated n-grams, by the word they start at, in the text as the stage leaves it: 0 in `mode: cut`."""
    overlap_ratio: Ratio = Bounds()
    """Words in contaminated n-grams, over all words."""
    longest_run: Count = Bounds()
    """Words in the longest run of contaminated n-grams that overlap or touch."""
    item: Label = Allowed()
    """The item of which the largest share was found, as `gsm8k:17`, the 17th record of its benchmark's files; the first
    among equals; null if none was."""
    item_ratio: Ratio = Bounds()
    """That share: words of the item in n-grams that the document has, over words of the item. Null if none was."""
    items: Label = Allowed()
    """Every item found and its share, as JSON, largest first: `{"gsm8k:17": 1.0, "mmlu:3": 0.26}`; the first 1,000."""
    removed_count: Count = Bounds()
    """Passages cut out. GPT-3 drops a document of more than ten pieces."""
    removed_char_ratio: Ratio = Bounds()
    """Code points cut out, over code points of the text before."""

    benchmarks: Benchmarks = Field({}, validate_default=True)
    """Files by the benchmark's name: `{gsm8k: gsm8k/test.jsonl:question+answer, mmlu: [a.parquet:question+choices]}`.
    JSON lines or Parquet, with the columns that make up an item (`text` if none are named; all strings in lists and
    objects count), or text with an item a line; paths or URLs, perhaps compressed."""
    mode: Literal["drop", "cut"] = "drop"
    """`cut` takes contaminated passages out of the text."""
    ngram_size: int = Field(13, ge=2)
    """Words in an n-gram."""
    min_words: int = Field(8, ge=1)
    """Words of the shortest item that is looked for; at most `ngram_size`. Eight is the least in GPT-3's analysis."""
    margin_words: int = Field(35, ge=0)
    """Words that are cut on both sides of a passage as well: about GPT-3's 200 characters of English."""

    @model_validator(mode="after")
    def _short_items_are_short(self) -> Decontamination:
        if self.min_words > self.ngram_size:
            raise ValueError(f"min_words is {self.min_words}: at most ngram_size, which is {self.ngram_size}")
        return self

    def setup(self) -> None:
        assert self.index is not None

    def assets(self) -> Mapping[str, str]:
        files = [file_and_columns(file)[0] for files in self.benchmarks.values() for file in files]
        return {file: file_hash(file) for file in files}

    @cached_property
    def index(self) -> NgramIndex:
        """The n-grams of all items. Raises AssetError when a benchmark has no item that can be looked for."""
        index = NgramIndex.of(read_items(self.benchmarks), self.ngram_size, self.min_words)
        told = {index.labels[item].rpartition(":")[0] for item in np.unique(index.item)}
        for name, files in self.benchmarks.items():
            if name not in told:
                raise AssetError(
                    f"benchmark {name} has no item of {self.min_words} words in {', '.join(files)}; lower min_words"
                )
        return index

    def transform(self, batch: TextBatch) -> tuple[TextBatch, Signals]:
        words, n = FoldedWords.of(batch), batch.num_rows
        found = self.index.find(words)
        rows, first, size, ngram = found.T
        passages = Passages.union(n, rows, first, first + size)
        count = np.bincount(np.unique(rows << 32 | first) >> 32, minlength=n)
        signals: Signals = {
            "ngram_count": count,
            "overlap_ratio": ratio(passages.num_words, words.count),
            "longest_run": passages.longest,
            **self._items(n, rows, ngram),
            "removed_count": np.zeros(n, np.int64),
            "removed_char_ratio": ratio(np.zeros(n), batch.num_chars),
        }
        if self.mode == "drop" or not len(rows):
            return batch, signals
        text, removed, chars = cut_passages(batch, passages.widened(self.margin_words, words.count))
        signals |= {"ngram_count": np.zeros(n, np.int64)}
        signals |= {"removed_count": removed, "removed_char_ratio": ratio(chars, batch.num_chars)}
        return batch.with_text(text), signals

    def evidence(self, text: str, signal: str) -> list[Span]:
        """Passages that items have, too, each with an item that has its first n-gram; the same for every signal."""
        from stages.text.kernels_words import PUNCTUATION

        located = Located(text)
        words = located.batch.words
        _, first, size, ngram = self.index.find(FoldedWords.of(located.batch)).T
        place = np.flatnonzero(words.flags & PUNCTUATION == 0)
        passages = Passages.union(1, np.zeros(len(first), np.int64), first, first + size)
        found: list[Span] = []
        for start, stop in zip(passages.first[:MOST].tolist(), passages.stop[:MOST].tolist(), strict=True):
            item = self.index.item[self.index.first[ngram[first == start][0]]]
            note = f"in {self.index.labels[item]}"
            found += located.spans(words.start[place[[start]]], words.stop[place[[stop - 1]]], note)
        return found

    def _items(self, num_rows: int, rows: npt.NDArray[np.int64], ngrams: npt.NDArray[np.int64]) -> Signals:
        best: list[str | None] = [None] * num_rows
        shares: list[float | None] = [None] * num_rows
        listed: list[str | None] = [None] * num_rows
        bounds = np.searchsorted(rows, np.arange(num_rows + 1))
        for row in np.unique(rows).tolist():
            items, share = self.index.shares(ngrams[bounds[row] : bounds[row + 1]])
            labels = [self.index.labels[item] for item in items[:MAX_ITEMS].tolist()]
            best[row], shares[row] = labels[0], float(share[0])
            rounded = [float(f"{value:.3g}") for value in share[:MAX_ITEMS].tolist()]
            listed[row] = json.dumps(dict(zip(labels, rounded, strict=True)))
        return {
            "item": pa.array(best, pa.string()),
            "item_ratio": pa.array(shares, pa.float64()),
            "items": pa.array(listed, pa.string()),
        }


def report(signals: pa.Table, name: str = "decontamination") -> pa.Table:
    """Which benchmark items were found, in how many documents.

    Args:
        signals: those of a run (`run.signals.to_table()`); the columns `id` and `NAME.items` are read.
        name: of the stage.

    Returns:
        A row for each item found: `benchmark`, `item` (`gsm8k:17`), `documents`, `item_ratio` (the largest share of it
        in one document) and `id` (that document, the first among equals); most documents first.
    """
    found: dict[str, tuple[int, float, str]] = {}
    column = signals[f"{name}.items"]
    told = signals.select(["id"]).append_column("items", column).filter(column.is_valid())
    for id_, items in zip(told["id"].to_pylist(), told["items"].to_pylist(), strict=True):
        for item, share in json.loads(items).items():
            documents, most, where = found.get(item, (0, -1.0, ""))
            found[item] = (documents + 1, *((share, id_) if share > most else (most, where)))
    rows = sorted(found.items(), key=lambda row: (-row[1][0], -row[1][1], row[0]))
    return pa.table(
        {
            "benchmark": pa.array([item.rpartition(":")[0] for item, _ in rows], pa.string()),
            "item": pa.array([item for item, _ in rows], pa.string()),
            "documents": pa.array([documents for _, (documents, _, _) in rows], pa.int64()),
            "item_ratio": pa.array([most for _, (_, most, _) in rows], pa.float64()),
            "id": pa.array([where for _, (_, _, where) in rows], pa.string()),
        }
    )
