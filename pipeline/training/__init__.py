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
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from stages.errors import ConfigError

TRAINERS = {"nsfw": "pipeline.training.nsfw:train"}
"""What can be trained, and the function that does it."""


def train(
    what: str,
    train_path: str,
    test_path: str,
    output: Path,
    seconds: float,
    excluded_licenses: tuple[str, ...],
    report: Callable[[str], None],
) -> None:
    """Train a model for the stage `what` and write it with its calibration and card. Raises ConfigError for others."""
    if what not in TRAINERS:
        raise ConfigError(f"there is no training for '{what}'. There is: {', '.join(TRAINERS)}")
    if output.suffix != ".ftz":
        raise ConfigError(f"--output should end in .ftz, as quantised fastText models do, not {output.name}")
    output.parent.mkdir(parents=True, exist_ok=True)
    module, _, function = TRAINERS[what].partition(":")
    getattr(import_module(module), function)(train_path, test_path, output, seconds, excluded_licenses, report)
