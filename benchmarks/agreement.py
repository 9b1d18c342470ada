"""Compare every decision of gopher, repetition, c4 and fineweb with datatrove's, and write the table: agreement.md.

    python -m benchmarks.agreement [FILE…] [--column NAME] [--output PATH]

FILE is Parquet, or JSON lines (plain, .gz, .zst); without one, the development pages are read (`web_sample.parquet` in
the folder that `TAMIS_DATA` names). Each document is judged twice by every rule, datatrove's tokens going in first,
then our own words. Every filter looks at the text as it came, so that one rule's answer does not hide another's.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import json

from stages.contract import run_stage
from stages.heuristics.c4 import C4
from stages.text.batch import TextBatch
from stages.text.unicode_tables import UNSPACED, classes
from tests.reference import oracle

BATCH = 200
OUTPUT = Path(__file__).with_name("agreement.md")
WHY = {
    "gopher.word_count": "a sentence of Chinese or Japanese is one token to spaCy's English rules",
    "gopher.mean_word_length": "the same: words of one character against words of a sentence",
    "gopher.alpha_word_ratio": "spaCy keeps URLs, `U.S.` and emoticons whole, and makes two words of `don't`",
    "gopher.ellipsis_ratio": "the number of tokens differs",
    "gopher.stop_word_count": "spaCy glues a word to a mark (`and/or`), or cuts one off",
    "fineweb.newline_ratio": "fewer tokens in unspaced scripts, as above",
    "c4.sentence_count": "spaCy knows abbreviations such as `Mr.`; we know the shape of single letters",
}
OTHER = "the words of an n-gram differ; in unspaced scripts spaCy sees few, long tokens"


@dataclass
class Tally:
    """What was counted over all documents of one source."""

    documents: int = 0
    normalised: int = 0
    dropped: int = 0
    fed_differ: list[str] = field(default_factory=list)
    final_differ: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    rewritten_alike: int = 0

    def add(self, texts: list[str]) -> None:
        normal = [oracle.normalised(text) for text in texts]
        theirs = [oracle.broken_rules(text) for text in normal]
        batch = TextBatch.from_texts(normal)
        rewritten = run_stage(C4(), batch)[0].table["text"].to_pylist()
        fed = oracle.our_broken_rules(oracle.with_datatrove_words(batch), oracle.sentence_counts(rewritten))
        ours = oracle.our_broken_rules(batch)
        self.rewritten_alike += sum(oracle.c4_text(a) == b for a, b in zip(normal, rewritten, strict=True))
        self.normalised += sum(a != b for a, b in zip(texts, normal, strict=True))
        self.dropped += sum(map(bool, theirs))
        for text, yours, given, mine in zip(normal, theirs, fed, ours, strict=True):
            self.documents += 1
            if given != yours:
                self.fed_differ.append(f"{sorted(given ^ yours)}: {text[:60]!r}")
            self._compare(text, yours, mine)

    def _compare(self, text: str, yours: set[str], mine: set[str]) -> None:
        self.final_differ["all four"] += bool(yours) != bool(mine)
        for stage in oracle.STAGES:
            broken = [any(rule.startswith(stage.name + ".") for rule in rules) for rules in (yours, mine)]
            self.final_differ[stage.name] += broken[0] != broken[1]
        for rule in yours ^ mine:
            side = "datatrove drops" if rule in yours else "we drop"
            self.rules[rule, side] += 1
            self.rules[rule, "unspaced"] += is_unspaced(text)


def is_unspaced(text: str) -> bool:
    """A fifth of the text or more is in a script without spaces."""
    codes = np.array([ord(char) for char in text], np.int64)
    return bool(len(codes)) and float(np.mean(classes()[codes] & UNSPACED > 0)) >= 0.2


def read(path: Path, column: str) -> list[str]:
    if path.suffix == ".parquet":
        table = pq.read_table(path, columns=[column])
    else:
        table = json.read_json(pa.input_stream(str(path)), json.ReadOptions(block_size=1 << 26))
    return [text or "" for text in table[column].to_pylist()]


def report(name: str, tally: Tally) -> str:
    n = tally.documents
    fed, alike, same = n - len(tally.fed_differ), tally.rewritten_alike, n - tally.final_differ["all four"]
    lines = [
        f"## {name}",
        "",
        f"{n:,} documents, of which datatrove drops {tally.dropped:,} by one rule or more.",
        f"In {tally.normalised:,} of them a line break other than a newline was replaced by one, on both sides:",
        "datatrove breaks Gopher's and C4's lines there, and we do not.",
        "",
        "- With datatrove's tokens and sentences fed to our rules, all broken rules are the same in",
        f"  {fed:,} ({fed / n:.2%}).",
        f"- C4 writes the same text in {alike:,} ({alike / n:.2%}).",
        "- With our own words and sentences, the decision (kept or dropped by the four together) is the same in",
        f"  {same:,} ({same / n:.2%}).",
        "",
        "| filter alone | decisions that differ with our words | agreement |",
        "|---|---:|---:|",
    ]
    for stage in oracle.STAGES:
        differ = tally.final_differ[stage.name]
        lines.append(f"| {stage.name} | {differ} | {1 - differ / n:.2%} |")
    lines += [
        "",
        "| rule | only datatrove drops | only we drop | of these in unspaced scripts | why |",
        "|---|---:|---:|---:|---|",
    ]
    for rule in sorted({rule for rule, _ in tally.rules}):
        counts = [tally.rules[rule, side] for side in ("datatrove drops", "we drop", "unspaced")]
        lines.append(f"| {rule} | {' | '.join(map(str, counts))} | {WHY.get(rule, OTHER)} |")
    lines += ["", *(f"- differs with datatrove's tokens: {line}" for line in tally.fed_differ[:20])]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[oracle.data_path("web_sample.parquet")])
    parser.add_argument("--column", action="append", help="text column; may be given more than once")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="numpy")  # datatrove takes means of nothing
    columns = options.column or (["text"] if options.files != parser.get_default("files") else ["main_text", "text"])
    parts = [
        "# Agreement with datatrove",
        "",
        "Written by `python -m benchmarks.agreement`; datatrove's thresholds, English.",
        "",
    ]
    for path in options.files:
        for column in columns:
            tally = Tally()
            texts = read(path, column)
            for i in range(0, len(texts), BATCH):
                tally.add(texts[i : i + BATCH])
                print(f"\r{path.name} {column}: {tally.documents} of {len(texts)}", end="", flush=True)
            print()
            parts.append(report(f"{path.name}, column `{column}`", tally))
    options.output.write_text("\n".join(parts), encoding="utf-8")
    print("\n".join(parts))


if __name__ == "__main__":
    main()
