"""What people said of dropped documents, and the precision of each rule that follows.

`RUN/labels.jsonl` has a line for each label; the last one of a document and rule counts.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.analysis.estimates import Estimate, share_of
from pipeline.io.files import read_if_there
from pipeline.runs import Run
from stages.errors import ConfigError, RunError

AGREE, WRONG = "agree", "wrong drop"
LABELS = (AGREE, WRONG)
FILE = "labels.jsonl"


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
    return Path(run.path, FILE)


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
    """The label of each document that was looked at. Raises RunError when the file holds something else."""
    path = f"{run.path}/{FILE}"
    content = read_if_there(path)
    found = {}
    for number, line in enumerate((content or b"").splitlines(), 1):
        try:
            one = json.loads(line)
            if one["rule"] == rule:
                found[int(one["address"])] = str(one["label"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path}:{number} is no label: {line[:80]!r}; take the line out") from error
    return found


def precision(run: Run, rule: str, num_dropped: int) -> Precision | None:
    """How often a rule that dropped so many documents was right; None if nobody has looked.

    The interval is that of documents looked at by chance. People look at those nearest to the bound first, where a rule
    errs most: then the share is rather too low than too high.
    """
    labels = of_rule(run, rule)
    if not labels:
        return None
    agree = sum(label == AGREE for label in labels.values())
    size = max(num_dropped, len(labels))
    counted = share_of(size, len(labels), agree)
    share = Estimate(counted.value / size, counted.low / size, counted.high / size, counted.exact)
    return Precision(rule, agree, len(labels), share)
