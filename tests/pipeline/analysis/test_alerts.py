"""Alerts of counts that are odd, and of none that are not."""

from types import SimpleNamespace

from pipeline.analysis.alerts import alerts
from pipeline.analysis.estimates import Estimate
from pipeline.analysis.reasons import Reason
from pipeline.config import load_config


def of(stages, counts, reasons=(), languages=None):
    config = load_config({"input": "x", "output": "y", "stages": stages})
    empty = {"documents_in": 1000, "documents_out": 500, "unmeasured": {}, "histograms": {}}
    told = {stage.name: {**empty, **counts.get(stage.name, {})} for stage in config.stages}
    run = SimpleNamespace(config=config, stats={"stages": told, "languages": languages or {}})
    return {alert.where: alert.what for alert in alerts(run, reasons)}


def test_nothing_odd():
    assert of(["gopher", "exact"], {}) == {}
    assert of(["gopher"], {"gopher": {"documents_in": 90, "documents_out": 0}}) == {}


def test_stages_that_keep_too_little_or_drop_too_little():
    found = of(["gopher", "exact"], {"gopher": {"documents_out": 49}, "exact": {"documents_out": 999.5}})
    assert found == {"gopher": "keeps only 4.9 % of what reaches it", "exact": found["exact"]}
    assert "nearly nothing" in found["exact"]


def test_signals_that_could_not_be_told():
    found = of(["gopher"], {"gopher": {"unmeasured": {"gopher.stop_word_count": 200, "gopher.word_count": 10}}})
    assert list(found) == ["gopher.stop_word_count"]
    assert "20.0 %" in found["gopher.stop_word_count"]


def test_a_bound_on_a_slope():
    from pipeline.histograms import edges

    stage = load_config({"input": "x", "output": "y", "stages": ["gopher"]}).stages[0]
    limits = edges(stage, "word_count").tolist()
    place = limits.index(50.0)
    far = {str(place + 30): 900, str(place - 5): 90}
    assert of(["gopher"], {"gopher": {"histograms": {"gopher.word_count": {**far, str(place): 10}}}}) == {}
    found = of(["gopher"], {"gopher": {"histograms": {"gopher.word_count": {**far, str(place): 30}}}})
    assert "beside min 50" in found["gopher.word_count"]


def test_a_rule_without_an_effect_and_a_language_that_loses_more():
    none, some = Estimate.counted(0), Estimate(0, 0, 3, exact=False)
    reasons = [Reason("a.b", 200, none, none), Reason("a.c", 200, none, some), Reason("a.d", 5, none, none)]
    languages = {
        "en": {"read": {"documents": 9000}, "kept": {"documents": 8100}, "dropped": {}},
        "fr": {"read": {"documents": 200}, "kept": {"documents": 50}, "dropped": {}},
        "eo": {"read": {"documents": 20}, "kept": {}, "dropped": {}},
    }
    assert list(of(["gopher"], {}, reasons, languages)) == ["a.b", "fr"]
