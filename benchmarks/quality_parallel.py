"""Whether a score of `quality` means the same in every language: one text in many languages should get one score.

    TAMIS_DATA=folder python -m benchmarks.quality_parallel

240 paragraphs of Wikipedia in 12 languages (XQuAD), and the Universal Declaration of Human Rights, each translation as
one document, in those languages that have a place on the scale and in those that have none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.training.card import table
from tests.reference.oracle import data_path

MIN_PARAGRAPHS = 12
"""Of a translation of the declaration, to count."""


def judge(texts: list[str], languages: list[str]) -> npt.NDArray[np.float64]:
    """Scores of texts whose language is known."""
    from stages.contract import run_stage
    from stages.heuristics.fineweb import FineWeb
    from stages.heuristics.gopher import Gopher
    from stages.quality import Quality
    from stages.text.batch import TextBatch

    batch = TextBatch.from_texts(texts).with_signals({"language.label": pa.array(languages, pa.string())})
    for stage in (Gopher(), FineWeb()):
        batch, _ = run_stage(stage, batch)
    quality = Quality()
    return run_stage(quality, batch, quality.fit(batch))[1]["score"].to_numpy(zero_copy_only=False).astype(np.float64)


def main() -> None:
    from stages.quality import DEFAULT_MODEL
    from stages.quality_head import read_head

    rows = pq.read_table(data_path("quality_dev.parquet")).to_pylist()
    rows = [row for row in rows if row["kind"] == "wikipedia_paragraph"]
    names = [row["lang"] for row in rows]
    scores, languages = judge([row["text"] for row in rows], names), np.array(names)
    lines = [(name, *np.quantile(scores[languages == name], [0.1, 0.5, 0.9]).tolist()) for name in sorted(set(names))]
    print(table(("language", "10 %", "median", "90 %"), lines))

    paragraphs: dict[str, list[str]] = {}
    for row in pq.read_table(data_path("langid_dev.parquet")).to_pylist():
        if row["kind"] == "udhr_paragraph":
            paragraphs.setdefault(row["lang"], []).append(row["text"])
    whole = {name: "\n".join(own) for name, own in paragraphs.items() if len(own) >= MIN_PARAGRAPHS}
    scores = judge(list(whole.values()), list(whole))
    places = read_head(DEFAULT_MODEL.with_suffix(".json")).places
    has_place = np.array([name in places for name in whole])
    lines = [
        (title, int(mask.sum()), *np.quantile(scores[mask], [0, 0.1, 0.5, 0.9, 1]).tolist())
        for title, mask in (("with a place", has_place), ("without", ~has_place))
    ]
    print(f"\nEnglish {scores[list(whole).index('en')]:.3f}")
    print(table(("languages", "number", "lowest", "10 %", "median", "90 %", "highest"), lines))


if __name__ == "__main__":
    main()
