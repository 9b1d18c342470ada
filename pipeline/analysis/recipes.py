"""What published recipes would do to documents, as far as that can be told of each document by itself.

A recipe is a preset of `configs/`, or one paper's stage or two. Stages that compare documents (deduplication), sample
them (mixes) or drop nothing are left out, so a recipe keeps at most what is said here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import stats as counting
from pipeline.analysis.sampling import Sample
from pipeline.config import PRESETS, build_stages, load_config
from pipeline.sieve import fit, sieve
from stages.contract import Filter, Fitted, Map, Stage

RECIPES: dict[str, Sequence[str]] = {
    "gopher": ("gopher", "repetition"),
    "c4": ("c4",),
}
"""Recipes that are no preset, by the stages with their published bounds."""
PRESET_RECIPES = ("fineweb", "llama3", "multilingual")
APART = ("tokens", "embedding", "decontamination", "semantic_decontamination", "datatrove")
"""Kinds of stages that judge no text, or need files that only a user can name."""
BATCH_BYTES = 16 << 20
FIT_BYTES = 8 << 20
"""Text that stages which hold documents against their corpus learn from."""


@dataclass(frozen=True)
class Loss:
    """What a rule drops in its place."""

    rule: str
    documents: int
    bytes: int


@dataclass(frozen=True)
class Outcome:
    """What a recipe makes of a sample.

    Attributes:
        stages: those that were asked; left_out: those that were not, since they have to see all documents.
        losses: by rule, most documents first.
        kept: of each document of the sample, whether it stays.
    """

    name: str
    stages: tuple[str, ...]
    left_out: tuple[str, ...]
    documents: int
    kept_documents: int
    bytes: int
    kept_bytes: int
    losses: list[Loss]
    kept: npt.NDArray[np.bool_]

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        del found["kept"]
        return found


def recipes() -> Iterator[tuple[str, list[Stage], list[str]]]:
    """Name, stages that judge documents one by one, and the names of the others."""
    for name, kinds in RECIPES.items():
        yield name, build_stages(list(kinds)), []
    for name in PRESET_RECIPES:
        if (PRESETS / f"{name}.yaml").is_file():
            placed = load_config(name).stages
            alone = judges(placed)
            asked = {stage.name for stage in alone}
            yield name, alone, [stage.name for stage in placed if stage.name not in asked and _compares(stage)]


def judges(placed: Sequence[Stage]) -> list[Stage]:
    """Stages that look at a document alone, up to the last that may drop it, without those that change nothing."""
    alone = judged_alone(placed)
    needed = {need.split(".")[0] for stage in alone for need in stage.needs} | {"language"}
    asked = [stage for stage in alone if can_drop(stage) or isinstance(stage, Map) or stage.name in needed]
    while asked and not can_drop(asked[-1]):
        asked.pop()
    return asked


def judged_alone(placed: Sequence[Stage]) -> list[Stage]:
    """Stages that need nothing but a document, and no file that only a user can name."""
    apart = _apart()
    return [stage for stage in placed if not _compares(stage) and type(stage).__name__.lower() not in apart]


def _apart() -> set[str]:
    import stages as registry

    return {registry.load(kind).__name__.lower() for kind in APART}


def _compares(stage: Stage) -> bool:
    return not isinstance(stage, (Filter, Map, Fitted))


def can_drop(stage: Stage) -> bool:
    """Whether any of its rules may drop a document."""
    rules = [*stage.decisions().values(), *(rule for rules in stage.by_language.values() for rule in rules.values())]
    return stage.action == "drop" and any(not rule.is_open for rule in rules)


def judge(name: str, placed: Sequence[Stage], sample: Sample, left_out: Sequence[str] = ()) -> Outcome:
    """Run a recipe's stages over a sample, in their order."""
    for stage in placed:
        stage.setup()
    learns = any(isinstance(stage, Fitted) for stage in placed)
    learned = fit(placed, sample.thinned(FIT_BYTES)) if learns else {}
    stats = counting.empty([stage.name for stage in placed])
    verdicts = [pa.array([], pa.string())]
    for batch in sample.batches(BATCH_BYTES):
        verdicts.append(sieve(batch, placed, stats, learned).dropped_by)
    kept = pa.concat_arrays(verdicts).is_null().to_numpy(zero_copy_only=False)
    sizes = sample.sizes
    losses = [Loss(rule, lost["documents"], lost["bytes"]) for rule, lost in counting.dropped(stats).items()]
    return Outcome(
        name,
        tuple(stage.name for stage in placed),
        tuple(left_out),
        len(kept),
        int(kept.sum()),
        int(sizes.sum()),
        int(sizes[kept].sum()),
        losses,
        kept,
    )
