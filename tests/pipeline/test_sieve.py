"""One batch through some stages: who is dropped, by what, and what is on record."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import stats as counting
from pipeline.histograms import dense, edges
from pipeline.sieve import Sieved, sieve
from stages.contract import Bounds, Count, Filter, Flag, decide, run_stage
from stages.errors import StageError
from stages.text.batch import TextBatch
from tests.toy import Length, Shorten

TEXTS = ["a good text", "no", "hmm hmm hmm", "#gone", "cut here # and more", "", "e" * 2000]


def sieved(texts: list[str], *stages) -> tuple[Sieved, counting.Stats]:
    stats = counting.empty(stage.name for stage in stages)
    return sieve(TextBatch.from_texts(texts), stages, stats), stats


def test_first_violated_rule_in_field_order_is_the_reason():
    result, _ = sieved(TEXTS, Length())
    reasons = result.dropped_by.to_pylist()
    assert reasons == [
        None,
        "length.byte_count",
        "length.vowel_ratio",
        None,
        None,
        "length.byte_count",
        "length.byte_count",
    ]
    assert result.rows.tolist() == [0, 3, 4]


def test_later_signals_of_dropped_documents_are_null():
    result, _ = sieved(TEXTS, Shorten(), Length())
    assert result.signals["shorten.cut_count"].null_count == 0
    gone = TEXTS.index("#gone")
    assert result.dropped_by[gone].as_py() == "shorten.hopeless"
    assert result.signals["length.byte_count"][gone].as_py() is None


def test_a_map_changes_the_text_that_later_stages_see_and_that_is_kept():
    result, _ = sieved(["cut here # and more"], Shorten(), Length())
    assert result.kept.table["text"].to_pylist() == ["cut here "]
    assert result.signals["length.byte_count"].to_pylist() == [9]


def test_dropped_text_is_what_the_stage_received():
    result, _ = sieved(["ab#cd", "#rest"], Shorten(), Length())
    texts = [lost.batch.table["text"].to_pylist() for lost in result.dropped]
    assert texts == [["#rest"], ["ab"]]


def test_annotate_records_and_drops_nothing():
    result, stats = sieved(TEXTS, Length(action="annotate"))
    assert result.dropped_by.null_count == len(TEXTS)
    assert stats["stages"]["length"]["dropped"] == {}


def test_null_never_drops_and_is_counted():
    result, stats = sieved([""], Length(byte_count=Bounds()))
    assert result.dropped_by.to_pylist() == [None]
    assert stats["stages"]["length"]["unmeasured"] == {"length.vowel_ratio": 1}


@given(st.lists(st.text(st.sampled_from("ae#xyz "), max_size=12), max_size=30))
def test_in_equals_kept_plus_dropped_and_signals_explain_it(texts):
    stages = [Shorten(), Length()]
    result, stats = sieved(texts, *stages)
    before = len(texts)
    for counts in stats["stages"].values():
        assert counts["documents_in"] == before
        lost = sum(rule["documents"] for rule in counts["dropped"].values())
        assert counts["documents_in"] == counts["documents_out"] + lost
        before = counts["documents_out"]
    assert result.kept.num_rows == before == result.dropped_by.null_count
    for row, rule in enumerate(result.dropped_by.to_pylist()):
        if rule is not None:
            name, field = rule.split(".")
            stage = next(stage for stage in stages if stage.name == name)
            assert stage.decisions()[field].drops(result.signals[rule].slice(row, 1)).all()


@given(st.lists(st.text(st.sampled_from("ae#xyz "), max_size=12), max_size=30), st.integers(0, 30))
def test_any_split_of_a_batch_gives_the_same_answer(texts, cut):
    whole, stats = sieved(texts, Shorten(), Length())
    (one, stats_one), (two, stats_two) = (sieved(part, Shorten(), Length()) for part in (texts[:cut], texts[cut:]))
    assert whole.dropped_by.to_pylist() == one.dropped_by.to_pylist() + two.dropped_by.to_pylist()
    for name, column in whole.signals.items():
        assert column.to_pylist() == one.signals[name].to_pylist() + two.signals[name].to_pylist()
    merged = counting.merge([stats_one, stats_two])
    for each in (stats, merged):
        for counts in each["stages"].values():
            counts.pop("seconds")
    assert stats["stages"] == merged["stages"]  # alone, only, histograms and labels too


def test_by_language_overrides_replace_the_bound_of_that_language_only():
    stage = Length.model_validate({"by_language": {"fi": {"byte_count": {"min": 1}}}})
    columns = {"byte_count": pa.array([2, 2, 2], pa.int32()), "vowel_ratio": pa.array([1.0, 1.0, 1.0])}
    verdict = decide(stage, columns, pa.array(["en", "fi", None]))
    assert verdict["byte_count"].tolist() == [True, False, True]


@given(st.lists(st.text(st.sampled_from("ae#xyz "), max_size=12), max_size=30))
def test_alone_and_only_are_a_recount(texts):
    """Of the documents that reach a stage, rule by rule."""
    stages = [Shorten(cut_count={"max": 3}), Length()]
    result, stats = sieved(texts, *stages)
    reached = [True] * len(texts)
    for stage in stages:
        rules = {
            f"{stage.name}.{name}": rule.drops(result.signals[f"{stage.name}.{name}"])
            for name, rule in stage.decisions().items()
        }
        for rule, mask in rules.items():
            others = [verdict for name, verdict in rules.items() if name != rule]
            alone = sum(there and dropped for there, dropped in zip(reached, mask, strict=True))
            only = sum(
                there and dropped and not any(other[row] for other in others)
                for row, (there, dropped) in enumerate(zip(reached, mask, strict=True))
            )
            counts = stats["stages"][stage.name]
            assert counts["alone"].get(rule, {"documents": 0})["documents"] == alone
            assert counts["only"].get(rule, {"documents": 0})["documents"] == only
            here = counts["dropped"].get(rule, {"documents": 0})["documents"]
            assert only <= here <= alone
        dropped = [any(mask[row] for mask in rules.values()) for row in range(len(texts))]
        reached = [there and not gone for there, gone in zip(reached, dropped, strict=True)]


def test_histograms_and_labels_tell_of_all_that_reached_the_stage():
    _, stats = sieved(["#gone", "aeaeae", "ae", "aeae#x", ""], Shorten(), Length())
    shorten, length = stats["stages"]["shorten"], stats["stages"]["length"]
    assert shorten["labels"] == {"shorten.hopeless": {"false": 4, "true": 1}}
    limits = edges(Length(), "byte_count")
    numbers = dense(len(limits), length["histograms"]["length.byte_count"])
    assert numbers.sum() == 4
    assert numbers[: np.searchsorted(limits, 5, side="right")].sum() == 3
    assert sum(length["histograms"]["length.vowel_ratio"].values()) == 3
    assert length["unmeasured"] == {"length.vowel_ratio": 1}


class Broken(Filter):
    """Fails. Source: none, a toy."""

    count: Count = Bounds()
    """Nothing."""

    def measure(self, batch):
        raise ZeroDivisionError("oh")


def test_a_failing_stage_is_named_with_its_documents():
    with pytest.raises(StageError, match="stage broken failed on the documents from id 0 to 1: ZeroDivisionError: oh"):
        sieved(["a", "b"], Broken())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "measures .* but declares"),
        ({"count": [1], "more": [1]}, "measures .* but declares"),
        ({"count": pa.array([1, 2, 3])}, "3 values for 1 documents"),
        ({"count": pa.array(["x"])}, "should be int32"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_refused(answer, message):
    class Odd(Broken):
        """Answers anything. Source: none, a toy."""

        def measure(self, batch):
            return answer

    with pytest.raises(StageError, match=message):
        run_stage(Odd(), TextBatch.from_texts(["a"]))


def test_flag_and_bounds_read_what_yaml_gives():
    assert Shorten.model_validate({"hopeless": False}).hopeless == Flag(drop=False)
    stage = Length.model_validate({"byte_count": {"min": 0}})
    assert (stage.byte_count.min, stage.byte_count.max) == (0, 1000)
    assert Length.model_validate({"byte_count": {"max": None}}).byte_count == Bounds(min=5)


def test_rehearsing_loads_what_the_stages_use_and_nothing_else():
    """In a process of its own, where nothing is loaded yet."""
    code = (
        "import sys, pyarrow as pa; from pipeline.config import build_stages; from pipeline.sieve import rehearse;"
        "rehearse(build_stages(['gopher', 'minhash']), pa.schema([('id', pa.string()), ('text', pa.large_string())]));"
        "print(*sorted(name for name in sys.modules if 'kernels' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "stages.heuristics.kernels_counts" in done.stdout
    assert "stages.dedup.kernels_minhash" in done.stdout
    assert "fasttext" not in done.stdout
    assert "kernels_c4" not in done.stdout
