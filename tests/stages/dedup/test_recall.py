"""Candidates against brute force: as many as the S-curve says, on every similarity, planted edits, labelled pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
import pytest

from stages.contract import run_stage
from stages.dedup.bands import PRESETS, band_keys, s_curve
from stages.dedup.components import components, link_equal
from stages.dedup.duplicates import MinHash
from stages.dedup.minhash import jaccard, least_equal, signatures
from stages.text.batch import TextBatch
from tests import naive_dedup, planted
from tests.reference.oracle import data_path
from tests.resolution import resolution_of

NUM_PERM = 260
NGRAM = 5
Pair = tuple[int, int]
Preset = Literal["fineweb", "strict", "verified"]


def exact_jaccard(documents: list[str]) -> dict[Pair, float]:
    """The similarity of every pair that has an n-gram in common; all others have 0."""
    sets = [naive_dedup.ngrams(naive_dedup.folded_words(text), NGRAM) for text in documents]
    places = defaultdict(list)
    for d, ngrams in enumerate(sets):
        for ngram in ngrams:
            places[ngram].append(d)
    shared = Counter(pair for documents in places.values() for pair in combinations(documents, 2))
    return {(a, b): common / (len(sets[a]) + len(sets[b]) - common) for (a, b), common in shared.items()}


def candidates(keys: np.ndarray) -> set[Pair]:
    """Pairs that agree in a band, by brute force."""
    groups = defaultdict(list)
    for d, row in enumerate(keys.tolist()):
        for key in row:
            groups[key].append(d)
    return {pair for documents in groups.values() for pair in combinations(documents, 2)}


def assert_expected(count: int, probabilities: np.ndarray, where: str) -> None:
    """That so many of some independent events happened is no further off than three sigma (0.135 % on either side).

    By their exact distribution, since in many bins less than one is expected.
    """
    distribution = np.ones(1)
    for probability in probabilities:
        distribution = np.convolve(distribution, [1 - probability, probability])
    told = f"{where}: {count} of {len(probabilities)}, expected {probabilities.sum():.2f}"
    assert distribution[: count + 1].sum() > 0.00135, told
    assert distribution[count:].sum() > 0.00135, told


@pytest.fixture(scope="module")
def corpus() -> tuple[list[str], dict[Pair, float]]:
    """700 documents, each with a copy in which up to a fifth of the words are others: every similarity from 0 to 1."""
    rng, script = np.random.default_rng(5), planted.SCRIPTS["latin"]
    documents = []
    for _ in range(700):
        words = planted.document(script, 120, rng)
        documents += [planted.write(words, script), planted.substitute(words, script, rng, 0.2 * rng.random() ** 2)]
    return documents, exact_jaccard(documents)


@pytest.mark.parametrize("bands", [*PRESETS.values(), (26, 10), (65, 4), (1, 1)])
def test_candidates_come_as_often_as_the_s_curve_says(
    corpus: tuple[list[str], dict[Pair, float]], bands: tuple[int, int]
) -> None:
    documents, similarity = corpus
    found = candidates(band_keys(signatures(TextBatch.from_texts(documents), NGRAM, NUM_PERM), *bands))
    assert found <= similarity.keys(), "documents with nothing in common are no candidates"
    bins = defaultdict(list)
    for pair, value in similarity.items():
        bins[min(int(value * 10), 9)].append((value, pair in found))
    assert set(bins) == set(range(10))
    for number, members in sorted(bins.items()):
        count = sum(is_found for _, is_found in members)
        assert_expected(count, s_curve(*bands, [value for value, _ in members]), f"{number / 10} and more")


def test_linked_groups_are_the_components_of_the_candidates(corpus: tuple[list[str], dict[Pair, float]]) -> None:
    documents, _ = corpus
    keys = band_keys(signatures(TextBatch.from_texts(documents), NGRAM, NUM_PERM), *PRESETS["fineweb"])
    ids = np.arange(len(documents), dtype=np.uint64)
    edges = np.concatenate([link_equal(np.ascontiguousarray(column), ids) for column in keys.T])
    nodes, root = components(edges)
    assert dict(zip(nodes.tolist(), root.tolist(), strict=True)) == naive_dedup.components(candidates(keys))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_whole_stage_drops_as_often_as_the_curve_says(
    corpus: tuple[list[str], dict[Pair, float]], preset: Preset
) -> None:
    """Every document resembles one other, if any: it goes if the two are candidates and, in `verified`, if their
    estimate is high enough."""
    documents, similarity = corpus
    batch, stage = TextBatch.from_texts(documents), MinHash(preset=preset)
    _, columns = run_stage(stage, batch, resolution_of(stage, batch, num_partitions=3))
    of = columns["duplicate_of"].to_pylist()
    assert all(of[first] is None for first in range(0, len(documents), 2))
    assert all(of[i] in (None, str(i - 1)) for i in range(1, len(documents), 2)), "no pair but the planted ones"
    bins = defaultdict(list)
    for i in range(1, len(documents), 2):
        value = similarity.get((i - 1, i), 0.0)
        bins[min(int(value * 10), 9)].append((value, of[i] is not None))
    for number, members in sorted(bins.items()):
        values = np.array([value for value, _ in members])
        probabilities = s_curve(*stage.bands, values)
        if preset == "verified":
            probabilities = probabilities * estimated_at_least(values, 0.75, 256)
            if number == 7:  # the estimate varies less than a binomial does: told apart best where that matters least
                continue
        assert_expected(sum(dropped for _, dropped in members), probabilities, f"{preset}, {number / 10} and more")


def estimated_at_least(values: np.ndarray, similarity: float, num_perm: int) -> np.ndarray:
    """The probability that so many of independent slots agree, or more."""
    least = least_equal(similarity, num_perm)
    agree = values + (1 - values) / 256
    counts = np.arange(least, num_perm + 1)
    chances = np.array([comb(num_perm, int(k)) for k in counts], float)
    return np.array([(chances * p**counts * (1 - p) ** (num_perm - counts)).sum() for p in agree])


@pytest.mark.parametrize("name", planted.EDITS)
def test_planted_edits_are_found_as_often_as_their_similarity_says(name: str) -> None:
    pairs = list(planted.pairs(name, 80))
    originals, copies = zip(*pairs, strict=True)
    exact = np.array([naive_dedup.similarity(a, b, NGRAM) for a, b in pairs])
    first, second = (signatures(TextBatch.from_texts(list(texts)), NGRAM, NUM_PERM) for texts in (originals, copies))
    if planted.EDITS[name].harmless:
        assert (exact == 1).all()
    else:
        assert (exact < 1).mean() > 0.5
    for bands in PRESETS.values():
        found = (band_keys(first, *bands) == band_keys(second, *bands)).any(axis=1)
        assert_expected(int(found.sum()), s_curve(*bands, exact), str(bands))


def test_estimates_agree_with_datasketch(corpus: tuple[list[str], dict[Pair, float]]) -> None:
    """Both estimate the same similarities, with errors of the same size and none in common."""
    datasketch = pytest.importorskip("datasketch")
    documents, similarity = corpus
    pairs = [(i, i + 1) for i in range(0, 400, 2)]
    ours = signatures(TextBatch.from_texts(documents[:400]), NGRAM, 256)
    theirs = []
    for text in documents[:400]:
        minhash = datasketch.MinHash(num_perm=256)
        ngrams = naive_dedup.ngrams(naive_dedup.folded_words(text), NGRAM)
        minhash.update_batch(" ".join(ngram).encode() for ngram in ngrams)
        theirs.append(minhash)
    exact = np.array([similarity.get(pair, 0.0) for pair in pairs])
    independent = exact * (1 - exact) / 256
    our_errors = jaccard(ours[::2], ours[1::2]) - exact
    their_errors = np.array([theirs[a].jaccard(theirs[b]) for a, b in pairs]) - exact
    for errors in (our_errors, their_errors):
        assert abs(errors.sum()) < 3 * np.sqrt(independent.sum())
        assert (errors**2).sum() < independent.sum() * (1 + 3 * np.sqrt(2 / len(pairs)))
    difference = our_errors - their_errors
    assert abs(difference.sum()) < 3 * np.sqrt(2 * independent.sum())


@pytest.mark.parametrize("subset", ["articles_100", "articles_1000", "articles_2500"])
@pytest.mark.parametrize("preset", PRESETS)
def test_labelled_news_articles(subset: str, preset: str) -> None:
    """Every planted pair, and nothing else, in each of three nested sets of news articles."""
    path = data_path("neardup_dev.parquet")
    if not path.exists():
        pytest.skip(f"no development data: {path}")
    rows = pq.read_table(path).to_pylist()
    rows = [row for row in rows if row["subset"] == subset]
    number = {row["id"]: i for i, row in enumerate(rows)}
    expected = {tuple(sorted((number[row["id"]], number[row["label"]]))) for row in rows if row["label"]}
    batch = TextBatch.from_texts([row["text"] for row in rows])
    assert candidates(band_keys(signatures(batch, NGRAM, NUM_PERM), *PRESETS[preset])) == expected
