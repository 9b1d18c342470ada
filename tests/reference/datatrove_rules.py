"""datatrove's four filters rule by rule: every rule that a document breaks, not only the first one.

Each rule is asked of datatrove's own filter by switching the others off, so the answers are datatrove's, not a copy of its
code. Words come from datatrove's tokenizer, in both senses: `views` puts them into a TextBatch, for our kernels to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import PUNCTUATION_SET, split_into_sentences, split_into_words

from stages.text.batch import TextBatch
from stages.text.kernels import HAS_LETTER, PUNCTUATION
from stages.text.views import Words, hash_word

OFF_QUALITY: dict[str, Any] = {
    "min_doc_words": None,
    "max_doc_words": None,
    "min_avg_word_length": None,
    "max_avg_word_length": None,
    "max_symbol_word_ratio": None,
    "max_bullet_lines_ratio": None,
    "max_ellipsis_lines_ratio": None,
    "max_non_alpha_words_ratio": None,
    "min_stop_words": None,
}
OFF_REPETITION: dict[str, Any] = {
    "dup_line_frac": None,
    "dup_para_frac": None,
    "dup_line_char_frac": None,
    "dup_para_char_frac": None,
    "top_n_grams": (),
    "dup_n_grams": (),
}
OFF_FINEWEB: dict[str, Any] = {
    "line_punct_thr": -1.0,
    "short_line_thr": 999,
    "char_duplicates_ratio": 999,
    "new_line_ratio": 999,
}


def rules() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Our rule's name, and what makes datatrove's filter with nothing but that rule."""
    gopher = {
        "word_count": {"min_doc_words": 50, "max_doc_words": 100000},
        "mean_word_length": {"min_avg_word_length": 3, "max_avg_word_length": 10},
        "bullet_line_ratio": {"max_bullet_lines_ratio": 0.9},
        "ellipsis_line_ratio": {"max_ellipsis_lines_ratio": 0.3},
        "alpha_word_ratio": {"max_non_alpha_words_ratio": 0.8},
        "stop_word_count": {"min_stop_words": 2},
    }
    for name, arguments in gopher.items():
        yield f"gopher.{name}", lambda arguments=arguments: GopherQualityFilter(**{**OFF_QUALITY, **arguments})
    repetition = {
        "duplicate_paragraph_ratio": {"dup_para_frac": 0.3},
        "duplicate_paragraph_char_ratio": {"dup_para_char_frac": 0.2},
        "duplicate_line_ratio": {"dup_line_frac": 0.3},
        "duplicate_line_char_ratio": {"dup_line_char_frac": 0.2},
    }
    for n, bound in ((2, 0.2), (3, 0.18), (4, 0.16)):
        repetition[f"top_{n}gram_char_ratio"] = {"top_n_grams": ((n, bound),)}
    for n, bound in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
        repetition[f"duplicate_{n}gram_char_ratio"] = {"dup_n_grams": ((n, bound),)}
    for name, arguments in repetition.items():
        yield f"repetition.{name}", lambda arguments=arguments: GopherRepetitionFilter(**{**OFF_REPETITION, **arguments})
    fineweb = {
        "terminated_line_ratio": {"line_punct_thr": 0.12},
        "short_line_ratio": {"short_line_thr": 0.67},
        "duplicate_line_char_ratio": {"char_duplicates_ratio": 0.01},
        "newline_ratio": {"new_line_ratio": 0.3},
    }
    for name, arguments in fineweb.items():
        yield f"fineweb.{name}", lambda arguments=arguments: FineWebQualityFilter(**{**OFF_FINEWEB, **arguments})


def symbol_verdict(text: str) -> dict[str, bool]:
    """Gopher's two symbol rules share one parameter; datatrove's reason tells them apart."""
    found = GopherQualityFilter(**{**OFF_QUALITY, "max_symbol_word_ratio": 0.1}).filter(Document(text, "0"))
    reason = found[1] if isinstance(found, tuple) else None
    return {
        "gopher.hash_ratio": reason == "gopher_too_many_hashes",
        "gopher.ellipsis_ratio": reason == "gopher_too_many_ellipsis",
    }


def keeps(judge: Any, text: str) -> tuple[bool, str]:
    """datatrove's decision and the text it leaves."""
    document = Document(text=text, id="0")
    found = judge.filter(document)
    return (found[0] if isinstance(found, tuple) else found), document.text


def c4_filter(**arguments: Any) -> C4QualityFilter:
    return C4QualityFilter(filter_no_terminal_punct=False, **arguments)


def final_decision(text: str) -> str | None:
    """Gopher, repetition, C4 (without terminal punctuation) and FineWeb in a row: None if kept, or the first filter to drop."""
    for name, judge in CHAIN:
        kept, text = keeps(judge, text)
        if not kept:
            return name
    return None


CHAIN: list[tuple[str, Any]] = [
    ("gopher", GopherQualityFilter()),
    ("repetition", GopherRepetitionFilter()),
    ("c4", c4_filter()),
    ("fineweb", FineWebQualityFilter()),
]


def with_their_words(batch: TextBatch) -> TextBatch:
    """The batch with datatrove's words in place of ours."""
    ends, hashes, chars, flags = [0], [], [], []
    for text in batch.table["text"].to_pylist():
        for word in split_into_words(text):
            hashes.append(hash_word(word))
            chars.append(len(word))
            symbol = all(char in PUNCTUATION_SET for char in word)
            letter = any(char.isalpha() for char in word)
            flags.append((PUNCTUATION if symbol else 0) | (HAS_LETTER if letter else 0))
        ends.append(len(hashes))
    edges = np.array(ends, np.int64)
    nowhere = np.zeros(len(hashes), np.int32)
    words = Words(
        edges[:-1], edges[1:], nowhere, nowhere, np.array(hashes, np.uint64), np.array(chars, np.int32), np.array(flags, np.uint8)
    )
    fed = TextBatch(batch.table, batch.signals)
    fed.__dict__["words"] = words
    return fed


def sentences_of(text: str) -> int:
    """Sentences as datatrove's C4 filter counts them in text that it has cleaned."""
    return sum(len(split_into_sentences(line)) for line in text.split("\n")) if text else 0
