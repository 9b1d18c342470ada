"""`tamis train quality`: its parts, and from files to a model that the stage takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from pipeline.training import train
from pipeline.training.excerpts import MIN_WORDS, excerpts, menu
from pipeline.training.head import fit_head
from pipeline.training.quality import POSITIVE, Material, read_reference
from pipeline.training.rows import read_rows
from pipeline.training.signed import fit_signed
from stages.contract import run_stage
from stages.errors import ConfigError, InputError, MissingInputError
from stages.heuristics.fineweb import FineWeb
from stages.heuristics.gopher import Gopher
from stages.quality import Quality
from stages.quality_head import read_head
from stages.text.batch import TextBatch
from tests.corpus import page
from tests.strategies import texts

PROSE = "The bridge of {} was built in {} by masons from the valley, and it has carried the road ever since. "
PITCH = "HURRY!!! {} deals at $ {} only TODAY, click http://{}.example.com and WIN $$$!!! "
TOWNS = ("Aston", "Berwick", "Calder", "Dunmore", "Elwick", "Farndale", "Garstang", "Harlow")


@pytest.fixture
def files(tmp_path):
    """Three sources, one of them German; half of each pitches, half prose."""
    for seed, name in enumerate(("train", "test")):
        rng = np.random.default_rng(seed)
        rows = []
        for source, language in (("a", "en"), ("b", "en"), ("c", "de")):
            for i in range(40):
                pattern = PROSE if i % 2 else PITCH
                text = "".join(pattern.format(rng.choice(TOWNS), rng.integers(1500, 1900), "x") for _ in range(4))
                rows.append({"text": text, "label": "high" if i % 2 else "low", "lang": language, "source": source,
                             "license": "MIT" if source != "b" else "none stated"})  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    rows = [
        {"text": PROSE.format(town, 1700 + i), "lang": lang}
        for lang in ("en", "de")
        for i in range(8)
        for town in TOWNS
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "reference.parquet")
    return [str(tmp_path / f"{name}.parquet") for name in ("train", "test", "reference")]


def test_coefficients_are_never_negative_and_else_those_of_plain_regression():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(4000, 3))
    labels = rng.random(4000) < 1 / (1 + np.exp(-(columns @ [1.0, 0.5, 0.0] + 0.3)))
    weights = rng.random(4000) + 0.5
    intercept, coefficients = fit_signed(columns, labels, weights, l2=1e-3)
    plain = fit_head(columns[:, :2], labels, weights, l2=1e-3)
    assert [intercept, *coefficients[:2]] == pytest.approx(plain.tolist(), abs=0.05)
    intercept, coefficients = fit_signed(-columns, labels, weights, l2=1e-3)
    assert coefficients[:2].tolist() == [0, 0]
    assert (coefficients >= 0).all()


@settings(max_examples=60, deadline=None)
@given(texts(200))
def test_excerpts_are_parts_of_their_text(text):
    assert excerpts(text) == excerpts(text)
    assert all(part in text for part in excerpts(text))
    if len(text.split()) < MIN_WORDS:
        assert excerpts(text) == []
    menu(text)


def test_a_menu_is_made_of_the_words_of_its_text():
    text = page(0)
    words = {word.strip(".,!?:;()").lower() for word in text.split()}
    entries = [line.strip("*-+• ") for line in menu(text).replace(" | ", "\n").split("\n")]
    assert all(word.lower() in words for entry in entries for word in entry.split())
    assert menu(text) == menu(text) != menu(page(1))
    assert menu("too short") is None


def test_classes_and_sources_weigh_the_same(files):
    rows = read_rows(files[0], POSITIVE)
    material = Material.of(rows, rows.licenses == "MIT")
    assert material.language == "en"
    chosen = material.chosen(None)
    assert set(rows.sources[material.origin[chosen]]) == {"a"}, "b may not be trained on, c is German"
    weights = material.weights(chosen)
    assert weights[material.labels].sum() == pytest.approx(weights[~material.labels].sum())
    low, menus = chosen & ~material.labels & ~material.is_menu, chosen & material.is_menu
    assert weights[low].sum() == pytest.approx(weights[menus].sum())
    assert not material.chosen("a").any()
    assert (material.teaches_words == ~material.is_menu).all()
    shared = replace(rows, licenses=np.where(rows.sources == "a", "CC-BY-SA-4.0", rows.licenses))
    material = Material.of(shared, rows.sources == "a")
    assert material.chosen(None).any()
    assert not (material.chosen(None) & material.teaches_words).any(), "share-alike text teaches style alone"


def test_a_model_its_numbers_and_its_card(files, tmp_path):
    model, lines = tmp_path / "models" / "own.ftz", []
    train("quality", *files[:2], model, 0.0, (), lines.append, files[2])
    assert model.stat().st_size < 2_000_000
    head = read_head(model.with_suffix(".json"))
    assert set(head.places) == {"en", "de", "*"}
    assert (head.features.coefficients >= 0).all()
    card = model.with_suffix(".md").read_text()
    for part in ("## Data", "## Unseen sources", "## Confusion", "## Calibration", "| a | en | MIT |"):
        assert part in card
    batch = TextBatch.from_texts([PROSE.format("Settle", 1650) * 3, PITCH.format("Settle", 9, "y") * 3])
    for stage in (Gopher(), FineWeb()):
        batch, _ = run_stage(stage, batch)
    own = Quality(model=str(model))
    _, columns = run_stage(own, batch, own.fit(batch))
    prose, pitch = columns["score"].to_pylist()
    assert prose > 0.5 > pitch
    train("quality", *files[:2], tmp_path / "again.ftz", 0.0, (), lines.append, files[2])
    for suffix in (".ftz", ".json"):
        assert (tmp_path / f"again{suffix}").read_bytes() == model.with_suffix(suffix).read_bytes()


def test_what_cannot_be_trained_on(files, tmp_path):
    with pytest.raises(InputError, match="are of one class"):
        train("quality", *files[:2], tmp_path / "m.ftz", 0.0, ("MIT", "none"), print)
    with pytest.raises(ConfigError, match="nsfw has no use for it"):
        train("nsfw", *files[:2], tmp_path / "m.ftz", 0.0, (), print, files[2])
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "bare.parquet")
    with pytest.raises(MissingInputError, match="needs columns text and lang"):
        read_reference(str(tmp_path / "bare.parquet"))


def test_ten_sentences_make_a_document_of_reference(files):
    texts, languages = read_reference(files[2])
    assert languages == ["de"] * 6 + ["en"] * 6
    assert all(text.count("bridge") == 10 for text in texts)
