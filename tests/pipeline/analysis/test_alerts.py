"""Alerts of counts that are odd, and of none that are not."""

from types import SimpleNamespace

from pipeline.analysis.alerts import alerts
from pipeline.analysis.estimates import Estimate
from pipeline.analysis.reasons import Reason
from pipeline.config import load_config
from pipeline.histograms import edges


def told(stages, counts, reasons=(), languages=None, rejected=None):
    config = load_config({"input": "x", "output": "y", "stages": stages})
    empty = {"documents_in": 1000, "documents_out": 500, "unmeasured": {}, "histograms": {}}
    of_stages = {stage.name: {**empty, **counts.get(stage.name, {})} for stage in config.stages}
    stats = {"input": {"documents": 1000, "rejected": rejected or {}}, "stages": of_stages}
    run = SimpleNamespace(config=config, stats=stats | {"languages": languages or {}})
    return alerts(run, reasons)


def of(*arguments, **options):
    return {alert.where: (alert.what, alert.detail) for alert in told(*arguments, **options)}


def test_nothing_odd():
    assert of(["gopher", "exact"], {}) == {}
    assert of(["gopher"], {"gopher": {"documents_in": 90, "documents_out": 0}}) == {}


def test_stages_that_keep_too_little_or_drop_too_little():
    found = of(["gopher", "exact"], {"gopher": {"documents_out": 49}, "exact": {"documents_out": 1000}})
    assert found["gopher"] == ("Keeps almost nothing", "4.9 % of what reaches it passes")
    assert found["exact"][0] == "Drops almost nothing"
    assert of(["gopher"], {"gopher": {"documents_out": 999}}) == {}


def test_stages_that_only_change_or_record_need_not_drop():
    passed = {"documents_out": 1000}
    stages = ["pii", {"gopher": {"action": "annotate"}}]
    assert of(stages, {"pii": passed, "gopher": passed}) == {}


def test_signals_that_could_not_be_told():
    found = of(["gopher"], {"gopher": {"unmeasured": {"gopher.stop_word_count": 200, "gopher.word_count": 10}}})
    assert list(found) == ["gopher.stop_word_count"]
    assert "20.0 %" in found["gopher.stop_word_count"][1]
    found = of(["gopher"], {"gopher": {"unmeasured": {"gopher.stop_word_count": 1000}}})
    assert found["gopher.stop_word_count"][0] == "Never told"


def histogram_of(signal, values):
    """Counts by the value that a bin begins with."""
    stage = load_config({"input": "x", "output": "y", "stages": ["gopher"]}).stages[0]
    limits = edges(stage, signal).tolist()
    return {str(sum(limit <= value for limit in limits)): number for value, number in values.items()}


def test_a_bound_on_a_slope():
    for beside, is_odd in ((5, False), (30, True)):
        counts = histogram_of("word_count", {1000.0: 900, 10.0: 50, 49.0: beside, 50.0: beside})
        found = of(["gopher"], {"gopher": {"histograms": {"gopher.word_count": counts}}})
        assert list(found) == (["gopher.word_count"] if is_odd else []), beside
    assert "beside min 50" in found["gopher.word_count"][1]


def test_a_bound_with_nothing_on_one_side_is_on_no_slope():
    counts = histogram_of("word_count", {1000.0: 900, 50.0: 100})
    assert of(["gopher"], {"gopher": {"histograms": {"gopher.word_count": counts}}}) == {}


def test_a_bound_of_a_ratio_on_a_slope():
    counts = histogram_of("hash_ratio", {0.0: 800, 0.09500001: 100, 0.105: 100})
    assert list(of(["gopher"], {"gopher": {"histograms": {"gopher.hash_ratio": counts}}})) == ["gopher.hash_ratio"]
    far = histogram_of("hash_ratio", {0.0: 800, 0.05: 100, 0.2: 100})
    assert of(["gopher"], {"gopher": {"histograms": {"gopher.hash_ratio": far}}}) == {}


def test_a_rule_without_an_effect():
    none, few, some = Estimate.counted(0), Estimate(0, 0, 3, exact=False), Estimate(0, 0, 30, exact=False)
    reasons = [Reason("a.b", 200, none, none), Reason("a.c", 200, none, few), Reason("a.d", 200, none, some)]
    assert list(of(["gopher"], {}, [*reasons, Reason("a.e", 5, none, none)])) == ["a.b", "a.c"]


def language(read, kept):
    dropped = {"gopher.word_count": {"documents": read - kept, "bytes": 0}} if read > kept else {}
    return {"read": {"documents": read}, "kept": {"documents": kept}, "dropped": dropped}


def test_a_language_that_loses_more():
    languages = {"en": language(9000, 8100), "fr": language(200, 50), "eo": language(20, 0)}
    found = of(["gopher"], {}, languages=languages)
    assert list(found) == ["fr"]
    assert "most to gopher.word_count" in found["fr"][1]


def test_documents_that_were_neither_kept_nor_dropped_are_not_lost():
    """Their task was set aside, or the run goes on."""
    waiting = {"read": {"documents": 5000}, "kept": {"documents": 100}, "dropped": {}}
    assert not of(["gopher"], {}, languages={"en": language(5000, 4500), "de": waiting})


def test_where_most_is_lost_a_language_that_keeps_a_third_of_the_mean():
    languages = {"en": language(9000, 3600), "fr": language(1000, 100), "de": language(1000, 300)}
    assert list(of(["gopher"], {}, languages=languages)) == ["fr"]


def test_records_and_the_order_of_alerts():
    rejected = {"input.invalid_json": {"documents": 3, "bytes": 9}}
    passed = {"exact": {"documents_out": 1000}}
    found = told(["exact"], passed, rejected=rejected)
    assert [(alert.level, alert.where) for alert in found] == [("note", ""), ("note", "exact")]
    rejected["input.invalid_json"]["documents"] = 30
    (first, _) = told(["exact"], passed, rejected=rejected)
    assert (first.level, first.detail[:15]) == ("warning", "30 invalid json")
