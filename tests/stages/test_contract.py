"""What every stage must keep to, whoever wrote it."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stages
from stages.contract import Barrier, Bounds, Census, Fitted, Stage, decide, run_stage
from stages.dedup.survey import VectorSurvey
from stages.errors import StageError
from stages.text.batch import TextBatch
from tests.corpus import page
from tests.resolution import reference_of, resolution_of
from tests.strategies import texts as any_texts
from tests.toy import Bag

TEXT_SAMPLES = [
    *(page(seed) for seed in range(12)),
    "",
    "x",
    "\n\n",
    "Die Katze sitzt auf der Matte und sieht aus dem Fenster. " * 8,
    "这只猫坐在垫子上，看着窗外。" * 20,
    "แมวนั่งอยู่บนเสื่อและมองออกไปนอกหน้าต่าง " * 10,
    "Кошка сидит на коврике и смотрит в окно. " * 10,
    "😀 👩\u200d💻 \u00ad \ufeff",
]
URLS = ["https://www.example.com/a", None, "http://b.spam.test:80/free-casino", "not a url", ""] * 4


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    items = "Die Katze sitzt auf der Matte und sieht aus dem Fenster.\n这只猫坐在垫子上，看着窗外。\n"
    for name, content in {"domains": "spam.test\n", "words": "casino\nfree\n", "items": items}.items():
        (folder / f"{name}.txt").write_text(content)
    return folder


@pytest.fixture(params=list(stages.REGISTRY))
def stage(request, lists) -> Stage:
    name = request.param
    fields = {
        "url": {"domains": str(lists / "domains.txt"), "suspect_words": str(lists / "words.txt")},
        "datatrove": {"filter": "FineWebQualityFilter"},
        "decontamination": {"benchmarks": {"toy": str(lists / "items.txt")}},
        "cap": {"by": "url", "max_documents": 2},
        "mix": {"by": "url", "unit": "bytes", "alpha": 0.5, "total": 2000},
        "semantic_decontamination": {"benchmarks": {"toy": str(lists / "items.txt")}},
    }
    if name == "datatrove":
        pytest.importorskip("spacy", reason="datatrove's tokenizer needs spaCy: pip install 'tamis[datatrove]'")
    return stages.load(name).model_validate({"name": name} | fields.get(name, {}))


def batch_of(texts: list[str]) -> TextBatch:
    return TextBatch.from_texts(texts, url=pa.array((URLS * len(texts))[: len(texts)], pa.string()))


def with_needs(stage: Stage, batch: TextBatch) -> TextBatch:
    """The batch after the stages whose signals this one reads; vectors are made-up ones."""
    if isinstance(stage, VectorSurvey):
        batch, _ = run_stage(Bag(name="embedding"), batch)
    for giver in sorted({signal.split(".")[0] for signal in stage.needs}):
        batch, _ = run_stage(stages.load(giver)(), batch)
    return batch


def given_to(stage: Stage, batch: TextBatch) -> pa.Table | None:
    """What a Fitted stage has learned from the samples, a Census concluded of them, or a Barrier resolved of the
    batch."""
    if isinstance(stage, Barrier):
        return resolution_of(stage, with_needs(stage, batch))
    if isinstance(stage, Census):
        return reference_of(stage, with_needs(stage, batch_of(TEXT_SAMPLES)))
    return stage.fit(with_needs(stage, batch_of(TEXT_SAMPLES))) if isinstance(stage, Fitted) else None


def apply(stage: Stage, batch: TextBatch) -> tuple[TextBatch, dict[str, pa.Array]]:
    """A stage on a batch, after those that it needs, given what it has to be."""
    return run_stage(stage, with_needs(stage, batch), given_to(stage, batch))


def test_signals_have_their_declared_types(stage):
    for texts in (TEXT_SAMPLES, []):
        after, columns = apply(stage, batch_of(texts))
        assert list(columns) == list(stage.signals())
        for name, signal in stage.signals().items():
            assert columns[name].type == signal.type
            assert len(columns[name]) == len(texts)
        assert after.num_rows == len(texts)
        new = set(after.signals) - set(with_needs(stage, batch_of(texts)).signals)
        assert new == {f"{stage.name}.{name}" for name in [*columns, *stage.attachments()]}


def test_any_split_gives_the_same_answer(stage):
    whole = apply(stage, batch_of(TEXT_SAMPLES))
    given = given_to(stage, batch_of(TEXT_SAMPLES))
    for cut in (1, 7, len(TEXT_SAMPLES) - 1):
        batch = batch_of(TEXT_SAMPLES)
        parts = []
        for rows in np.split(np.arange(len(TEXT_SAMPLES)), [cut]):
            own = given.take(pa.array(rows)) if isinstance(stage, Barrier) else given
            parts.append(run_stage(stage, with_needs(stage, batch.take(rows)), own))
        for name, column in whole[1].items():
            assert pa.concat_arrays([columns[name] for _, columns in parts]).equals(column), name
        texts = [text for after, _ in parts for text in after.table["text"].to_pylist()]
        assert texts == whole[0].table["text"].to_pylist()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(any_texts(), min_size=1, max_size=4))
def test_a_document_is_judged_alone(stage, texts):
    """Whatever else is in the batch, on any text."""
    if isinstance(stage, Barrier):
        return  # it exists to compare documents
    _, together = apply(stage, batch_of(texts))
    _, alone = apply(stage, TextBatch(batch_of(texts).table.slice(len(texts) - 1)))
    for name, column in together.items():
        assert column.slice(len(texts) - 1).equals(alone[name]), name


def test_views_computed_before_change_nothing(stage):
    fresh, used = batch_of(TEXT_SAMPLES), batch_of(TEXT_SAMPLES)
    for name in ("words", "lines", "paragraphs", "sentences"):
        assert getattr(used, name) is not None
    rows = np.arange(len(TEXT_SAMPLES))[::2]
    for name, column in apply(stage, fresh.take(rows))[1].items():
        assert column.equals(apply(stage, used.take(rows))[1][name])


def test_a_stage_can_learn_from_nothing(stage):
    if not isinstance(stage, Fitted):
        pytest.skip("it learns nothing of the corpus")
    batch = with_needs(stage, batch_of(TEXT_SAMPLES))
    _, columns = run_stage(stage, batch, stage.fit(with_needs(stage, batch_of([]))))
    assert list(columns) == list(stage.signals())
    with pytest.raises(StageError, match="was not shown any of it"):
        run_stage(stage, batch)


def test_null_never_drops(stage):
    _, columns = apply(stage, batch_of(TEXT_SAMPLES))
    nothing = {name: pa.nulls(len(column), column.type) for name, column in columns.items()}
    assert not any(mask.any() for mask in decide(stage, nothing, None).values())


def test_a_stage_is_its_config(stage):
    assert type(stage).model_validate(stage.model_dump(mode="json")) == stage
    assert pickle.loads(pickle.dumps(stage)) == stage


def test_everything_is_documented(stage):
    cls = type(stage)
    assert "\n" in (cls.__doc__ or ""), "say where the definitions come from"
    for name, field in cls.model_fields.items():
        assert field.description or name == "name", f"{name} has no docstring"
    for name, signal in cls.signals().items():
        assert signal.unit, name


def test_unknown_fields_are_refused(stage):
    with pytest.raises(ValueError, match="Extra inputs"):
        type(stage).model_validate(stage.model_dump() | {"word_cout": 1})


@pytest.mark.parametrize("value", [{"min": 2, "max": 1}, {"min": True}, {"min": float("nan")}, {"least": 1}])
def test_bounds_that_make_no_sense_are_refused(value):
    with pytest.raises(ValueError, match="Bounds"):
        Bounds.model_validate(value)
