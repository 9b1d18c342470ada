"""How likely a document is obscene, abusive or hateful: word lists, a small classifier, and both together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import field_validator

from stages.contract import Bounds, Count, Filter, Ratio, Score, Signals
from stages.embedding import head as embedding
from stages.errors import StageError
from stages.evidence import Span
from stages.files import file_hash, path_and_column, read_list
from stages.heuristics.ratios import ratio, sum_per_document
from stages.lexicon import Lexicon
from stages.text.batch import TextBatch

DEFAULT_MODEL = Path(__file__).with_name("models") / "nsfw.ftz"
POSITIVE = "1"
MAX_LOGIT = 8.0
DENSITY_SCALE, EXTRA_WORDS = 50, 8
"""The head sees `log(1 + 50 covered / (words + 8))`, with the words that list entries cover: one in a post of ten words
weighs as much as 56 on a page of a thousand."""


class Nsfw(Filter):
    """Obscenity, abuse and hate, after Llama 3's dirty-word counts (Dubey et al. 2024, arXiv 2407.21783, section 3.1.1)
    and Dolma's taggers (Soldaini et al. 2024, arXiv 2402.00159). Classifier and calibration are ours.

    Lists for 29 languages come from two packages, and go by language (`language.label`, if a stage measured it, else
    all lists). The classifier is a fastText model trained on posts in 12 languages; what it is good for, and where it
    fails, is in docs/models/nsfw.md. Both know insults and obscenity, and let sober words for sex pass: medicine, sex
    education and news are not sieved out, and neither is fluent adult text that uses no word of a list.
    """

    version: ClassVar[int] = 2

    lexicon_count: Count = Bounds()
    """Hits of the word lists, a phrase counting once."""
    lexicon_ratio: Ratio = Bounds()
    """Words that belong to hits over words, punctuation excluded."""
    classifier_score: Score = Bounds()
    """The classifier's probability, for half of all text being abusive. It reads words and character n-grams, and has
    seen short posts: see `score` for text of any length."""
    embedding_score: Score = Bounds()
    """What a head on the document's embedding says; null where there is no vector, or no head for its encoder."""
    score: Score = Bounds(max=0.6)
    """Lists, classifier and, where there is one, the embedding's head combined, calibrated on posts from sources that
    neither had seen, half of them abusive. Null for a text without words."""

    model: str | None = None
    """A fastText file of your own with labels 0 and 1, as `tamis train nsfw` makes it. Its calibration is read from the
    `.json` beside it; without one, `score` is the classifier's."""
    embedding_head: str | None = None
    """A file of `tamis train nsfw --features embedding`, for the vectors of a stage `embedding` before this one. By
    default, and with the default model, vectors of `use` are heard by the head that comes with Tamis."""
    lists: dict[str, tuple[str, ...]] = {}
    """Word lists of your own by language, `"*"` for all: a file with one entry a line, or `words.parquet:column`."""
    allowed: tuple[str, ...] = ()
    """Files of words and phrases that are no hits; they win against lists."""
    default_lists: bool = True
    """Whether the lists that come with the packages count; `false` leaves yours alone."""

    @field_validator("lists", mode="before")
    @classmethod
    def _one_list_will_do(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {language: (files,) if isinstance(files, str) else files for language, files in value.items()}

    @field_validator("allowed", mode="before")
    @classmethod
    def _one_file_will_do(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def setup(self) -> None:
        from stages.fasttext import model

        assert self._lexicon is not None
        assert self._head is None or len(self._head)
        model.load(str(self._model_path))

    def assets(self) -> Mapping[str, str]:
        from stages.lexicon_lists import package_hash

        files = {"model": self._model_path, "head": self._model_path.with_suffix(".json")}
        files |= {file: path_and_column(file)[0] for own in (*self.lists.values(), self.allowed) for file in own}
        found = {name: file_hash(path) for name, path in files.items() if name != "head" or path.is_file()}
        heads = embedding.head_files("nsfw", self.embedding_head, any_head=self.model is None)
        return found | heads | ({"lists": package_hash()} if self.default_lists else {})

    def measure(self, batch: TextBatch) -> Signals:
        from stages.fasttext import model, predict
        from stages.text.kernels_words import PUNCTUATION

        words = batch.words
        num_words = sum_per_document(words.flags & PUNCTUATION == 0, words.begin, words.end)
        marks = self._lexicon.hits(batch)
        covered = sum_per_document(marks != 0, words.begin, words.end)
        score = predict.label_scores(model.load(str(self._model_path)), batch, [POSITIVE], tokens="words")[:, 0]
        head = self._head
        combined = score if head is None else combine(score, covered, num_words, head).astype(np.float32)
        heard = embedding.hear("nsfw", batch, self.embedding_head, any_head=self.model is None)
        return {
            "lexicon_count": sum_per_document(marks == 1, words.begin, words.end),
            "lexicon_ratio": ratio(covered, num_words),
            "classifier_score": score,
            "embedding_score": nothing(batch) if heard is None else heard.score,
            "score": combined if heard is None else heard.joined(head_columns(score, covered, num_words), combined),
        }

    def evidence(self, text: str, signal: str) -> list[Span]:
        """Words of the lists, for all languages. What the classifier and the embedding say has no place."""
        is_of_lists = signal in ("lexicon_count", "lexicon_ratio", "score")
        return self._lexicon.spans(text) if is_of_lists else []

    @property
    def _model_path(self) -> Path:
        return DEFAULT_MODEL if self.model is None else Path(self.model)

    @cached_property
    def _head(self) -> npt.NDArray[np.float64] | None:
        return read_head(self._model_path.with_suffix(".json"))

    @cached_property
    def _lexicon(self) -> Lexicon:
        from stages.lexicon_innocent import INNOCENT
        from stages.lexicon_lists import default_lexicon, package_entries

        if self.default_lists and not self.lists and not self.allowed:
            return default_lexicon()
        entries = {language: list(own) for language, own in package_entries().items()} if self.default_lists else {}
        for language, files in self.lists.items():
            entries.setdefault(language, []).extend(entry for file in files for entry in read_list(file))
        own_allowed = [entry for file in self.allowed for entry in read_list(file)]
        return Lexicon.of(entries, [*(INNOCENT if self.default_lists else ()), *own_allowed])


def nothing(batch: TextBatch) -> npt.NDArray[np.float32]:
    """A score that says nothing of any document."""
    return np.full(batch.num_rows, np.nan, np.float32)


def head_columns(
    score: npt.NDArray[np.floating], covered: npt.NDArray[np.int64], num_words: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """What the head combines, `float64[n, 2]`: the classifier's logit, bounded, and the density of words
    that lists cover."""
    least = 1 / (1 + np.exp(MAX_LOGIT))
    bounded = np.clip(score.astype(np.float64), least, 1 - least)
    density = np.log1p(DENSITY_SCALE * covered / (num_words + EXTRA_WORDS))
    return np.column_stack([np.log(bounded) - np.log1p(-bounded), density])


def combine(
    score: npt.NDArray[np.floating],
    covered: npt.NDArray[np.int64],
    num_words: npt.NDArray[np.int64],
    head: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """The calibrated score: logistic in the head's columns; NaN where the classifier could not tell."""
    return 1 / (1 + np.exp(-(head[0] + head_columns(score, covered, num_words) @ head[1:])))


@lru_cache(maxsize=8)
def read_head(path: Path) -> npt.NDArray[np.float64] | None:
    """Intercept and coefficients beside a model, or None if there is no such file.

    Raises StageError when it holds something else.
    """
    if not path.is_file():
        return None
    try:
        head = np.array(json.loads(path.read_bytes())["coefficients"], np.float64)
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(f"nsfw: {path} holds no coefficients of a calibration: {error}") from error
    if head.shape != (3,) or not np.isfinite(head).all():
        raise StageError(f"nsfw: {path} should hold three finite coefficients, not {head.tolist()}")
    return head
