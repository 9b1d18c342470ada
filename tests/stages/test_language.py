"""Language by lid.176: what the fastText library says, and what is measured beside it."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings

from stages.contract import decide, run_stage
from stages.errors import StageError
from stages.language import Language
from stages.lid import lid176_path
from stages.text import unicode_scripts
from stages.text.batch import TextBatch
from stages.text.unicode_tables import LETTER, classes
from tests.reference.oracle import data_path
from tests.stages.fasttext.models import library_says, save
from tests.strategies import documents, texts

SAMPLES = {
    "en": "The committee will meet again next week to discuss the budget for the new school.",
    "de": "Der Ausschuss trifft sich nächste Woche wieder, um über den Haushalt der neuen Schule zu sprechen.",
    "fr": "Le comité se réunira de nouveau la semaine prochaine pour discuter du budget de la nouvelle école.",
    "ru": "Комитет соберётся снова на следующей неделе, чтобы обсудить бюджет новой школы.",
    "zh": "委员会下周将再次开会讨论新学校的预算。",
    "ja": "委員会は来週再び集まり、新しい学校の予算について話し合います。",
    "ar": "ستجتمع اللجنة مرة أخرى الأسبوع المقبل لمناقشة ميزانية المدرسة الجديدة.",
    "th": "คณะกรรมการจะประชุมอีกครั้งในสัปดาห์หน้าเพื่อหารือเกี่ยวกับงบประมาณของโรงเรียนใหม่",
}


def measure(*texts: str, **fields):
    return run_stage(Language(**fields), TextBatch.from_texts(list(texts)))[1]


def test_it_knows_languages():
    columns = measure(*SAMPLES.values())
    assert columns["label"].to_pylist() == list(SAMPLES)
    assert all(0.5 < score <= 1 for score in columns["score"].to_pylist())


def assert_library_agrees(documents: list[str]) -> None:
    """Newlines become spaces, letters are not lowered, and the end of the line is read."""
    import fasttext

    library = fasttext.load_model(str(lid176_path()))
    columns = measure(*documents)
    rows = zip(*(columns[name].to_pylist() for name in ("label", "score", "second_label", "margin")), strict=True)
    for text, (label, score, second, margin) in zip(documents, rows, strict=True):
        if not text.replace("\0", " ").strip():  # NUL ends a token, too
            assert (label, score, second, margin) == (None, None, None, None)
            continue
        (expected, first_score), (expected_second, second_score) = library_says(library, text, 2)
        assert score == pytest.approx(min(first_score, 1), abs=1e-4)
        assert margin == pytest.approx(min(first_score, 1) - second_score, abs=1e-4)
        assert label == expected or first_score == pytest.approx(second_score, abs=1e-6), text[:80]
        assert second == expected_second or second_score < 1e-3 or first_score - second_score < 1e-6, text[:80]


def test_the_fasttext_library_says_the_same():
    assert_library_agrees(["ONE line of English\nand Another one\n\nof the same text", *SAMPLES.values()])


@given(documents())
@settings(max_examples=50, deadline=None)
def test_the_fasttext_library_says_the_same_of_any_text(documents):
    assert_library_agrees(documents)


@pytest.mark.parametrize("name", ["langid_dev", "web_sample"])
def test_the_fasttext_library_says_the_same_of_real_text(name):
    path = data_path(f"{name}.parquet")
    if not path.is_file():
        pytest.skip(f"no {path.name}: name its folder in TAMIS_DATA")
    assert_library_agrees(pq.read_table(path, columns=["text"])["text"].to_pylist()[::10])


@pytest.mark.parametrize("text", ["", " \n\t", "\u3000"])
def test_nothing_to_read_is_null_and_stays(text):
    stage = Language.model_validate({"label": ["en"], "score": {"min": 0.65}})
    _, columns = run_stage(stage, TextBatch.from_texts([text]))
    assert columns["label"][0].as_py() is None
    assert not any(mask.any() for mask in decide(stage, columns, columns["label"]).values())


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ufffe", "💥", "a" * 100_000, "\r", "\u2028"])
def test_odd_text_does_no_harm(text):
    assert len(measure(text, "hello there")["label"]) == 2


def test_bounds_per_language_use_the_label_measured_here():
    stage = Language.model_validate({"score": {"min": 0.0}, "by_language": {"de": {"score": {"min": 1.0}}}})
    _, columns = run_stage(stage, TextBatch.from_texts([SAMPLES["de"][:20], SAMPLES["en"]]))
    assert decide(stage, columns, columns["label"])["score"].tolist() == [True, False]


def test_a_model_that_is_none_is_an_error(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"nothing of the kind")
    with pytest.raises(StageError, match="there is no model file"):
        measure("x", model=str(tmp_path / "other.bin"))
    with pytest.raises(StageError, match="is not a fastText model"):
        measure("x", model=str(tmp_path / "model.bin"))


def test_the_model_is_part_of_the_fingerprint(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"one")
    stage = Language(model=str(tmp_path / "model.bin"))
    before = dict(stage.assets())
    (tmp_path / "model.bin").write_bytes(b"two")
    assert dict(stage.assets()) != before
    assert Language().assets()


def test_a_text_in_two_languages_has_a_small_margin():
    columns = measure(SAMPLES["en"], f"{SAMPLES['en']} {SAMPLES['fr']}")
    sure, unsure = columns["margin"].to_pylist()
    assert sure > 0.8 > unsure >= 0
    assert {columns["label"][1].as_py(), columns["second_label"][1].as_py()} == {"en", "fr"}


def test_the_script_is_that_of_most_letters():
    found = measure(*SAMPLES.values(), "12 !?", "", "abc где", "где abc", "ab где", "العربية en", "\u30fc", "e\u0301")
    codes = ["Latn", "Latn", "Latn", "Cyrl", "Hani", "Hira", "Arab", "Thai"]
    assert found["script"].to_pylist() == [*codes, None, None, "Cyrl", "Cyrl", "Cyrl", "Arab", None, "Latn"]


@given(texts())
@settings(max_examples=100, deadline=None)
def test_the_script_equals_its_twin(text):
    counts = {}
    for char in text:
        name = unicode_scripts.names()[unicode_scripts.scripts()[ord(char)]]
        if name and classes()[ord(char)] & LETTER:
            counts[name] = counts.get(name, 0) + 1
    expected = min(counts, key=lambda name: (-counts[name], name)) if counts else None
    assert measure(text)["script"][0].as_py() == expected


def paragraph(language: str) -> str:
    return (SAMPLES[language] + " ") * 3


def test_mixed_documents_are_found_by_their_paragraphs():
    english, german = paragraph("en"), paragraph("de")
    mixed = [
        "\n".join([english] * 3),
        "\n".join([english] * 3 + [german]),
        english * 3 + german,  # one line is one paragraph
        "\n".join(["short"] * 20),
        "",
        "\n\n".join([english] * 3 + ["Kurz."]),
        "\r\n".join([english] * 3 + [german]),
    ]
    columns = measure(*mixed, paragraphs=True)
    found = columns["other_ratio"].to_pylist()
    share = len(german.encode()) / len(mixed[1].encode())
    assert found[:6] == [0, pytest.approx(share), 0, 0, None, 0]
    assert found[6] == pytest.approx(len(german.encode()) / len(mixed[6].encode()))
    assert measure(mixed[1])["other_ratio"].to_pylist() == [None]


def test_short_lines_are_taken_together_up_to_a_blank_one():
    english, german = paragraph("en"), SAMPLES["de"].replace(", ", ",\n")
    assert max(len(line.encode()) for line in german.split("\n")) < 100
    english *= 4
    together = f"{english}\n\n{german}\n{german}\n{german}\n\n{english}"
    apart = together.replace(",\n", ",\n\n").replace(".\nDer", ".\n\nDer")
    found = measure(together, apart, paragraphs=True)["other_ratio"].to_pylist()
    assert found[0] > 0.05
    assert found[1] == 0
    assert measure(apart, paragraphs=True, min_paragraph_bytes=30)["other_ratio"][0].as_py() > 0.05


@given(documents())
@example(["the\n\ndon’t\r\nthe"])
@settings(max_examples=50, deadline=None)
def test_paragraphs_equal_their_twin(documents):
    stage = Language(paragraphs=True, min_paragraph_bytes=10)
    columns = run_stage(stage, TextBatch.from_texts(documents))[1]
    for text, label, found in zip(
        documents, columns["label"].to_pylist(), columns["other_ratio"].to_pylist(), strict=True
    ):
        if label is None:
            assert found is None
            continue
        if "</s>" in text.split():
            continue  # fastText reads no further
        others = 0
        for piece in pieces(text, 10):
            of_piece = measure(piece)["label"][0].as_py()
            others += len(piece.encode()) if of_piece not in (label, None) else 0
        assert found == pytest.approx(others / len(text.encode()))


def pieces(text: str, min_bytes: int) -> list[str]:
    """Lines together, with the breaks between them, until they are long enough; blank lines end a piece."""
    found: list[str] = []
    first = None
    for line in re.finditer(r"([^\n]*?)(\r?\n|\Z)", text):
        if not line[1].strip():
            first = None
            continue
        first = line.start() if first is None else first
        piece = text[first : line.end(1)]
        if len(piece.encode()) >= min_bytes:
            found.append(piece)
            first = None
    return found


def test_a_bound_by_language_is_on_the_stage_s_own_label():
    """As in `language: {by_language: {ja: {score: {min: 0.5}}}}`, with a general bound beside it."""
    stage = Language.model_validate({"by_language": {"ja": {"score": {"min": 0.5}}}})
    short = ["です", "hm", SAMPLES["ja"], SAMPLES["en"]]
    _, columns = run_stage(stage, TextBatch.from_texts(short))
    labels, scores = columns["label"].to_pylist(), columns["score"].to_pylist()
    expected = [label == "ja" and score < 0.5 for label, score in zip(labels, scores, strict=True)]
    assert decide(stage, columns, columns["label"])["score"].tolist() == expected
    strict = Language.model_validate({"by_language": {"ja": {"score": {"min": 1.0}}}})
    assert decide(strict, columns, columns["label"])["score"].tolist()[2:] == [True, False]


def test_any_fasttext_file_is_a_model(tmp_path):
    import fasttext

    path = str(save(tmp_path, "one_vs_all"))
    texts = ["abc def cab", "的一 是在 不了"]
    expected = [library_says(fasttext.load_model(path), text, 1)[0][0] for text in texts]
    assert measure(*texts, model=path)["label"].to_pylist() == expected


def test_the_preset_of_precise_bounds_loads():
    from pipeline.config import load_config

    config = load_config(str(Path(__file__).parents[2] / "configs" / "language-precise.yaml"))
    (stage,) = config.stages
    assert stage.decisions("de")["score"].min > 0
    assert stage.decisions("ko")["score"].min is None
    assert "no" in stage.by_language
