"""Speed of our fastText inference against the fastText library: one core, one run, the same documents, the same model.

    python -m benchmarks.fasttext [--repetitions N]

Both sides judge the development sets (in the folder TAMIS_DATA) with lid.176.ftz, in turns; the library is asked
for the best label of each text (a Python string), we for the best two on Arrow buffers. Ours is timed cold (no token
seen before), in between (half of the documents after the other half: as in a run, most tokens are known and none of the
documents) and warm (the same documents again), compiling apart. Then small classifiers over the same words: what the
first costs, and what a second and a third add. Times are processor seconds of one thread, medians of the repetitions.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.heuristics import pin

SETS = (("web_sample", "main_text"), ("web_sample", "text"), ("langid_dev", "text"))
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "words": {"minn": 0, "maxn": 0},
    "words and their n-grams of 3 to 5 characters": {"minn": 3, "maxn": 5, "bucket": 200_000},
    "words and pairs of words": {"wordNgrams": 2, "bucket": 200_000},
}
COMPILE = """
import time
import stages.text.views
started = time.perf_counter()
import stages.fasttext.predict
print(time.perf_counter() - started)
"""


def compile_seconds() -> list[float]:
    """Seconds to compile the kernels of inference into an empty cache, and to load them from it."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        command = [sys.executable, "-c", COMPILE]
        runs = [subprocess.run(command, env=environment, check=True, capture_output=True, text=True) for _ in range(2)]
    return [float(run.stdout) for run in runs]


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def texts_of(name: str, column: str) -> list[str]:
    import pyarrow.parquet as pq

    from tests.reference.oracle import data_path

    return [text for text in pq.read_table(data_path(f"{name}.parquet"))[column].to_pylist() if text]


def language_speeds(texts: list[str], repetitions: int) -> None:
    """Print the speeds of both sides on some texts, and whether they agree."""
    import fasttext

    from stages.contract import run_stage
    from stages.fasttext import predict, tokens
    from stages.fasttext.model import load
    from stages.language import Language
    from stages.lid import lid176_path
    from stages.text.batch import TextBatch

    library, model = fasttext.load_model(str(lid176_path())), load(str(lid176_path()))
    lines = [text.replace("\n", " ") + "\n" for text in texts]
    table = TextBatch.from_texts(texts).table
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    half = sum(len(text.encode()) for text in texts[1::2]) / 1e6
    times: dict[str, list[float]] = {name: [] for name in ("library", "between", "cold", "first", "warm", "stage")}
    for _ in range(repetitions):
        times["library"].append(seconds(lambda: [library.f.predict(line, 1, 0.0, "strict") for line in lines]))
        tokens._vocabularies.clear()
        predict.top_labels(model, TextBatch.from_texts(texts[::2]), 2)
        others = TextBatch.from_texts(texts[1::2])
        between = seconds(lambda others=others: predict.top_labels(model, others, 2))
        times["between"].append(between * megabytes / half)
        tokens._vocabularies.clear()
        for name in ("cold", "first", "warm"):  # the first pass after a cold one still grows the heap
            times[name].append(seconds(lambda: predict.top_labels(model, TextBatch(table), 2)))
        times["stage"].append(seconds(lambda: run_stage(Language(), TextBatch(table))))
    speed = {name: megabytes / statistics.median(values) for name, values in times.items()}
    rows = predict.top_labels(model, TextBatch(table), 1)[0][:, 0]
    best = [library.f.predict(line, 1, 0.0, "strict")[0][1].removeprefix("__label__") for line in lines]
    equal = sum(model.labels[row] == label for row, label in zip(rows, best, strict=True))
    print(
        f"  {len(texts):,} documents, {megabytes:.1f} MB, labels equal on {equal:,}\n"
        f"  library {speed['library']:7.1f} MB/s\n"
        f"  cold    {speed['cold']:7.1f} MB/s  {speed['cold'] / speed['library']:5.1f} times\n"
        f"  between {speed['between']:7.1f} MB/s  {speed['between'] / speed['library']:5.1f} times\n"
        f"  warm    {speed['warm']:7.1f} MB/s  {speed['warm'] / speed['library']:5.1f} times\n"
        f"  the stage `language`, warm, script included {speed['stage']:7.1f} MB/s"
    )


def train(folder: Path, texts: list[str], labels: list[str], name: str, **options: Any) -> str:
    """A small classifier of two labels on `training_text`; returns its path."""
    import fasttext

    from stages.fasttext.tokens import training_text
    from stages.text.batch import TextBatch

    data, path = folder / "train.txt", folder / f"{name}.bin"
    lines = zip(labels, training_text(TextBatch.from_texts(texts)), strict=True)
    data.write_text("".join(f"__label__{label} {line}\n" for label, line in lines))
    fasttext.train_supervised(str(data), dim=10, epoch=2, thread=10, verbose=0, **options).save_model(str(path))
    return str(path)


def classifier_costs(folder: Path, repetitions: int) -> None:
    """Print what one, two and three classifiers over the same words cost."""
    import pyarrow.parquet as pq

    from stages.fasttext import predict, tokens
    from stages.fasttext.model import load
    from stages.text.batch import TextBatch
    from tests.reference.oracle import data_path

    rows = pq.read_table(data_path("quality_dev.parquet")).to_pydict()
    labels = [str(int(label == "high")) for label in rows["label"]]
    texts = texts_of("web_sample", "main_text")
    table = TextBatch.from_texts(texts).table
    megabytes, half = (sum(len(text.encode()) for text in some) / 1e6 for some in (texts, texts[1::2]))
    for name, options in CLASSIFIERS.items():
        models = [load(train(folder, rows["text"], labels, f"{name}{i}", **options)) for i in range(3)]
        print(f"  {name}:")
        for state in ("cold", "between", "warm"):
            times: list[list[float]] = [[], [], [], []]
            for _ in range(repetitions):
                batch = TextBatch(table)
                if state != "warm":
                    tokens._vocabularies.clear()
                if state == "between":
                    for model in models:
                        predict.label_scores(model, TextBatch.from_texts(texts[::2]), ["1"], "words")
                    batch = TextBatch.from_texts(texts[1::2])
                times[0].append(seconds(lambda batch=batch: batch.words))
                for i, model in enumerate(models, start=1):
                    ask = lambda batch=batch, model=model: predict.label_scores(model, batch, ["1"], "words")  # noqa: E731
                    times[i].append(seconds(ask))
            size = half if state == "between" else megabytes
            words, first, second, third = (statistics.median(values) * megabytes / size for values in times)
            print(
                f"    {state}: words {words * 1e3:5.1f} ms, first model {first * 1e3:5.1f} ms"
                f" ({megabytes / (words + first):.0f} MB/s), second {second * 1e3:5.1f} ms"
                f" (+{second / (words + first):.0%}), third {third * 1e3:5.1f} ms (+{third / (words + first):.0%})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    pin()
    cold, cached = compile_seconds()
    print(f"compile: {cold:.1f} s into an empty cache, {cached:.2f} s from it")
    for name, column in SETS:
        print(f"{name} `{column}`, lid.176.ftz:")
        language_speeds(texts_of(name, column), options.repetitions)
    print("web_sample `main_text`, classifiers of two labels over shared words:")
    with tempfile.TemporaryDirectory() as folder:
        classifier_costs(Path(folder), options.repetitions)


if __name__ == "__main__":
    main()
