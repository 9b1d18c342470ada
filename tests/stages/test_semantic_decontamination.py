"""`semantic_decontamination`: items in other words, by the encoder that needs no torch."""

import json

import pytest

from stages.contract import decide, run_stage
from stages.embedding.stage import Embedding
from stages.errors import AssetError, StageError
from stages.semantic_decontamination import SemanticDecontamination
from stages.text.batch import TextBatch

ITEMS = [
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.",
    "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?",
    "",
]
PAGES = [
    "In April, Natalia sold clips to 48 friends; in May she then sold half as many of the clips.",
    "The river carries water through narrow valleys before evening, and children learn about stars.",
    " ",
    ITEMS[1],
]


@pytest.fixture
def items(tmp_path) -> str:
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps({"question": text}) + "\n" for text in ITEMS))
    return f"{file}:question"


def embedded(texts: list[str]) -> TextBatch:
    return run_stage(Embedding(), TextBatch.from_texts(texts))[0]


def test_items_in_other_words_are_found(items):
    stage = SemanticDecontamination(benchmarks={"toy": items})
    _, columns = run_stage(stage, embedded(PAGES))
    assert columns["item"].to_pylist() == ["toy:1", columns["item"][1].as_py(), None, "toy:2"]
    similarity = columns["similarity"].to_pylist()
    assert similarity[0] > 0.9 > similarity[1]
    assert similarity[2] is None
    assert similarity[3] == 1
    assert decide(stage, columns, None)["similarity"].tolist() == [True, False, False, True]


def test_vectors_of_another_encoder_are_refused(items):
    batch = embedded(PAGES)
    other = batch.signals["embedding.encoder"].to_pylist()
    import pyarrow as pa

    batch = batch.with_signals({"embedding.encoder": pa.array(["other:0" for _ in other])})
    with pytest.raises(StageError, match=r"made by other:0, the items' by static:\w+; write the same model for both"):
        run_stage(SemanticDecontamination(benchmarks={"toy": items}), batch)


def test_benchmarks_without_a_text_are_told(tmp_path):
    (tmp_path / "items.jsonl").write_text('{"text": " "}\n')
    stage = SemanticDecontamination(benchmarks={"toy": str(tmp_path / "items.jsonl")})
    with pytest.raises(AssetError, match="no item of toy has a text that static can embed"):
        stage.setup()
    with pytest.raises(ValueError, match="name a benchmark"):
        SemanticDecontamination(benchmarks={})
