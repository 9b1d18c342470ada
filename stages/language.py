"""Which language a text is in, by fastText's lid.176."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.contract import Allowed, Bounds, Filter, Label, Score, Signals
from stages.errors import StageError
from stages.lid import LID176_SHA256, lid176_path
from stages.text.batch import TextBatch

PREFIX = "__label__"


class Language(Filter):
    """Language of a document by lid.176.ftz (Joulin et al. 2016, arXiv 1607.01759), as datatrove 0.10's
    LanguageFilter asks it.

    The model reads the whole text with newlines as spaces and letters as they are. It knows 176 languages, by ISO
    639-1 code where there is one. It has never seen short or mixed text; a score is a softmax, not a probability of
    being right.
    """

    label: Label = Allowed()
    """Most likely language, as an ISO 639 code: `en`, `zh`, `ceb`; null for a text without words."""
    score: Score = Bounds()
    """The model's confidence in it. Published English recipes ask for 0.65."""

    model: str | None = None
    """A fastText model file (.bin, .ftz) of your own instead of lid.176.ftz; `__label__` is taken off its labels."""

    def setup(self) -> None:
        _load(self._path())

    def assets(self) -> Mapping[str, str]:
        if self.model is None:
            return {"lid.176.ftz": LID176_SHA256}
        return {"model": hashlib.sha256(Path(self._path()).read_bytes()).hexdigest()}

    def measure(self, batch: TextBatch) -> Signals:
        predict = _load(self._path()).f.predict
        labels: list[str | None] = [None] * batch.num_rows
        scores = np.full(batch.num_rows, np.nan, np.float32)
        for i, text in enumerate(batch.table["text"].to_pylist()):
            best = predict(text.replace("\n", " "), 1, 0.0, "strict") if text.strip() else []
            if best:
                scores[i], label = best[0]
                labels[i] = label.removeprefix(PREFIX)
        return {"label": pa.array(labels, pa.string()), "score": np.minimum(scores, np.float32(1))}

    def _path(self) -> str:
        if self.model is None:
            return str(lid176_path())
        if not Path(self.model).is_file():
            raise StageError(f"language: there is no model file {self.model}")
        return self.model


@lru_cache(maxsize=4)
def _load(path: str) -> Any:
    """The model, loaded once a process."""
    import fasttext

    fasttext.FastText.eprint = lambda *message: None  # its load_model warns about its own interface
    try:
        return fasttext.load_model(path)
    except ValueError as error:
        raise StageError(f"language: {path} is not a fastText model: {error}") from error
