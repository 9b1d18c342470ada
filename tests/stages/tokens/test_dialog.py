"""Dialogs as ids: against what the published format spells out, written by hand."""

import json

import numpy as np
import pyarrow as pa
import pytest

from stages.contract import decide, run_stage
from stages.errors import InputError
from stages.text.batch import TextBatch
from stages.tokens.dialog import read_column, read_messages, render, text_of
from stages.tokens.tokens import Tokens, load_encoder
from tests import naive_tokens

pytest.importorskip("tiktoken", reason="the reference of token ids: pip install 'tamis[dev]'")
pytest.importorskip("llama_models", reason="carries the vocabulary: pip install 'tamis[llama3]'")

DIALOG = [
    {"role": "system", "content": "You answer briefly.\n"},
    {"role": "user", "content": "  What is <|eot_id|>?"},
    {"role": "assistant", "content": "A token.\n\nIt ends a turn. 好"},
    {"role": "ipython", "content": ""},
    {"role": "assistant", "content": "Done."},
]


def by_hand(messages) -> tuple[list[int], list[int]]:
    """Ids and mask of a dialog: special tokens are put in by number, everything else is plain text."""
    plain = naive_tokens.reference().encode_ordinary
    ids, mask = [], []
    for message in messages:
        header = [128006, *plain(message["role"]), 128007, *plain("\n\n")]
        content = [*plain(message["content"].strip()), 128009]
        ids += header + content
        mask += [0] * len(header) + [int(message["role"] == "assistant")] * len(content)
    return ids, mask


def test_a_dialog_has_the_published_format():
    (messages,) = read_column(pa.array([DIALOG]))
    ids, mask = render([messages, messages[:1]], load_encoder("llama3"))
    expected = [by_hand(DIALOG), by_hand(DIALOG[:1])]
    assert ids.offsets.tolist() == [0, len(expected[0][0]), len(expected[0][0]) + len(expected[1][0])]
    assert ids.values.tolist() == expected[0][0] + expected[1][0]
    assert mask.tolist() == expected[0][1] + expected[1][1]
    assert expected[0][0][:7] == [128006, 9125, 128007, 271, 2675, 4320, 27851]
    assert load_encoder("llama3").decode(ids.values[: ids.offsets[1]]).decode() == "".join(
        f"<|start_header_id|>{message['role']}<|end_header_id|>\n\n{message['content'].strip()}<|eot_id|>"
        for message in DIALOG
    )


def test_no_dialogs_have_no_ids():
    ids, mask = render([], load_encoder("llama3"))
    assert ids.offsets.tolist() == [0]
    assert len(ids.values) == len(mask) == 0


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ([], "no list of at least one"),
        ({"role": "user"}, "no list"),
        ("hello", "no JSON"),
        ([{"role": "user", "content": "x"}, {"role": "user", "content": None}], "message 2: content is missing"),
        ([{"role": "user"}], "message 1: content is missing"),
        ([{"content": "x"}], "message 1: role is missing"),
        ([{"role": " ", "content": "x"}], "message 1: role is empty"),
        ([{"role": 3, "content": "x"}], "message 1: role is int"),
        ([{"role": "user", "content": ["x"]}], "message 1: content is list"),
        ([None], "message 1 is NoneType"),
        (["hi"], "message 1 is str"),
    ],
)
def test_malformed_messages_say_which_and_why(value, wrong):
    with pytest.raises(ValueError, match=wrong):
        read_messages(value)


def test_messages_may_be_json():
    assert read_messages(json.dumps(DIALOG)) == read_messages(DIALOG)
    assert text_of(read_messages(DIALOG[1:3])) == "  What is <|eot_id|>?\n\nA token.\n\nIt ends a turn. 好"


def batch() -> TextBatch:
    """A dialog, a plain document, a malformed dialog, another dialog, an empty document."""
    broken = [{"role": "user", "content": None}]
    return TextBatch.from_texts(
        ["t0", "plain text here", "t2", "t3", ""], messages=[DIALOG, None, broken, DIALOG[1:3], None]
    )


def test_the_stage_renders_rows_with_messages_and_encodes_the_others():
    stage = Tokens(messages="messages", loss="assistant")
    after, signals = run_stage(stage, batch())
    plain = naive_tokens.reference().encode_ordinary("plain text here")
    expected = [by_hand(DIALOG), (plain, [1] * len(plain)), None, by_hand(DIALOG[1:3]), ([], [])]
    assert after.signals["tokens.ids"].to_pylist() == [row and row[0] for row in expected]
    assert after.signals["tokens.loss_mask"].to_pylist() == [row and row[1] for row in expected]
    assert signals["count"].to_pylist() == [row and len(row[0]) for row in expected]
    assert signals["malformed"].to_pylist() == [False, False, True, False, False]
    assert signals["bytes_per_token"].to_pylist() == [None, 15 / len(plain), None, None, None]
    assert {name: mask.tolist() for name, mask in decide(stage, signals, None).items()} == {
        "malformed": [False, False, True, False, False]
    }


def test_the_mask_is_there_only_on_request():
    assert list(Tokens(messages="messages").attachments()) == ["ids"]
    after, _ = run_stage(Tokens(loss="assistant"), TextBatch.from_texts(["some text", ""]))
    assert after.signals["tokens.loss_mask"].to_pylist() == [[1, 1], []]


def test_a_missing_column_is_an_error():
    with pytest.raises(InputError, match=r"tokens\.messages: the documents have no column 'dialog'"):
        Tokens(messages="dialog").measure(batch())


def test_any_split_of_dialogs_gives_the_same_ids():
    stage = Tokens(messages="messages", loss="assistant")
    whole = run_stage(stage, batch())[0].signals
    for row in range(5):
        part = run_stage(stage, batch().take(np.array([row])))[0].signals
        for name in ("tokens.ids", "tokens.loss_mask"):
            assert part[name].to_pylist() == whole[name].to_pylist()[row : row + 1]
