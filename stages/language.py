"""Which language a text is in, by a fastText model: lid.176, or one of your own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.contract import Allowed, Bounds, Filter, Label, Ratio, Score, Signals
from stages.errors import AssetError, StageError
from stages.files import file_hash
from stages.lid import LID176_SHA256, lid176_path
from stages.text.batch import TextBatch

if TYPE_CHECKING:
    from stages.fasttext.model import Model


class Language(Filter):
    """Language of a document by lid.176.ftz (Joulin et al. 2016, arXiv 1607.01759), as datatrove 0.10's
    LanguageFilter asks it: the same labels and scores as the fastText library gives.

    The model knows 176 languages, by ISO 639-1 code where there is one; docs/language.md says how well. Three traps,
    all of them the model's training:

    - Newlines. It was trained on sentences. A whole text is read as one line, newlines as spaces, so that a document
      in two languages gets the label of the larger part; `paragraphs` finds those.
    - Case. Letters are not lowered: the model saw them as they were written. A heading in capitals is harder to tell.
    - Form. It was trained on composed letters (NFC). Text in NFD, with accents apart, is read as it stands, and told
      worse: normalise it before.

    A score is what the model makes of its own training, not a probability of being right; for languages with close
    relatives (`hr`, `sr`, `bs`) it is low even where the label is right. Text of a language that the model does not
    know gets the label of another one, often with a low score.
    """

    version: ClassVar[int] = 2

    label: Label = Allowed()
    """Most likely language, as an ISO 639 code: `en`, `zh`, `ceb`; null for a text of white space alone."""
    score: Score = Bounds()
    """The model's confidence in it. Published English recipes ask for 0.65."""
    second_label: Label = Allowed()
    """Second most likely language; null if the model gives it less than 0.00001."""
    margin: Score = Bounds()
    """Score less that of the second label: near 0 if the model hesitates between two."""
    script: Label = Allowed()
    """Script of most letters, by its ISO 15924 code: `Latn`, `Cyrl`, `Hani`, `Hira`; null for a text without letters.
    It knows nothing of languages: `Hang` with the label `en` is a model's mistake."""
    other_ratio: Ratio = Bounds()
    """Share of the document's bytes in paragraphs of another language than the document's; null without
    `paragraphs`."""

    model: str | None = None
    """A fastText model file (.bin, .ftz) of your own instead of lid.176.ftz, such as lid.176.bin or GlotLID's;
    `__label__` is taken off its labels."""
    paragraphs: bool = False
    """Ask for the language of every paragraph, too, and measure `other_ratio`."""
    min_paragraph_bytes: int = 200
    """What is shorter is not told. Shorter lines are taken together with those after them, up to the next blank one."""

    def setup(self) -> None:
        self._load()

    def assets(self) -> Mapping[str, str]:
        if self.model is None:
            return {"lid.176.ftz": LID176_SHA256}
        return {"model": file_hash(self._path())}

    def measure(self, batch: TextBatch) -> Signals:
        from stages.fasttext.predict import top_labels

        model = self._load()
        scripts, is_blank = _scripts(batch)
        rows, scores = top_labels(model, batch, min(2, len(model.labels)))
        rows[is_blank], scores[is_blank] = -1, np.nan
        second = rows[:, 1] if rows.shape[1] > 1 else np.full(batch.num_rows, -1, np.int32)
        margin = scores[:, 0] - np.where(second < 0, np.float32(0), scores[:, -1])
        return {
            "label": _names(model, rows[:, 0]),
            "score": scores[:, 0],
            "second_label": _names(model, second),
            "margin": margin,
            "script": scripts,
            "other_ratio": self._other_ratio(model, batch, rows[:, 0]),
        }

    def _other_ratio(self, model: Model, batch: TextBatch, rows: npt.NDArray[np.int32]) -> pa.Array:
        if not self.paragraphs:
            return pa.nulls(batch.num_rows, pa.float64())
        from stages.fasttext.predict import top_labels_of
        from stages.fasttext.tokens import slots
        from stages.kernels_language import cut_pieces

        view, lines, utf8 = slots(batch, "whitespace"), batch.lines, batch.utf8
        columns = [np.empty(len(lines.start), np.int64) for _ in range(4)]
        m = cut_pieces(
            lines.begin, lines.end, lines.start, lines.stop, lines.flags, view.begin, view.end, view.start,
            self.min_paragraph_bytes, *columns,
        )  # fmt: skip
        document, begin, end, num_bytes = (column[:m] for column in columns)
        labels = top_labels_of(model, view.between(begin, end), utf8, 1, utf8.offsets[:-1][document])[0][:, 0]
        others = np.where((labels >= 0) & (labels != rows[document]), num_bytes, 0)
        share = np.bincount(document, others, batch.num_rows) / np.maximum(np.diff(utf8.offsets), 1)
        return pa.array(share, mask=rows < 0)

    def _load(self) -> Model:
        from stages.fasttext.model import load

        try:
            return load(self._path())
        except StageError as error:
            raise StageError(f"{self.name}: {error}") from error

    def _path(self) -> str:
        if self.model is None:
            return str(lid176_path())
        if not Path(self.model).is_file():
            raise AssetError(f"{self.name}: there is no model file {self.model}")
        return self.model


def _names(model: Model, rows: npt.NDArray[np.int32]) -> pa.Array:
    """Labels by their rows, null for -1."""
    return pa.array(model.labels, pa.string()).take(pa.array(rows, mask=rows < 0))


def _scripts(batch: TextBatch) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Script of each document, and whether it is white space alone."""
    from stages.kernels_language import find_scripts
    from stages.text.unicode_scripts import names, scripts
    from stages.text.unicode_tables import classes

    rows, is_blank = np.empty(batch.num_rows, np.int32), np.empty(batch.num_rows, np.bool_)
    find_scripts(batch.utf8.data, batch.utf8.offsets, classes(), scripts(), rows, is_blank)
    return pa.array(names(), pa.string()).take(pa.array(rows, mask=rows == 0)), is_blank
