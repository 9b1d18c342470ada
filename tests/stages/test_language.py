"""Language by lid.176."""

import pytest

from stages.contract import decide, run_stage
from stages.errors import StageError
from stages.language import Language
from stages.text.batch import TextBatch

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


def test_the_fasttext_library_says_the_same():
    """Newlines become spaces; letters are not lowered."""
    import fasttext

    from stages.lid import lid176_path

    model = fasttext.load_model(str(lid176_path()))
    text = "ONE line of English\nand Another one\n\nof the same text"
    (score, label), *_ = model.f.predict(text.replace("\n", " "), 1, 0.0, "strict")
    columns = measure(text)
    assert columns["label"][0].as_py() == label.removeprefix("__label__")
    assert columns["score"][0].as_py() == pytest.approx(min(score, 1), abs=1e-6)


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
