"""datatrove's four filters rule by rule: every rule that a document breaks, not only the first one.

Each rule is asked of datatrove's own filter by switching the others off, so the answers are datatrove's, not a copy of its
code. Words come from datatrove's tokenizer, in both senses: `views` puts them into a TextBatch, for our kernels to judge.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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

from pipeline import stats as counting
from pipeline.sieve import sieve
from stages.contract import decide, run_stage
from stages.heuristics.c4 import C4
from stages.heuristics.fineweb import FineWeb
from stages.heuristics.gopher import Gopher
from stages.heuristics.repetition import Repetition
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
    """Gopher's two symbol rules share one parameter; datatrove's reason tells them apart, and hides the second one."""
    judge = GopherQualityFilter(**{**OFF_QUALITY, "max_symbol_word_ratio": 0.1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = judge.filter(Document(text, "0"))
    reason = found[1] if isinstance(found, tuple) else None
    if reason == "gopher_too_many_hashes":
        return {"gopher.hash_ratio": True}
    return {"gopher.hash_ratio": False, "gopher.ellipsis_ratio": reason == "gopher_too_many_ellipsis"}


def keeps(judge: Any, text: str) -> tuple[bool, str]:
    """datatrove's decision and the text it leaves."""
    document = Document(text=text, id="0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it takes the mean of no words
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


OUR_CHAIN = (Gopher(), Repetition(), C4(terminal_punctuation=False), FineWeb())


@dataclass
class Agreement:
    """How our decisions compare with datatrove's on the same documents.

    `theirs`, `fed` and `own` count by rule: documents that break it in datatrove; those that we judge otherwise when fed
    datatrove's words; those that we judge otherwise with our own. `final` holds (their filter, our rule) of the documents
    whose final decision differs, with our own words and lines.
    """

    num_documents: int = 0
    theirs: Counter[str] = field(default_factory=Counter)
    fed: Counter[str] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    final: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)

    @property
    def final_ratio(self) -> float:
        return 1 - self.final.total() / self.num_documents


def compare(texts: list[str]) -> Agreement:
    """Judge every text by every rule, three ways. Texts may have no line break but "\n" (see `comparable`)."""
    found = Agreement(len(texts))
    batch = TextBatch.from_texts(texts)
    own, fed = _verdicts(batch), _verdicts(with_their_words(batch))
    judges = [(name, make()) for name, make in rules()]
    after, columns = run_stage(OUR_CHAIN[2], batch)
    cleaned = after.table["text"].to_pylist()
    for i, text in enumerate(texts):
        theirs = {name: not keeps(judge, text)[0] for name, judge in judges} | symbol_verdict(text)
        spoiled = columns["lorem_ipsum"][i].as_py() or columns["curly_bracket"][i].as_py()
        kept, left = keeps(c4_filter(), text)
        theirs["c4"] = not kept
        fed.setdefault("c4", {})[i] = bool(spoiled or sentences_of(cleaned[i]) < 5 or (kept and left != cleaned[i]))
        own.setdefault("c4", {})[i] = bool(spoiled or columns["sentence_count"][i].as_py() < 5)
        for name, drops in theirs.items():
            found.theirs[name] += drops
            found.fed[name] += drops != fed[name][i]
            found.own[name] += drops != own[name][i]
    ours = sieve(batch, OUR_CHAIN, counting.empty(stage.name for stage in OUR_CHAIN)).dropped_by.to_pylist()
    for text, rule in zip(texts, ours, strict=True):
        their = final_decision(text)
        if (their is None) != (rule is None):
            found.final[their, rule] += 1
    return found


def _verdicts(batch: TextBatch) -> dict[str, Any]:
    """Masks of Gopher, repetition and FineWeb by rule; rules that datatrove calls "empty" are left out."""
    found: dict[str, Any] = {}
    for stage in (Gopher(), Repetition(), FineWeb()):
        _, columns = run_stage(stage, batch)
        found |= {f"{stage.name}.{name}": [bool(m) for m in mask] for name, mask in decide(stage, columns, None).items()}
    return found


def comparable(text: str) -> str:
    """The text with every break that `str.splitlines` knows as a newline: the one definition on which we differ by design."""
    return "\n".join(text.splitlines())
