"""What a person sees of a run: lines that are easily wrong and hard to see in whole runs."""

import io
import re

import pytest
from rich.console import Console

import pipeline
from pipeline import stats as counting
from pipeline.analysis.estimates import Estimate
from pipeline.analysis.outcomes import Flip
from pipeline.analysis.whatif import GroupRow
from pipeline.next_steps import looser_bound, next_commands
from pipeline.progress import Progress
from pipeline.runs import Run
from pipeline.terminal import Display, encoders, line, picture, print_outcome, watch_run
from pipeline.terminal_analysis import _flips, _groups
from pipeline.waiting import waits
from stages.heuristics.gopher import Gopher
from tests.corpus import write_jsonl
from tests.toy import Length, Shorten


def test_an_encoder_tells_its_speed_its_padding_and_its_memory():
    stats = counting.empty(["embedding", "mix"])
    assert encoders(stats) == []
    counts = stats["stages"]["embedding"]
    counts |= {"documents_in": 1000, "seconds": 2.0}
    counting.merge_counters(counts, {"tokens": 30_000, "padded_tokens": 40_000, "peak_gpu_bytes": 3e9})
    counting.merge_counters(stats["stages"]["mix"], {"amount.en": 7})
    assert encoders(stats) == [
        "embedding: 500 documents/s · 15 k tokens/s of one worker · 25.0% padding · 3 GB peak GPU memory"
    ]


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("terminal")
    write_jsonl(folder / "in.jsonl", 120)
    stages = ["gopher", "exact", "repetition", "minhash", "fineweb"]
    return pipeline.run({"input": str(folder / "in.jsonl"), "output": str(folder / "run"), "stages": stages}, workers=1)


def drawn(what, width: int, **console) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=width, **console).print(what)
    return buffer.getvalue()


@pytest.fixture
def going_on(done) -> dict:
    """A snapshot in the middle of the first sieve phase."""
    tasks = {"done": 3, "done_before": 0, "total": 1234, "running": 2}
    told = waits(done.plan, "01-sieve", 3, 1234)
    snapshot = done.stats | {"state": "running", "phase": "01-sieve", "tasks": tasks, "waits": told}
    for name in ("exact", "minhash"):
        snapshot["stages"][name] |= {"documents_in": 0, "documents_out": 0, "dropped": {}}
    return snapshot


@pytest.mark.parametrize("width", [80, 200])
def test_every_line_fits_and_says_what_it_must(going_on, width):
    shown = drawn(picture(going_on, width), width)
    assert all(len(row) <= width for row in shown.splitlines())
    assert "3/1234 tasks" in shown
    assert "docs/s" in shown
    assert "left" in shown
    assert re.search(r"exact .* waits for 01-sieve", shown)
    assert re.search(r"gopher .* \d+ stop_word_count|repetition .* \d+ \w+", shown)
    assert "peak memory" in shown
    assert "start-up" in shown


def test_no_colour_where_it_is_not_wanted(going_on, monkeypatch):
    assert re.search(
        r"\x1b\[[\d;]*[39]\dm", drawn(picture(going_on, 80), 80, force_terminal=True, color_system="standard")
    )
    monkeypatch.setenv("NO_COLOR", "1")
    shown = drawn(picture(going_on, 80), 80, force_terminal=True, color_system="standard")
    assert not re.search(r"\x1b\[[\d;]*[39]\dm", shown)


def test_a_barrier_says_what_it_waits_for_and_what_it_does(done):
    names = [phase.name for phase in done.plan.phases]
    assert names[:3] == ["01-sieve", "02-exact-resolve", "03-sieve"]
    assert waits(done.plan, "", 0, 0) == waits(done.plan, "01-sieve", 0, 0) | {"exact": "waits for 01-sieve 0/0"}
    assert waits(done.plan, "01-sieve", 1, 4) == {"exact": "waits for 01-sieve 1/4", "minhash": "waits for 03-sieve"}
    assert waits(done.plan, "02-exact-resolve", 0, 1) == {"exact": "compares 0/1", "minhash": "waits for 03-sieve"}
    assert waits(done.plan, "03-sieve", 2, 4) == {"minhash": "waits for 03-sieve 2/4"}
    assert waits(done.plan, names[-1], 0, 1) == {}
    assert done.stats["waits"] == {}


def test_a_log_gets_pairs_and_the_last_state(capsys, done):
    pairs = dict(pair.split("=", 1) for pair in line(done.stats).split(" "))
    assert pairs["state"] == "done"
    assert pairs["documents"] == "120"
    assert float(pairs["peak_megabytes"]) > 10
    with Display() as display:
        progress = Progress(done.path, ["gopher"], 0, 1, plan=done.plan)
        display(progress)
        progress.state = "done"
        display(progress)  # too soon for another line
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("state=running phase= ")
    assert last.startswith("state=done phase= ")


def test_watching_into_a_pipe_gives_lines(done, capsys):
    watch_run(done, Console(file=io.StringIO()), watch=True)
    (told,) = capsys.readouterr().out.splitlines()
    assert told == line(done.stats)


def test_the_end_has_three_commands_that_name_the_run(done):
    buffer = io.StringIO()
    print_outcome(done.stats, "runs/my run", Console(file=buffer, width=80), None, done.config.stages)
    *_, inspect, report, whatif = buffer.getvalue().rstrip().splitlines()
    assert inspect == "  tamis inspect 'runs/my run'"
    assert report == "  tamis report 'runs/my run'"
    assert re.fullmatch(r"  tamis whatif 'runs/my run' --set stages\.\w+\.\w+\.(min|max)=[\d.]+", whatif)


def test_the_bound_that_is_tried_is_a_looser_one_of_the_end_that_drops():
    def of(stage, rule, **bins):
        stats = counting.empty([stage.name])
        stats["stages"][stage.name]["dropped"] = {rule: {"documents": 5, "bytes": 9}}
        stats["stages"][stage.name]["histograms"] = {rule: {name[1:]: count for name, count in bins.items()}}
        return looser_bound(stats, [stage])

    assert of(Gopher(name="gopher"), "gopher.word_count", _1=5) == "stages.gopher.word_count.min=40"
    assert of(Gopher(name="gopher"), "gopher.word_count", _170=5) == "stages.gopher.word_count.max=125000"
    assert of(Length(), "length.vowel_ratio") == "stages.length.vowel_ratio.min=0.08"
    one = Gopher(name="gopher", stop_word_count={"min": 1})
    assert of(one, "gopher.stop_word_count", _1=5) == "stages.gopher.stop_word_count.min=0"
    assert of(Shorten(), "shorten.hopeless") is None
    assert next_commands(counting.empty([]), "r") == ["tamis inspect r", "tamis report r", "tamis status r"]


def test_what_documents_say_does_nothing_on_a_terminal():
    buffer = io.StringIO()
    console = Console(file=buffer, width=80, markup=False)
    console.print(_flips([Flip(1, "\x1b[31m[/]x", None, "gopher.word_count")]))
    console.print(_groups("source", [GroupRow("[bold]\x1b]0;t\x07", 1, Estimate.counted(1))], ""))
    assert "⟦U+001B⟧[31m[/]x" in buffer.getvalue()
    assert "[bold]⟦U+001B⟧]0;t⟦U+0007⟧" in buffer.getvalue()
