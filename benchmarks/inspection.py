"""What questions to a run of many documents cost: `python -m benchmarks.inspection PAGES --documents 10000000`.

Makes a run out of a small one: language, gopher, repetition, c4 and fineweb sieve the given pages with everything
recorded, then its rows of `signals/`, `shadow/` and `rejected/` are drawn again and again into the files of that run,
until there are as many as asked. Every ratio but those at a bound is moved by up to a ten-millionth, so that columns
do not shrink to a dictionary. `documents/` stays small, since no question here reads it. Each question is asked in a
process of its own that reports its seconds, opening the run included, and its peak memory, libraries included. Then
one inspector makes its pages, HTML included, as a browser asks for them: each for the first time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import pipeline
from pipeline.analysis.tables import quoted
from pipeline.io.files import checksum_of
from pipeline.io.write import Written
from pipeline.records import commit
from pipeline.runs import Run
from stages.contract import Bounds

STAGES: list[Any] = ["language", "gopher", "repetition", {"c4": {"terminal_punctuation": False}}, "fineweb"]
SAMPLE = 0.01
SAMPLED = ("shadow", "rejected")
TIGHTER = ["stages.gopher.word_count.min=100"]
LOOSER = [
    "stages.gopher.word_count.min=20",
    "stages.language.score.min=0.3",
    "stages.fineweb.terminated_line_ratio.min=0",
]


def make_run(pages: str, folder: Path, documents: int) -> Run:
    """A run of so many documents, of which most are copies."""
    config = {
        "input": {"path": pages},
        "output": str(folder),
        "stages": STAGES,
        "execution": {"shadow_rate": 1, "rejected_rate": 1, "workers": 1},
    }
    run = pipeline.run(config)
    phase, record = run.plan.write, run.records(run.plan.write)[0]
    rows = run.signals.count_rows()
    factor = documents / rows
    counts = {
        "signals": documents,
        **{kind: int(SAMPLE * factor * getattr(run, kind).count_rows()) for kind in SAMPLED},
    }
    files = [_grown(run, file, counts) for file in record.files]
    commit(run.path, phase, 0, files, record.stats)
    stats = Path(run.path) / "stats.json"
    stats.write_text(json.dumps(_times(json.loads(stats.read_text()), factor)))
    return Run(run.path)


def _grown(run: Run, file: Written, counts: dict[str, int]) -> Written:
    """A file of a run with more rows, drawn from its own; of other kinds than those counted, as it is."""
    import duckdb

    kind = next((kind for kind in counts if f"/{kind}/" in f"/{file.path}"), None)
    if kind is None or counts[kind] <= file.rows:
        return file
    path = Path(run.path, file.path)
    template = getattr(run, kind).to_table()
    ends = _ends(run)
    columns = ", ".join(_drawn(field, ends) for field in template.schema)
    connection = duckdb.connect(config={"memory_limit": "2GB", "threads": 1})
    connection.register("template", template.append_column("place", pa.array(range(template.num_rows))))
    source = (
        f"SELECT range AS row, CAST(hash(range) % {template.num_rows} AS BIGINT) AS place FROM range({counts[kind]})"
    )
    connection.execute(
        f"COPY (SELECT {columns} FROM ({source}) JOIN template USING (place)) TO '{path}' (COMPRESSION zstd)"
    )
    return Written(file.path, counts[kind], path.stat().st_size, checksum_of(str(path)))


def _ends(run: Run) -> list[float]:
    """The ends of all bounds; a ratio that is one stays, so that no draw crosses its bound."""
    decisions = [decision for stage in run.config.stages for decision in stage.decisions().values()]
    found = [end for bound in decisions if isinstance(bound, Bounds) for end in (bound.min, bound.max)]
    return sorted({float(end) for end in found if end is not None})


def _drawn(field: pa.Field, ends: list[float]) -> str:
    name = quoted(field.name)
    if field.name == "address":
        return "CAST(row AS UBIGINT) AS address"
    if pa.types.is_floating(field.type):
        kind = "FLOAT" if pa.types.is_float32(field.type) else "DOUBLE"
        at_end = f"{name} IN ({', '.join(f'CAST({end!r} AS {kind})' for end in ends)})"
        moved = f"{name} * (1 - 1e-7 * (hash(row) % 1000) / 1000)"
        return f"CAST(CASE WHEN {at_end} THEN {name} ELSE {moved} END AS {kind}) AS {name}"
    return name


def _times(content: Any, factor: float) -> Any:
    if isinstance(content, dict):
        return {key: _times(value, factor) for key, value in content.items()}
    if isinstance(content, list):
        return [_times(value, factor) for value in content]
    return round(content * factor) if isinstance(content, int) and not isinstance(content, bool) else content


def ask(question: str, path: str) -> None:
    """Answer one question and print its seconds and the peak of memory in MB."""
    from pipeline.analysis.histograms import histogram_of
    from pipeline.analysis.reasons import overlap, reasons
    from pipeline.analysis.samples import dropped
    from pipeline.analysis.tables import open_tables
    from pipeline.analysis.whatif import flipping, what_if
    from pipeline.report.write import render

    start = time.perf_counter()
    run = pipeline.open_run(path)
    with open_tables(run) as tables:
        if question.startswith("what-if"):
            changes = TIGHTER if "tighter" in question else LOOSER
            found = what_if(run, changes, tables)
            assert found.kept.value > 0
        elif question == "examples that flip":
            flipping(run, LOOSER, tables)
        elif question == "reasons":
            reasons(tables)
        elif question == "overlap":
            overlap(tables)
        elif question == "report":
            render(run)
        elif question == "documents that a rule dropped":
            assert len(dropped(run, tables, "gopher.word_count", 20)) == 20
        else:
            histogram_of(tables, "gopher.word_count", EDGES, "en")
    print(json.dumps({"seconds": time.perf_counter() - start, "peak": _peak_mb()}))


def show_pages(path: str) -> None:
    """Print the seconds that each page takes an inspector that has been started."""
    from starlette.testclient import TestClient

    from pipeline.inspector.app import make_app
    from pipeline.inspector.page import Inspected

    inspected = Inspected(pipeline.open_run(path))
    start = time.perf_counter()
    inspected.prepare()
    print(f"\n| page | s |\n|---|---:|\n| (started) | {time.perf_counter() - start:.2f} |")
    client = TestClient(make_app(inspected), base_url="http://127.0.0.1")
    for name, address in PAGES.items():
        start = time.perf_counter()
        assert client.get(address).status_code == 200, address
        print(f"| {name} | {time.perf_counter() - start:.2f} |", flush=True)


def _peak_mb() -> float:
    """Of this process alone; `ru_maxrss` would begin with that of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


EDGES = np.array([20.0, 50.0, 100.0, 1000.0])
QUESTIONS = (
    "what-if, tighter",
    "what-if, looser",
    "examples that flip",
    "reasons",
    "overlap",
    "histogram of a language",
    "report",
    "documents that a rule dropped",
)


PAGES = {
    "Config": "/config",
    "Overview": "/",
    "Overview, in bytes": "/?weight=bytes",
    "Stage": "/stage?stage=gopher",
    "Stage, a bound moved": "/stage?stage=gopher&signal=word_count&stages.gopher.word_count.min=100",
    "Stage, a language": "/stage?stage=gopher&signal=word_count&language=de",
    "What if, three bounds": f"/whatif?{'&'.join(LOOSER)}",
    "Samples": "/samples?rule=gopher.word_count",
    "Samples, another rule": "/samples?rule=repetition.duplicate_line_ratio",
    "Samples that change side": "/samples?kind=flipping&stages.gopher.word_count.min=100",
    "Speed": "/speed",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", help="input of a small run")
    parser.add_argument("--documents", type=int, default=10_000_000)
    parser.add_argument("--run", type=Path, default=Path("inspection-run"), help="where the run is made, or is already")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        ask(arguments.ask, str(arguments.run))
        return
    if not (arguments.run / "run.json").exists():
        make_run(arguments.pages, arguments.run, arguments.documents)
    run = pipeline.open_run(str(arguments.run))
    print(f"{run.signals.count_rows():,} documents, {run.shadow.count_rows():,} in the shadow sample\n")
    print("| question | seconds | peak memory (MB) |\n|---|---:|---:|")
    for question in QUESTIONS:
        command = [sys.executable, "-m", "benchmarks.inspection", arguments.pages, "--run", str(arguments.run)]
        done = subprocess.run([*command, "--ask", question], check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"| {question} | {found['seconds']:.1f} | {found['peak']:.0f} |", flush=True)
    show_pages(str(arguments.run))


if __name__ == "__main__":
    main()
