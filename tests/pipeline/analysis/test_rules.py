"""Rules as SQL say what `decide` says of the same columns."""

import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.rules import rules_of
from pipeline.config import load_config
from stages.contract import decide

STAGES = [
    {
        "language": {
            "label": ["en", "de", "it's"],
            "score": {"min": 0.65},
            "by_language": {"de": {"score": {"min": 0.3}}},
        }
    },
    {
        "gopher": {
            "word_count": {"min": 50, "max": 1000},
            "alpha_word_ratio": {"min": 0.8},
            "by_language": {"de": {"word_count": {"min": 7.5}}, "ja": {"alpha_word_ratio": {"min": None}}},
        }
    },
    {"fineweb": {"action": "annotate"}},
    "exact",
    {"code": {"by_code_language": {"python": {"max_line_length": {"max": 5}}}}},
]


@pytest.fixture(scope="module")
def config():
    return load_config({"input": "x", "output": "y", "stages": STAGES})


def values_of(type_: pa.DataType) -> st.SearchStrategy:
    if pa.types.is_boolean(type_):
        return st.sampled_from([None, True, False])
    if pa.types.is_string(type_):
        return st.sampled_from([None, "en", "de", "ja", "it's", "python", ""])
    numbers = [0, 1, 5, 7, 8, 49, 50, 51, 1000, 1001]
    if pa.types.is_integer(type_):
        return st.sampled_from([None, *numbers])
    edges = [0.3, 0.65, 0.8, 0.1, math.nextafter(0.65, 0), math.nextafter(0.8, 1), float(np.float32(0.65))]
    return st.sampled_from([None, *map(float, numbers), *edges]) | st.floats(allow_nan=False, width=32)


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_sql_decides_as_the_contract_does(config, data):
    num_rows = data.draw(st.integers(1, 12))
    columns = {}
    for stage in config.stages:
        for name, signal in stage.signals().items():
            drawn = data.draw(st.lists(values_of(signal.type), min_size=num_rows, max_size=num_rows))
            columns[f"{stage.name}.{name}"] = pa.array(drawn, signal.type)
    connection = duckdb.connect()
    connection.register("signals", pa.table(columns))
    rules = rules_of(config)
    found = {rule.name: rule for rule in rules}
    for stage in config.stages:
        own = {name: columns[f"{stage.name}.{name}"] for name in stage.signals()}
        masks = decide(stage, own, columns["language.label"])
        assert {f"{stage.name}.{name}" for name in masks} == {n for n in found if n.startswith(f"{stage.name}.")}
        for name, mask in masks.items():
            rule = found[f"{stage.name}.{name}"]
            rows = connection.sql(f"SELECT {rule.sql} AS dropped FROM signals").to_arrow_table()["dropped"]
            assert rows.null_count == 0
            assert rows.to_numpy().tolist() == mask.tolist(), rule.sql


def test_names_and_labels_are_quoted(config):
    sql = next(rule.sql for rule in rules_of(config) if rule.name == "language.label")
    rows = duckdb.connect().sql(f"""SELECT {sql} FROM (SELECT 'it''s' AS "language.label")""").fetchall()
    assert rows == [(False,)]
