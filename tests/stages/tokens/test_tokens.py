"""The stage, and the vocabularies it reads."""

import base64

import numpy as np
import pytest

from stages.contract import run_stage
from stages.errors import AssetError, MissingPartError
from stages.text.batch import TextBatch
from stages.tokens import vocabulary
from stages.tokens.packing import Frame
from stages.tokens.tokens import Tokens, load_encoder
from tests import naive_tokens

pytest.importorskip("llama_models", reason="carries the vocabulary: pip install 'tamis[llama3]'")

TEXTS = ["The cat sat on the mat.", "", "这只猫坐在垫子上。", "x" * 200, "<|begin_of_text|>Hi<|eot_id|>"]


def test_ids_are_attached_and_counted():
    pytest.importorskip("tiktoken")
    after, signals = run_stage(Tokens(), TextBatch.from_texts(TEXTS))
    expected = [naive_tokens.reference().encode_ordinary(text) for text in TEXTS]
    assert after.signals["tokens.ids"].to_pylist() == expected
    assert signals["count"].to_pylist() == [len(ids) for ids in expected]
    assert signals["bytes_per_token"].to_pylist() == [
        len(text.encode()) / len(ids) if ids else None for text, ids in zip(TEXTS, expected, strict=True)
    ]


def test_what_packing_asks_for():
    stage = Tokens()
    assert stage.frame() == Frame(begin=128_000, end=128_001, padding=128_004)
    assert Tokens(begin=None, end="<|eot_id|>", padding="<|end_of_text|>").frame() == Frame(-1, 128_009, 128_001)
    assert stage.tokenizer() == {"name": "llama3", "hash": vocabulary.LLAMA3_SHA256, "size": 128_256}
    assert stage.assets() == {"vocabulary": vocabulary.LLAMA3_SHA256}
    assert len(stage.token_marks()) == 128_256
    with pytest.raises(AssetError, match=r"llama3 has no special token '</s>'; it has: <\|begin_of_text\|>"):
        Tokens(end="</s>").frame()


def rank_file(path, tokens: list[bytes]) -> str:
    path.write_bytes(b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens)))
    return str(path)


BYTES = [bytes([byte]) for byte in range(256)]


def test_a_vocabulary_of_ones_own(tmp_path):
    """Merges by rank; a whole pre-token that is a token wins, though no merges lead to it."""
    path = rank_file(tmp_path / "own.tiktoken", [*reversed(BYTES), b"he", b"ll", b" he", b"xyz"])
    encoder = load_encoder(path)
    assert encoder.num_ids == 260 + 256
    assert encoder.encode_text("hello hell").tolist() == [256, 257, 255 - ord("o"), 258, 257]
    assert encoder.encode_text("xyz xyz").tolist() == [259, *(255 - byte for byte in b" xyz")]
    assert encoder.decode(encoder.encode_text("hello xyz 好")) == "hello xyz 好".encode()
    assert Tokens(vocabulary=path).frame() == Frame(260, 261, 264)
    assert Tokens(vocabulary=path).tokenizer()["name"] == "own.tiktoken"


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"YQ==\n", r"bad:1: not a token in base64 and its rank"),
        (b"YQ== x\n", r"bad:1: not a token"),
        (b"Y! 0\n", r"bad:1: not a token"),
        (b"YQ== 0\nYg== 2\n", r"bad:2: rank 2, expected 1"),
        (b"YQ== 0\n", r"255 single bytes are no tokens, the first b'\\x00'"),
    ],
)
def test_files_that_are_no_vocabulary(tmp_path, content, wrong):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=wrong):
        load_encoder(str(path))


def test_a_missing_file_or_package(monkeypatch):
    with pytest.raises(AssetError, match=r"there is no file nowhere\.model; write 'llama3' or the path"):
        vocabulary.vocabulary_path("nowhere.model")
    monkeypatch.setattr(vocabulary, "find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match=r"pip install 'tamis\[llama3\]'"):
        vocabulary.vocabulary_path("llama3")


def test_llama3_is_checked(monkeypatch, tmp_path):
    monkeypatch.setattr("stages.tokens.tokens.LLAMA3_SHA256", "0" * 64)
    load_encoder.cache_clear()
    with pytest.raises(AssetError, match="not Llama 3's vocabulary"):
        load_encoder("llama3")
    load_encoder.cache_clear()


def test_a_tokenizer_json_through_the_library(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="pip install tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(TEXTS * 5, trainer)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    stage = Tokens(vocabulary=str(path), begin="<s>", end="</s>", padding="</s>")
    texts = [*TEXTS, "</s> is text"]
    after, signals = run_stage(stage, TextBatch.from_texts(texts))
    found = after.signals["tokens.ids"].to_pylist()
    made.encode_special_tokens = True
    assert found == [made.encode(text, add_special_tokens=False).ids for text in texts]
    assert signals["count"].to_pylist() == [len(ids) for ids in found]
    assert not {0, 1} & set(found[-1])
    assert stage.frame() == Frame(0, 1, 1)
    assert stage.tokenizer()["size"] == made.get_vocab_size()
    encoder = load_encoder(str(path))
    assert encoder.decode(np.array(found[2], np.uint32)) == texts[2].encode()
    assert len(stage.token_marks()) == encoder.num_ids
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(AssetError, match=r"not a tokenizer\.json"):
        load_encoder(str(tmp_path / "bad.json"))
