"""Dialogs as input: their text for the stages that measure it, their messages for those that render them."""

import json
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipeline
from pipeline.config import load_config
from stages.errors import MissingInputError
from tests.pipeline.io.test_read import read, reasons

DIALOG = [{"role": "user", "content": "How far is the moon?"}, {"role": "assistant", "content": "384,400 km."}]
TEXT = "How far is the moon?\n\n384,400 km."
BROKEN = [{"role": "user", "content": None}]


def write(folder, rows: list[dict], form: str) -> str:
    path = folder / f"dialogs.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_messages_give_the_text_and_travel_along(tmp_path, form):
    rows = [{"id": "a", "messages": DIALOG}, {"id": "b", "messages": BROKEN}, {"id": "c", "messages": None}]
    documents, rejected, _ = read(write(tmp_path, rows, form), text="messages")
    assert [(document["id"], document["text"]) for document in documents] == [("a", TEXT)]
    messages = documents[0]["messages"]
    assert (json.loads(messages) if form == "jsonl" else messages) == DIALOG
    assert reasons(rejected) == ["bad_dialog", "null_text"]
    assert rejected[0].message == "message 1: content is missing"


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_messages_beside_a_text(tmp_path, form):
    rows = [{"id": "a", "text": "x", "messages": DIALOG}, {"id": "b", "text": "y", "messages": None}]
    documents, rejected, _ = read(write(tmp_path, rows, form))
    assert [document["text"] for document in documents] == ["x", "y"]
    found = [document["messages"] for document in documents]
    assert [json.loads(value) if isinstance(value, str) else value for value in found] == [DIALOG, None]
    assert not rejected


def test_lists_that_are_no_dialogs_are_no_text(tmp_path):
    with pytest.raises(MissingInputError, match="not text"):
        read(write(tmp_path, [{"id": "a", "messages": ["x"]}], "parquet"), text="messages")
    with pytest.raises(MissingInputError, match="not text"):
        read(write(tmp_path, [{"id": "a", "text": DIALOG}], "parquet"))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_run_packs_dialogs_with_their_mask(tmp_path, form):
    """From the file to sequences: each dialog framed, rendered, and learnt where the assistant speaks."""
    pytest.importorskip("llama_models", reason="carries the vocabulary: pip install 'tamis[llama3]'")
    from stages.tokens.dialog import read_messages, render
    from stages.tokens.tokens import load_encoder

    rows = [{"id": str(k), "messages": [{"role": "system", "content": f"Nr. {k}"}, *DIALOG]} for k in range(20)]
    pipeline.run(
        load_config(
            {
                "input": {"path": write(tmp_path, rows, form), "text": "messages"},
                "output": str(tmp_path / "run"),
                "stages": [{"tokens": {"messages": "messages", "loss": "assistant", "sequence_length": 64}}],
            }
        )
    )
    encoder, found = load_encoder("llama3"), []
    for sequence in pipeline.open_tokens(tmp_path / "run"):
        for low, high in pairwise([*sequence.document_starts.tolist(), sequence.num_tokens]):
            found.append((sequence.input_ids[low:high].tolist(), sequence.loss_mask[low:high].tolist()))
    expected = []
    for row in rows:
        ids, mask = render([read_messages(row["messages"])], encoder)
        expected.append(([128_000, *ids.values.tolist(), 128_001], mask.tolist()))
    assert sorted(ids for ids, _ in found) == sorted(ids for ids, _ in expected)
    for ids, mask in expected:
        (packed,) = {tuple(mask) for other, mask in found if other == ids}
        assert list(packed[1:-1]) == mask
