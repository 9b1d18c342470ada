"""Lists of words, matched against the shared words of a batch by one compiled trie.

An entry is a word or a phrase, split as `stages.text.views.Words` splits text, and compared in lower case. It matches
whole words: "ass" is not in "class". A phrase matches with spaces or with hyphens between its words. In scripts without
spaces each letter is a word, so an entry matches wherever it stands: allowed entries, longer ones that contain it, say
where that means nothing. At each word the longest entry counts, and none of its words counts again.

A word may be rude in one language and plain in another ("fart" is speed in Danish), so every list belongs to a
language. A document is held against the list of its own `language.label` and the one called "*"; without a `language`
stage before, and where that could not tell, against all lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from stages.errors import StageError
from stages.evidence import Located, Span
from stages.text.batch import TextBatch
from stages.text.unicode_lower import lower
from stages.text.unicode_tables import LETTER, MARK, UNSPACED, classes

MAX_LISTS = 64
EVERYWHERE = "*"
"""The list that counts in documents of every language."""
ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True)
class Lexicon:
    """Lists of entries by language, compiled."""

    bits: dict[str, int]
    """Bit of every language's list in `lists`."""
    keys: npt.NDArray[np.uint64]
    children: npt.NDArray[np.int32]
    starts: npt.NDArray[np.uint64]
    lists: npt.NDArray[np.uint64]
    kinds: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, entries: Mapping[str, Iterable[str]], allowed: Iterable[str] = ()) -> Lexicon:
        """Compile lists of entries by language (ISO 639 codes as `language.label` has them).

        Args:
            entries: words and phrases by language. Those of a single letter are left out: they say nothing.
            allowed: words and phrases that are no hits, in any language. They win against an equal entry, and against
                every shorter one that starts inside them.

        Raises StageError for more than 64 lists.
        """
        from stages import kernels_lexicon as kernels

        if len(entries) > MAX_LISTS:
            raise StageError(
                f"a lexicon has at most {MAX_LISTS} lists, one a language, and this one has {len(entries)}"
            )
        bits = {language: bit for bit, language in enumerate(entries)}
        texts = [(entry, bits[language]) for language, own in entries.items() for entry in own]
        texts += [(entry, -1) for entry in allowed]
        texts = [(entry, bit) for entry, bit in texts if bit < 0 or not _is_one_letter(entry)]
        batch = TextBatch.from_texts([in_lower_case(entry) for entry, _ in texts])
        hashes, ends = _words_without_hyphens(batch)
        slots = 16
        while slots < 4 * len(hashes):
            slots *= 2
        keys, children = np.zeros(slots, np.uint64), np.full(slots, -1, np.int32)
        starts, leaf = np.zeros(kernels.FILTER_BITS // 64, np.uint64), np.zeros(len(ends), np.int32)
        lists, kinds = np.zeros(len(hashes) + 1, np.uint64), np.zeros(len(hashes) + 1, np.uint8)
        kernels.build_trie(hashes, ends, keys, children, starts, kinds, leaf)
        for node, (_, bit) in zip(leaf.tolist(), texts, strict=True):
            if node == 0:  # an entry without a word
                continue
            lists[node] |= ALL if bit < 0 else np.uint64(1 << bit)
            kinds[node] |= kernels.ALLOWED if bit < 0 else 0
        return cls(bits, keys, children, starts, lists, kinds)

    def hits(self, batch: TextBatch) -> npt.NDArray[np.uint8]:
        """For every word of the batch: 1 = a hit starts here, 2 = it belongs to one, 0 = neither."""
        from stages import kernels_lexicon as kernels

        words = batch.words
        hit = np.zeros(len(words.start), np.uint8)
        kernels.find_entries(
            batch.utf8.data, batch.utf8.offsets, words.begin, words.end, words.start, words.stop, words.hash,
            words.flags, lower(), self.keys, self.children, self.starts, self.lists, self.kinds,
            self._wanted(batch), hit,
        )  # fmt: skip
        return hit

    def spans(self, text: str) -> list[Span]:
        """Where hits stand in a text of unknown language: all lists count."""
        located = Located(text)
        words, hit = located.batch.words, self.hits(located.batch)
        starts = np.flatnonzero(hit == 1)
        inside = np.append(hit == 2, False)
        stops = starts.copy()
        while (goes_on := inside[stops + 1]).any():
            stops += goes_on
        return located.spans(words.start[starts], words.stop[stops], "listed word")

    def count(self, batch: TextBatch) -> npt.NDArray[np.int64]:
        """Hits in each document, `int64[n]`: phrases count once."""
        from stages.heuristics.ratios import sum_per_document

        return sum_per_document(self.hits(batch) == 1, batch.words.begin, batch.words.end)

    def _wanted(self, batch: TextBatch) -> npt.NDArray[np.uint64]:
        """The bit set of the lists that count, for each document."""
        if batch.languages is None:
            return np.full(batch.num_rows, ALL, np.uint64)
        everywhere = 1 << self.bits[EVERYWHERE] if EVERYWHERE in self.bits else 0
        coded = pc.dictionary_encode(batch.languages, null_encoding="encode")
        sets = [
            ALL if label is None else np.uint64(everywhere | (1 << self.bits[label] if label in self.bits else 0))
            for label in coded.dictionary.to_pylist()
        ]
        return np.array(sets, np.uint64)[coded.indices.to_numpy(zero_copy_only=False)]


def in_lower_case(text: str) -> str:
    """The text in lower case, letter by letter, as words are compared."""
    table = lower()
    return "".join(chr(table[code]) if code < len(table) else chr(code) for code in map(ord, text))


def _is_one_letter(entry: str) -> bool:
    """One letter with its marks: in a script with spaces no word, in one without a part of many words."""
    kinds = [int(classes()[ord(char)]) for char in entry.strip()]
    return sum(kind & LETTER != 0 for kind in kinds) <= 1 and all(kind & (LETTER | MARK | UNSPACED) for kind in kinds)


def _words_without_hyphens(batch: TextBatch) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Word hashes of all entries, hyphens between words left out, and where each entry ends."""
    from stages.heuristics.ratios import sum_per_document
    from stages.text.views import hash_word

    words = batch.words
    kept = words.hash != np.uint64(hash_word("-"))
    return words.hash[kept], np.cumsum(sum_per_document(kept, words.begin, words.end))
