"""What the pages say: of languages, of bounds that are lifted, of clusters, of time and of bytes."""

import html
import json
import re

import pyarrow as pa
import pytest
import yaml
from starlette.testclient import TestClient

from pipeline.config import load_config
from pipeline.inspector.app import TEMPLATES, make_app
from pipeline.inspector.changes import changes_of
from pipeline.inspector.page import Asked, Inspected
from pipeline.inspector.security import cookie_of
from pipeline.report.content import gather
from pipeline.report.page import environment
from pipeline.stats import MANY, UNKNOWN
from pipeline.yaml_lines import parse
from stages.errors import ConfigError
from tests.corpus import page
from tests.inspected import inspected_run
from tests.pipeline.inspector.conftest import HOME

GERMAN = "der Fluss und der Garten haben viel Wasser und die Leute tragen es am Abend durch das Tal nach Hause".split()
BOTH = [
    "language",
    {"gopher": {"by_language": {"en": {"word_count": {"min": 60}}}}},
    {"gopher": {"name": "second", "word_count": {"min": 55}}},
    "exact",
    "c4",
    "repetition",
]
FIRST = "stages.gopher.word_count.min"
ENGLISH = "stages.gopher.by_language.en.word_count.min"
OTHERS = "stages.gopher.by_language.de.word_count.min"


def sentences(seed: int) -> str:
    return " ".join(" ".join(GERMAN[seed % 7 :]).capitalize() + f" {seed}." for _ in range(1 + seed % 9))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """English and German pages, some twice, and documents of which no language can be told; two stages of one kind."""
    folder = tmp_path_factory.mktemp("mixed")
    texts = {f"en-{seed}": f"{page(seed)}\n\nA line without an end" for seed in range(40)}
    texts |= {f"twice-{seed}": texts[f"en-{seed}"] for seed in range(0, 40, 8)}
    texts |= {f"de-{seed}": sentences(seed) for seed in range(40)}
    texts |= {f"none-{seed}": " " * seed for seed in range(3)}
    (folder / "in.jsonl").write_text("".join(json.dumps({"id": key, "text": texts[key]}) + "\n" for key in texts))
    return Inspected(inspected_run(folder, stages=BOTH))


@pytest.fixture(scope="module")
def mixed_client(mixed):
    return TestClient(make_app(mixed), HOME)


def shown(answer, name: str) -> str:
    """What a field of a page holds."""
    assert answer.status_code == 200, answer.text
    return re.search(rf'id="{name}" value="([^"]*)"', answer.text)[1]


@pytest.mark.parametrize(
    ("query", "changes"),
    [
        ({FIRST: ""}, [f"{FIRST}=null"]),
        ({FIRST: "50"}, []),
        ({FIRST: "60"}, [f"{FIRST}=60"]),
        ({"stages.second.word_count.min": "50"}, ["stages.second.word_count.min=50"]),
        ({"stages.second.word_count.min": "55"}, []),
        ({ENGLISH: ""}, [f"{ENGLISH}=null"]),
        ({ENGLISH: "60"}, []),
        ({ENGLISH: "50"}, [f"{ENGLISH}=50"]),
        ({OTHERS: ""}, [f"{OTHERS}=null"]),
        ({OTHERS: "50"}, []),
        ({FIRST: "70", OTHERS: "50"}, [f"{FIRST}=70", f"{OTHERS}=50"]),
        ({FIRST: "70", OTHERS: "70"}, [f"{FIRST}=70"]),
        ({"stages.gopher.nothing.min": ""}, ["stages.gopher.nothing.min=null"]),
        ({"stages.third.word_count.min": ""}, ["stages.third.word_count.min=null"]),
    ],
)
def test_a_bound_that_is_lifted_is_a_change(mixed, query, changes):
    assert changes_of(Asked(tuple(query.items())), mixed.run.config) == changes


def test_changes_are_those_that_a_config_would_have(mixed):
    """Whatever is said of an end that a language inherits, the config that comes out decides as was asked."""
    config = mixed.run.config
    for own in (None, "", "50", "70"):
        for language in (None, "", "50", "70"):
            said = [(path, value) for path, value in ((FIRST, own), (OTHERS, language)) if value is not None]
            after = load_config(
                config.model_dump(exclude={"stages"}) | {"stages": BOTH},
                overrides=changes_of(Asked(tuple(said)), config),
            )
            gopher = next(stage for stage in after.stages if stage.name == "gopher")
            stages_own = parse(own or "null") if own is not None else 50
            assert gopher.word_count.min == stages_own
            asked = parse(language or "null") if language is not None else stages_own
            assert gopher.decisions("de")["word_count"].min == asked


@pytest.mark.parametrize(("path", "language"), [(FIRST, ""), (ENGLISH, "en"), (OTHERS, "de")])
def test_a_lifted_bound_shows_and_releases(mixed_client, path, language):
    answer = mixed_client.get(f"/stage?stage=gopher&signal=word_count&language={language}&{path}=")
    assert shown(answer, "bound-min") == ""
    assert "Move a bound" not in answer.text
    tried = mixed_client.get(f"/whatif?{path}=").text
    assert f'name="{path}"' in tried
    assert yaml.safe_load(re.search('<pre id="patch"[^>]*>(.*?)</pre>', tried, re.S)[1]) == {"set": {path: None}}


def test_a_language_that_could_not_be_told_can_be_asked_for(mixed, mixed_client):
    rows = mixed.run.signals.to_table(columns=["id", "language.label", "gopher.word_count", "dropped_by"]).to_pylist()
    unknown = [row for row in rows if row["language.label"] is None and row["gopher.word_count"] is not None]
    assert len(unknown) == 3
    answer = mixed_client.get("/stage", params={"stage": "gopher", "signal": "word_count", "language": UNKNOWN})
    assert "measured of 3 documents" in answer.text
    assert f'name="{FIRST}"' in answer.text, "the stage's own bound is theirs"
    for kind, query in (("dropped", "rule=gopher.word_count"), ("flipping", f"{FIRST}=null")):
        for language in ("en", "de", UNKNOWN):
            found = mixed_client.get(f"/samples/samples.json?kind={kind}&{query}&language={language}").json()
            assert {row["language"] for row in found} <= {None if language == UNKNOWN else language}
            assert found or language == "en"


def test_many_languages_are_none(mixed, monkeypatch):
    stats = mixed.stats | {"languages": mixed.stats["languages"] | {MANY: {"read": {}, "kept": {}, "dropped": {}}}}
    monkeypatch.setitem(mixed.__dict__, "stats", stats)
    mixed.forget()
    client = TestClient(make_app(mixed), HOME)
    for path in ("/samples", "/stage?stage=gopher&signal=word_count"):
        assert f">{UNKNOWN}</option>" in client.get(path).text
        assert MANY not in client.get(path).text
    mixed.forget()


def test_addresses_are_whole_numbers():
    for address in ((9000 << 40) | 12345, 2**64 - 1):
        assert Asked((("address", str(address)),)).integer("address", 0, 0, 2**64 - 1) == address
    assert Asked((("offset", "-3"),)).integer("offset", 0, 0, 10) == 0
    assert Asked((("offset", ""),)).integer("offset", 7, 0, 10) == 7
    for wrong in ("x", "1.5", "nan", "1e3", "9" * 5000):
        with pytest.raises(ConfigError, match="write a whole number"):
            Asked((("offset", wrong),)).integer("offset", 0, 0, 10)


def test_bytes_here_are_as_read_in_report_and_inspector(mixed, mixed_client):
    found = {row["rule"]: row for row in mixed_client.get("/overview/reasons.json?weight=bytes").json()}
    bytes_of = dict.fromkeys(found, 0)
    for row in mixed.run.signals.to_table(columns=["dropped_by", "bytes"]).to_pylist():
        if row["dropped_by"]:
            bytes_of[row["dropped_by"]] += row["bytes"]
    assert bytes_of == {rule: row["here"] for rule, row in found.items()}
    content = gather(mixed.run, mixed.stats, mixed.tables)
    assert {rule.name: rule.here["bytes"] for rule in content.rules if rule.here["documents"]} == {
        rule: size for rule, size in bytes_of.items() if size
    }
    assert all(rule.here["bytes"] <= rule.alone["bytes"].high for rule in content.rules)


def test_times_are_told_alike(mixed, mixed_client):
    content = gather(mixed.run, mixed.stats, mixed.tables)
    rows = mixed_client.get("/speed/tasks.json").json()
    assert {phase.name for phase in content.phases} == {row["phase"] for row in rows}
    for phase in content.phases:
        mine = sorted(row["seconds"] for row in rows if row["phase"] == phase.name)
        assert mine == [round(seconds, 3) for seconds in phase.seconds]
    stages = mixed_client.get("/speed/stages.json").json()
    assert [time.stage for time in content.times] == [row["stage"] for row in stages]


def test_a_pair_says_what_came_later(mixed_client, mixed):
    (kept, *_) = mixed_client.get("/duplicates/largest.json?stage=exact").json()
    text = mixed_client.get(f"/duplicates?stage=exact&kept={kept['kept']}").text
    assert "so what c4 may have changed later is marked, too" in text


def test_a_pair_of_texts_that_nothing_changed_is_only_a_pair(client):
    (kept, *_) = client.get("/duplicates/largest.json?stage=minhash").json()
    text = client.get(f"/duplicates?stage=minhash&kept={kept['kept']}").text
    assert "Words that the other text has not are marked.</p>" in text


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """A run held against an earlier one: clusters whose kept document is there."""
    folder = tmp_path_factory.mktemp("again")
    first = inspected_run(folder, "first")
    rows = [{"id": f"new-{n}", "text": page(10 * (n % 3) + 1)} for n in range(180)]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"path": str(folder / "more.jsonl"), "against": [first.path]}
    return Inspected(inspected_run(folder, "later", input=source))


def test_clusters_of_an_earlier_run_and_members_beyond_those_listed(again):
    client = TestClient(make_app(again), HOME)
    (one, *_) = client.get("/duplicates/largest.json?stage=exact").json()
    assert one["kept_run"]
    assert one["size"] == 61
    page = f"/duplicates/members.json?stage=exact&kept={one['kept']}"
    assert client.get(page).status_code == 400, "no cluster of this run's own"
    members = client.get(f"{page}&kept_run={one['kept_run']}").json()
    beyond = max(
        row["address"]
        for row in again.run.signals.to_table(columns=["address", "id"]).to_pylist()
        if int(row["id"].split("-")[1]) % 3 == int(members[0]["id"].split("-")[1]) % 3
    )
    assert beyond not in [row["address"] for row in members]
    named = client.get(f"{page}&kept_run={one['kept_run']}&member={beyond}").json()
    assert named[0]["address"] == beyond
    assert len(named) == len(members) == 50
    answer = client.get(f"/duplicates?stage=exact&kept={one['kept']}&kept_run={one['kept_run']}&member={2**40}")
    assert answer.status_code == 400
    assert "is not in this cluster" in answer.text


def test_pairs_of_meaning_lead_to_their_cluster_in_an_earlier_run(inspected):
    pair = {"address": 1, "id": "a", "kept": 2, "kept_id": "b", "kept_run": "runs/first & only", "similarity": 0.9}
    tables = {"pairs": pa.table({key: [value] for key, value in pair.items()})}
    tables |= {name: pa.table({"x": pa.array([], pa.int64())}) for name in ("curve", "clusters")}
    context = {"pages": {}, "page": "semantic", "query": "", "title": "", "stage": "semantic", "epsilon": 0.1}
    template = environment(TEMPLATES).get_template("semantic.html")
    text = template.render(inspected=inspected, tables=tables, action="drop", **context)
    assert "kept=2&kept_run=runs/first%20%26%20only&member=1" in html.unescape(text)


def test_cookies_of_two_inspectors_on_a_machine(inspected):
    names = set()
    for port in (7707, 7708):
        client = TestClient(make_app(inspected, "0.0.0.0", f"secret{port}"), f"http://10.1.2.3:{port}")
        names |= set(client.get(f"/config?token=secret{port}", follow_redirects=False).cookies)
        both = "; ".join(f"{cookie_of(f'10.1.2.3:{one}')}=secret{one}" for one in (7707, 7708))
        assert client.get("/config", headers={"cookie": both}).status_code == 200
    assert len(names) == 2


def test_documents_that_a_comparison_leaves_out_are_counted(tmp_path):
    runs = []
    for name, ids in (("a", "xxyz"), ("b", "xyyy")):
        folder = tmp_path / f"{name}-in"
        folder.mkdir()
        for n, id_ in enumerate(ids):  # within a file, ids that come again are made different
            (folder / f"{n}.jsonl").write_text(json.dumps({"id": id_, "text": page(2)}))
        runs.append(inspected_run(tmp_path, name, input=str(folder), stages=["gopher"]))
    text = TestClient(make_app(Inspected(*runs)), HOME).get("/compare").text
    assert "Left out, since another one of the run has the same id: 5." in text
