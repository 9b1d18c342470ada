"""Documents made by us for tests: clean prose, and every kind of page that a rule should catch; deterministic."""

import json
import random
from pathlib import Path

WORDS = (
    "the of and to that have with be river mountain because small engine letter winter garden people often carry water "
    "through narrow valleys before evening while children learn about stars music history and simple machines"
).split()


def sentence(rng: random.Random) -> str:
    words = [rng.choice(WORDS) for _ in range(rng.randint(6, 18))]
    return " ".join(words).capitalize() + rng.choice([".", ".", ".", "!", "?"])


def page(seed: int) -> str:
    """One page; every fifth or so is of a kind that some filter drops."""
    rng = random.Random(seed)
    lines = [" ".join(sentence(rng) for _ in range(rng.randint(2, 5))) for _ in range(rng.randint(4, 14))]
    match seed % 10:
        case 3:
            lines = lines[:1] * 12
        case 5:
            lines = ["- item " + rng.choice(WORDS) for _ in range(40)]
        case 7:
            lines = ["Only a few words here."]
        case 9:
            lines.append("function () { return lorem ipsum; }")
    return "\n".join(lines)


def write_jsonl(path: Path, num_documents: int, first: int = 0) -> Path:
    """Pages `first`, `first + 1`, … as JSON lines with an id, a url and a further column."""
    with path.open("w", encoding="utf-8") as file:
        for seed in range(first, first + num_documents):
            row = {"id": f"page-{seed}", "url": f"https://example.org/{seed}", "text": page(seed), "number": seed % 7}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
