"""What the four stages decide: published bounds, both ends inclusive, and the traps that caught reimplementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stages.contract import Bounds, Stage, decide, run_stage
from stages.heuristics.c4 import C4
from stages.heuristics.fineweb import FineWeb
from stages.heuristics.gopher import Gopher
from stages.heuristics.repetition import Repetition
from stages.text.batch import TextBatch

PROSE = "The mill by the river had stood there since before anyone could remember, and with it the road."


def signals_of(stage: Stage, text: str, **signals: pa.Array) -> dict[str, Any]:
    batch = TextBatch.from_texts([text]).with_signals(signals)
    return {name: column[0].as_py() for name, column in run_stage(stage, batch)[1].items()}


def broken(stage: Stage, text: str) -> list[str]:
    _, columns = run_stage(stage, TextBatch.from_texts([text]))
    return [name for name, mask in decide(stage, columns, None).items() if mask[0]]


def rewritten(stage: C4, text: str) -> str:
    return str(stage.transform(TextBatch.from_texts([text]))[0].table["text"][0])


def bounds(stage: Stage) -> dict[str, tuple[Any, Any]]:
    return {name: (rule.min, rule.max) for name, rule in stage.decisions().items() if isinstance(rule, Bounds)}


def test_bounds_are_the_published_ones() -> None:
    assert bounds(Gopher()) == {
        "word_count": (50, 100_000),
        "mean_word_length": (3, 10),
        "hash_ratio": (None, 0.1),
        "ellipsis_ratio": (None, 0.1),
        "bullet_line_ratio": (None, 0.9),
        "ellipsis_line_ratio": (None, 0.3),
        "alpha_word_ratio": (0.8, None),
        "stop_word_count": (2, None),
    }
    most = {2: 0.2, 3: 0.18, 4: 0.16, 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
    assert bounds(Repetition()) == {
        "char_count": (1, None),
        "duplicate_paragraph_ratio": (None, 0.3),
        "duplicate_paragraph_char_ratio": (None, 0.2),
        "duplicate_line_ratio": (None, 0.3),
        "duplicate_line_char_ratio": (None, 0.2),
        **{f"{'top' if n < 5 else 'duplicate'}_{n}gram_char_ratio": (None, most[n]) for n in range(2, 11)},
    }
    assert bounds(FineWeb()) == {
        "line_count": (1, None),
        "terminated_line_ratio": (0.12, None),
        "short_line_ratio": (None, 0.67),
        "duplicate_line_char_ratio": (None, 0.01),
        "newline_ratio": (None, 0.3),
    }
    assert bounds(C4())["sentence_count"] == (5, None)


@pytest.mark.parametrize(("num_bullets", "is_dropped"), [(9, False), (10, True)])
def test_trap_27_a_value_at_its_bound_is_kept(num_bullets: int, is_dropped: bool) -> None:
    text = "\n".join(["- item"] * num_bullets + ["plain"] * (10 - num_bullets))
    assert ("bullet_line_ratio" in broken(Gopher(), text)) is is_dropped


def test_trap_1_zero_means_zero_and_null_means_off() -> None:
    text = "no marks but # this one"
    assert "hash_ratio" in broken(Gopher(hash_ratio=Bounds(max=0)), text)
    assert "hash_ratio" not in broken(Gopher(hash_ratio=Bounds(max=None)), text)


def test_trap_3_duplicates_are_the_second_and_later_copies() -> None:
    assert signals_of(Repetition(), "one line\none line")["duplicate_line_ratio"] == 0.5


def test_trap_4_the_top_ngram_counts_even_if_it_occurs_once() -> None:
    values = signals_of(Repetition(), "a text of four")
    assert values["top_4gram_char_ratio"] == 1.0
    assert values["top_2gram_char_ratio"] == 6 / 14


def test_trap_4_the_first_seen_wins_a_tie_of_top_ngrams() -> None:
    text = "a b x cc dd y a b z cc dd"
    assert signals_of(Repetition(), text)["top_2gram_char_ratio"] == 2 * len("a b") / len(text)


def test_trap_5_white_space_counts_in_the_denominator() -> None:
    line = "words words words words words"
    text = f"{line}\n\n\n\n{line}"
    values = signals_of(Repetition(), text)
    assert values["duplicate_paragraph_char_ratio"] == len(line) / len(text)
    assert values["duplicate_5gram_char_ratio"] == len(line.replace(" ", "")) / len(text)


def test_trap_5_ngrams_of_different_words_are_different() -> None:
    assert signals_of(Repetition(), "ab c d e f | a bc d e f")["duplicate_5gram_char_ratio"] == 0


def test_duplicate_ngrams_jump_over_what_they_found() -> None:
    text = " ".join(["a"] * 16)  # copies start at the words 1, 6 and 11
    assert signals_of(Repetition(), text)["duplicate_5gram_char_ratio"] == 15 / 31


def test_trap_6_stop_words_are_distinct_and_as_written() -> None:
    assert signals_of(Gopher(), "the the the")["stop_word_count"] == 1
    assert signals_of(Gopher(), "THE AND Of to")["stop_word_count"] == 1
    assert signals_of(Gopher(), "the, and “of” (to)")["stop_word_count"] == 4


def test_trap_7_hyphens_and_bullets_start_bullet_lines_stars_do_not() -> None:
    text = "- one\n  • two\n* three\n– four"
    assert signals_of(Gopher(), text)["bullet_line_ratio"] == 0.5


def test_trap_7_three_dots_and_the_ellipsis_end_lines() -> None:
    assert signals_of(Gopher(), "one...\ntwo…  \nthree..\nfour.")["ellipsis_line_ratio"] == 0.5


def test_trap_7_a_closing_quote_ends_no_fineweb_line() -> None:
    assert signals_of(FineWeb(), 'He said "no."\nShe left.\nतीन।\nfour:')["terminated_line_ratio"] == 0.5


def test_trap_8_c4_looks_for_lorem_and_brackets_only_in_lines_that_stay() -> None:
    kept = signals_of(C4(), "This line has { a bracket.\nLorem ipsum dolor sit.")
    gone = signals_of(C4(), "This line has { a bracket\nLorem ipsum.\nJavascript { is needed here.")
    assert (kept["lorem_ipsum"], kept["curly_bracket"]) == (True, True)
    assert (gone["lorem_ipsum"], gone["curly_bracket"]) == (False, False)


def test_trap_8_c4_drops_with_fewer_than_five_sentences() -> None:
    five = "Here is one. Here is two. Here is three. Here is four. Here is five."
    assert broken(C4(), five) == []
    assert broken(C4(), five[:-14]) == ["sentence_count"]


def test_trap_11_a_carriage_return_hides_no_full_stop() -> None:
    unix = "One line ends here.\nAnother line ends here.\n\nA paragraph.\n\nA paragraph."
    dos = unix.replace("\n", "\r\n")
    assert signals_of(FineWeb(), dos) == signals_of(FineWeb(), unix)
    assert signals_of(Repetition(), dos)["duplicate_paragraph_ratio"] == 1 / 3
    assert rewritten(C4(), dos) == rewritten(C4(), unix)


def test_trap_11_a_trailing_space_hides_a_full_stop() -> None:
    assert signals_of(FineWeb(), "One line. \nTwo lines.")["terminated_line_ratio"] == 0.5


def test_trap_12_only_a_newline_breaks_lines() -> None:
    text = "- a\x0b- b\x0c- c\x1c- d\x85- e\u2028- f\u2029- g\rh"
    assert signals_of(FineWeb(), text)["line_count"] == 1


def test_a_last_newline_adds_no_line_to_gophers() -> None:
    assert signals_of(Gopher(), "- one\ntwo\n") == signals_of(Gopher(), "- one\ntwo")
    assert signals_of(Gopher(), "- one\ntwo\n\n")["bullet_line_ratio"] == 1 / 3


def test_trap_13_empty_text_is_dropped_and_divides_by_nothing() -> None:
    assert broken(Gopher(), "") == ["word_count", "stop_word_count"]
    assert broken(Repetition(), "") == ["char_count"]
    assert broken(C4(), "") == ["sentence_count"]
    assert broken(FineWeb(), "") == ["line_count"]
    assert signals_of(Gopher(), "")["mean_word_length"] is None


def test_trap_13_punctuation_alone_has_no_mean_word_length() -> None:
    values = signals_of(Gopher(), "!!! ???")
    assert values["mean_word_length"] is None
    assert values["alpha_word_ratio"] == 0


def test_trap_14_each_punctuation_mark_is_a_token() -> None:
    assert signals_of(Gopher(), "one, two")["alpha_word_ratio"] == 2 / 3
    assert signals_of(FineWeb(), "one, two!\nthree")["newline_ratio"] == 1 / 5


def test_trap_14_unspaced_scripts_have_words_without_a_segmenter() -> None:
    values = signals_of(Gopher(), "日本語の文章です")
    assert (values["word_count"], values["mean_word_length"]) == (8, 1)


def test_trap_15_numerals_and_vowel_marks_are_no_letters() -> None:
    assert signals_of(Gopher(), "½ ² 3 Ⅻ")["alpha_word_ratio"] == 0
    assert signals_of(Gopher(), "一 二 三")["alpha_word_ratio"] == 1
    assert signals_of(Gopher(), "हिन्दी भाषा")["alpha_word_ratio"] == 1


def test_trap_15_zero_width_space_is_no_white_space_but_nbsp_is() -> None:
    assert signals_of(C4(terminal_punctuation=False), "one\u00a0two\u3000three")["short_line_count"] == 0
    assert signals_of(C4(terminal_punctuation=False), "one\u200btwo\u200bthree")["short_line_count"] == 1
    assert signals_of(FineWeb(), "\u00a0\u3000")["line_count"] == 0


def test_trap_26_c4_rewrites_the_text_and_later_stages_see_it() -> None:
    batch = TextBatch.from_texts(["Menu\n\n  Three words here.  \nWe use cookies on here.\n\nThree words there!"])
    assert len(batch.lines.start) == 6
    after, columns = run_stage(C4(), batch)
    assert after.table["text"].to_pylist() == ["Three words here.\nThree words there!"]
    assert len(after.lines.start) == 2
    assert columns["policy_line_count"].to_pylist() == [1]
    assert columns["unfinished_line_count"].to_pylist() == [3]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("Known since long ago.[12][3]", "Known since long ago."),
        ("Known [] since long [edit] ago.", "Known  since long  ago."),
        ("Known since [citation needed] long.", "Known since  long."),
        ("Known [since] long [12 ago [a1] [1.", "Known [since] long [12 ago [a1] [1."),
        ("Known [[1]] since.", "Known [] since."),
    ],
)
def test_c4_takes_citation_marks_out(line: str, left: str) -> None:
    assert rewritten(C4(), line) == left
    assert rewritten(C4(citations=False), line) == (line if line.endswith(".") else "")


def test_c4_counts_words_before_it_takes_citations_out() -> None:
    assert rewritten(C4(), "Two words [1].") == "Two words ."


def test_c4_options_switch_line_rules_off() -> None:
    text = "JavaScript is needed here\nOur cookie policy says so\nTwo words"
    assert rewritten(C4(), text) == ""
    switched_off = C4(terminal_punctuation=False, javascript=False, policy=False, min_line_words=0)
    assert rewritten(switched_off, text) == text
    assert rewritten(C4(max_word_chars=3), "One two. Six!\nFour two one.") == ""
    assert rewritten(C4(max_word_chars=4), "One two. Six!\nFour two one.") == "One two. Six!\nFour two one."


def test_fineweb_measures_what_was_left_of_its_line_length() -> None:
    text = "x" * 30 + "\n" + "x" * 31
    assert signals_of(FineWeb(), text)["short_line_ratio"] == 0.5
    assert signals_of(FineWeb(max_short_line_chars=31), text)["short_line_ratio"] == 1


def test_stop_words_follow_the_language() -> None:
    stage = Gopher(stop_words={"en": ("the", "and"), "de": ("und", "der", "die")})
    batch = TextBatch.from_texts(["der the und"] * 5)
    assert run_stage(stage, batch)[1]["stop_word_count"].to_pylist() == [1] * 5
    labelled = batch.with_signals({"language.label": pa.array(["en", "de", "fr", None, "de"])})
    assert run_stage(stage, labelled)[1]["stop_word_count"].to_pylist() == [1, 2, None, None, 2]


def test_stop_word_lists_may_be_long_or_missing() -> None:
    words = tuple(f"word{i}" for i in range(500))
    assert signals_of(Gopher(stop_words={"en": words}), " ".join(words[::2]))["stop_word_count"] == 250
    assert signals_of(Gopher(stop_words={}), "the and")["stop_word_count"] is None


def test_clean_prose_breaks_no_rule() -> None:
    sentences = [PROSE.replace("river", place).replace("road", thing) for place, thing in PLACES]
    text = "\n".join(" ".join(sentences[i : i + 2]) for i in range(0, len(sentences), 2))
    for stage in (Gopher(), C4(), FineWeb()):
        assert broken(stage, text) == []


PLACES = [
    ("sea", "harbour"),
    ("lake", "bridge"),
    ("wood", "path"),
    ("town", "square"),
    ("hill", "church"),
    ("bay", "pier"),
]


def test_many_documents_are_kept_apart() -> None:
    texts = [f"{PROSE} {i}" * (i % 5) for i in range(200)]
    together = run_stage(Repetition(), TextBatch.from_texts(texts))[1]["duplicate_5gram_char_ratio"].to_numpy(
        zero_copy_only=False
    )
    alone = [signals_of(Repetition(), text)["duplicate_5gram_char_ratio"] for text in texts]
    np.testing.assert_array_equal(together, np.array(alone, np.float64))
