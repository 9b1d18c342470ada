"""datatrove's own filters as judges: for a text, every rule that it breaks, under our names.

datatrove stops at the first rule that a document breaks. Here each rule runs in a filter of its own, with all others
switched off, so that the whole set comes out. Tokens and sentences are datatrove's (spaCy), memoised by its own cache.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.contract import Map, Stage, decide, run_stage
from stages.heuristics.c4 import C4
from stages.heuristics.fineweb import FineWeb
from stages.heuristics.gopher import Gopher
from stages.heuristics.repetition import Repetition
from stages.text.batch import TextBatch
from stages.text.kernels_words import HAS_LETTER, PUNCTUATION
from stages.text.views import Words, hash_word

STAGES: tuple[Stage, ...] = (Gopher(), Repetition(), C4(), FineWeb())
GOPHER_OFF: dict[str, Any] = {
    "min_doc_words": None, "max_doc_words": None, "min_avg_word_length": None, "max_avg_word_length": None,
    "max_symbol_word_ratio": None, "max_bullet_lines_ratio": None, "max_ellipsis_lines_ratio": None,
    "max_non_alpha_words_ratio": None, "min_stop_words": None,
}  # fmt: skip
GOPHER_RULES: dict[str, dict[str, Any]] = {
    "word_count": {"min_doc_words": 50, "max_doc_words": 100_000},
    "mean_word_length": {"min_avg_word_length": 3, "max_avg_word_length": 10},
    "hash_ratio": {"max_symbol_word_ratio": 0.1},
    "ellipsis_ratio": {"max_symbol_word_ratio": 0.1},
    "bullet_line_ratio": {"max_bullet_lines_ratio": 0.9},
    "ellipsis_line_ratio": {"max_ellipsis_lines_ratio": 0.3},
    "alpha_word_ratio": {"max_non_alpha_words_ratio": 0.8},
    "stop_word_count": {"min_stop_words": 2},
}
REPETITION_OFF: dict[str, Any] = {
    "dup_line_frac": None, "dup_para_frac": None, "dup_line_char_frac": None, "dup_para_char_frac": None,
    "top_n_grams": (), "dup_n_grams": (),
}  # fmt: skip
REPETITION_RULES: dict[str, dict[str, Any]] = {
    "duplicate_paragraph_ratio": {"dup_para_frac": 0.3},
    "duplicate_paragraph_char_ratio": {"dup_para_char_frac": 0.2},
    "duplicate_line_ratio": {"dup_line_frac": 0.3},
    "duplicate_line_char_ratio": {"dup_line_char_frac": 0.2},
    **{f"top_{n}gram_char_ratio": {"top_n_grams": ((n, most),)} for n, most in ((2, 0.2), (3, 0.18), (4, 0.16))},
    **{f"duplicate_{n}gram_char_ratio": {"dup_n_grams": ((n, (20 - n) / 100),)} for n in range(5, 11)},
}
FINEWEB_OFF = {"line_punct_thr": -1.0, "short_line_thr": 9.0, "char_duplicates_ratio": 9.0, "new_line_ratio": 9e9}
FINEWEB_RULES: dict[str, dict[str, Any]] = {
    "terminated_line_ratio": {"line_punct_thr": 0.12},
    "short_line_ratio": {"short_line_thr": 0.67},
    "duplicate_line_char_ratio": {"char_duplicates_ratio": 0.01},
    "newline_ratio": {"new_line_ratio": 0.3},
}
EMPTY = {"repetition": "repetition.char_count", "fineweb": "fineweb.line_count"}
C4_OFF = {"filter_lorem_ipsum": False, "filter_curly_bracket": False, "min_num_sentences": -1}
C4_RULES: dict[str, dict[str, Any]] = {
    "lorem_ipsum": {"filter_lorem_ipsum": True},
    "curly_bracket": {"filter_curly_bracket": True},
    "sentence_count": {"min_num_sentences": 5},
}


@lru_cache(maxsize=1)
def filters() -> dict[str, Any]:
    """One datatrove filter a rule, by `stage.signal`."""
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    kinds = (
        ("gopher", GopherQualityFilter, GOPHER_OFF, GOPHER_RULES),
        ("repetition", GopherRepetitionFilter, REPETITION_OFF, REPETITION_RULES),
        ("c4", C4QualityFilter, C4_OFF, C4_RULES),
        ("fineweb", FineWebQualityFilter, FINEWEB_OFF, FINEWEB_RULES),
    )
    return {f"{stage}.{rule}": make(**(off | on)) for stage, make, off, rules in kinds for rule, on in rules.items()}


def broken_rules(text: str) -> set[str]:
    """Every rule that datatrove finds broken by a text, each of its four filters looking at the text as it came."""
    from datatrove.data import Document

    broken = set()
    for rule, judge in filters().items():
        try:
            verdict = judge.filter(Document(text=text, id="0"))
        except ZeroDivisionError:  # nothing to divide by: no verdict
            continue
        if verdict is not True and _names_rule(rule, verdict[1]):
            broken.add(EMPTY[rule.split(".")[0]] if verdict[1] == "empty" else rule)
    return broken


def _names_rule(rule: str, reason: str) -> bool:
    """One parameter bounds both symbols; the reason tells which."""
    if rule == "gopher.hash_ratio":
        return reason == "gopher_too_many_hashes"
    if rule == "gopher.ellipsis_ratio":
        return reason == "gopher_too_many_ellipsis"
    return True


def c4_text(text: str) -> str:
    """What datatrove's C4 filter makes of a text."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter

    document = Document(text=text, id="0")
    C4QualityFilter(**C4_OFF).filter(document)
    return str(document.text)


def with_datatrove_words(batch: TextBatch) -> TextBatch:
    """The batch with datatrove's tokens as its words, flagged as datatrove's punctuation set has it."""
    from datatrove.utils.text import PUNCTUATION_SET, split_into_words

    known: dict[str, tuple[int, int, int]] = {}

    def row(word: str) -> tuple[int, int, int]:
        if word not in known:
            mark = PUNCTUATION * all(char in PUNCTUATION_SET for char in word)
            letter = HAS_LETTER * any(char.isalpha() for char in word)
            known[word] = (hash_word(word), len(word), mark | letter)
        return known[word]

    documents = [[row(word) for word in split_into_words(text)] for text in batch.table["text"].to_pylist()]
    sizes = np.array([len(rows) for rows in documents], np.int64)
    end = np.cumsum(sizes)
    rows = [row for document in documents for row in document]
    hashes, chars, flags = zip(*rows, strict=True) if rows else ((), (), ())
    nowhere = np.zeros(len(rows), np.int32)
    batch = batch.with_columns({})
    batch.__dict__["words"] = Words(
        end - sizes, end, nowhere, nowhere,
        np.array(hashes, np.uint64), np.array(chars, np.int32), np.array(flags, np.uint8),
    )  # fmt: skip
    return batch


def our_broken_rules(batch: TextBatch, sentence_counts: np.ndarray[Any, Any] | None = None) -> list[set[str]]:
    """Every rule that each document breaks by our stages, each looking at the text as it came."""
    broken: list[set[str]] = [set() for _ in range(batch.num_rows)]
    for stage in STAGES:
        _, columns = run_stage(stage, batch)
        if isinstance(stage, Map) and sentence_counts is not None:
            columns["sentence_count"] = pa.array(sentence_counts, pa.int32())
        for signal, mask in decide(stage, columns, None).items():
            for d in np.flatnonzero(mask):
                broken[d].add(f"{stage.name}.{signal}")
    return broken


def sentence_counts(texts: list[str]) -> np.ndarray[Any, Any]:
    """spaCy's sentences in the lines of texts that C4 has rewritten, counted as datatrove's C4 filter does."""
    from datatrove.utils.text import split_into_sentences

    return np.array([sum(len(split_into_sentences(line)) for line in text.split("\n") if line) for text in texts])


def normalised(text: str) -> str:
    """The text with a newline for every line break that `str.splitlines` knows: there datatrove's lines are ours."""
    return "\n".join(text.splitlines()) + ("\n" if text.endswith("\n") else "")


def data_path(name: str) -> Path:
    """A file of the development data: in `$TAMIS_DATA`, or beside the repository."""
    return Path(os.environ.get("TAMIS_DATA", Path(__file__).parents[3] / "shared" / "data")) / name
