"""What a corpus is like, before there is a config for it: a sample of it through every signal that needs nothing but
the document, what published recipes would drop of it, and a config to start from.

Every stage annotates, so each signal is known of all documents of the sample, and what a rule would drop is told
whatever the others do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.analysis.columns import counted
from pipeline.analysis.recipes import BATCH_BYTES, FIT_BYTES, Outcome, judge, judged_alone, recipes
from pipeline.analysis.safe_text import visible
from pipeline.analysis.sampling import Sample, take_sample
from pipeline.config import LANGUAGE, PRESETS, Config, build_stages, load_config, read_input
from pipeline.io.input import Input
from pipeline.sieve import column_types, fit
from stages.contract import Bounds, Map, Stage, decide, run_stage
from stages.errors import ConfigError

SAMPLE_BYTES = 64 << 20
FILES_BYTES = 256 << 20
"""Of reference text that is measured, about."""
STAGES = ("language", "gopher", "repetition", "c4", "fineweb", "llama3", "pii", "nsfw", "category")
NUM_EXAMPLES = 3
"""Documents shown of a rule, on the side that it drops, nearest to the bound."""
EXCERPT_CHARS = 160


@dataclass(frozen=True)
class Example:
    """A document near a bound: `value` is the signal's, `text` its beginning."""

    id: str | None
    value: float
    text: str


@dataclass(frozen=True)
class RuleShare:
    """What a published rule would drop of the sample if it were the only one.

    Attributes:
        by_language: share of each language's documents, of the larger languages.
        examples: documents that it drops, nearest to the bound first.
    """

    rule: str
    bound: str
    documents: int
    share: float
    by_language: dict[str, float]
    examples: list[Example]


@dataclass(frozen=True)
class Profile:
    """Everything that `tamis profile` tells.

    Attributes:
        signals: `stage.signal` columns of the sample's documents, in its order; duplicates: documents whose text an
            earlier one of the sample has.
        languages: documents by label, most first.
    """

    source: Input
    sample: Sample = field(repr=False)
    stages: list[Stage] = field(repr=False)
    signals: pa.Table = field(repr=False)
    duplicates: int
    languages: dict[str, int]
    categories: dict[str, int]
    rules: list[RuleShare]
    recipes: list[Outcome]

    @property
    def documents(self) -> int:
        return int(self.sample.table.num_rows)

    @property
    def bytes(self) -> int:
        return int(self.sample.sizes.sum())

    def to_json(self) -> dict[str, Any]:
        return {
            "input": {"files": self.sample.files, "file_bytes": self.sample.file_bytes},
            "sample": {
                "documents": self.documents,
                "bytes": self.bytes,
                "is_whole": self.sample.is_whole,
                "rejected": self.sample.rejected,
                "duplicates": self.duplicates,
            },
            "languages": self.languages,
            "categories": self.categories,
            "rules": [asdict(rule) for rule in self.rules],
            "recipes": [outcome.to_json() for outcome in self.recipes],
        }


def profile(source: Input, sample_bytes: int = SAMPLE_BYTES) -> Profile:
    """Measure a sample of an input and judge it by every recipe.

    Raises MissingInputError when there is nothing to read.
    """
    sample = take_sample(source, sample_bytes)
    placed = list(_stages("url" in sample.table.column_names))
    signals = measure(sample, placed)
    return Profile(
        source,
        sample,
        placed,
        signals,
        _duplicates(sample),
        counted(signals[LANGUAGE]),
        counted(signals["category.label"]),
        rule_shares(sample, placed, signals),
        [judge(name, judges, sample, left_out) for name, judges, left_out in recipes()],
    )


def _stages(has_url: bool) -> Iterator[Stage]:
    """The stages with their published bounds; none drops anything."""
    specs = [{"gopher": {"stop_words": stop_words()}} if kind == "gopher" else kind for kind in STAGES]
    for stage in build_stages([*(["url"] if has_url else []), *specs]):
        yield stage.model_copy(update={"action": "annotate"})


def stop_words() -> dict[str, list[str]]:
    """The commonest small words of as many languages as our presets have."""
    if not (PRESETS / "quickstart.yaml").is_file():
        return {}
    gopher = next(stage for stage in load_config("quickstart").stages if stage.name == "gopher")
    return {language: list(words) for language, words in gopher.model_dump()["stop_words"].items()}


def measure(sample: Sample, placed: Sequence[Stage]) -> pa.Table:
    """Every signal of every document of the sample, whatever a bound says of it."""
    for stage in placed:
        stage.setup()
    learned = fit(placed, sample.thinned(FIT_BYTES))
    tables = []
    for batch in sample.batches(BATCH_BYTES):
        for stage in placed:
            batch, _ = run_stage(stage, batch, learned.get(stage.name))
        tables.append(pa.table({name: batch.signals[name] for name in column_types(placed)}))
    return pa.concat_tables(tables).combine_chunks()


def measure_files(config: Config, wanted: Sequence[str], path: str, sample_bytes: int = FILES_BYTES) -> pa.Table:
    """Language and some signals of the documents of a file or glob, by the stages of a config, none of which drops.

    Maps before a stage change what it measures, so they are asked too. What a stage learns of a corpus, it learns of
    these files.
    """
    names = {name.rsplit(".", 1)[0] for name in wanted} | {LANGUAGE.split(".")[0]}
    placed = judged_alone(config.stages)
    last = max((place for place, stage in enumerate(placed) if stage.name in names), default=-1)
    names |= {need.split(".")[0] for stage in placed[: last + 1] if stage.name in names for need in stage.needs}
    asked = [stage for stage in placed[: last + 1] if stage.name in names or isinstance(stage, Map)]
    if LANGUAGE.split(".")[0] not in [stage.name for stage in asked]:
        raise ConfigError("the run knows no languages; put the stage `language` before the others")
    sample = take_sample(read_input({"path": path}), sample_bytes)
    return measure(sample, [stage.model_copy(update={"action": "annotate"}) for stage in asked])


def _duplicates(sample: Sample) -> int:
    """Documents whose text, byte for byte, an earlier one has."""
    hashes = {xxhash.xxh3_64_intdigest(text.as_buffer()) for text in sample.table["text"]}
    return int(sample.table.num_rows - len(hashes))


def verdicts(placed: Sequence[Stage], signals: pa.Table) -> Iterator[tuple[Stage, str, np.ndarray[Any, Any]]]:
    """For every rule that can drop, the documents of the sample that it would."""
    languages = signals[LANGUAGE].combine_chunks()
    for stage in placed:
        columns = {name: signals[f"{stage.name}.{name}"].combine_chunks() for name in stage.signals()}
        for name, mask in decide(stage, columns, languages).items():
            yield stage, name, mask


def rule_shares(sample: Sample, placed: Sequence[Stage], signals: pa.Table) -> list[RuleShare]:
    """What each published rule would drop by itself, most documents first."""
    from pipeline.catalogue import rule_text

    sizes = counted(signals[LANGUAGE])
    labels = [label for label, size in list(sizes.items())[:8] if size >= 20]
    rows_of = {label: pc.fill_null(pc.equal(signals[LANGUAGE], label), False).to_numpy() for label in labels}
    found = []
    for stage, name, mask in verdicts(placed, signals):
        rule = stage.decisions()[name]
        share = float(mask.mean())
        by_language = {label: float(mask[rows].mean()) for label, rows in rows_of.items()}
        examples = _examples(sample, signals[f"{stage.name}.{name}"], rule, mask) if isinstance(rule, Bounds) else []
        found.append(RuleShare(f"{stage.name}.{name}", rule_text(rule), int(mask.sum()), share, by_language, examples))
    return sorted(found, key=lambda rule: (-rule.documents, rule.rule))


def _examples(sample: Sample, column: pa.ChunkedArray, rule: Bounds, mask: np.ndarray[Any, Any]) -> list[Example]:
    rows = np.flatnonzero(mask)
    values = column.to_numpy()
    if rule.is_open:
        return []
    distances = np.min([np.abs(values[rows] - end) for end in rule.ends.values()], axis=0)
    nearest = rows[np.argsort(distances, kind="stable")[:NUM_EXAMPLES]]
    return [
        Example(sample.table["id"][row].as_py(), float(values[row]), _excerpt(sample.table["text"][row].as_py()))
        for row in nearest.tolist()
    ]


def _excerpt(text: str) -> str:
    """The beginning of a text on one line; what cannot be printed is shown by its code."""
    beginning = " ".join(text[: 4 * EXCERPT_CHARS].split())
    return visible(beginning[:EXCERPT_CHARS]) + ("…" if len(beginning) > EXCERPT_CHARS else "")
