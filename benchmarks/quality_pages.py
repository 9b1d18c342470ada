"""What `quality` says of real pages: scores by language, article bodies against the rest of their page, both ends.

    TAMIS_DATA=folder python -m benchmarks.quality_pages [--show N]

The pages are unlabelled and were not trained on. A page's *rest* is what its visible text has and its main text has
not: menus, footers, teasers.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from pipeline.training.card import table
from pipeline.training.metrics import auc
from tests.reference.oracle import data_path

MIN_BODY_CHARS, MIN_REST_CHARS, MAX_REST_CHARS = 300, 200, 6000
MIN_PAGES = 5


def judge(texts: list[str]) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Score and language of each text."""
    from stages.contract import run_stage
    from stages.heuristics.fineweb import FineWeb
    from stages.heuristics.gopher import Gopher
    from stages.language import Language
    from stages.quality import Quality
    from stages.text.batch import TextBatch

    batch = TextBatch.from_texts(texts)
    for stage in (Language(), Gopher(), FineWeb()):
        batch, _ = run_stage(stage, batch)
    quality = Quality()
    _, columns = run_stage(quality, batch, quality.fit(batch))
    languages = batch.signals["language.label"].to_pylist()
    return columns["score"].to_numpy(zero_copy_only=False).astype(np.float64), [name or "" for name in languages]


def rest_of(page: str, body: str) -> str:
    """The lines of a page that are part of no line of its body."""
    lines = [line.strip() for line in body.split("\n")]
    rest = []
    for line in page.split("\n"):
        bare = line.strip().lstrip("*+-o# ")
        if bare and not any(bare in whole for whole in lines):
            rest.append(line)
    return "\n".join(rest)[:MAX_REST_CHARS]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality_pages")
    parser.add_argument("--show", type=int, default=0, help="also show so many of the best and the worst")
    args = parser.parse_args()
    pages = pq.read_table(data_path("web_sample.parquet")).to_pylist()
    pages = list({page["main_text"]: page for page in pages if len(page["main_text"] or "") >= MIN_BODY_CHARS}.values())
    bodies = [page["main_text"] for page in pages]
    scores, names = judge(bodies)
    languages = np.array(names)
    rests = [rest_of(page["text"], page["main_text"]) for page in pages]
    has_rest = np.array([len(rest) >= MIN_REST_CHARS for rest in rests])
    rest_scores, _ = judge(rests)
    lines = []
    for name in sorted(set(names), key=lambda name: -names.count(name)):
        own, both = languages == name, (languages == name) & has_rest
        if both.sum() < MIN_PAGES:
            continue
        labels = np.repeat([True, False], both.sum())
        value = auc(labels, np.concatenate([scores[both], rest_scores[both]]))
        quantiles = np.quantile(scores[own], [0.1, 0.5, 0.9]).tolist()
        lines.append((name, int(own.sum()), *quantiles, int(both.sum()), float(np.median(rest_scores[both])), value,
                      float((scores[both] > rest_scores[both]).mean())))  # fmt: skip
    header = (
        "language",
        "bodies",
        "10 %",
        "median",
        "90 %",
        "with rest",
        "median of rest",
        "body : rest, AUC",
        "above its rest",
    )
    print(table(header, lines))
    order = np.argsort(scores)
    for title, rows in (("worst", order[: args.show]), ("best", order[::-1][: args.show])):
        for row in rows.tolist() if args.show else []:
            print(f"{title} {scores[row]:.3f} {languages[row]:3s} {bodies[row][:100]!r}")


if __name__ == "__main__":
    main()
