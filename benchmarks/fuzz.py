"""Broken input: `python -m benchmarks.fuzz [--inputs 1020000] [--only NAME …] [--seconds 30] [--keep FOLDER]`.

Valid inputs of everything that is read from outside (`benchmarks/fuzz_targets.py`) are broken at random and read. A
finding is a process that dies, an input that takes longer than `--seconds`, one that makes the process larger than
`MAX_BYTES`, an error that is no TamisError, a warning, or a broken promise about what was accepted. Every target has
a worker process that its parent watches, one at a time; what is found is kept in `--keep`, and the exit code is 1.
Input number N of a target is the same in every run with the same `--seed`. Prints a table for docs/reliability.md.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fuzz_mutations import mutated
from benchmarks.fuzz_readers import Target
from benchmarks.fuzz_targets import TARGETS

POLL_S = 0.25
START_S = 900.0
"""Time in which a worker is ready: kernels may have to be compiled."""
MAX_BYTES = 3 << 30
"""A page of a Parquet file may say that it has 2 GiB, and Arrow makes room for it."""
CURRENT, ACCEPTED, REFUSED = range(3)
NOT_READY = -1
MAX_KEPT = 3
"""Inputs kept of findings that look alike."""


@dataclass
class Outcome:
    """What became of the inputs of one target."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    findings: dict[str, list[int]] = field(default_factory=dict)
    """Numbers of inputs, by what happened."""


def broken_input(name: str, target: Target, seed: int, number: int) -> tuple[str, bytes]:
    """Input `number`: the kind of its seed, and the content."""
    rng = random.Random(f"{seed} {name} {number}")
    chosen = rng.choice(target.seeds)
    if target.make is not None and rng.random() < 0.5:
        return target.seeds[0].kind, target.make(rng)
    return chosen.kind, mutated(chosen, rng, target.words, target.seeds)


def try_input(target: Target, kind: str, content: bytes) -> tuple[bool, str | None]:
    """Whether an input is accepted, and the finding that it is, if it is one."""
    from stages.errors import TamisError

    try:
        return target.judge(kind, content), None
    except (TamisError, *target.refused):
        return False, None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if "/site-packages/" not in frame.filename
        ]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        words = re.sub(r"[^\s]*[/\d][^\s]*", "…", str(error).split("\n")[0])
        return False, f"{type(error).__name__} at {place}: {words[:100]}"


def work(name: str, folder: str, seed: int, first: int, stop: int, state: Any, found: Any, log: str) -> None:
    """A worker: inputs `first` to `stop` of a target."""
    file = open(log, "w")  # noqa: SIM115 it is written to when the process dies
    faulthandler.enable(file)
    faulthandler.register(signal.SIGUSR1, file)
    os.environ.update(NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1")
    place = Path(folder, f"{name}-{first}")
    place.mkdir(parents=True)
    target = TARGETS[name][0](place)
    try_input(target, target.seeds[0].kind, target.seeds[0].content)  # loads what is loaded late
    warnings.simplefilter("error")
    for number in range(first, stop):
        state[CURRENT] = number
        accepted, finding = try_input(target, *broken_input(name, target, seed, number))
        state[ACCEPTED if accepted else REFUSED] += 1
        if finding is not None:
            found.put((number, finding))
    state[CURRENT] = stop
    found.close()
    found.join_thread()
    faulthandler.disable()
    faulthandler.unregister(signal.SIGUSR1)
    file.close()


def fuzz(name: str, folder: Path, seed: int, num_inputs: int, seconds: float) -> Outcome:
    """Try so many inputs of a target, whatever they do to the processes."""
    context = multiprocessing.get_context("spawn")
    outcome, first = Outcome(inputs=num_inputs), 0
    while first < num_inputs:
        state, found = context.Array("q", [NOT_READY, 0, 0], lock=False), context.Queue()
        log = str(folder / f"{name}.log")
        process = context.Process(target=work, args=(name, str(folder), seed, first, num_inputs, state, found, log))
        process.start()
        began = time.monotonic()
        end = _watch(process, state, seconds)
        outcome.seconds += time.monotonic() - began
        for number, finding in _drain(found):
            outcome.findings.setdefault(finding, []).append(number)
        outcome.accepted += state[ACCEPTED]
        outcome.refused += state[REFUSED]
        if end is None:
            break
        if state[CURRENT] == NOT_READY:
            raise SystemExit(f"{name}: {end} before the first input; see {log}")
        where = Path(log).read_text().strip().splitlines()
        place = next((line.strip() for line in where if 'File "' in line and "fuzz" not in line), "")
        outcome.findings.setdefault(f"{end} {place}", []).append(state[CURRENT])
        first = state[CURRENT] + 1
    return outcome


def _drain(found: Any) -> Iterator[tuple[int, str]]:
    while not found.empty():
        yield found.get()


def _watch(process: Any, state: Any, seconds: float) -> str | None:
    """Wait for a worker to end; why it ended too early, if it did."""
    before, since = NOT_READY, time.monotonic()
    while process.is_alive():
        process.join(POLL_S)
        if state[CURRENT] != before:
            before, since = state[CURRENT], time.monotonic()
        grown = 0
        with suppress(psutil.Error):
            grown = psutil.Process(process.pid).memory_info().rss
        late = time.monotonic() - since > (START_S if before == NOT_READY else seconds)
        if process.is_alive() and (late or grown > MAX_BYTES):
            os.kill(process.pid, signal.SIGUSR1)
            time.sleep(POLL_S)
            process.kill()
            process.join()
            return f"more than {seconds:g} s" if late else f"more than {MAX_BYTES >> 30} GiB"
    return None if process.exitcode == 0 else f"died: exit code {process.exitcode}"


def keep(folder: Path, name: str, seed: int, outcome: Outcome, place: Path) -> None:
    """Write the inputs of findings, and say what they are."""
    with tempfile.TemporaryDirectory(dir=place) as again:
        target = TARGETS[name][0](Path(again))
        for number, (finding, numbers) in enumerate(outcome.findings.items()):
            print(f"{name}: {finding}: {len(numbers)} times, inputs {numbers[:MAX_KEPT]}", file=sys.stderr)
            for i in numbers[:MAX_KEPT]:
                kind, content = broken_input(name, target, seed, i)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{name}-{number}-{i}-{kind.replace('/', '_')}").write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_020_000, help="inputs of all targets together")
    parser.add_argument("--only", nargs="*", default=list(TARGETS), help="names of targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30.0, help="time that one input may take")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_findings"), help="folder for inputs of findings")
    arguments = parser.parse_args()
    whole = sum(TARGETS[name][1] for name in arguments.only)
    total, count = 0, 0
    print("| what is read | inputs | accepted | inputs a second | findings |\n|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        for target in arguments.only:
            num_inputs = -(-arguments.inputs * TARGETS[target][1] // whole)
            outcome = fuzz(target, Path(name), arguments.seed, num_inputs, arguments.seconds)
            total, count = total + outcome.inputs, count + len(outcome.findings)
            rate = outcome.inputs / outcome.seconds
            share = outcome.accepted / outcome.inputs
            print(
                f"| {target} | {outcome.inputs:,} | {share:.0%} | {rate:,.0f} | {len(outcome.findings)} |", flush=True
            )
            if outcome.findings:
                keep(arguments.keep, target, arguments.seed, outcome, Path(name))
    print(f"| all | {total:,} | | | {count} |")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
