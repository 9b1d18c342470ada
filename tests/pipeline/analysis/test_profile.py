"""A corpus without a config: its sample, what recipes would drop, and the config to start from."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.analysis.profile import profile
from pipeline.analysis.sampling import take_sample
from pipeline.analysis.starting_config import LOUD, TAIL, starting_config
from pipeline.config import dump_config, load_config
from pipeline.io.input import Input
from stages.errors import MissingInputError
from tests.corpus import page, write_jsonl
from tests.in_process import run_in_process

ENDINGS = ["jsonl", "jsonl.gz", "parquet", "txt"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = write_jsonl(tmp_path_factory.mktemp("profile") / "in.jsonl", 200)
    with path.open("a") as file:
        for i in range(30):
            text = f"これは{i}番目の文書です。山と川と庭について書かれています。" * 8
            file.write(json.dumps({"id": f"ja-{i}", "text": text}, ensure_ascii=False) + "\n")
        file.write("not json\n")
        file.write(json.dumps({"id": "hostile", "text": "<script>\u202e\x00 few"}) + "\n")
    return profile(Input(path=str(path)))


def test_every_document_has_every_signal(found):
    assert found.documents == found.signals.num_rows == 231
    assert found.sample.is_whole
    assert found.sample.rejected == {"input.invalid_json": 1}
    assert found.signals["gopher.word_count"].null_count == 0
    assert found.languages["ja"] == 30
    assert found.duplicates == 231 - len({*found.sample.table["text"].to_pylist()})


def test_shares_are_those_of_the_rule_alone(found):
    rule = next(rule for rule in found.rules if rule.rule == "gopher.word_count")
    counts = found.signals["gopher.word_count"].to_numpy()
    assert rule.documents == int(((counts < 50) | (counts > 100_000)).sum()) > 0
    assert [example.value for example in rule.examples] == sorted((counts[counts < 50]).tolist(), reverse=True)[:3]
    assert found.rules == sorted(found.rules, key=lambda rule: (-rule.documents, rule.rule))
    assert all(
        "\u202e" not in example.text and "\x00" not in example.text for r in found.rules for example in r.examples
    )


def test_a_recipe_keeps_what_a_run_of_it_keeps(found, tmp_path):
    """The gopher recipe, which has no stage that compares documents."""
    outcome = next(outcome for outcome in found.recipes if outcome.name == "gopher")
    config = {"input": found.source.path, "output": str(tmp_path / "run"), "stages": ["gopher", "repetition"]}
    run = run_in_process(config)
    rows = {row["id"]: row["dropped_by"] for row in run.signals.to_table(columns=["id", "dropped_by"]).to_pylist()}
    kept = [rows[id_] is None for id_ in found.sample.table["id"].to_pylist()]
    assert outcome.kept.tolist() == kept
    assert outcome.kept_documents == sum(kept)
    assert outcome.documents - outcome.kept_documents == sum(loss.documents for loss in outcome.losses)
    assert {"gopher", "c4", "fineweb", "llama3", "multilingual"} <= {outcome.name for outcome in found.recipes}


def test_the_starting_config_runs(found, tmp_path):
    text = starting_config(found, str(tmp_path / "run"))
    (tmp_path / "first.yaml").write_text(text)
    config = load_config(tmp_path / "first.yaml")
    assert config.input.path == found.source.path
    gopher = next(stage for stage in config.stages if stage.name == "gopher")
    assert gopher.decisions("ja")["mean_word_length"].min <= 1
    loud = [rule.rule for rule in found.rules if rule.share > LOUD and rule.rule.split(".")[0] in ("gopher", "c4")]
    for name in loud:
        assert f"drops {next(r for r in found.rules if r.rule == name).share:.0%}" in text
    run = run_in_process(dump_config(config))
    assert run.signals.count_rows() == 231
    assert run.documents.count_rows() > 0


def test_the_same_input_gives_the_same_profile(found):
    again = profile(found.source)
    assert again.signals.equals(found.signals)
    assert starting_config(again) == starting_config(found)


@pytest.mark.parametrize("ending", ENDINGS)
def test_any_format_is_sampled(tmp_path, ending):
    path = tmp_path / f"in.{ending}"
    rows = [json.dumps({"id": str(i), "text": page(i)}) for i in range(300)]
    content = "\n".join(rows).encode() + b"\n"
    if ending == "parquet":
        table = pa.table({"id": [str(i) for i in range(300)], "text": [page(i) for i in range(300)]})
        pq.write_table(table, path, row_group_size=50)
    elif ending == "txt":
        path.write_text(page(1))
    else:
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    whole = take_sample(Input(path=str(path)), 1 << 30)
    part = take_sample(Input(path=str(path)), 20_000)
    assert whole.is_whole
    assert whole.table.num_rows == (1 if ending == "txt" else 300)
    if ending != "txt":
        assert not part.is_whole
        assert 15_000 < part.sizes.sum() < 25_000
    assert part.table == take_sample(Input(path=str(path)), 20_000).table


def test_a_sample_is_spread_over_the_files(tmp_path):
    for i in range(10):
        write_jsonl(tmp_path / f"{i}.jsonl", 40, first=40 * i)
    sample = take_sample(Input(path=str(tmp_path)), 60_000)
    seen = {int(id_.removeprefix("page-")) // 40 for id_ in sample.table["id"].to_pylist()}
    assert seen == set(range(10))
    assert [batch.num_rows for batch in sample.batches(1)] == [1] * sample.table.num_rows
    assert sum(batch.num_rows for batch in sample.batches(10_000)) == sample.table.num_rows
    assert 0 < sample.thinned(20_000).num_rows < sample.table.num_rows
    assert np.diff(sample.thinned(20_000).utf8.offsets).sum() < 30_000


def test_nothing_to_read_is_told(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "bad.jsonl").write_text("{\n")
    with pytest.raises(MissingInputError, match="no document could be read"):
        profile(Input(path=str(tmp_path / "*.jsonl")))


def test_a_bound_is_recounted_with_both_ends(tmp_path):
    """Words of one letter in 40 of 100 documents, of 20 in 20: neither end of the published bound fits."""
    kinds = ["a b c d e f g h i j", "antidisestablishment incomprehensibility"]
    kinds = [kinds[0]] * 4 + [kinds[1]] * 2 + ["The people often carry water."] * 4
    texts = [f"{kind} {'x' * (i % 7 + 1)}\n" * (30 + i) for i, kind in enumerate(kinds * 10)]
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
    )
    found = profile(Input(path=str(tmp_path / "in.jsonl")))
    text = starting_config(found)
    (line,) = [line for line in text.splitlines() if line.strip().startswith("mean_word_length: {min")]
    (tmp_path / "first.yaml").write_text(text)
    gopher = next(stage for stage in load_config(tmp_path / "first.yaml").stages if stage.name == "gopher")
    bounds = gopher.decisions()["mean_word_length"]
    values = found.signals["gopher.mean_word_length"].to_numpy()
    share = ((values < bounds.min) | (values > bounds.max)).mean()
    assert line.endswith(f"drops {((values < 3) | (values > 10)).mean():.0%} of this; here {share:.0%}")
    assert share <= 2 * TAIL < LOUD


def test_the_hint_can_be_pasted(tmp_path, monkeypatch, capsys):
    import shlex

    from pipeline.cli_analysis import profile as command
    from pipeline.cli_analysis import write_config

    monkeypatch.setattr("pipeline.terminal_profile.print_profile", lambda found, console: None)
    monkeypatch.setattr("pipeline.analysis.profile.profile", lambda source, sample_bytes: None)
    command("a b/it's.txt", text="body", format="jsonl")
    hint = shlex.split(capsys.readouterr().err.split(": ", 1)[1])
    assert hint == ["tamis", "profile", "a b/it's.txt", "--text", "body", "--format", "jsonl", "--output", "first.yaml"]
    write_config(tmp_path / "a b.yaml", "")
    assert f"tamis run '{tmp_path}/a b.yaml' --output" in capsys.readouterr().err
