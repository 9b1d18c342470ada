"""Borders: places between two characters that no token spans, and ids of what is cut there."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.text.batch import TextBatch
from stages.tokens import kernels_borders
from stages.tokens.bpe import Encoder
from stages.tokens.vocabulary import read_ranks, vocabulary_path
from tests import naive_tokens

pytest.importorskip("tiktoken", reason="the reference of token ids: pip install 'tamis[dev]'")
pytest.importorskip("llama_models", reason="carries the vocabulary: pip install 'tamis[llama3]'")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(read_ranks(vocabulary_path("llama3")))


@pytest.fixture(scope="module")
def unspaced() -> list[str]:
    """Tokens with a character of three bytes, whole or cut."""
    tokens = list(naive_tokens.reference()._mergeable_ranks)
    decoded = [token.decode(errors="ignore") for token in tokens if any(0xE0 <= byte < 0xF0 for byte in token)]
    return sorted({text for text in decoded if text})


def borders(encoder: Encoder, text: str) -> list[int]:
    data = np.frombuffer(text.encode(), np.uint8)
    out = np.empty(len(data), np.int64)
    return out[: kernels_borders.find_borders(data, encoder.vocabulary.borders, out)].tolist()


def test_no_token_spans_a_border(encoder, unspaced):
    """Of neighbours in tokens, and of any two characters; the tables may be too careful, but not often."""
    found = naive_tokens.neighbours(list(naive_tokens.reference()._mergeable_ranks))
    rng = random.Random(0)
    letters = sorted({letter for text in unspaced for letter in text if len(letter.encode()) == 3})
    pairs = [(text[i], text[i + 1]) for text in rng.sample(unspaced, 1000) for i in range(len(text) - 1)]
    pairs = [pair for pair in pairs if all(len(letter.encode()) == 3 for letter in pair)]
    assert not any(borders(encoder, left + right) for left, right in pairs)
    missed = 0
    for _ in range(2000):
        left, right = rng.choice(letters), rng.choice(letters)
        spanned = naive_tokens.is_spanned(found, left, right)
        cut = borders(encoder, left + right)
        assert cut == [] or (cut == [3] and not spanned), (left, right)
        missed += not spanned and not cut
    assert missed < 300


def test_other_characters_have_no_borders(encoder):
    assert borders(encoder, "") == borders(encoder, "abc größe слово 👩👧 \U0001d518\U0001d519") == []
    assert borders(encoder, "a的") == borders(encoder, "的a") == borders(encoder, "é的") == []


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_ids_of_what_is_cut_are_those_of_tiktoken(encoder, unspaced, data):
    """Words of many scripts side by side, so that borders and tokens meet in every way."""
    words = st.sampled_from(unspaced) | st.sampled_from(["a", " ", "é", "слово", "👩", "1"]) | st.characters()
    texts = data.draw(st.lists(st.lists(words, max_size=40).map("".join), max_size=3))
    texts = [text.encode(errors="ignore").decode() for text in texts]
    found = encoder.encode(TextBatch.from_texts(texts).utf8)
    parts = [part.tolist() for part in np.split(found.values, found.offsets[1:-1])] if texts else []
    assert parts == [naive_tokens.reference().encode_ordinary(text) for text in texts]
