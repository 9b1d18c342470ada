"""Gopher, repetition, C4 and FineWeb against their naive twins, and the traps of the published definitions."""

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings

from stages.contract import decide, run_stage
from stages.heuristics.c4 import C4
from stages.heuristics.fineweb import FineWeb
from stages.heuristics.gopher import ENGLISH, Gopher
from stages.heuristics.repetition import Repetition
from stages.text.batch import TextBatch
from tests import naive
from tests.strategies import BATCHES

TWINS = {Gopher: lambda text: naive.gopher(text, ENGLISH), Repetition: naive.repetition, FineWeb: naive.fineweb}


def measured(stage, *texts: str) -> list[dict]:
    """The stage's signals, a dictionary for each text."""
    _, columns = run_stage(stage, TextBatch.from_texts(list(texts)))
    return pa.table(columns).to_pylist()


def dropped_by(stage, text: str) -> list[str]:
    """The rules that drop a text."""
    _, columns = run_stage(stage, TextBatch.from_texts([text]))
    return [name for name, mask in decide(stage, columns, None).items() if mask[0]]


@pytest.mark.parametrize("cls", TWINS)
@settings(max_examples=300)
@given(texts=BATCHES)
def test_signals_are_those_of_the_naive_twin(cls, texts):
    for text, found in zip(texts, measured(cls(), *texts), strict=True):
        for name, value in TWINS[cls](text).items():
            assert found[name] == value, (name, text)


@pytest.mark.parametrize("terminal_punctuation", [True, False])
@settings(max_examples=300)
@given(texts=BATCHES)
def test_c4_is_its_naive_twin(terminal_punctuation, texts):
    stage = C4(terminal_punctuation=terminal_punctuation)
    after, columns = run_stage(stage, TextBatch.from_texts(texts))
    rows = pa.table(columns).to_pylist() if texts else []
    for text, left, found in zip(texts, after.table["text"].to_pylist(), rows, strict=True):
        assert (left, found) == naive.c4(text, terminal_punctuation), text


def test_zero_is_a_bound_and_null_is_none():
    """Trap: in datatrove a bound of 0 switches a rule off."""
    text = "# a"
    assert "hash_ratio" in dropped_by(Gopher.model_validate({"hash_ratio": {"max": 0}}), text)
    assert "hash_ratio" not in dropped_by(Gopher.model_validate({"hash_ratio": {"max": None}}), text)


def test_two_equal_lines_are_one_duplicate():
    """Trap: "duplicate" means the second and later copies, not all of them."""
    assert measured(Repetition(), "same\nsame")[0]["duplicate_line_ratio"] == 0.5


def test_a_top_ngram_counts_even_once():
    """Trap: four words that occur once fill the whole text."""
    assert measured(Repetition(), "a b c d")[0]["top_4gram_char_ratio"] == 1.0


def test_the_first_of_equally_frequent_ngrams_is_the_top():
    """Trap: ties go to the first seen, not to the longest."""
    found = measured(Repetition(), "a b . longer words . a b . longer words")[0]
    assert found["top_2gram_char_ratio"] == 2 * len("a b") / 39


def test_white_space_is_in_the_denominator_of_repetition():
    """Trap: len(text) with white space, while duplicate n-grams are counted without."""
    text = "a b c d e   a b c d e"
    assert measured(Repetition(), text)[0]["duplicate_5gram_char_ratio"] == 5 / len(text)


def test_stop_words_are_distinct_and_keep_their_case():
    """Trap: `the the` is one stop word, and THE is none."""
    found = measured(Gopher(), "the the the", "THE OF AND", "the of")
    assert [row["stop_word_count"] for row in found] == [1, 0, 2]


def test_bullets_are_two_characters_and_hyphen_is_one_of_them():
    """Trap: the sets of bullets differ between recipes; these are datatrove's."""
    found = measured(Gopher(), "• a\n- b\n* c\n– d")[0]
    assert found["bullet_line_ratio"] == 0.5


def test_hashes_and_ellipses_are_two_signals():
    """Trap: other recipes sum them."""
    found = measured(Gopher(), "# one ... two … three")[0]
    assert (found["hash_ratio"], found["ellipsis_ratio"]) == (1 / 6, 2 / 6)


def test_a_right_quote_ends_no_line():
    """Trap: Sentence_Terminal has no quotes; FineWeb's rule looks at the very last character."""
    found = measured(FineWeb(), "He said.”", "He said.", "He said. ", "说。")
    assert [row["terminated_line_ratio"] for row in found] == [0, 1, 0, 1]


def test_crlf_does_not_hide_the_full_stop():
    """Trap: a CR at the end of the line."""
    assert measured(FineWeb(), "One.\r\nTwo.\r\n")[0]["terminated_line_ratio"] == 1


def test_c4_constants_are_five_sentences_and_three_words():
    """Trap: the released code of C4 has three sentences and five words."""
    stage = C4()
    assert (stage.sentence_count.min, stage.min_line_words) == (5, 3)
    line = "Here are three words. "
    assert dropped_by(stage, "\n".join([line] * 4)) == ["sentence_count"]
    assert dropped_by(stage, "\n".join([line] * 5)) == []


def test_c4_judges_only_lines_that_survive():
    """Trap: lorem ipsum and `{` in a line that goes for another reason do not count."""
    good = "Here are three words.\n" * 5
    assert dropped_by(C4(), good + "lorem ipsum {") == []
    assert dropped_by(C4(), good + "lorem ipsum is here.") == ["lorem_ipsum"]
    assert dropped_by(C4(), good + "a bracket } closes.") == []
    assert dropped_by(C4(), good + "a bracket { opens.") == ["curly_bracket"]


def test_c4_counts_words_before_it_removes_citations():
    """Trap: `One two [3].` has three words."""
    after, _ = run_stage(C4(sentence_count={"min": 0}), TextBatch.from_texts(["One two [3]."]))
    assert after.table["text"].to_pylist() == ["One two ."]


def test_c4_rewrites_the_text():
    """Trap: blank lines vanish, so stages that need paragraphs come before."""
    after, _ = run_stage(C4(), TextBatch.from_texts(["  One two three. \n\n\nmenu\nFour five six!"]))
    assert after.table["text"].to_pylist() == ["One two three.\nFour five six!"]


def test_nothing_divided_by_nothing_is_null():
    """Trap: an empty text divides by zero, and NaN passes every comparison; the counts still drop it."""
    gopher, repetition, fineweb = (measured(cls(), "")[0] for cls in (Gopher, Repetition, FineWeb))
    assert gopher["mean_word_length"] is repetition["duplicate_line_ratio"] is fineweb["short_line_ratio"] is None
    assert not any(isinstance(value, float) and math.isnan(value) for value in gopher.values())
    assert dropped_by(Gopher(), "") == ["word_count", "stop_word_count"]
    assert dropped_by(Repetition(), "") == ["char_count"]
    assert dropped_by(FineWeb(), "") == ["line_count"]


def test_punctuation_alone_has_no_words():
    """Trap: the mean of nothing."""
    found = measured(Gopher(), "... !!! ---")[0]
    assert (found["word_count"], found["mean_word_length"], found["alpha_word_ratio"]) == (0, None, 0)


def test_unspaced_scripts_are_not_one_giant_word():
    """Trap: without a segmenter Chinese fails every rule on word length."""
    assert measured(Gopher(), "我们正在学习中文。")[0]["mean_word_length"] == 1


def test_marks_are_part_of_indic_words():
    """Trap: vowel signs are not `isalpha`, so character-level letter ratios under-count Indic scripts and Thai."""
    for text in ("हिन्दी भाषा", "ภาษาไทย"):
        assert measured(Gopher(), text)[0]["alpha_word_ratio"] == 1


def test_bounds_are_inclusive_at_the_exact_ratio():
    """Trap: nine bullets in ten lines are exactly 0.9, and kept."""
    text = "\n".join(["- item"] * 9 + ["item"])
    assert measured(Gopher(), text)[0]["bullet_line_ratio"] == 0.9
    assert "bullet_line_ratio" not in dropped_by(Gopher(), text)
    assert "bullet_line_ratio" in dropped_by(Gopher(), "\n".join(["- item"] * 10))


def test_stop_words_of_the_documents_language():
    """A language with a list is held against it, one without is not judged, and without labels English is assumed."""
    batch = TextBatch.from_texts(["der die das", "the of and", "xx yy", "the of"])
    labelled = batch.with_signals({"language.label": pa.array(["de", "de", "fi", None])})
    stage = Gopher(stop_words={"en": ("the", "of"), "de": ("der", "die")})
    assert run_stage(stage, labelled)[1]["stop_word_count"].to_pylist() == [2, 0, None, None]
    assert run_stage(stage, batch)[1]["stop_word_count"].to_pylist() == [0, 2, 0, 2]
