"""What people said of dropped documents, and the precision of each rule that follows.

`RUN/labels.jsonl` has a line for each label; the last one of a document and rule counts.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.analysis.estimates import Estimate, share_of
from pipeline.runs import Run
from stages.errors import ConfigError

AGREE, WRONG = "agree", "wrong drop"
LABELS = (AGREE, WRONG)


@dataclass(frozen=True)
class Precision:
    """Of the documents that people looked at, how many a rule dropped rightly; a share, with its interval."""

    rule: str
    agree: int
    labelled: int
    share: Estimate


def path_of(run: Run) -> Path:
    """Raises ConfigError for a run that is not on a disk."""
    if "://" in run.path:
        raise ConfigError(f"labels are written beside a run on a disk; {run.path} is not")
    return Path(run.path, "labels.jsonl")


def add(run: Run, rule: str, address: int, label: str) -> None:
    """Append what somebody said of a document that a rule dropped. Raises ConfigError for another label."""
    if label not in LABELS:
        raise ConfigError(f"label={label}: write {' or '.join(LABELS)}")
    line = {
        "rule": rule,
        "address": address,
        "label": label,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    with path_of(run).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def of_rule(run: Run, rule: str) -> dict[int, str]:
    """The label of each document that was looked at."""
    path = path_of(run) if "://" not in run.path else None
    if path is None or not path.is_file():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        if one["rule"] == rule:
            found[int(one["address"])] = str(one["label"])
    return found


def precision(run: Run, rule: str, num_dropped: int) -> Precision | None:
    """How often a rule that dropped so many documents was right; None if nobody has looked."""
    labels = of_rule(run, rule)
    if not labels:
        return None
    agree = sum(label == AGREE for label in labels.values())
    counted = share_of(max(num_dropped, len(labels)), len(labels), agree)
    size = max(num_dropped, len(labels))
    share = Estimate(agree / len(labels), counted.low / size, counted.high / size, counted.exact)
    return Precision(rule, agree, len(labels), share)
