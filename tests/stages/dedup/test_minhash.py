"""Folding, exact keys and signatures: every kernel equals its slow twin; the estimate is unbiased and sharp."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_intdigest

from stages.dedup import kernels_minhash
from stages.dedup.exact import EMPTY_KEY, exact_keys
from stages.dedup.folded import FoldedWords
from stages.dedup.minhash import is_empty, jaccard, signatures
from stages.errors import ConfigError
from stages.text.batch import TextBatch
from stages.text.unicode_fold import NUM_CODE_POINTS, fold
from stages.text.views import hash_word
from tests import naive, naive_dedup
from tests.strategies import documents, texts

AWKWARD = [
    "",
    "Straße ÉCOLE e\u0301cole ΟΔΟΣ οδος İstanbul ﬁn",
    "don't DON’T don't. 'don't' 3.14 a.b. .a a. a,b 1,2 _x_ x_y",
    "abcdefg abcdefgh ABCDEFGHI abcdefghijklmno abcdefghijklmnop " + "x" * 100,
    "ＡＢＣ １２ ｱｶﾞ 한국어 \u1112\u1161\u11ab",
    "日本語かが ภาษาไทยที่ดี co\u00adoperate",
    "a",
]


def is_nfd(char: str) -> bool:
    return unicodedata.normalize("NFD", char) == char


def split(folded: FoldedWords) -> list[list[int]]:
    return [folded.hash[low:high].tolist() for low, high in zip(folded.bounds, folded.bounds[1:], strict=False)]


@settings(deadline=None, max_examples=200)
@example(AWKWARD)
@given(documents())
def test_folded_words_are_those_of_the_twin(documents: list[str]) -> None:
    expected = [[hash_word(word) for word in naive_dedup.folded_words(text)] for text in documents]
    assert split(FoldedWords.of(TextBatch.from_texts(documents))) == expected


def test_long_documents_and_long_words() -> None:
    documents = ["word " * 20_000 + "日本 don't " + "x" * 20_000, "a" * 100_000, "日" * 30_000, " ." * 10_000]
    expected = [["word"] * 20_000 + ["日", "本", "don't", "x" * 20_000], ["a" * 100_000], ["日"] * 30_000, []]
    folded = FoldedWords.of(TextBatch.from_texts(documents))
    assert split(folded) == [[hash_word(word) for word in words] for words in expected]


@settings(deadline=None, max_examples=200)
@given(documents(), st.data())
def test_a_document_is_hashed_alone(documents: list[str], data: st.DataObject) -> None:
    batch = TextBatch.from_texts(documents)
    start = data.draw(st.integers(0, len(documents)))
    part = TextBatch(batch.table.slice(start))
    assert split(FoldedWords.of(part)) == split(FoldedWords.of(batch))[start:]
    assert np.array_equal(exact_keys(part), exact_keys(batch)[start:])
    assert np.array_equal(signatures(part, 3, 16), signatures(batch, 3, 16)[start:])


@settings(deadline=None, max_examples=200)
@given(texts())
def test_unicode_forms_make_no_difference(text: str) -> None:
    """Save two rare cases that `unicode_fold` and `FoldedWords` name: the order of marks, and symbols with marks."""
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assume("".join(unicodedata.normalize("NFD", char) for char in composed) == decomposed)
    assume(all(naive.has(char, naive.u.LETTER | naive.u.MARK) for char in composed if not is_nfd(char)))
    first, second = split(FoldedWords.of(TextBatch.from_texts([composed, decomposed])))
    assert first == second


def test_the_folding_table_is_that_of_the_twin() -> None:
    for code in range(NUM_CODE_POINTS):
        if not 0xD800 <= code < 0xE000:
            assert fold(chr(code)) == naive_dedup.fold(chr(code)), hex(code)
    assert fold("\U000e0100") == "\U000e0100"


@settings(deadline=None, max_examples=200)
@given(documents())
def test_exact_keys_hash_the_words(documents: list[str]) -> None:
    batch = TextBatch.from_texts(documents)
    for text, key in zip(documents, exact_keys(batch).tolist(), strict=True):
        words = naive_dedup.folded_words(text)
        raw = b"".join(hash_word(word).to_bytes(8, "little") for word in words)
        assert tuple(key) == (divmod(xxh3_128_intdigest(raw), 2**64) if words else EMPTY_KEY)


@settings(deadline=None, max_examples=200)
@given(documents())
def test_exact_keys_hash_the_text_as_it_is(documents: list[str]) -> None:
    for text, key in zip(documents, exact_keys(TextBatch.from_texts(documents), "none").tolist(), strict=True):
        blank = all(naive.has(char, naive.u.SPACE | naive.u.IGNORED) for char in text)
        assert tuple(key) == (EMPTY_KEY if blank else divmod(xxh3_128_intdigest(text.encode()), 2**64))


def test_exact_keys_fold_what_they_say() -> None:
    same = ["Don't stop!", "don’t  STOP", "\u201cDon't\u201d, stop\u2026", "ｄｏｎ't st\u00adop"]
    other = ["do n't stop", "don't stop stop", "stop don't", "don't stóp"]
    keys = [tuple(key) for key in exact_keys(TextBatch.from_texts(same + other)).tolist()]
    assert len(set(keys[: len(same)])) == 1
    assert len(set(keys)) == 1 + len(other)


@settings(deadline=None, max_examples=60)
@given(documents(), st.integers(1, 6), st.sampled_from([1, 2, 7, 16, 33]))
def test_signatures_are_those_of_the_twin(documents: list[str], n: int, num_perm: int) -> None:
    expected = [naive_dedup.signature(text, n, num_perm) for text in documents]
    assert signatures(TextBatch.from_texts(documents), n, num_perm).tolist() == expected


def test_empty_documents_resemble_nothing() -> None:
    signature = signatures(TextBatch.from_texts(["", "...!?", "a", "A", "a b"]))
    assert is_empty(signature).tolist() == [True, True, False, False, False]
    assert jaccard(signature[0], signature[1]) == 0
    assert jaccard(signature[2], signature[3]) == 1
    assert jaccard(signature[2], signature[4]) == 0, "short documents are one n-gram"


@pytest.mark.parametrize("wrong", [{"ngram_size": 0}, {"num_perm": 0}])
def test_numbers_below_one_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be at least 1"):
        signatures(TextBatch.from_texts(["a"]), **wrong)


def test_signatures_of_different_lengths_do_not_compare() -> None:
    batch = TextBatch.from_texts(["a b c"])
    with pytest.raises(ConfigError, match="16 and 32 slots"):
        jaccard(signatures(batch, 5, 16), signatures(batch, 5, 32))


@pytest.mark.parametrize("num_perm", [112, 256])
@pytest.mark.parametrize("similarity", [0.5, 0.8])
@pytest.mark.parametrize("size", [20, 50, 128, 520, 5000])
def test_the_estimate_is_unbiased_and_no_worse_than_independent_hashes(
    size: int, similarity: float, num_perm: int
) -> None:
    """400 pairs of random sets of known Jaccard similarity: bias within 3 sigma, squared error at most that of
    independent hashes (J (1 - J) / K), with three sigma of room for a mean of 400 squares.
    """
    shared = round(2 * size * similarity / (1 + similarity))
    exact = shared / (2 * size - shared)
    num_pairs, rng = 400, np.random.default_rng(size)
    sets = rng.integers(0, 2**64, (num_pairs, 2 * size - shared), np.uint64)
    first = sketch_sets(sets[:, :size], num_perm)
    second = sketch_sets(sets[:, size - shared :], num_perm)
    errors = jaccard(first, second) - exact
    independent = exact * (1 - exact) / num_perm
    assert abs(errors.mean()) < 3 * np.sqrt(independent / num_pairs)
    assert (errors**2).mean() < independent * (1 + 3 * np.sqrt(2 / num_pairs))


def sketch_sets(sets: np.ndarray, num_perm: int) -> np.ndarray:
    """Signatures of sets given as random words, which are n-grams of one word."""
    out = np.empty((len(sets), num_perm), np.uint32)
    bounds = np.arange(len(sets) + 1, dtype=np.int64) * sets.shape[1]
    kernels_minhash.sketch(np.ascontiguousarray(sets).reshape(-1), bounds, 1, out)
    return out
