"""How much a document reads like what a reference work would cite: a small classifier and a model of its style."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.contract import Bounds, Count, Fitted, Score, Signals
from stages.embedding import head as embedding
from stages.files import file_hash
from stages.quality_features import NEEDS, measure_features
from stages.quality_head import Head, logit_of, read_head, sigmoid
from stages.text.batch import TextBatch

DEFAULT_MODEL = Path(__file__).with_name("models") / "quality.ftz"
POSITIVE = "1"
NUM_BUCKETS = 20


class Quality(Fitted):
    """Text quality after Llama 3's fastText judge (Dubey et al. 2024, arXiv 2407.21783, section 3.1.1: "would Wikipedia
    cite it?") and Nemotron-CC's buckets (Su et al. 2024, arXiv 2412.02595, section 2.3); classifier, features and
    calibration are ours.

    The classifier knows English words. The feature model knows how text is set and punctuated, partly from signals of
    `gopher` and `fineweb`; it carries over to sources and languages that neither has seen. docs/models/quality.md says
    how well.
    Every bound is open by default: what quality a corpus needs depends on what else is in it, and `bucket` cuts it into
    twentieths.
    """

    version: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = NEEDS

    classifier_score: Score = Bounds()
    """The classifier's probability of high quality, for half of all text being of it. Null outside English."""
    feature_score: Score = Bounds()
    """The feature model's, from style alone. Not adjusted to the language: compare within one."""
    embedding_score: Score = Bounds()
    """What a head on the document's embedding says, in the classifier's language; null where there is no vector, or no
    head for its encoder."""
    score: Score = Bounds()
    """All combined, set on one scale for all languages by ordinary web text of each, and calibrated on sources that
    none of them had seen, half of it of high quality. Null for a text without words."""
    bucket: Count = Bounds()
    """Twentieth of the corpus, by bytes, that the score falls into: 0 the worst, 19 the best. Cuts come from a sample
    of the documents that reach this stage. Null without a score."""

    model: str | None = None
    """A fastText file of your own with labels 0 and 1, with its `.json` beside it, as `tamis train quality` makes
    them."""
    embedding_head: str | None = None
    """A file of `tamis train quality --features embedding`, for the vectors of a stage `embedding` before this one. By
    default, and with the default model, vectors of `use` are heard by the head that comes with Tamis."""

    def setup(self) -> None:
        from stages.fasttext import model

        assert self._head is not None
        model.load(str(self._model_path))

    def assets(self) -> Mapping[str, str]:
        files = {"model": self._model_path, "head": self._model_path.with_suffix(".json")}
        heads = embedding.head_files("quality", self.embedding_head)
        return {**{name: file_hash(path) for name, path in files.items()}, **heads}

    def fit(self, sample: TextBatch) -> pa.Table:
        """The 19 cuts between buckets, `cut: float32`; none if the sample has no document with a score."""
        if sample.num_rows == 0:
            return pa.table({"cut": pa.array([], pa.float32())})
        score = self._scores(sample)["score"]
        return pa.table({"cut": cut_points(score, np.diff(sample.utf8.offsets))})

    def measure(self, batch: TextBatch, reference: pa.Table) -> Signals:
        scores = self._scores(batch)
        return {**scores, "bucket": bucket_of(scores["score"], reference["cut"].to_numpy())}

    def _scores(self, batch: TextBatch) -> dict[str, npt.NDArray[np.float32]]:
        """The scores of each document, `float32[n]`; NaN where a judge cannot tell."""
        head = self._head
        languages = [head.language] * batch.num_rows if batch.languages is None else batch.languages.to_pylist()
        is_read = np.array([name == head.language for name in languages], np.bool_)
        classifier = self._classifier_scores(batch, is_read)
        features = head.features.logit(measure_features(batch))
        combined = head.combined(features, logit_of(classifier), languages)
        scores = {
            "classifier_score": classifier,
            "feature_score": sigmoid(features).astype(np.float32),
            "embedding_score": np.full(batch.num_rows, np.nan, np.float32),
            "score": head.score(combined).astype(np.float32),
        }
        heard = embedding.hear("quality", batch, self.embedding_head, any_head=self.model is None)
        if heard is not None:
            joined = heard.joined(combined[:, None], scores["score"])
            scores["embedding_score"][is_read] = heard.score[is_read]
            scores["score"][is_read] = joined[is_read]
        for column in scores.values():
            column[batch.words.count == 0] = np.nan
        return scores

    def _classifier_scores(self, batch: TextBatch, is_read: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        from stages.fasttext import model, predict

        if not is_read.any():
            return np.full(batch.num_rows, np.nan, np.float32)
        scores = predict.label_scores(model.load(str(self._model_path)), batch, [POSITIVE], tokens="words")[:, 0]
        return np.where(is_read, scores, np.float32(np.nan))

    @property
    def _model_path(self) -> Path:
        return DEFAULT_MODEL if self.model is None else Path(self.model)

    @property
    def _head(self) -> Head:
        return read_head(self._model_path.with_suffix(".json"))


def cut_points(
    scores: npt.NDArray[np.float32], sizes: npt.NDArray[np.integer[Any]], num_buckets: int = NUM_BUCKETS
) -> npt.NDArray[np.float32]:
    """Scores that cut documents into buckets of about the same bytes, `float32[num_buckets - 1]`, rising.

    Cut `i` is the lowest score such that documents up to it hold at least `i / num_buckets` of all bytes. Documents
    without a score (NaN) or without bytes do not count; without any other there are no cuts.
    """
    counted = ~np.isnan(scores) & (sizes > 0)
    order = np.argsort(scores[counted], kind="stable")
    ranked, held = scores[counted][order], np.cumsum(sizes[counted][order].astype(np.int64))
    if not len(ranked):
        return np.empty(0, np.float32)
    wanted = np.arange(1, num_buckets) * held[-1]  # in whole numbers: held * num_buckets >= wanted
    return ranked[np.searchsorted(held * num_buckets, wanted)]


def bucket_of(scores: npt.NDArray[np.float32], cuts: npt.NDArray[np.float32]) -> pa.Array:
    """Number of cuts below each score, `int32`; null for NaN, and for all if there are no cuts."""
    buckets = np.searchsorted(cuts, scores, side="left").astype(np.int32)
    return pa.array(buckets, mask=np.isnan(scores) | (len(cuts) == 0))
