"""Ids are those of tiktoken, on everything; the kernels do what their naive twins do."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.text.batch import TextBatch, Utf8
from stages.tokens import kernels_pretokens, unicode_split
from stages.tokens.bpe import Encoder, Memo
from stages.tokens.unicode_split import split_classes
from stages.tokens.vocabulary import NUM_SPECIALS, read_ranks, vocabulary_path
from tests import naive_tokens
from tests.strategies import texts as any_texts

pytest.importorskip("tiktoken", reason="the reference of token ids: pip install 'tamis[dev]'")
pytest.importorskip("llama_models", reason="carries the vocabulary: pip install 'tamis[llama3]'")

PIECES = (
    *"'s 'S 'ſ 't 'RE 'Ve 'm 'LL 'd 'ſt ''s ' ’s 1 12 1234 ٣ Ⅷ ½ x² ! ... -> word größte <|eot_id|>".split(),
    *"日本語 ภาษาไทย e\u0301 \u0301 🇫🇷 İ ß ǅ \ufffd \U0001d518 👩\u200d👩\u200d👧\u200d👦".split(),
    "antidisestablishmentarianism",
    *("\n", "\r\n", "\r", " \n", "\n ", "\t", "   ", " ", "\u3000", "\x85", "\u2028", "\x1c", "\x00", "!\n\n", " ?\r"),
    *(" 's", " Word", " слово", "def f(x):\n    return x\n"),
)


def tricky_texts() -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(PIECES) | any_texts(3), max_size=20).map("".join)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(read_ranks(vocabulary_path("llama3")))


@pytest.fixture(scope="module")
def tiny(encoder) -> Encoder:
    """The same with a memo of two places, so that it is always full."""
    other = Encoder(encoder.vocabulary)
    other._memos = [Memo(1, 1)]
    return other


def split(texts: list[str]) -> list[list[str]]:
    utf8 = TextBatch.from_texts(texts).utf8
    stops, counts = np.empty(len(utf8.data) + 1, np.int64), np.empty(len(texts), np.int64)
    count = kernels_pretokens.split_pretokens(utf8.data, utf8.offsets, split_classes(), stops, counts)
    edges = np.concatenate([[0], stops[:count]])
    pieces = [bytes(utf8.data[low:high]).decode() for low, high in pairwise(edges)]
    ends = np.cumsum(counts)
    return [pieces[end - number : end] for end, number in zip(ends, counts, strict=True)]


def ids_of(encoder: Encoder, texts: list[str]) -> list[list[int]]:
    found = encoder.encode(TextBatch.from_texts(texts).utf8)
    return [part.tolist() for part in np.split(found.values, found.offsets[1:-1])] if texts else []


@settings(deadline=None)
@given(st.lists(tricky_texts(), max_size=4))
def test_pretokens_are_those_of_the_naive_twin(texts):
    assert split(texts) == [naive_tokens.pretokens(text) for text in texts]


@settings(max_examples=300, deadline=None)
@given(st.lists(tricky_texts(), max_size=4))
def test_ids_are_those_of_tiktoken(encoder, tiny, texts):
    expected = [naive_tokens.reference().encode_ordinary(text) for text in texts]
    assert ids_of(encoder, texts) == expected
    assert ids_of(tiny, texts) == expected
    assert all(
        encoder.decode(np.array(ids, np.uint32)) == text.encode() for ids, text in zip(expected, texts, strict=True)
    )


@given(
    st.lists(st.sampled_from(["a", "ab", "é", "的", "ing", "tion", "the", "한", "สวั"]), min_size=1, max_size=60).map(
        "".join
    )
)
def test_merges_are_those_of_the_naive_twin(encoder, piece):
    """Pre-tokens of letters alone, up to several times the length from which a heap is used."""
    ranks = naive_tokens.reference()._mergeable_ranks
    assert encoder.encode_text(piece).tolist() == naive_tokens.merge(piece.encode(), ranks)


def test_the_table_of_classes_is_tiktokens():
    assert (split_classes() == unicode_split.generate()).all()


@pytest.mark.parametrize("between", ["", " ", "a", "1", "\n", "'"])
def test_every_code_point_is_encoded_as_tiktoken_does(encoder, between):
    """In blocks, with nothing or with a character of each class between any two."""
    texts = [
        between.join(chr(code) for code in range(first, first + 0x800) if not 0xD800 <= code < 0xE000)
        for first in range(0, 0x110000, 0x800)
        if first < 0x40000 or first >= 0xE0000
    ]
    texts = texts if between in ("", " ") else texts[:64]
    expected = naive_tokens.reference().encode_ordinary_batch(texts, num_threads=1)
    assert ids_of(encoder, texts) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000, "ab" * 200_000, "日本語の文章" * 20_000, " " * 200_000, " " * 100_001 + "x", "\n" * 100_000,
        " \n" * 50_000, "!" * 300_000, "9" * 300_001, "\u0301" * 100_000, "👩\u200d" * 50_000,
        "x" * 63, "x" * 64, "x" * 65, "=" * 1000 + "\n", "\u3000" * 1000 + "あ", "\x00" * 1000, "\ufffd" * 1000,
        "aB3" * 100_000,
    ],
    ids=lambda text: f"{text[:3]!r}x{len(text)}",
)  # fmt: skip
def test_long_runs_are_encoded_as_tiktoken_does(encoder, text):
    assert encoder.encode_text(text).tolist() == naive_tokens.reference().encode_ordinary(text)


def test_every_special_token_in_a_text_is_text(encoder):
    specials = encoder.specials
    assert len(specials) == NUM_SPECIALS == 256
    assert sorted(specials.values()) == list(range(128_000, 128_256))
    for token, number in specials.items():
        for text in (token, f"x{token}", f"{token}{token}\n"):
            ids = encoder.encode_text(text)
            assert ids.max() < 128_000
            assert ids.tolist() == naive_tokens.reference().encode_ordinary(text)
            assert encoder.decode(ids) == text.encode()
        assert encoder.decode(np.array([number], np.uint32)) == token.encode()


def test_places_of_the_named_special_tokens(encoder):
    """As in the published tokenizer: the format of prompts depends on them."""
    named = {
        "begin_of_text": 128_000, "end_of_text": 128_001, "finetune_right_pad_id": 128_004, "start_header_id": 128_006,
        "end_header_id": 128_007, "eom_id": 128_008, "eot_id": 128_009, "python_tag": 128_010,
        "reserved_special_token_0": 128_002, "reserved_special_token_246": 128_255,
    }  # fmt: skip
    assert {name: encoder.specials.get(f"<|{name}|>") for name in named} == named


def test_a_memo_of_any_state_gives_the_same_ids(encoder):
    texts = [f"{word} {number} naïveté слово{number}" for number in range(3000) for word in ("alpha", "Beta", "γάμμα")]
    first = ids_of(encoder, texts)
    assert first == ids_of(encoder, texts) == ids_of(Encoder(encoder.vocabulary), texts)
    assert len(encoder._memos) == 1
    assert Memo().num_bytes == 80 << 20


def test_threads_share_an_encoder(encoder):
    texts = [f"thread words {number} über alles" * 20 for number in range(500)]
    expected, found = ids_of(encoder, texts), {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: ids_of(encoder, texts)})) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[k] == expected for k in range(4))


def test_texts_of_a_slice_are_encoded_alone(encoder):
    """Offsets need not begin at 0, and no document sees the next one."""
    data = np.frombuffer(b"skip don't stop", np.uint8)
    found = encoder.encode(Utf8(data, np.array([5, 8, 8, 10, 15], np.int64)))
    parts = [part.tolist() for part in np.split(found.values, found.offsets[1:-1])]
    assert parts == [naive_tokens.reference().encode_ordinary(text) for text in ("don", "", "'t", " stop")]


def test_decoding_an_unknown_id_is_an_error(encoder):
    assert encoder.decode(np.empty(0, np.uint32)) == b""
    with pytest.raises(ValueError, match="id 128256: the vocabulary ends at 128255"):
        encoder.decode(np.array([1, 128_256], np.uint32))
