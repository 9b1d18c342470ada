"""`tamis train quality`: a classifier, a model of style, their calibration, and a card, from labelled rows.

Label `high` (or 1) is what is looked for, every other label the rest. Both models learn one language, that of most
rows; rows in other languages are judged, as rows of `--test` are. What holds for text from elsewhere is measured by
leave-one-source-out, and the calibration is fitted on those scores.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from pipeline.training import card
from pipeline.training.excerpts import excerpts, menu
from pipeline.training.features import Features, Shape
from pipeline.training.head import fit_head
from pipeline.training.linear import Schedule, fit, logits
from pipeline.training.metrics import auc, expected_calibration_error, reliability
from pipeline.training.model_file import write_model
from pipeline.training.rows import LabelledRows, read_rows, read_table
from pipeline.training.search import folds
from pipeline.training.signed import fit_signed
from stages.errors import InputError, MissingInputError
from stages.quality_features import FEATURES, measure_features
from stages.quality_head import MAX_LOGIT, FeatureModel, Head, fit_places, write_head

POSITIVE = ("high", "1", "true")
SHAPE = Shape(minn=4, maxn=6)
STYLE_ONLY = ("software documentation", "rust-lang/book")
"""Sources that teach style alone. Words of programming are no mark of quality: a classifier that takes them for one
lifts every mail about software, and gives unseen mails an AUC of .73 against edited news instead of .98."""
STYLE_ONLY_LICENSES = ("CC-BY-SA",)
"""Parts of licences whose rows teach style alone: share-alike text adds nothing to the classifier's weights, word by
word, so that nobody need ask whether they are an adaptation of it. A mean number of commas is none."""
MAX_BYTES = 2_000_000
BATCH_ROWS = 2000
MIN_DEVIATION = 1e-6
"""Of a feature that is the same in all rows: six decimals are written, and 0 cannot be divided by."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Setting(BaseModel):
    """How to train."""

    model_config = ConfigDict(frozen=True)

    schedule: Schedule = Schedule(epochs=2, step=0.5)
    """Of the classifier. Few and short steps: what a longer training adds is specific to the sources."""
    l2: float = 0.05
    """Penalty on the feature model's coefficients."""
    classifier_weight: float = 0.5
    """Of the classifier's logit beside the feature model's."""


SETTINGS = (
    Setting(),
    Setting(classifier_weight=0.3),
    Setting(l2=0.2),
    Setting(schedule=Schedule(epochs=4, step=0.5)),
)
"""What the search tries, likeliest first."""


@dataclass(frozen=True, eq=False)
class Material:
    """All texts, measured once: labelled rows, then their excerpts and menus, then text of reference.

    Arrays have a value a text; `origin` is the labelled row that a text is, or is a part of, -1 for reference.
    """

    rows: LabelledRows
    usable: Mask
    """Of rows: may be trained on."""
    language: str
    origin: npt.NDArray[np.int64]
    is_menu: Mask
    labels: Mask
    words: Features
    style: Floats
    reference_languages: npt.NDArray[np.str_]

    @classmethod
    def of(cls, rows: LabelledRows, usable: Mask, reference: tuple[list[str], list[str]] | None = None) -> Material:
        """`reference` holds ordinary texts and their languages. Raises InputError if one class is left to train on."""
        ordinary, languages = reference or ([], [])
        language = Counter(rows.languages[usable].tolist()).most_common(1)[0][0] if usable.any() else ""
        left = rows.labels[usable & (rows.languages == language)]
        if left.all() or not left.any():
            raise InputError(f"of the rows that may be trained on, those in '{language}' are of one class")
        texts = rows.texts.to_pylist()
        origin, is_menu = list(range(len(rows))), [False] * len(rows)
        for row in np.flatnonzero(usable & (rows.languages == language)).tolist():
            whole = texts[row]
            parts = excerpts(whole)
            damaged = menu(whole) if rows.labels[row] else None
            texts += parts if damaged is None else [*parts, damaged]
            origin += [row] * (len(parts) + (damaged is not None))
            is_menu += [False] * len(parts) + [True] * (damaged is not None)
        origin += [-1] * len(ordinary)
        is_menu += [False] * len(ordinary)
        own, shape_only = np.array(origin), np.array(is_menu)
        labels = np.where(own < 0, False, rows.labels[own]) & ~shape_only
        words, style = measure([*texts, *ordinary])
        return cls(rows, usable, language, own, shape_only, labels, words, style, np.array(languages, np.str_))

    def chosen(self, left_out: str | None) -> Mask:
        """Texts to train on, without those of one source."""
        rows = self.usable & (self.rows.languages == self.language)
        if left_out is not None:
            rows = rows & (self.sources != left_out)
        return (self.origin >= 0) & rows[self.origin]

    @property
    def teaches_words(self) -> Mask:
        """Texts that the classifier may learn from; the feature model learns from all."""
        style_only = np.isin(self.rows.sources, STYLE_ONLY)
        for part in STYLE_ONLY_LICENSES:
            style_only |= np.char.find(self.rows.licenses, part) >= 0
        return ~self.is_menu & ~style_only[self.origin]

    @property
    def sources(self) -> npt.NDArray[np.str_]:
        return folds(self.rows)

    def weights(self, chosen: Mask) -> Floats:
        """Both classes weigh the same, and in a class all sources; menus of a source count as one of their own."""
        groups = np.char.add(self.rows.sources[self.origin], np.where(self.is_menu, " menus", ""))
        weights = np.zeros(len(self.origin))
        for label in (True, False):
            members = chosen & (self.labels == label)
            names, inverse, counts = np.unique(groups[members], return_inverse=True, return_counts=True)
            weights[members] = 1 / counts[inverse] / max(len(names), 1)
        return weights / weights[chosen].mean()


def measure(texts: list[str]) -> tuple[Features, Floats]:
    """What the two models look at, for each text: words and n-grams; features of style."""
    from stages.contract import run_stage
    from stages.fasttext.tokens import training_text
    from stages.heuristics.fineweb import FineWeb
    from stages.heuristics.gopher import Gopher
    from stages.text.batch import TextBatch

    lines, style = [], []
    for first in range(0, len(texts), BATCH_ROWS):
        batch = TextBatch.from_texts(texts[first : first + BATCH_ROWS])
        lines += training_text(batch)
        for stage in (Gopher(), FineWeb()):
            batch, _ = run_stage(stage, batch)
        style.append(measure_features(batch))
    return Features.of(lines, SHAPE), np.concatenate(style)


def fit_style(style: Floats, labels: Mask, weights: Floats, l2: float) -> FeatureModel:
    """The feature model on the rows that weigh anything."""
    used = weights > 0
    mean, deviation = style[used].mean(axis=0), np.maximum(style[used].std(axis=0) + 1e-9, MIN_DEVIATION)
    plain = FeatureModel(mean, deviation, np.ones(len(FEATURES)), 0.0)
    intercept, coefficients = fit_signed(plain.contributions(style[used]), labels[used], weights[used], l2)
    return FeatureModel(mean, deviation, coefficients, intercept)


@dataclass(frozen=True, eq=False)
class Trained:
    """Both models, trained without one source or with all, and what they say of all texts (logits)."""

    style_model: FeatureModel
    word_values: Floats
    style_logit: Floats
    word_logit: Floats
    head: Head

    @classmethod
    def without(cls, material: Material, left_out: str | None, setting: Setting) -> Trained:
        """Trained on all usable rows but those of a source. The head is not calibrated yet."""
        chosen = material.chosen(left_out)
        style_model = fit_style(material.style, material.labels, material.weights(chosen), setting.l2)
        words_too = chosen & material.teaches_words
        values = fit(material.words, material.labels, material.weights(words_too), setting.schedule)
        style_logit = style_model.logit(material.style)
        word_logit = np.clip(logits(material.words, values), -MAX_LOGIT, MAX_LOGIT)
        reference = material.origin < 0
        at_home = material.reference_languages == material.language
        heard = style_logit[reference] + setting.classifier_weight * np.where(at_home, word_logit[reference], 0)
        places = fit_places(heard, material.reference_languages, material.language)
        head = Head(style_model, material.language, setting.classifier_weight, places, 1.0, 0.0)
        return cls(style_model, values, style_logit, word_logit, head)

    def combined(self, material: Material) -> Floats:
        """The head's logit for every labelled row, before calibration."""
        n = len(material.rows)
        own = np.where(material.rows.languages == material.language, self.word_logit[:n], np.nan)
        return self.head.combined(self.style_logit[:n], own, material.rows.languages.tolist())


@dataclass(frozen=True, eq=False)
class Unseen:
    """What models say of rows whose source they have not seen, as logits; the classifier's is NaN where it is not
    asked."""

    classifier: Floats
    features: Floats
    combined: Floats


def judge_unseen(
    material: Material, setting: Setting = SETTINGS[0], report: Callable[[str], None] = lambda line: None
) -> Unseen:
    """Leave one source out: every row by models that were trained on the others."""
    n = len(material.rows)
    classifier, features, combined = np.empty(n), np.empty(n), np.empty(n)
    for source in np.unique(material.sources).tolist():
        own = material.sources == source
        trained = Trained.without(material, source, setting)
        is_read = own & (material.rows.languages == material.language)
        classifier[own] = np.nan
        classifier[is_read] = trained.word_logit[:n][is_read]
        features[own] = trained.style_logit[:n][own]
        combined[own] = trained.combined(material)[own]
        report(f"without {source}: {own.sum():,} rows judged")
    return Unseen(classifier, features, combined)


def calibrate(material: Material, combined: Floats) -> tuple[float, float]:
    """Slope and bias that make logits for unseen sources probabilities, both classes and all sources alike."""
    weights = material.weights(np.arange(len(material.origin)) < len(material.rows))[: len(material.rows)]
    bias, slope = fit_head(combined[:, None], material.rows.labels, weights)
    return float(slope), float(bias)


def search(
    material: Material, seconds: float, report: Callable[[str], None] = lambda line: None
) -> tuple[Setting, Unseen]:
    """Try settings in their order until the time is up, at least one, and keep the best AUC on unseen sources."""
    started = time.monotonic()
    best: tuple[float, Setting, Unseen] | None = None
    for setting in SETTINGS:
        if best is not None and time.monotonic() - started > seconds:
            report("time is up")
            break
        unseen = judge_unseen(material, setting, report)
        value = auc(material.rows.labels, unseen.combined)
        report(f"{setting}: unseen sources {value:.4f}")
        if best is None or value > best[0]:
            best = value, setting, unseen
    assert best is not None, "no settings to try"
    return best[1], best[2]


def train(
    train_path: str,
    test_path: str,
    output: Path,
    seconds: float = 0.0,
    excluded_licenses: tuple[str, ...] = (),
    report: Callable[[str], None] = lambda line: None,
    reference_path: str | None = None,
) -> Unseen:
    """Train on one file, judge both, and write `output`, its numbers (`.json`) and its card (`.md`).

    Args:
        excluded_licenses: rows whose licence contains one of these are judged and not trained on.
        reference_path: ordinary web text in many languages, columns `text` and `lang`, to set languages on one scale;
            without it all languages are scored as the language of training is.

    Raises InputError for rows that cannot be trained on; see `rows.read_rows`.
    """
    first, second = read_rows(train_path, POSITIVE), read_rows(test_path, POSITIVE)
    rows = first + second
    usable = np.arange(len(rows)) < len(first)
    for part in excluded_licenses:
        usable &= np.char.find(rows.licenses, part) < 0
    report(f"{usable.sum():,} rows to train on, {len(rows) - usable.sum():,} to judge by")
    material = Material.of(rows, usable, None if reference_path is None else read_reference(reference_path))
    setting, unseen = search(material, seconds, report)
    trained = Trained.without(material, None, setting)
    slope, bias = calibrate(material, unseen.combined)
    size = write(output, material, trained, slope, bias)
    output.with_suffix(".md").write_text(write_card(material, unseen, slope, bias, output.stem, size), encoding="utf-8")
    report(f"wrote {output} ({size:,} bytes), {output.with_suffix('.json').name}, {output.with_suffix('.md').name}")
    return unseen


def write(output: Path, material: Material, trained: Trained, slope: float, bias: float) -> int:
    """The model and its numbers; returns the model's size in bytes."""
    used = material.chosen(None) & material.teaches_words
    positive = int(material.labels[used].sum())
    size = write_model(output, material.words, trained.word_values, (int(used.sum()) - positive, positive))
    if size > MAX_BYTES:
        raise InputError(f"{output} has {size:,} bytes, more than {MAX_BYTES:,}: train on fewer words")
    head = trained.head
    calibrated = Head(trained.style_model, head.language, head.classifier_weight, head.places, slope, bias)
    write_head(output.with_suffix(".json"), calibrated)
    return size


def read_reference(path: str, sentences: int = 10) -> tuple[list[str], list[str]]:
    """Texts of reference and their languages: every ten sentences of a language as one document.

    Raises MissingInputError for a file without `text` and `lang`.
    """
    table: pa.Table = read_table(Path(path))
    if not {"text", "lang"} <= set(table.column_names):
        raise MissingInputError(f"{path} needs columns text and lang; it has {', '.join(table.column_names)}")
    if "kind" in table.column_names:
        table = table.filter(pc.equal(table["kind"], "web_sentence"))
    by_language: dict[str, list[str]] = {}
    for text, language in zip(table["text"].to_pylist(), table["lang"].to_pylist(), strict=True):
        by_language.setdefault(language, []).append(text if text[-1:] in ".!?。？！।" else f"{text}.")
    texts, languages = [], []
    for language, own in sorted(by_language.items()):
        for start in range(0, len(own) - sentences + 1, sentences):
            texts.append(" ".join(own[start : start + sentences]))
            languages.append(language)
    return texts, languages


def write_card(material: Material, unseen: Unseen, slope: float, bias: float, name: str, size: int) -> str:
    """The card's measured part, as Markdown."""
    rows = material.rows
    weights = material.weights(np.arange(len(material.origin)) < len(rows))[: len(rows)]
    score = 1 / (1 + np.exp(-(slope * unseen.combined + bias)))
    asked = np.where(np.isnan(unseen.classifier), unseen.features, unseen.classifier)
    columns = {"classifier": asked, "features": unseen.features, "score": score}
    parts = [
        f"# {name}: model card\n",
        f"A fastText classifier of {size:,} bytes and the numbers of a feature model. Language: {material.language}.\n",
        "## Data\n", card.data_table(rows, material.usable),
        "\nBoth classes weigh the same, and in a class all sources.\n",
        "## Unseen sources\n", "Every row is scored by models that saw no row of its source. AUC:\n",
        card.group_table(rows, columns, lambda source, language: ""),
        f"\nAll rows: {auc(rows.labels, score):.3f}\n",
        "## Confusion, unseen sources\n", card.confusion_table(rows, score, (0.3, 0.5, 0.7)),
        "\n## Calibration\n",
        f"Unseen sources, weighted; expected calibration error "
        f"{expected_calibration_error(rows.labels, score, weights):.3f}:\n",
        card.reliability_table(reliability(rows.labels, score, weights)), "",
    ]  # fmt: skip
    return "\n".join(parts)
