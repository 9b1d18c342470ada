"""AUC of nsfw on sources that it has not seen, and on held-out rows, beside alt-profanity-check's on the same rows.

    python -m benchmarks.nsfw_sources --peer PYTHON

PYTHON is an interpreter of an environment of its own with alt-profanity-check (it pins scikit-learn). Ours is trained
anew without each source, as `tamis train nsfw` does; the peer is taken as it comes: it was trained on t-davidson and on
Wikipedia and Jigsaw comments, so those rows are not unseen for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PEER = "import json, sys; from profanity_check import predict_prob; " \
    "json.dump(predict_prob(json.load(sys.stdin)).tolist(), sys.stdout)"  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="a Python with alt-profanity-check")
    options = parser.parse_args()
    from pipeline.training import card
    from pipeline.training.metrics import auc
    from pipeline.training.nsfw import means, train
    from pipeline.training.rows import read_rows
    from pipeline.training.search import is_covered
    from tests.reference.oracle import data_path

    files = (str(data_path("nsfw_train.parquet")), str(data_path("nsfw_dev.parquet")))
    with tempfile.TemporaryDirectory() as folder:
        judged = train(*files, Path(folder) / "nsfw.ftz", 0, ("CC-BY-SA",), lambda line: print(line, file=sys.stderr))
    rows, usable = judged.rows, judged.usable
    texts = json.dumps(rows.texts.to_pylist())
    done = subprocess.run([options.peer, "-c", PEER], input=texts, capture_output=True, text=True, check=True)
    peer = np.array(json.loads(done.stdout))

    def coverage(source: str, language: str) -> str:
        return "" if is_covered(rows, usable, source, language) else "language not covered"

    def training(source: str, language: str) -> str:
        return "" if usable[rows.sources == source].any() else "unseen source"

    scores = {"nsfw.score": judged.unseen_score, "alt-profanity-check": peer}
    print(f"Unseen sources, all rows\n\n{card.group_table(rows, scores, coverage)}")
    held = np.arange(len(rows)) >= len(rows) - len(read_rows(files[1]))
    scores = {"nsfw.score": judged.score[held], "alt-profanity-check": peer[held]}
    print(f"\nHeld-out rows of {Path(files[1]).name}\n\n{card.group_table(rows.take(held), scores, training)}")
    theirs: dict[str, list[float]] = {"English": [], "others": []}
    for (_, language), members in rows.groups().items():
        value = auc(rows.labels[members], peer[members])
        if not np.isnan(value):
            theirs["English" if language == "en" else "others"].append(value)
    print(f"\nours: {means(judged)}\nalt-profanity-check: { {name: float(np.mean(v)) for name, v in theirs.items()} }")


if __name__ == "__main__":
    main()
