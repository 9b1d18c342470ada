"""Personal data: what is found, what is not, and that the compiled scan equals its slow twin."""

from __future__ import annotations

import random
import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.contract import run_stage
from stages.evidence import MOST
from stages.pii import Pii, find_secrets
from stages.text.batch import TextBatch
from tests import naive_pii, pii_strings
from tests.strategies import texts

PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEabcd" * 8 + "\n-----END RSA PRIVATE KEY-----"
PIECES = (
    "bob@x.com", "@", ".", "..", "-", "иван@почта.рф", "例子.广告", "a@b.co", "@2x.png", "example.com", "xn--p1ai",
    "1", "0", "12", "123", "555", "2671", "415", "(415)", "(0)", "(20)", "+1", "+49", " ", " - ", " / ", "/", "x1", "%",
    ",", "Tel: ", "fax ", "电话：", "2019", "010", "089", "99", "84.12.33.7", "8.8.8.8", "10.0.0.1", "v", "version ",
    "-rc", "2a00:1450:4009:80b::200e", "2001:db8::1:2", "::", ":", "2a00", "3fff:1000:1::", "fff", "4111111111111111",
    "4111 1111 1111 1111", "3782-822463-10005", "DE89370400440532013000", "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432", "AKIAIOSFODNN7EXAMPLE", "ghp_" + "aB3dE5gH7j" * 3 + "aB3dE5", "sk-" + "abcd1234" * 5,
    "eyJabcdefghijk.eyJabcdefghijk.abcdefghijk", "SG.", "_", "A", "ß", "日", "\n", PEM, "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----", "MIIEabcd" * 8, "-----", "[EMAIL]", "[", "€", "£", "'",
)  # fmt: skip


def hostile() -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(PIECES) | texts(3), max_size=14).map("".join)


def measured(text: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    after, columns = run_stage(Pii(**fields), TextBatch.from_texts([text]))
    return after.table["text"][0].as_py(), {name: column[0].as_py() for name, column in columns.items()}


def masked(text: str, **fields: Any) -> str:
    return measured(text, **fields)[0]


@given(st.lists(hostile(), max_size=5))
@example([""])
@example([f"{PEM} {PEM[:-5]}"])
@example(["-----BEGIN PRIVATE KEY-----" * 50])
@settings(deadline=None, max_examples=400)
def test_the_scan_equals_its_twin(documents: list[str]) -> None:
    after, columns = run_stage(Pii(), TextBatch.from_texts(documents))
    for i, text in enumerate(documents):
        new_text, counts, char_ratio = naive_pii.pii(text)
        assert after.table["text"][i].as_py() == new_text
        assert {name: column[i].as_py() for name, column in columns.items()} == counts | {"char_ratio": char_ratio}


@given(hostile())
@settings(deadline=None, max_examples=400)
def test_masking_twice_changes_nothing(text: str) -> None:
    once = masked(text)
    again, signals = measured(once)
    assert again == once
    assert not any(signals.values())


@given(hostile(), st.sampled_from(naive_pii.KINDS))
@settings(deadline=None, max_examples=200)
def test_one_kind_alone_equals_its_twin(text: str, kind: str) -> None:
    new_text, counts, char_ratio = naive_pii.pii(text, (kind,))
    assert measured(text, kinds=(kind,)) == (new_text, counts | {"char_ratio": char_ratio})


@given(hostile(), st.sets(st.sampled_from(naive_pii.KINDS)))
@settings(deadline=None, max_examples=200)
def test_what_is_shown_is_what_the_twin_finds_first(text: str, kinds: set[str]) -> None:
    found = find_secrets(text, sorted(kinds))
    expected = naive_pii.first_spans(text, tuple(kind for kind in naive_pii.KINDS if kind in kinds))
    assert [tuple(span) for span in found] == [(a, b, kind.replace("_", " ")) for a, b, kind in expected][:MOST]


def test_a_long_line_is_scanned_in_time_and_right() -> None:
    for piece in ("a@", "1 ", "(1", "-", "eyJ-", "-----BEGIN ", "1.1.1.", "2a00:", "DE89", "+1", "x@y."):
        text = piece * (1_000_000 // len(piece))
        assert masked(text) == text, piece
    assert measured("bob@x.com " * 100_000)[1]["email_count"] == 100_000


def test_three_hundred_positives_are_found_whole() -> None:
    rng = random.Random(1)
    missed = []
    pairs = pii_strings.positives()
    for kind, text in pairs:
        for frame in ("{}", rng.choice(pii_strings.FRAMES)):
            new_text, signals = measured(frame.format(text))
            cue = re.match("[^0-9+(]*", text)[0] if kind == "phone" else ""  # type: ignore[index]
            expected = frame.format(cue + naive_pii.PLACEHOLDERS[kind])  # type: ignore[index]
            if new_text != expected or signals[f"{kind}_count"] != 1:
                missed.append((kind, text, new_text))
    assert len(pairs) >= 300
    assert not missed


def test_three_hundred_hard_negatives_stay() -> None:
    pairs = pii_strings.negatives()
    assert len(pairs) >= 300
    assert [(kind, text) for kind, text in pairs if measured(text)[1][f"{kind}_count"]] == []


def test_trap_19_placeholders_do_not_depend_on_other_documents() -> None:
    documents = ["bob@x.com", "nothing", "ann@y.org and 84.12.33.7"] * 3
    together = run_stage(Pii(), TextBatch.from_texts(documents))[0].table["text"].to_pylist()
    assert together == [masked(text) for text in documents] == [masked(text) for text in documents[::-1]][::-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.84.12.33 and 84.12.33.7.1 and 1184.12.33.7", "v1.84.12.33 and 84.12.33.7.1 and 1184.12.33.7"),
        ("84.012.33.7", "84.012.33.7"),
        ("bob@x.com.", "[EMAIL]."),
        ("<bob@x.com>,ann@y.org;", "<[EMAIL]>,[EMAIL];"),
        ("https://x.com/?mail=bob@x.com&b=1", "https://x.com/?mail=[EMAIL]&b=1"),
        ("ISBN 978-0-306-40615-7, doi:10.1000/182.415.5552", "ISBN 978-0-306-40615-7, doi:10.1000/182.415.5552"),
        ("CA 94107 415-555-2671.", "CA 94107 [PHONE]."),
        ("bob@x.com或者ann@y.org", "[EMAIL]或者[EMAIL]"),
    ],
)
def test_trap_20_boundaries(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_an_unmasked_text_is_the_same_batch() -> None:
    batch = TextBatch.from_texts(["nothing here", "nor here"])
    assert Pii().transform(batch)[0] is batch


def test_counting_alone_leaves_the_text() -> None:
    text, signals = measured("bob@x.com", mask=False)
    assert text == "bob@x.com"
    assert signals["email_count"] == 1
    assert signals["char_ratio"] == 1.0


def test_annotate_masks_still() -> None:
    assert masked("bob@x.com", action="annotate") == "[EMAIL]"


def test_kinds_that_are_not_looked_for_are_null() -> None:
    text, signals = measured("bob@x.com 84.12.33.7", kinds=("ipv4",))
    assert text == "bob@x.com [IP_ADDRESS]"
    assert signals["ipv4_count"] == 1
    assert signals["email_count"] is None


def test_placeholders_can_be_chosen() -> None:
    assert masked("bob@x.com 84.12.33.7", placeholders={"email": "<|email|>"}) == "<|email|> [IP_ADDRESS]"
    for text in ("bob@x.com", "", "[4]", "x" * 5, "[" + "x" * 61 + "]"):
        with pytest.raises(ValidationError, match="letters, spaces"):
            Pii(placeholders={"email": text})


def test_every_bound_is_open_and_can_be_set() -> None:
    assert all(rule.is_open for rule in Pii().decisions().values())
    _, columns = run_stage(Pii(), TextBatch.from_texts(["bob@x.com ann@y.org", "bob@x.com"]))
    rule = Pii.model_validate({"email_count": {"max": 1}}).email_count
    assert rule.drops(columns["email_count"]).tolist() == [True, False]
    assert columns["email_count"].type == pa.int32()
