"""What other libraries do to get from a text to the keys of FineWeb's 14 bands of 8 rows, over 5-grams of words.

Each entry of `PEERS` takes texts and gives, for every text, 14 values that are compared band by band, or None for one
without n-grams. datasketch and rensa take tokens, so making them is part of the work; the words for them are those of
the simplest code a user would write. datatrove splits words itself (spaCy). rensa's `RMinHash` sees all n-grams; its
`rho` functions, which look at 15 n-grams a document, are another thing and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache
from typing import Any

BANDS, ROWS, NGRAM = 14, 8, 5
Keys = list[tuple[Hashable, ...] | None]
WORD = re.compile(r"\w+")


def ngrams(text: str) -> list[str]:
    """5-grams of lower-case words."""
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))] if words else []


def cut(values: Any) -> tuple[Hashable, ...]:
    return tuple(tuple(values[i : i + ROWS]) for i in range(0, BANDS * ROWS, ROWS))


def datasketch_keys(texts: list[str], num_perm: int = BANDS * ROWS) -> Keys:
    """`MinHash.update_batch`, datasketch's fastest way to sketch one document."""
    from datasketch import MinHash

    def of(text: str) -> tuple[Hashable, ...] | None:
        tokens = [ngram.encode() for ngram in ngrams(text)]
        if not tokens:
            return None
        sketch = MinHash(num_perm=num_perm)
        sketch.update_batch(tokens)
        return cut(sketch.hashvalues.tolist())

    return [of(text) for text in texts]


def rensa_keys(texts: list[str], num_perm: int = BANDS * ROWS) -> Keys:
    """`RMinHash.update` with all n-grams."""
    from rensa import RMinHash

    def of(text: str) -> tuple[Hashable, ...] | None:
        tokens = ngrams(text)
        if not tokens:
            return None
        sketch = RMinHash(num_perm=num_perm, seed=1)
        sketch.update(tokens)
        return cut(sketch.digest())

    return [of(text) for text in texts]


@lru_cache(maxsize=1)
def datatrove_step() -> Any:
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from xxhash import xxh64_intdigest

    step = MinhashDedupSignature("/nowhere", MinhashConfig(NGRAM, BANDS, ROWS))
    step._hash_func = lambda text: xxh64_intdigest(text.encode())  # xxhash 4 hashes no strings, datatrove 0.10.1 does
    return step


def datatrove_keys(texts: list[str]) -> Keys:
    """The two methods that datatrove's signature step calls for every document; 14 x 8 is its default."""
    step = datatrove_step()

    def of(text: str) -> tuple[Hashable, ...] | None:
        shingles = step.get_shingles(text)
        return tuple(map(tuple, step.get_signature(shingles))) if len(shingles) else None

    return [of(text) for text in texts]


@lru_cache(maxsize=1)
def text_dedup_arguments(num_perm: int) -> dict[str, Any]:
    """What text-dedup's command hands to its `embed_func`, at its defaults: SHA-1, 64-bit arithmetic."""
    import numpy as np
    from text_dedup.utils import sha1_hash

    rng, prime = np.random.RandomState(42), np.uint64((1 << 61) - 1)
    permutations = [rng.randint(low, int(prime), size=num_perm, dtype=np.uint64) for low in (1, 0)]
    return {
        "num_perm": num_perm, "ngram_size": NGRAM, "min_length": 1, "permutations": tuple(permutations),
        "hashranges": [(i, i + ROWS) for i in range(0, num_perm, ROWS)], "dtype": np.uint64, "modulo_prime": prime,
        "hash_func": lambda data: sha1_hash(data, d=32), "max_hash": np.uint32((1 << 32) - 1),
    }  # fmt: skip


def text_dedup_keys(texts: list[str], num_perm: int = BANDS * ROWS) -> Keys:
    """The function that text-dedup maps over its rows; documents of fewer than five words are let in, as with ours."""
    from text_dedup.minhash import SIGNATURE_COLUMN, embed_func

    arguments = text_dedup_arguments(num_perm)
    return [tuple(embed_func(text, 0, **arguments)[SIGNATURE_COLUMN]) if WORD.search(text) else None for text in texts]


PEERS: dict[str, Callable[[list[str]], Keys]] = {
    "datatrove": datatrove_keys,
    "datasketch": datasketch_keys,
    "rensa": rensa_keys,
    "text-dedup": text_dedup_keys,
}


def installed() -> Iterator[str]:
    """The peers that can be imported; says what is missing."""
    for name, peer in PEERS.items():
        try:
            peer(["a few words to load what it needs"])
        except ImportError as error:
            print(f"{name} left out ({error}); pip install rensa tokenizers text-dedup 'tamis[dev]'")
        else:
            yield name
