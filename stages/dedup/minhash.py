"""MinHash signatures of documents, and the Jaccard similarity that two of them estimate.

A document is the set of its n-grams of folded words (`FoldedWords`): five words by default, as in FineWeb; in scripts
without spaces a word is one letter, so five letters. A document of fewer words is one n-gram: it resembles only
documents of the same words. Signatures are made by Fast Similarity Sketching (`kernels_minhash`): the estimate is
unbiased, and its variance is that of as many independent hash functions, J (1 - J) / num_perm, or less (in small sets
about half of it).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stages.dedup.folded import FoldedWords
from stages.errors import ConfigError
from stages.text.batch import TextBatch

Signatures = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]
Compact = npt.NDArray[np.uint8]
_ACCIDENTAL = 1 / 256
"""Share of different slots whose lowest eight bits are equal."""


def signatures(
    batch: TextBatch, ngram_size: int = 5, num_perm: int = 256, words: FoldedWords | None = None
) -> Signatures:
    """Signatures of the documents, `uint32[n, num_perm]`; all slots are `0xFFFFFFFF` for a document without words.

    Args:
        ngram_size: words in an n-gram, at least 1.
        num_perm: slots of a signature, at least 1; need not be a power of two. Equal slots are equal n-grams only
            between signatures of the same `ngram_size` and `num_perm`.
        words: the batch's folded words, if they are already there.

    Raises ConfigError for numbers below 1.
    """
    from stages.dedup import kernels_minhash

    for name, value in (("ngram_size", ngram_size), ("num_perm", num_perm)):
        if value < 1:
            raise ConfigError(f"{name} is {value}: must be at least 1")
    words = words or FoldedWords.of(batch)
    out = np.empty((batch.num_rows, num_perm), np.uint32)
    kernels_minhash.sketch(words.hash, words.bounds, ngram_size, out)
    return out


def compact(signature: Signatures) -> Compact:
    """The lowest eight bits of every slot, which are as good as all for estimating similarities (b-bit minwise hashing,
    Li and König 2010): a quarter of the size, for a little more variance."""
    return signature.astype(np.uint8)


def compact_jaccard(signatures: Compact, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> Floats:
    """Estimated similarity of pairs of rows of `signatures`, corrected for slots that agree by accident; in [0, 1]."""
    from stages.dedup import kernels_similarity

    count = np.empty(len(first), np.int64)
    kernels_similarity.count_equal(signatures, first, second, count)
    share = count / max(signatures.shape[1], 1)
    return np.maximum((share - _ACCIDENTAL) / (1 - _ACCIDENTAL), 0.0)


def least_equal(similarity: float, num_perm: int) -> int:
    """The fewest equal slots of compact signatures whose estimate reaches a similarity."""
    return int(np.ceil(num_perm * (similarity * (1 - _ACCIDENTAL) + _ACCIDENTAL) - 1e-9))


def is_empty(signature: Signatures) -> npt.NDArray[np.bool_]:
    """Which documents had no words; two of them resemble each other in nothing."""
    from stages.dedup.kernels_minhash import EMPTY

    return (signature == EMPTY).all(axis=-1)


def jaccard(signature_a: Signatures, signature_b: Signatures) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of the n-grams of two documents, or of many pairs row by row; in [0, 1].

    Share of slots that agree. 0 where a document is empty. Raises ConfigError if the signatures differ in length.
    """
    if signature_a.shape[-1] != signature_b.shape[-1]:
        raise ConfigError(
            f"signatures of {signature_a.shape[-1]} and {signature_b.shape[-1]} slots do not compare; make both with "
            "the same num_perm"
        )
    equal = np.asarray((signature_a == signature_b).mean(axis=-1, dtype=np.float64))
    return np.where(is_empty(signature_a) | is_empty(signature_b), 0.0, equal)
