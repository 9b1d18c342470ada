"""What counting and shadow measurement cost: `python -m benchmarks.statistics CORPUS [--files N] [--repeats N]`.

CORPUS is a folder of Parquet files as `python -m benchmarks.corpus` makes it. The same run, in turns: with all that is
counted, with nothing of it counted (the functions replaced by ones that do nothing, in the run's one process), and with
and without a shadow sample of 1 %. Prints seconds of a core for the tasks, and what they themselves say they spent.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

RECIPES: dict[str, list[Any]] = {
    "heuristics": ["gopher", "repetition", "c4", "fineweb"],
    "cpu funnel": ["language", "gopher", "repetition", "c4", "fineweb", "pii", "nsfw", "quality"],
}
VARIANTS: dict[str, tuple[float, bool]] = {"all": (0.01, True), "no shadow": (0.0, True), "nothing": (0.0, False)}
"""Shadow rate, and whether anything is counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--files", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    files = [str(path) for path in sorted(options.corpus.glob("*.parquet"))[: options.files]]
    for name, stages in RECIPES.items():
        seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        told: list[tuple[float, float]] = []
        for turn in range(options.repeats + 1):
            for variant, (rate, counted) in VARIANTS.items():
                began = time.process_time()
                stats = _run(files, stages, rate, counted)
                spent = time.process_time() - began
                if turn:  # the first one compiles and fills caches
                    seconds[variant].append(spent)
                    if variant == "all":
                        whole = stats["task_seconds"]
                        told.append((stats["statistics_seconds"] / whole, stats["shadow"]["seconds"] / whole))
        base = statistics.median(seconds["nothing"])
        print(f"{name}: {stats['input']['bytes'] / 1e6:.0f} MB")
        for variant, values in seconds.items():
            own = statistics.median(values)
            print(f"  {variant:<10} {own:6.2f} s  {100 * (own / base - 1):+.1f} %")
        share, shadow = (100 * statistics.median(column) for column in zip(*told, strict=True))
        print(f"  by its own account: counting {share:.2f} %, shadow measurement of 1 % {shadow:.2f} %")


def _run(files: list[str], stages: list[Any], rate: float, counted: bool) -> dict[str, Any]:
    """The stats of the sieve tasks of a run, done in this process."""
    from pipeline.config import load_config
    from pipeline.io.shards import list_shards
    from pipeline.launch import _prepare
    from pipeline.plan import make_plan
    from pipeline.references import reference_task
    from pipeline.stats import merge
    from pipeline.task import perform

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        source = {"input": {"path": files}, "output": f"{folder}/run", "stages": stages}
        config = load_config({**source, "execution": {"shadow_rate": rate}})
        manifest = list_shards(config.input)
        run = _prepare(config.output, config, manifest, make_plan(config, manifest))
        if run.plan.reference is not None:
            reference_task(run, run.plan.reference, 0, lambda stats: None)
        if not counted:
            stack.enter_context(_uncounted())
        (segment,) = run.plan.segments
        ranks = range(segment.sieve.num_tasks or 0)
        return merge(perform(run, segment.sieve, rank, lambda stats: None).stats for rank in ranks)


@contextmanager
def _uncounted() -> Iterator[None]:
    def nothing(*args: object, **options: object) -> None:
        return

    names = ("pipeline.sieve.count_rules", "pipeline.sieve.count_signals", "pipeline.task.count_by_label")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(patch(name, nothing))
        yield


if __name__ == "__main__":
    main()
