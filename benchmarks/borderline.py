"""Documents made by us, and what the judges say of them: twenty borderline ones, and sober text that must pass.

    python -m benchmarks.borderline [--write]

Prints the tables, or writes them between their marks in docs/. A test compares.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.borderline_quality import quality_table

DOCS = Path(__file__).parents[1] / "docs"
SOBER_BOUNDS = (0.5, 0.6, 0.7)

NSFW: tuple[tuple[str, str], ...] = (
    ("one oath, short post", "Holy shit, we won! Best night of my life."),
    (
        "one oath, long review",
        "The food came late and the soup was cold, but the waiter was kind and brought us another bottle of wine "
        "without asking for money. My father, who never complains, said the fish tasted like shit, and then he ate all "
        "of it. We will come back in spring, when the terrace by the river is open again, because the view over "
        "the old bridge is worth any soup, and because my mother liked the cake so much that she asked for the recipe.",
    ),
    ("insult without an oath", "You are a stupid liar and nobody on this forum takes you seriously."),
    ("insult with oaths", "Shut up, you stupid bastard, you are full of shit and everyone knows it."),
    ("insult, German", "Du blöder Idiot, du bist wirklich zu dumm, um einen Satz zu schreiben."),
    ("oath, German", "So eine Scheiße, schon wieder ist der Zug weg und ich stehe im Regen."),
    ("insult, Spanish", "Eres un imbécil de mierda y no vales nada."),
    ("insult, Chinese", "你这个傻逼，滚出去，没有人想看到你。"),
    ("threat without bad words", "I know where you live and I will make sure that you regret this."),
    ("contempt for a group", "Women are too emotional to lead anything and should stay in the kitchen."),
    ("the same view reported", "The minister was fired for saying that women are too emotional to lead anything."),
    ("a slur discussed, not used", "The word dyke was an insult for decades; many lesbians now wear it with pride."),
    ("quotation in the news", 'The striker was fined for shouting "you are a bloody cheat" at the referee.'),
    ("sex education", "Hold the base of the condom when you pull the penis out, so that no semen is spilled."),
    ("romance, suggestive", "He kissed her neck, slowly opened the buttons of her dress and drew her down on the bed."),
    (
        "adult advertisement, no list word",
        "Lonely tonight? Hot singles in your town are waiting for you. See them live.",
    ),
    ("adult advertisement, list words", "Free porn videos, busty blondes and horny milfs, xxx movies, hentai."),
    ("medical, frank", "Blood in the semen after a vasectomy is harmless and stops after about ten ejaculations."),
    ("irony among friends", "Love you too, you old bastard, see you at the pub on Friday."),
    ("song lyric, dialect", "Ain't no sunshine on my block, but my people gon shine, that's real."),
)


def nsfw_table() -> str:
    """Every document with the signals of nsfw, and whether the default bound drops it."""
    from stages.contract import decide, run_stage
    from stages.language import Language
    from stages.nsfw import Nsfw
    from stages.text.batch import TextBatch

    stage = Nsfw()
    batch, _ = run_stage(Language(), TextBatch.from_texts([text for _, text in NSFW]))
    _, columns = run_stage(stage, batch)
    dropped = decide(stage, columns, None)["score"]
    lines = [
        "| document | text | `lexicon_count` | `classifier_score` | `score` | dropped |",
        "|---|---|---|---|---|---|",
    ]
    for i, (name, text) in enumerate(NSFW):
        hits, judged, score = (columns[key][i].as_py() for key in ("lexicon_count", "classifier_score", "score"))
        short = text if len(text) <= 72 else f"{text[:70]} …"
        verdict = "yes" if dropped[i] else ""
        lines.append(f"| {name} | {short} | {hits} | {judged:.2f} | {score:.2f} | {verdict} |")
    return "\n".join(lines)


def sober_table() -> str:
    """By topic: texts, and how many score above some bounds, for the two sets of tests/sober_texts.py."""
    from stages.contract import run_stage
    from stages.language import Language
    from stages.nsfw import Nsfw
    from stages.text.batch import TextBatch
    from tests.sober_texts import FRESH, SOBER

    lines = [
        f"| set | topic | texts | {' | '.join(f'above {bound}' for bound in SOBER_BOUNDS)} | highest score |",
        f"|{'---|' * (4 + len(SOBER_BOUNDS))}",
    ]
    for name, topics in (("first", SOBER), ("fresh", FRESH)):
        for topic, texts in topics.items():
            batch, _ = run_stage(Language(), TextBatch.from_texts([text for _, text in texts]))
            scores = run_stage(Nsfw(), batch)[1]["score"].to_pylist()
            counts = [sum(score > bound for score in scores) for bound in SOBER_BOUNDS]
            lines.append(f"| {name} | {topic} | {len(texts)} | {' | '.join(map(str, counts))} | {max(scores):.2f} |")
    return "\n".join(lines)


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "nsfw": ("judges.md", nsfw_table),
    "sober": ("models/nsfw.md", sober_table),
    "quality": ("judges.md", quality_table),
}
"""Tables by the name of their marks, with the document that shows them."""


def marked(name: str) -> str:
    """What is between the marks of a table now."""
    document = DOCS / TABLES[name][0]
    found = re.search(f"<!-- {name}: begin -->\n(.*?)\n<!-- {name}: end -->", document.read_text("utf-8"), re.DOTALL)
    if not found:
        raise ValueError(f"{document} has no marks for the table '{name}'")
    return found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the tables into docs/")
    options = parser.parse_args()
    for name, (document, table) in TABLES.items():
        if options.write:
            text = (DOCS / document).read_text(encoding="utf-8")
            (DOCS / document).write_text(text.replace(marked(name), table()), encoding="utf-8")
        else:
            print(f"{document}, {name}\n\n{table()}\n")


if __name__ == "__main__":
    main()
