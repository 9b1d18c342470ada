"""A finished run to look into, with what inspection has to get right: hostile text, several languages, duplicates."""

import json
from pathlib import Path

from pipeline.io.files import write_json
from pipeline.runs import Run
from pipeline.standing import standing
from tests.corpus import page
from tests.in_process import run_in_process

HOSTILE = (
    "<script>window.hacked = true</script> </script><!-- <img src=x onerror='window.hacked = true'> "
    "&lt;b&gt; {{ 7 * 7 }} {% raw %} \u202ereversed\u202c \u0000 \u200b\ue000 ]]> </textarea></pre>"
)
"""What a page may hold to break out of text."""
STAGES = ["language", "exact", {"minhash": {"within": ["language.label"]}}, "gopher", "repetition"]
"""Barriers first, so that other bounds of `gopher` can be predicted exactly."""


def texts(num_documents: int = 300) -> dict[str, str]:
    """Documents by id: pages of every kind, near duplicates of some, and hostile ones, dropped and kept."""
    found = {f"page-{seed}": page(seed) for seed in range(num_documents)}
    for seed in range(0, 60, 5):
        found[f"copy-{seed}"] = found[f"page-{seed}"] + " And one more sentence."
    found["<script>id</script>\u202e"] = HOSTILE
    found["hostile-kept"] = f"{page(2)}\n{page(4)}\n{HOSTILE}"
    return found


def inspected_run(folder: Path, name: str = "run", **changes: object) -> Run:
    """Write the documents and sieve them in this process."""
    path = folder / "in.jsonl"
    if not path.exists():
        rows = [{"id": id_, "text": text, "url": "javascript:alert(1)"} for id_, text in texts().items()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = {
        "input": str(path),
        "output": str(folder / name),
        "stages": STAGES,
        "execution": {"rejected_rate": 1.0, "shadow_rate": 0.2},
    }
    run = run_in_process(config | changes)
    write_json(f"{run.path}/stats.json", standing(run))
    return Run(run.path)
