"""What clusters of documents are about: the words that set each apart from the others."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.analysis.samples import of_addresses
from pipeline.analysis.tables import Tables, quoted
from pipeline.runs import Run

WORDS = re.compile(r"[^\W\d_]{3,}")
LOOKED_AT = 8
"""Documents of a cluster that are read, those of the smallest addresses."""
CHARS = 20_000
"""Of each of them."""


def topics(run: Run, tables: Tables, signal: str, clusters: Sequence[int], num_words: int = 6) -> dict[int, list[str]]:
    """The words of each cluster, the most telling first; of clusters whose texts the run has not kept, none.

    Args:
        signal: the column that tells the cluster: `semantic.cluster`.
    """
    column = quoted(signal)
    wanted = ", ".join(str(int(cluster)) for cluster in clusters) or "NULL"
    rows = tables.rows(
        f"SELECT {column}, address FROM signals WHERE {column} IN ({wanted}) "
        f"QUALIFY row_number() OVER (PARTITION BY {column} ORDER BY dropped_by IS NOT NULL, address) <= {LOOKED_AT}"
    )
    cluster_of = {int(address): int(cluster) for cluster, address in rows}
    counts: dict[int, Counter[str]] = {cluster: Counter() for cluster in clusters}
    for sample in of_addresses(run, tables, sorted(cluster_of)):
        words = {word.casefold() for word in WORDS.findall((sample.text or "")[:CHARS])}
        counts[cluster_of[sample.address]].update(words)
    return telling(counts, num_words)


def telling(counts: Mapping[int, Counter[str]], num_words: int) -> dict[int, list[str]]:
    """Words by the documents of a group that have them, over the groups that do: tf-idf, with groups as documents.

    Args:
        counts: for each group, in how many of its documents a word is.
    """
    spread = Counter(word for words in counts.values() for word in words)
    total = len(counts)

    def weight(item: tuple[str, int]) -> tuple[float, str]:
        word, documents = item
        return -documents * math.log((1 + total) / spread[word]), word

    return {
        group: [word for word, _ in sorted(words.items(), key=weight)[:num_words]] for group, words in counts.items()
    }
