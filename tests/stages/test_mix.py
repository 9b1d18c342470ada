"""The mix: shares met, whatever the batches are; what cannot be met is said."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages import mix_bins as bins
from stages.contract import run_stage
from stages.errors import StageError
from stages.mix import Mix
from stages.text.batch import TextBatch
from tests.naive_mix import copies_of

CATEGORIES = ["general", "maths", "code", "multilingual"]


def corpus(num_documents: int, seed: int = 0, groups: list[str | None] | None = None) -> TextBatch:
    """Documents of very different lengths in four categories of very different sizes."""
    rng = np.random.default_rng(seed)
    labels = groups or CATEGORIES
    weights = 0.5 ** np.arange(len(labels)) / (0.5 ** np.arange(len(labels))).sum()
    chosen = rng.choice(len(labels), num_documents, p=weights)
    batch = TextBatch.from_texts([f"document {seed} {i}" for i in range(num_documents)])
    return batch.with_signals(
        {
            "category.label": pa.array(labels, pa.string()).take(pa.array(chosen)),
            "tokens.count": pa.array(np.ceil(rng.lognormal(6, 1.2, num_documents)), pa.int32()),
            "quality.score": pa.array(rng.random(num_documents), pa.float32(), mask=rng.random(num_documents) < 0.05),
            "quality.bucket": pa.array(rng.integers(0, 20, num_documents), pa.int32()),
        }
    )


def parts_of(batch: TextBatch, num_parts: int) -> list[TextBatch]:
    return [batch.take(rows) for rows in np.array_split(np.arange(batch.num_rows), num_parts)]


def reference_of(mix: Mix, parts: list[TextBatch]) -> pa.Table:
    """What the stage concludes of a corpus that comes in parts, combined two at a time as a run may do."""
    rows = mix.tally(parts[0])
    for part in parts[1:]:
        rows = mix.combine(pa.concat_tables([rows, mix.tally(part)]))
    return mix.conclude(rows.take(pa.array(np.argsort(rows["key"].to_numpy(), kind="stable"))), 0)


def mixed(mix: Mix, batch: TextBatch, num_parts: int = 1) -> tuple[list[int], dict[str, float], pa.Table]:
    """Copies of each document, the share of each group in what is taken, and the reference."""
    reference = reference_of(mix, parts_of(batch, num_parts))
    copies = run_stage(mix, batch, reference)[1]["copies"]
    amounts = np.ones(batch.num_rows, np.int64)
    if mix.unit == "tokens":
        amounts = batch.signals["tokens.count"].to_numpy()
    taken = pa.table({"group": batch.column(mix.by), "amount": copies.to_numpy() * amounts})
    sums = taken.group_by("group").aggregate([("amount", "sum")]).to_pylist()
    whole = sum(row["amount_sum"] for row in sums) or 1
    return copies.to_pylist(), {row["group"]: row["amount_sum"] / whole for row in sums}, reference


@pytest.fixture(scope="module")
def large() -> TextBatch:
    return corpus(100_000)


@pytest.mark.parametrize("prefer", [None, "quality.score", "quality.bucket"])
@pytest.mark.parametrize("max_bins", [bins.MAX_BINS, 1 << 12])
def test_shares_are_met_to_a_thousandth(large, prefer, max_bins, monkeypatch):
    """With a bin a document, and with about 1,024 bins a group."""
    fine = prefer is None and max_bins == bins.MAX_BINS
    monkeypatch.setattr(bins, "MAX_BINS", max_bins)
    copies, shares, reference = mixed(Mix(prefer=prefer), large)
    wanted = {"general": 0.5, "maths": 0.25, "code": 0.17, "multilingual": 0.08}
    assert shares == pytest.approx(wanted, abs=0.0001 if fine else 0.001)
    assert set(copies) <= {0, 1}
    planned = reference["planned"].to_numpy()
    assert planned / planned.sum() == pytest.approx(reference["share"].to_numpy(), abs=0.0005)
    full = pc.equal(reference["available"], reference["planned"]).to_pylist()
    assert sum(full) == 1, "one group gives all it has, and limits the rest"


@pytest.mark.parametrize("prefer", [None, "quality.bucket"])
@pytest.mark.parametrize("max_bins", [bins.MAX_BINS, 1 << 8])
def test_any_split_gives_the_same_sample(prefer, max_bins, monkeypatch):
    monkeypatch.setattr(bins, "MAX_BINS", max_bins)
    batch, mix = corpus(5_000), Mix(prefer=prefer)
    copies, _, reference = mixed(mix, batch)
    for num_parts in (2, 7, 40):
        assert mixed(mix, batch, num_parts)[2].equals(reference)
    backwards = batch.take(np.arange(batch.num_rows)[::-1])
    assert mixed(mix, backwards, 3)[0][::-1] == copies


@settings(max_examples=60, deadline=None)
@given(
    documents=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]),
            st.integers(0, 50),
            st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 0.25, 0.75, 3.0])),
        ),
        min_size=1,
        max_size=40,
    ),
    epochs=st.fixed_dictionaries({name: st.sampled_from([0, 0.3, 0.5, 1, 1.7, 2]) for name in ("a", "b", "null")}),
)
def test_the_mix_is_that_of_its_twin(documents, epochs):
    texts = [f"text {i}" for i in range(len(documents))]
    groups, amounts, preferences = (list(column) for column in zip(*documents, strict=True))
    batch = TextBatch.from_texts(texts, source=pa.array(groups, pa.string()), score=pa.array(preferences, pa.float64()))
    batch = batch.with_signals({"tokens.count": pa.array(amounts, pa.int32())})
    for prefer in (None, "score") if len(set(preferences)) == len(preferences) else (None,):
        copies, _, _ = mixed(Mix(by="source", epochs=epochs, prefer=prefer), batch)
        assert copies == copies_of(texts, groups, amounts, epochs, None if prefer is None else preferences)


def test_epochs_repeat_whole_groups_and_parts(large):
    copies, _, reference = mixed(Mix(epochs={"maths": 2.5, "code": 2, "rest": 0.25}), large)
    labels, tokens = np.array(large.signals["category.label"].to_pylist()), large.signals["tokens.count"].to_numpy()
    assert {label: set(np.array(copies)[labels == label]) for label in CATEGORIES} == {
        "general": {0, 1}, "maths": {2, 3}, "code": {2}, "multilingual": {0, 1},
    }  # fmt: skip
    for label, times in (("general", 0.25), ("maths", 2.5), ("code", 2), ("multilingual", 0.25)):
        of_label = labels == label
        assert (np.array(copies) * tokens)[of_label].sum() / tokens[of_label].sum() == pytest.approx(times, abs=0.001)
    assert reference["share"].null_count == 4, "nobody asked for shares"


def test_the_preferred_stay(large):
    copies, _, _ = mixed(Mix(shares={"general": 0.1, "rest": 0.9}, prefer="quality.score"), large)
    of_general = np.array(large.signals["category.label"].to_pylist()) == "general"
    scores = large.signals["quality.score"].to_numpy(zero_copy_only=False)
    kept = np.array(copies) > 0
    assert np.nanmin(scores[of_general & kept]) > np.nanmax(scores[of_general & ~kept]) - 0.001
    assert not np.isnan(scores[of_general & kept]).any(), "documents without a score go first"


def test_temperature(large):
    _, shares, reference = mixed(Mix(alpha=0.5, total=1_000_000), large)
    available = reference["available"].to_numpy() ** 0.5
    wanted = dict(zip(reference["group"].to_pylist(), available / available.sum(), strict=True))
    assert shares == pytest.approx(wanted, abs=0.001)
    copies, _, _ = mixed(Mix(alpha=1), large)
    assert set(copies) == {1}, "a temperature of 1 leaves the corpus as it is"


def test_repeating_makes_a_larger_mix(large):
    once, twice = (mixed(Mix(max_epochs=epochs), large) for epochs in (1, 2))
    assert twice[1] == pytest.approx(once[1], abs=0.001)
    assert pc.sum(twice[2]["planned"]).as_py() == pytest.approx(2 * pc.sum(once[2]["planned"]).as_py(), rel=0.001)


def test_what_cannot_be_met_is_said():
    batch = corpus(2_000)
    _, _, reference = mixed(Mix(total=float(pc.sum(batch.signals["tokens.count"]).as_py())), batch)
    rows = {row["group"]: row for row in reference.to_pylist()}
    for label in ("maths", "multilingual"):
        short = rows[label]["wanted"] - rows[label]["planned"]
        assert (short > 0) == (rows[label]["wanted"] > rows[label]["available"])
        assert rows[label]["planned"] <= rows[label]["available"]
    assert any(row["planned"] < row["wanted"] * 0.99 for row in rows.values())


def test_a_group_that_is_not_there():
    """The others keep their proportions, and the missing one is a row of the reference."""
    batch = corpus(4_000, groups=["general", "maths", "code"])
    _, shares, reference = mixed(Mix(), batch)
    assert shares == pytest.approx({"general": 0.5 / 0.92, "maths": 0.25 / 0.92, "code": 0.17 / 0.92}, abs=0.002)
    (missing,) = [row for row in reference.to_pylist() if row["group"] == "multilingual"]
    assert missing["documents"] == missing["planned"] == 0
    assert missing["wanted"] / pc.sum(reference["wanted"]).as_py() == pytest.approx(0.08)
    _, _, reference = mixed(Mix(shares={"general": 0.3, "maths": 0.3, "code": 0.3}), batch)
    assert reference["group"].to_pylist()[-1] == "rest"


def test_null_and_unnamed_groups():
    batch = corpus(4_000, groups=["wiki", None, "web", "books"])
    _, shares, _ = mixed(Mix(shares={"null": 0.5, "wiki": 0.1}), batch)
    assert shares[None] == pytest.approx(0.5, abs=0.005)
    assert shares["web"] + shares["books"] == pytest.approx(0.4, abs=0.005)
    copies, _, _ = mixed(Mix(shares={"null": 0.5, "wiki": 0.5}), batch)
    named = pc.is_in(batch.signals["category.label"], pa.array(["wiki", None])).to_numpy(zero_copy_only=False)
    assert not np.array(copies)[~named].any(), "shares that come to 1 leave nothing for others"


def test_one_group_and_none():
    batch = corpus(100, groups=["general"])
    assert mixed(Mix(), batch)[0] == [1] * 100
    assert mixed(Mix(alpha=0.3), batch)[0] == [1] * 100
    nothing = batch.take(np.zeros(0, np.int64))
    assert mixed(Mix(), nothing)[0] == []
    assert mixed(Mix(), nothing)[2]["group"].to_pylist() == CATEGORIES


def test_numbers_and_truths_are_groups_too():
    batch = corpus(2_000)
    _, shares, _ = mixed(Mix.model_validate({"by": "quality.bucket", "shares": {19: 0.9, 18: 0.1}}), batch)
    assert {group: share for group, share in shares.items() if share} == pytest.approx({19: 0.9, 18: 0.1}, abs=0.02)
    assert Mix.model_validate({"shares": {None: 0.5, True: 0.5}}).shares == {"null": 0.5, "true": 0.5}


def test_other_units():
    batch = corpus(10_000)
    copies, shares, reference = mixed(Mix(unit="documents"), batch)
    assert shares == pytest.approx({"general": 0.5, "maths": 0.25, "code": 0.17, "multilingual": 0.08}, abs=0.001)
    assert sum(copies) == pytest.approx(pc.sum(reference["planned"]).as_py(), abs=4)
    reference = reference_of(Mix(unit="bytes"), [batch])
    assert pc.sum(reference["available"]).as_py() == batch.utf8.offsets[-1]


def test_documents_without_text_are_told_apart_by_id():
    batch = TextBatch.from_texts([""] * 1000, source=pa.array(["a"] * 1000))
    copies, _, _ = mixed(Mix(by="source", unit="documents", epochs={"a": 0.5}), batch)
    assert sum(copies) == 500


def test_another_seed_is_another_sample():
    batch = corpus(2_000)
    assert mixed(Mix(seed=1), batch)[0] != mixed(Mix(), batch)[0]


def test_ten_thousand_groups_in_bounded_rows(monkeypatch):
    names = np.array([f"{i}.example.org" for i in range(10_000)])
    rng = np.random.default_rng(0)
    batch = TextBatch.from_texts(
        [f"t{i}" for i in range(60_000)], domain=pa.array(names[rng.integers(0, 10_000, 60_000)])
    )
    mix = Mix(by="domain", unit="documents", alpha=0.0, total=30_000)
    monkeypatch.setattr(bins, "MAX_BINS", 1 << 15)
    rows = mix.combine(pa.concat_tables([mix.tally(part) for part in parts_of(batch, 5)]))
    assert rows.num_rows <= 1 << 15
    copies, _, reference = mixed(mix, batch)
    assert sum(copies) == pytest.approx(pc.sum(reference["planned"]).as_py(), rel=0.01)
    monkeypatch.setattr(bins, "MAX_BINS", 1 << 13)
    with pytest.raises(StageError, match="more than 8,192 groups"):
        mix.tally(batch)


def test_what_was_taken_is_counted_once():
    batch, mix = corpus(500), Mix(epochs={"maths": 2, "rest": 1})
    reference = reference_of(mix, [batch])
    copies = run_stage(mix, batch, reference)[1]["copies"].to_numpy()
    counted = mix.counters()
    is_maths = np.array(batch.signals["category.label"].to_pylist()) == "maths"
    assert counted["documents.maths"] == 2 * is_maths.sum()
    assert counted["amount.maths"] == (copies * batch.signals["tokens.count"].to_numpy())[is_maths].sum()
    assert mix.counters() == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shares": {"a": 0.6, "b": 0.6}}, "shares come to 1.2"),
        ({"shares": {"a": 0.6, "rest": 0.1}}, "shares come to 0.7"),
        ({"shares": {"a": -0.1}}, "cannot be negative"),
        ({"shares": {"a": 0}}, "nothing would be left"),
        ({"shares": {"a": 1}, "alpha": 0.3}, "shares and alpha are two ways to say it"),
        ({"epochs": {"a": 1}, "total": 5}, "leave total out"),
        ({"alpha": 2}, "less than or equal to 1"),
        ({"total": 0}, "greater than 0"),
    ],
)
def test_targets_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Mix.model_validate(fields)
