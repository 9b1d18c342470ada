"""What a run looks like on a terminal: while it goes on, and when it is done.

Everything is drawn from one snapshot (`stats.json`), so that `tamis run` and `tamis status`, on any machine that sees
the run directory, show the same. A terminal gets a table that is redrawn four times a second; anything else a line
every ten seconds.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline import stats as counting
from pipeline.mixture import Mixture, print_mixture
from pipeline.next_steps import next_commands
from pipeline.numbers import duration, percent, short
from pipeline.progress import Progress
from pipeline.runs import Run
from stages.contract import Stage

LINE_EVERY_S = 10.0
NARROW = 110
"""Columns of a terminal that take a second line for the speed."""
MAX_BAR = 60
SLOWEST = "◂"
READING, WRITING = "(reading)", "(writing)"


class Display:
    """Shows a run's progress on stderr: a live table, or lines where there is no terminal. Call it with a Progress."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, markup=False)
        self._quiet = quiet
        self._live = (
            Live(console=self.console, auto_refresh=False, transient=True) if self.console.is_terminal else None
        )
        self._next = 0.0
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        if self._live and not self._quiet:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._quiet:
            return
        if self._live:
            self._live.stop()
        elif self._progress is not None:
            print(line(self._progress.snapshot(light=True)), file=sys.stderr, flush=True)

    def __call__(self, progress: Progress) -> None:
        self._progress = progress
        if self._quiet or time.monotonic() < self._next:
            return
        snapshot = progress.snapshot(light=True)
        if self._live:
            self._next = time.monotonic() + 0.25
            self._live.update(picture(snapshot, self.console.width), refresh=True)
        else:
            self._next = time.monotonic() + LINE_EVERY_S
            print(line(snapshot), file=sys.stderr, flush=True)


def line(snapshot: dict[str, Any]) -> str:
    """The state of a run as `key=value` pairs, for logs."""
    read, tasks = snapshot["input"], snapshot["tasks"]
    seconds = max(snapshot["wall_seconds"] - snapshot["start_up_seconds"], 1e-9)
    left = seconds_left(snapshot)
    pairs = {
        "state": snapshot["state"],
        "phase": snapshot["phase"],
        "tasks": f"{tasks['done']}/{tasks['total']}",
        "documents": read["documents"],
        "kept": snapshot["output"]["documents"],
        "megabytes": round(read["bytes"] / 1e6, 1),
        "megabytes_per_s": round(read["bytes"] / 1e6 / seconds, 2),
        "documents_per_s": round(read["documents"] / seconds, 1),
        "unreadable": counting.num_rejected(snapshot),
        "seconds": round(snapshot["wall_seconds"], 1),
        "start_up_seconds": round(snapshot["start_up_seconds"], 1),
        **({} if left is None else {"phase_seconds_left": round(left)}),
        "peak_megabytes": round(snapshot["peak_memory_bytes"] / 1e6),
        **({"waiting": ",".join(snapshot["waits"])} if snapshot.get("waits") else {}),
    }
    return " ".join(f"{key}={value}" for key, value in pairs.items())


def picture(snapshot: dict[str, Any], width: int) -> RenderableType:
    """The live view: where the run is, a row for every stage, what to know besides."""
    return Group(_head(snapshot, width), stage_table(snapshot, width), _foot(snapshot))


def seconds_left(snapshot: dict[str, Any]) -> float | None:
    """How long the phase may still take, by the speed of its tasks so far; None while nobody can tell."""
    tasks = snapshot["tasks"]
    begun = tasks["done"] + tasks["running"] / 2  # a running task is, on average, half done
    fresh = begun - tasks["done_before"]
    if snapshot["state"] != "running" or fresh <= 0 or tasks["total"] <= tasks["done"]:
        return None
    return float(snapshot["phase_seconds"] * (tasks["total"] - begun) / fresh)


def _head(snapshot: dict[str, Any], width: int) -> RenderableType:
    tasks, read = snapshot["tasks"], snapshot["input"]
    seconds = max(snapshot["wall_seconds"] - snapshot["start_up_seconds"], 1e-9)
    left = seconds_left(snapshot)
    place = f"{tasks['done']}/{tasks['total']} tasks" + ("" if left is None else f"  about {duration(left)} left")
    speed = (
        f"{short(read['documents'])} docs  {short(read['documents'] / seconds)} docs/s  "
        f"{short(read['bytes'] / seconds, 'B/s')}"
    )
    is_narrow = width < NARROW
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        Text(snapshot["phase"] or "starting", style="bold"),
        ProgressBar(
            total=max(tasks["total"], 1),
            completed=tasks["done"] + tasks["running"] / 2,
            width=max(min(width - (60 if is_narrow else 90), 40), 8),
        ),
        place if is_narrow else f"{place}  {speed}",
    )
    return Group(bar, Text(speed)) if is_narrow else bar


def stage_table(snapshot: dict[str, Any], width: int) -> Table:
    """A row for every stage, and for reading and writing: in, out, kept, speed, share of the time, commonest reason."""
    table = Table(box=None, padding=(0, 1), header_style="dim", width=min(width, 120))
    table.add_column("stage", no_wrap=True, max_width=16)
    for name in ("in", "out", "kept", "docs/s", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("top reason", no_wrap=True, overflow="ellipsis")
    stages = snapshot["stages"]
    times = {name: counts["seconds"] for name, counts in stages.items()}
    times |= {READING: snapshot["input"]["seconds"], WRITING: snapshot["output"]["seconds"]}
    busy = sum(times.values())
    slowest = max(times, key=lambda name: times[name]) if busy else ""

    def row(name: str, before: int, after: int, reason: str) -> None:
        rate = short(before / times[name]) if times[name] > 0 else "–"
        is_slowest = name == slowest
        share = percent(times[name], busy) + (f" {SLOWEST}" if is_slowest else "  ")
        table.add_row(
            name,
            short(before),
            short(after),
            percent(after, before),
            rate,
            share,
            reason,
            style="bold" if is_slowest else "",
        )

    read = snapshot["input"]["documents"]
    row(READING, read, read, "")
    for name, counts in stages.items():
        told = snapshot.get("waits", {}).get(name)
        reason = told if told and not counts["documents_in"] else _top_reason(name, counts)
        row(name, counts["documents_in"], counts["documents_out"], reason)
    kept = snapshot["output"]["documents"]
    row(WRITING, kept, kept, "")
    return table


def _top_reason(stage: str, counts: dict[str, Any]) -> str:
    if not counts["dropped"]:
        return ""
    rule, lost = max(counts["dropped"].items(), key=lambda item: item[1]["documents"])
    return f"{short(lost['documents'])} {rule.removeprefix(stage + '.')}"


def _foot(snapshot: dict[str, Any]) -> Text:
    notes = [
        f"{SLOWEST} slowest",
        *([f"{snapshot['workers']} workers"] if snapshot["workers"] else []),
        f"{short(snapshot['peak_memory_bytes'], 'B')} peak memory of one",
    ]
    if snapshot["start_up_seconds"]:
        notes.append(f"start-up {duration(snapshot['start_up_seconds'])}")
    elif snapshot["state"] == "running" and snapshot["workers"]:
        notes.append("starting workers; the first run compiles, which takes up to a minute")
    if deaths := snapshot.get("worker_deaths"):
        notes.append(f"{deaths} workers died and were replaced")
    if bad := counting.num_rejected(snapshot):
        notes.append(f"{bad} records unreadable")
    return Text("\n".join([" · ".join(notes), *encoders(snapshot)]), style="dim")


def encoders(snapshot: dict[str, Any]) -> list[str]:
    """A line for every stage that counts an encoder's tokens: speed of a worker, what is padded, the GPU's memory."""
    lines = []
    for name, counts in snapshot["stages"].items():
        told, seconds = counts.get("counters", {}), counts["seconds"]
        if seconds and told.get("tokens"):
            notes = [
                f"{short(counts['documents_in'] / seconds)} documents/s",
                f"{short(told['tokens'] / seconds)} tokens/s of one worker",
            ]
            if padded := told.get("padded_tokens"):
                notes.append(f"{1 - told['tokens'] / max(padded, told['tokens']):.1%} padding")
            if memory := told.get("peak_gpu_bytes"):
                notes.append(f"{short(memory, 'B')} peak GPU memory")
            lines.append(f"{name}: {' · '.join(notes)}")
    return lines


def funnel(snapshot: dict[str, Any], width: int) -> RenderableType:
    """The outcome: documents and bytes through every stage, and the ten commonest reasons."""
    table = Table(box=None, padding=(0, 1), header_style="dim", title_justify="left")
    for name in ("stage", "documents", "kept", "text", "kept", ""):
        table.add_column(name, justify="left" if name in ("stage", "") else "right", no_wrap=True)
    read = snapshot["input"]
    bar_width = min(max(width - 62, 4), MAX_BAR)

    def row(name: str, documents: int, size: int, before: tuple[int, int]) -> None:
        share = documents / read["documents"] if read["documents"] else 0
        table.add_row(
            name, f"{documents:,}", percent(documents, before[0]), short(size, "B"), percent(size, before[1]),
            "█" * round(share * bar_width),
        )  # fmt: skip

    row("read", read["documents"], read["bytes"], (read["documents"], read["bytes"]))
    for name, counts in snapshot["stages"].items():
        row(name, counts["documents_out"], counts["bytes_out"], (counts["documents_in"], counts["bytes_in"]))
    return table


def reasons(snapshot: dict[str, Any]) -> RenderableType:
    """The ten rules that dropped most documents."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("dropped by", no_wrap=True)
    table.add_column("documents", justify="right")
    table.add_column("of all read", justify="right")
    table.add_column("text", justify="right")
    for rule, counts in list(counting.dropped(snapshot).items())[:10]:
        share = percent(counts["documents"], snapshot["input"]["documents"])
        table.add_row(rule, f"{counts['documents']:,}", share, short(counts["bytes"], "B"))
    return table


def print_outcome(
    snapshot: dict[str, Any],
    path: str,
    console: Console,
    mixtures: Mapping[str, Mixture] | None = None,
    stages: Sequence[Stage] = (),
) -> None:
    """What `tamis run` ends with: funnel, reasons, mixes, unreadable records, where it all lies, what to do next."""
    console.print()
    console.print(funnel(snapshot, console.width))
    if counting.dropped(snapshot):
        console.print()
        console.print(reasons(snapshot))
    for name, mixture in (mixtures or {}).items():
        print_mixture(name, mixture, console)
    if bad := snapshot["input"]["rejected"]:
        kinds = ", ".join(
            f"{counts['documents']:,} {reason.removeprefix('input.')}" for reason, counts in sorted(bad.items())
        )
        console.print(f"\nNot readable: {kinds}. Each is in {path}/rejected with its file and offset.", highlight=False)
    console.print()
    size, seconds = snapshot["input"]["bytes"], snapshot["wall_seconds"]
    console.print(
        f"{short(size, 'B')} in {duration(seconds)}, {duration(snapshot['start_up_seconds'])} of it start-up. "
        f"Kept documents: {path}/documents{f'; packed: {path}/tokens' if 'pack_seconds' in snapshot else ''}",
        highlight=False,
        soft_wrap=True,
    )
    for told in encoders(snapshot):
        console.print(told, highlight=False, soft_wrap=True)
    console.print("\nNext:", highlight=False)
    for command in next_commands(snapshot, path, stages):
        console.print(f"  {command}", highlight=False, markup=False, soft_wrap=True)


def list_set_aside(tasks: Sequence[dict[str, Any]], path: str) -> str:
    """What was left out of a run that is done, and what to do about it."""
    lines = [f"{len(tasks)} tasks could not be done and were set aside; the run is whole but for their documents:"]
    for task in tasks[:20]:
        parts = ", ".join(f"{part['path']} [{part['start']}:{part['stop']}]" for part in task["input"])
        lines.append(f"  task {task['task']} of {task['phase']}: {parts}: {task['cause']['message']}")
    if len(tasks) > 20:
        lines.append(f"  and {len(tasks) - 20} more, listed in {path}/set_aside.json")
    return "\n".join([*lines, f"To have them tried again: tamis clean {shlex.quote(path)} --set-aside, then tamis run"])


def print_submitted(path: str, console: Console) -> None:
    """What `tamis run` ends with when the run goes on without it."""
    from pipeline.io.files import read_json

    for name, job in read_json(f"{path}/slurm.json")["jobs"].items():
        console.print(f"{name}: job {job}", highlight=False)
    place = shlex.quote(path)
    console.print(f"\nIt goes on by itself. See: tamis status {place}; stop it: tamis cancel {place}", highlight=False)


def watch_run(run: Run, console: Console, watch: bool) -> None:
    """Draw the state of a run once, or until it has ended; where there is no terminal, watch it in lines."""
    if not watch:
        snapshot = run.snapshot()
        console.print(picture(snapshot, console.width))
        console.print(_state(snapshot, run.path), highlight=False, soft_wrap=True)
        return
    if not console.is_terminal:
        _log_run(run)
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            snapshot = run.snapshot()
            live.update(picture(snapshot, console.width), refresh=True)
            if snapshot["state"] != "running":
                break
            time.sleep(1)
    console.print(_state(snapshot, run.path), highlight=False, soft_wrap=True)


def _log_run(run: Run) -> None:
    """The state of a run as lines of pairs, until it has ended."""
    while True:
        snapshot = run.snapshot()
        print(line(snapshot), flush=True)
        if snapshot["state"] != "running":
            return
        time.sleep(LINE_EVERY_S)


def _state(snapshot: dict[str, Any], path: str) -> str:
    return {
        "done": f"done; kept documents: {path}/documents",
        "running": "running (as of the last report; a launch that was killed looks the same)",
        "failed": "failed; `tamis run` with the same config goes on",
        "stopped": "stopped; `tamis run` with the same config goes on",
    }[snapshot["state"]]
