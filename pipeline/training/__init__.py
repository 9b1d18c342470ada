"""Training of the small text classifiers that stages ship, and of a user's own: `tamis train`.

rows.py        labelled documents from a file, and what each weighs
features.py    a text as rows of a fastText model: words, character n-grams, word n-grams
linear.py      logistic regression on them, in compiled code: the same numbers every time
model_file.py  the result as a fastText file, quantised to one byte a row
search.py      hyper-parameters by leave-one-source-out, within a time
metrics.py     AUC, confusion, reliability
head.py        a logistic regression on few numbers, for combining and calibrating scores
card.py        the model card
nsfw.py        what `tamis train nsfw` does
signed.py      logistic regression whose coefficients may not be negative
excerpts.py    parts and damaged copies of labelled documents
quality.py     what `tamis train quality` does
quality_rows.py  the rows that the default quality model is trained on
embedding.py   what `tamis train … --features embedding` does
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from stages.errors import ConfigError

TRAINERS = {"nsfw": "pipeline.training.nsfw:train", "quality": "pipeline.training.quality:train"}
"""What can be trained, and the function that does it."""


def train(
    what: str,
    train_path: str,
    test_path: str,
    output: Path,
    seconds: float,
    excluded_licenses: tuple[str, ...],
    report: Callable[[str], None],
    reference_path: str | None = None,
    features: str = "words",
    encoder: str = "use",
) -> None:
    """Train a model for the stage `what` and write it with its calibration and card. Raises ConfigError for others.

    Args:
        reference_path: ordinary text in many languages; of use to `quality` alone.
        features: what it goes by: words, or the vectors of an encoder.
        encoder: as in the stage `embedding`.
    """
    if what not in TRAINERS:
        raise ConfigError(f"there is no training for '{what}'. There is: {', '.join(TRAINERS)}")
    if features not in ("words", "embedding"):
        raise ConfigError(f"--features is words or embedding, not {features}")
    suffix, format = (".ftz", "quantised fastText models") if features == "words" else (".npz", "heads on embeddings")
    if output.suffix != suffix:
        raise ConfigError(f"--output should end in {suffix}, as {format} do, not {output.name}")
    if reference_path is not None and what != "quality":
        raise ConfigError(f"--reference sets the languages of quality on one scale; {what} has no use for it")
    output.parent.mkdir(parents=True, exist_ok=True)
    if features == "embedding":
        from pipeline.training import embedding

        embedding.train(what, train_path, test_path, output, encoder, excluded_licenses, report, reference_path)
        return
    module, _, function = TRAINERS[what].partition(":")
    more = {} if reference_path is None else {"reference_path": reference_path}
    getattr(import_module(module), function)(train_path, test_path, output, seconds, excluded_licenses, report, **more)
