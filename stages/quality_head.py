"""How `quality` turns features and the classifier's answer into one score: a small file of numbers beside the model.

Score = sigmoid(slope * place(f + w * c) + bias). f is the sum of the features' contributions; c the classifier's logit,
which counts only in the language that the classifier was trained on; `place` moves and stretches the result, language
by language, so that ordinary web text of each language gets the scores of ordinary web text of that language. Without
it, short words or few commas would be held against Vietnamese and Thai.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.errors import StageError
from stages.quality_features import FEATURES, MAX_DEVIATION

Floats = npt.NDArray[np.float64]
MAX_LOGIT = 8.0
OTHER = "*"
"""Name, among the languages, of what holds for those without text of reference."""
MIN_SCALE, MAX_SCALE = 0.7, 1.5
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class FeatureModel:
    """A sum of standardised features, as a logit; `float64[len(FEATURES)]` each."""

    mean: Floats
    deviation: Floats
    coefficients: Floats
    intercept: float

    def logit(self, features: Floats) -> Floats:
        """Of rows of `measure_features`."""
        return self.contributions(features).sum(axis=1) + self.intercept

    def contributions(self, features: Floats) -> Floats:
        """What each feature adds to the logit: `float64[n, len(FEATURES)]`."""
        standard = (features - self.mean) / self.deviation
        return np.clip(standard, -MAX_DEVIATION, MAX_DEVIATION) * self.coefficients


@dataclass(frozen=True)
class Place:
    """Where a language's ordinary text lies, and how much its spread is stretched."""

    centre: float
    scale: float


@dataclass(frozen=True, eq=False)
class Head:
    """All numbers of the judge but the classifier's."""

    features: FeatureModel
    language: str
    """The classifier's, in which every document is read if no stage measured `language.label`."""
    classifier_weight: float
    places: dict[str, Place]
    """By language; `language` has one, and `OTHER` if there was text of reference at all."""
    slope: float
    bias: float

    def combined(self, features_logit: Floats, classifier_logit: Floats, languages: list[str | None]) -> Floats:
        """The logit before calibration; `classifier_logit` is NaN where it does not count."""
        heard = features_logit + self.classifier_weight * np.nan_to_num(classifier_logit)
        home = self.places.get(self.language, Place(0.0, 1.0))
        known = [self.places.get(name or self.language) or self.places.get(OTHER, home) for name in languages]
        centre = np.array([place.centre for place in known], np.float64)
        scale = np.array([place.scale for place in known], np.float64)
        return home.centre + (heard - centre) * scale

    def score(self, combined: Floats) -> Floats:
        """In [0, 1]."""
        return sigmoid(self.slope * combined + self.bias)


def sigmoid(logit: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -logit))


def logit_of(score: npt.NDArray[Any]) -> Floats:
    """Logit of a probability, between -`MAX_LOGIT` and `MAX_LOGIT`; NaN stays NaN."""
    least = 1 / (1 + np.exp(MAX_LOGIT))
    bounded = np.clip(score.astype(np.float64), least, 1 - least)
    return np.log(bounded) - np.log1p(-bounded)


def fit_places(reference: Floats, languages: npt.NDArray[np.str_], home: str) -> dict[str, Place]:
    """Centre and scale of each language from logits of ordinary text in it: the median of every language falls on the
    median of `home`, and the distance from the first to the ninth tenth becomes its own, within `MIN_SCALE` and
    `MAX_SCALE`. Empty if there is no text of `home`."""
    if not (languages == home).any():
        return {}
    low, middle, high = np.quantile(reference[languages == home], QUANTILES)
    places = {home: Place(float(middle), 1.0)}
    rows = {name: languages == name for name in np.unique(languages).tolist() if name != home}
    rows[OTHER] = languages != home
    for name, mask in rows.items():
        if mask.any():
            first, centre, last = np.quantile(reference[mask], QUANTILES)
            scale = np.clip((high - low) / max(last - first, 1e-9), MIN_SCALE, MAX_SCALE)
            places[name] = Place(float(centre), float(scale))
    return places


def write_head(path: Path, head: Head) -> None:
    """As JSON, six digits after the point."""
    model = head.features
    rows = zip(FEATURES, model.mean, model.deviation, model.coefficients, strict=True)
    content = {
        "language": head.language,
        "intercept": round(model.intercept, 6),
        "features": {name: [round(float(v), 6) for v in values] for name, *values in rows},
        "classifier_weight": head.classifier_weight,
        "places": {name: [round(p.centre, 6), round(p.scale, 6)] for name, p in head.places.items()},
        "slope": round(head.slope, 6),
        "bias": round(head.bias, 6),
    }
    lines = json.dumps(content, indent=1).replace("\n   ", " ").replace("\n  ]", "]")
    path.write_text(lines + "\n", encoding="utf-8")


@lru_cache(maxsize=8)
def read_head(path: Path) -> Head:
    """Raises StageError when the file is not there or holds something else."""
    try:
        content = json.loads(path.read_bytes())
        table = np.array([content["features"][name] for name in FEATURES], np.float64)
        places = {name: Place(float(centre), float(scale)) for name, (centre, scale) in content["places"].items()}
        mean, deviation, coefficients = table.T
        model = FeatureModel(mean, deviation, coefficients, float(content["intercept"]))
        numbers = [float(content[name]) for name in ("classifier_weight", "slope", "bias")]
        language = str(content["language"])
    except FileNotFoundError as error:
        raise StageError(f"quality: {path} is missing; `tamis train quality` writes it beside the model") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"quality: {path} does not hold the numbers of a quality model: {error!r}") from error
    weight, slope, bias = numbers
    if not (np.isfinite(table).all() and np.isfinite(numbers).all() and (deviation > 0).all()):
        raise StageError(f"quality: {path} holds numbers that are not finite, or a deviation of 0")
    return Head(model, language, weight, places, slope, bias)
