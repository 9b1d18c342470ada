"""Counts of a task, of a phase and of a run: nested dictionaries that merge by addition.

    {"input":  {"documents", "bytes", "file_bytes", "seconds", "rejected": {reason: {"documents", "bytes"}}},
     "stages": {name: {"documents_in", "bytes_in", "documents_out", "bytes_out", "seconds",
                       "dropped": {"stage.signal": {"documents", "bytes"}}, "unmeasured": {"stage.signal": documents},
                       "alone", "only": as "dropped",
                       "histograms": {"stage.signal": {bin: documents}}, "labels": {"stage.signal": {label: documents}},
                       "counters": what the stage itself counts, if it does}},
     "output": {"documents", "bytes", "seconds"},
     "sources", "languages": {label: {"read", "kept": {"documents", "bytes"}, "dropped": {"stage.signal": …}}},
     "shadow": {"documents", "bytes", "seconds", "unmeasured": {stage: documents}},
     "task_seconds", "statistics_seconds": …, "peak_memory_bytes": …}

Merging is associative and commutative, so tasks may finish in any order: every number is a sum, but for names that
start with `peak_`, which are maxima. Bytes are bytes of UTF-8 text, but for `file_bytes`: what was read of the files.
A document is dropped by exactly one rule, so at every stage `documents_in = documents_out + sum of dropped`. Of the
documents that reached a stage, `alone` are those that a rule would drop if it were the only one of the stage, `only`
those that no other rule of the stage drops. Histograms and labels tell of all documents that reached it
(`pipeline.histograms`). By source, documents count from the reader on, by language from the stage `language` on. The
bytes of these four are those that were read; elsewhere a stage counts what came to it.

More than 1,000 labels of one kind become a single one, `(many)`, which takes up every label it meets.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Stats: TypeAlias = dict[str, Any]

MAX_LABELS = 1000
MANY = "(many)"
"""Stands for all labels of a kind where there are more than `MAX_LABELS`."""
UNKNOWN = "(unknown)"
"""Documents that have no such label."""
BY_LABEL = ("sources", "languages")
LARGE = ("histograms", "labels")
"""What a stage's counts hold that is too large to be told again and again."""


def label_name(label: str) -> str:
    """A label of the data as it is counted; one that looks like ours is put in quotes."""
    return f"'{label}'" if label in (MANY, UNKNOWN) else label


def merge(parts: Iterable[Stats]) -> Stats:
    """The sum of any number of stats; `{}` for none. Keys keep the order in which they first appear."""
    total: Stats = {}
    for part in parts:
        add(total, part)
    return total


def add(total: Stats, part: Stats) -> None:
    """Add a part to a total, in place."""
    _add(total, part)
    for kind in BY_LABEL:
        absorb(total.get(kind, {}))
    for counts in total.get("stages", {}).values():
        for labels in counts.get("labels", {}).values():
            absorb(labels)


def _add(total: Stats, part: Stats, has_peaks: bool = True) -> None:
    for key, value in part.items():
        if isinstance(value, dict):
            _add(total.setdefault(key, {}), value, has_peaks and key != "labels")  # labels may be named anything
        elif has_peaks and key.startswith("peak_") and "." not in key:  # a rule's name has a dot
            total[key] = max(total.get(key, value), value)
        else:
            total[key] = total.get(key, 0) + value


def absorb(labels: Stats) -> None:
    """Make one label of too many, in place."""
    if MANY not in labels and len(labels) <= MAX_LABELS:
        return
    whole: Stats = {}
    for value in labels.values():
        _add(whole, {MANY: value})
    labels.clear()
    labels |= whole


def light(stats: Stats) -> Stats:
    """Stats without what is large: for a display that looks several times a second."""
    stages = {
        name: {key: value for key, value in counts.items() if key not in LARGE}
        for name, counts in stats.get("stages", {}).items()
    }
    rest = {key: value for key, value in stats.items() if key not in (*BY_LABEL, "stages")}
    return rest | ({"stages": stages} if stages else {})


def merge_counters(counts: Stats, counters: Mapping[str, float]) -> None:
    """Add a stage's own counters to its counts."""
    if counters:
        _add(counts.setdefault("counters", {}), dict(counters))


def empty(stage_names: Iterable[str]) -> Stats:
    """Stats of nothing, with every stage present and in the order of the plan."""
    return {
        "input": {"documents": 0, "bytes": 0, "file_bytes": 0, "seconds": 0.0, "rejected": {}},
        "stages": {
            name: {
                "documents_in": 0,
                "bytes_in": 0,
                "documents_out": 0,
                "bytes_out": 0,
                "seconds": 0.0,
                "dropped": {},
                "unmeasured": {},
                "alone": {},
                "only": {},
                "histograms": {},
                "labels": {},
            }
            for name in stage_names
        },
        "output": {"documents": 0, "bytes": 0, "seconds": 0.0},
        "sources": {},
        "languages": {},
        "task_seconds": 0.0,
        "statistics_seconds": 0.0,
        "peak_memory_bytes": 0,
    }


def dropped(stats: Stats) -> dict[str, dict[str, int]]:
    """Documents and bytes dropped by each rule of every stage, most documents first."""
    rules = [(rule, counts) for stage in stats["stages"].values() for rule, counts in stage["dropped"].items()]
    return dict(sorted(rules, key=lambda item: (-item[1]["documents"], item[0])))


def dropped_as_read(stats: Stats) -> dict[str, tuple[int, int]]:
    """Documents that each rule dropped, and their bytes as they were read."""
    total: Stats = {}
    for counts in stats["sources"].values():
        _add(total, counts["dropped"])
    return {rule: (counts["documents"], counts["bytes"]) for rule, counts in total.items()}


def num_rejected(stats: Stats) -> int:
    """Records that could not be read as documents."""
    return sum(counts["documents"] for counts in stats["input"]["rejected"].values())


def peak_memory_bytes() -> int:
    """The largest resident set that this process has had."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    # Linux's ru_maxrss starts from the size of the process that forked this one; VmHWM does not.
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
