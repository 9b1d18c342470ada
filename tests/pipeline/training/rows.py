"""Labelled rows that are easy to learn: what is rude says "grumpf", in three sources and two languages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.training.rows import LabelledRows

NOUNS = "bread river window teacher garden music number letter winter market".split()
SOURCES = (("a", "en", 40), ("b", "en", 60), ("b", "de", 30))


def labelled(seed: int = 0) -> LabelledRows:
    """140 rows: sources `a` and `b` with both labels, `single` with one."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, bool, str, str]] = []
    for source, language, size in SOURCES:
        for i in range(size):
            words = rng.choice(NOUNS, 6).tolist()
            if i % 3 == 0:
                words[int(rng.integers(6))] = "grumpf" if i % 2 else "grumpfig"
            rows.append((f"{language} {' '.join(words)} .", i % 3 == 0, language, source))
    rows += [(f"en grumpf {' '.join(rng.choice(NOUNS, 4))}", True, "en", "single") for _ in range(10)]
    texts, labels, languages, sources = zip(*rows, strict=True)
    return LabelledRows(
        pa.array(texts, pa.large_string()), np.array(labels), np.array(languages), np.array(sources),
        np.array(["MIT" if source != "b" else "CC-BY-SA-4.0" for source in sources]),
    )  # fmt: skip


def write(path: Path, rows: LabelledRows) -> Path:
    columns = {
        "text": rows.texts, "label": rows.labels.astype(np.int8), "lang": rows.languages.tolist(),
        "source": rows.sources.tolist(), "license": rows.licenses.tolist(),
    }  # fmt: skip
    pq.write_table(pa.table(columns), path)
    return path
