"""The inspector without a browser: who may ask, what is answered, what is downloaded."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from benchmarks.fuzz import broken_input, try_input
from benchmarks.fuzz_inspector import target_of
from pipeline.inspector.app import FILES, make_app, pages_of
from pipeline.inspector.downloads import as_csv, as_json
from pipeline.inspector.page import Asked
from pipeline.inspector.security import allowed_names, cookie_of
from pipeline.inspector.serve import address_of, inspect, listen
from stages.errors import ConfigError, RunError
from tests.inspected import HOSTILE
from tests.pipeline.inspector.conftest import HOME

ROOT = Path(__file__).parents[3]


def test_every_page_answers_and_forbids_what_is_not_its_own(client, inspected):
    for page in pages_of(inspected):
        answer = client.get(f"/{page}")
        assert answer.status_code == 200, (page, answer.text)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe-inline" not in answer.headers["content-security-policy"].split("script-src")[1].split(";")[0]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_every_table_of_every_page_can_be_downloaded(client, inspected):
    told = 0
    for page in pages_of(inspected):
        for name in links(client.get(f"/{page}").text, page):
            rows = client.get(f"/{page}/{name}.json").json()
            table = pq.read_table(io.BytesIO(client.get(f"/{page}/{name}.parquet").content))
            assert table.num_rows == len(rows)
            csv = client.get(f"/{page}/{name}.csv")
            assert csv.headers["content-disposition"] == f'attachment; filename="{page}-{name}.csv"'
            assert len(pyarrow.csv.read_csv(io.BytesIO(csv.content), parse_options=NEWLINES)) == len(rows)
            told += 1
    assert told > 12


NEWLINES = pyarrow.csv.ParseOptions(newlines_in_values=True)


def links(text: str, page: str) -> set[str]:
    return set(re.findall(rf'href="/{page}/([a-z]+)\.json', text))


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7707", "169.254.169.254", "", "[::1"])
def test_another_name_for_this_machine_is_refused(client, host):
    for path in ("/", "/config", "/overview/funnel.json", "/static/inspector.js", "/nothing"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 403
        assert "gopher" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:7707", "localhost:1", "[::1]:7707"])
def test_names_of_this_machine_are_its(client, host):
    assert client.get("/config", headers={"host": host}).status_code == 200


def test_beyond_this_machine_a_token_is_asked_for(inspected):
    app = make_app(inspected, "0.0.0.0", "secret")
    client = TestClient(app, "http://10.1.2.3:7707", follow_redirects=False)
    for path in ("/", "/samples/samples.json", "/static/inspector.js", "/?token=wrong", "/?token="):
        assert client.get(path).status_code == 403
    assert client.get("/", headers={"authorization": "Bearer secret"}).status_code == 200
    welcome = client.get("/samples?token=secret&kind=kept")
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/samples?kind=kept")
    assert "HttpOnly" in welcome.headers["set-cookie"]
    assert "SameSite=strict" in welcome.headers["set-cookie"]
    assert client.get("/").status_code == 200
    given = {"host": "evil.example", "cookie": f"{cookie_of('evil.example')}=secret"}
    assert client.get("/", headers=given).status_code == 403
    assert client.get("http://10.1.2.3:7707//evil.example?token=secret").headers["location"] == "/evil.example"


def test_names_under_which_it_may_be_asked():
    assert allowed_names("127.0.0.1") == {"127.0.0.1", "localhost", "::1"}
    assert allowed_names("Node7.cluster") == {"node7.cluster"}
    assert "*" in allowed_names("0.0.0.0")


@pytest.mark.parametrize(
    "path",
    [
        "/run.json",
        "/signals/00000.parquet",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/config/../../etc/passwd.csv",
        "/..%2f..%2fetc%2fpasswd",
        "/overview/nothing.csv",
        "/overview/funnel.exe",
        "/app",
    ],
)
def test_no_file_is_served_but_its_own(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert set(FILES) == {"inspector.js", "inspector.css", "ridges.css"}


def test_a_page_without_anything_says_why(client):
    answer = client.get("/semantic")
    assert answer.status_code == 404
    assert "The run has no stage semantic" in answer.text


def test_wrong_questions_say_what_is_right(client):
    for path, message in [
        ("/stage?stage=gofer", "there is: language, exact"),
        ("/stage?stage=gopher&signal=wort_count", "there is: word_count"),
        ("/stage?stage=gopher&stages.gopher.word_count.min=abc", "word_count"),
        ("/stage?stage=gopher&stages.gofer.word_count.min=3", "Did you mean"),
        ("/whatif?stages.gopher.stop_words={en: [a]}", "takes a run"),
        ("/whatif?stages.gopher.word_count.min=[", "not a YAML value"),
        ("/whatif?stages.=1", "stages"),
        ("/samples?offset=x", "write a whole number"),
        ("/samples?rule=%00", "there is no such rule"),
        ("/duplicates?kept=nan", "write a whole number"),
        ("/stage?stages.gopher.word_count.max=.inf", "a finite number"),
        ("/whatif?stages.gopher.word_count.min=2001-99-99", "not a YAML value"),
        ("/whatif?stages.gopher.word_count.min=!!bool x", "not a YAML value"),
        (f"/whatif?stages.gopher.word_count.min={'9' * 5000}", "not a YAML value"),
        (f"/whatif?stages.gopher.word_count.min={'[' * 3000}", "not a YAML value"),
    ]:
        answer = client.get(path)
        assert answer.status_code == 400, (path, answer.text)
        assert message in answer.text, answer.text


def test_what_is_asked_never_becomes_markup(client):
    answer = client.get("/stage", params={"stage": "<script>alert(1)</script>"})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


def test_what_cannot_be_seen_is_written_out_in_messages(client):
    answer = client.get("/a%00b%E2%80%AE")
    assert answer.status_code == 404
    assert "/a⟦U+0000⟧b⟦U+202E⟧ is not one" in answer.text
    answer = client.get("/whatif?stages.gopher.by_language.%01.word_count.max=900")
    assert "by_language.⟦U+0001⟧.word_count" in answer.text
    assert "\x01" not in answer.text


def test_documents_that_labels_alone_make_change_side_can_be_read(client):
    for change in ("stages.language.label=[de]", "stages.exact.duplicate=false"):
        assert client.get(f"/samples?kind=flipping&{change}").status_code == 200


def label(client, **headers):
    row = client.get("/samples/samples.json?kind=dropped").json()[0]
    form = {"address": row["address"], "rule": row["dropped_by"], "label": "agree", "back": "kind=dropped"}
    return client.post("/samples/label", data=form, headers=headers, follow_redirects=False)


def test_a_label_is_taken_from_its_own_pages_alone(client, inspected):
    for origin in ({}, {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:1"}):
        assert label(client, **origin).status_code == 403
    assert label(client, origin=HOME).status_code == 303
    lines = Path(inspected.run.path, "labels.jsonl").read_text().splitlines()
    assert [json.loads(line)["label"] for line in lines] == ["agree"]
    assert "a precision of 100.0 %" in client.get("/samples?kind=dropped").text


def test_a_label_of_nothing_is_refused(client):
    for form in (
        {},
        {"address": "1"},
        {"address": "x"},
        {"address": 2**63, "rule": "gopher.word_count", "label": "agree"},
        {"address": -1, "rule": "gopher.word_count", "label": "agree"},
        {"address": "9" * 60, "rule": "gopher.word_count", "label": "agree"},
        {"address": "9" * 5000, "rule": "gopher.word_count", "label": "agree"},
    ):
        assert client.post("/samples/label", data=form, headers={"origin": HOME}).status_code == 400


def test_no_request_breaks_it(inspected, tmp_path):
    """A small part of `benchmarks/fuzz_inspector.py`."""
    folder = tmp_path / "fuzz"
    folder.mkdir()
    target = target_of(inspected.run, inspected.other, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcomes = [try_input(target, *broken_input("inspector", target, 11, i)) for i in range(250)]
    Path(inspected.run.path, "labels.jsonl").unlink(missing_ok=True)
    assert [finding for _, finding in outcomes if finding] == []
    assert 20 < sum(accepted for accepted, _ in outcomes) < 200


def test_a_broken_answer_is_a_finding(inspected, tmp_path, monkeypatch):
    from pipeline.inspector.config import view

    folder = tmp_path / "fuzz"
    folder.mkdir()
    target = target_of(inspected.run, inspected.other, folder)
    for broken, finding in (
        (lambda *_: 1 / 0, "ZeroDivisionError"),
        (lambda *asked: Path("/etc/passwd").read_bytes() and view(*asked), "opened"),
    ):
        monkeypatch.setattr("pipeline.inspector.config.view", broken)
        accepted, found = try_input(target, "open", f"GET /config?{finding}".encode())
        assert not accepted
        assert finding in found


def test_cells_that_a_spreadsheet_would_compute_are_text():
    table = pa.table(
        {"id": ["=1+1", "@x", "-2", "plain", None], "number": [-1, 2, 3, 4, 5], "list": [[1], [], None, [2], [3]]}
    )
    read = pyarrow.csv.read_csv(io.BytesIO(as_csv(table)))
    assert read["id"].to_pylist() == ["'=1+1", "'@x", "'-2", "plain", ""]
    assert read["number"].to_pylist() == [-1, 2, 3, 4, 5]


def test_json_has_no_numbers_that_json_has_not():
    table = pa.table({"x": [float("nan"), float("inf"), 1.5], "nested": [[float("nan")], [], [2.0]]})
    assert json.loads(as_json(table)) == [
        {"x": None, "nested": [None]},
        {"x": None, "nested": []},
        {"x": 1.5, "nested": [2.0]},
    ]


def test_hostile_text_comes_out_whole_in_downloads(inspected, client):
    ids = {row["id"] for row in client.get("/samples/samples.json?kind=dropped&rule=gopher.word_count").json()}
    assert "<script>id</script>\u202e" in ids
    assert HOSTILE not in client.get("/samples?rule=gopher.word_count").text


def test_ports():
    with listen("127.0.0.1", 0) as one:
        port = one.getsockname()[1]
        assert address_of(one, "127.0.0.1", None) == f"http://127.0.0.1:{port}/"
        assert address_of(one, "0.0.0.0", "t").endswith(f":{port}/?token=t")
        with pytest.raises(RunError, match="--port 0"):
            listen("127.0.0.1", port)


def test_choices():
    asked = Asked((("a", ""), ("a", "1"), ("b", "x")))
    assert asked.text("a") == "1"
    assert asked.optional("c", ["x"]) is None
    with pytest.raises(ConfigError, match="there is: y"):
        asked.choice("b", ["y"])


def test_the_command_serves_until_it_is_interrupted(inspected):
    code = "from pipeline.cli import main; main()"
    command = [sys.executable, "-c", code, "inspect", inspected.run.path, "--port", "0", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as served:
        address = served.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}config") as answer:
            assert answer.status == 200
        served.send_signal(signal.SIGINT)
        said = served.communicate(timeout=30)
        assert (served.returncode, said[0]) == (0, "")
        assert "Traceback" not in said[1]


def test_a_run_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RunError, match="not a run directory"):
        inspect(str(tmp_path), None, "127.0.0.1", 0, browser=False)
