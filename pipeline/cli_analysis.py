"""Commands of `tamis` that answer questions about a run or a corpus; `pipeline.cli` registers them."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

RunPath = Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write it with pictures as one HTML file.")]


def whatif(
    run: RunPath,
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="Another bound: stages.gopher.word_count.min=100; repeatable."
        ),
    ] = None,
    by: Annotated[str, typer.Option(metavar="language|source", help="Also by language, or by source.")] = "",
    weight: Annotated[str, typer.Option(metavar="documents|bytes", help="What is counted.")] = "documents",
    examples: Annotated[int, typer.Option(min=0, help="Documents that change side, nearest to the bound first.")] = 5,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the YAML that makes the change.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what other bounds would have kept, without running again."""
    from rich.console import Console

    from pipeline.analysis.answers import answer
    from pipeline.runs import open_run
    from pipeline.terminal_analysis import print_what_if

    found, flips = answer(open_run(run), set or [], by, weight, examples)
    if output:
        write_text(output, found.patch())
    print(json.dumps(found.to_json(flips))) if as_json else print_what_if(found, flips, by, Console(markup=False))


def compare(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="A run directory.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="The run directory that it is held against.")],
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Show two finished runs side by side: config, funnel, documents decided otherwise, signals that drifted."""
    from rich.console import Console

    from pipeline.analysis.compare import compare as compare_runs
    from pipeline.report.compare import render
    from pipeline.runs import open_run
    from pipeline.terminal_compare import print_comparison

    a, b = open_run(run_a), open_run(run_b)
    found = compare_runs(a, b)
    if html:
        write_page(html, render(found, a, b))
    print(json.dumps(found.to_json())) if as_json else print_comparison(found, Console(markup=False))


def calibrate(
    run: RunPath,
    reference: Annotated[str, typer.Option(metavar="LANG", help="The language whose bounds are right: en.")],
    languages: Annotated[str, typer.Option(metavar="LANG,…", help="de,ja; default: all with enough documents.")] = "",
    signals: Annotated[
        str, typer.Option(metavar="SIGNAL,…", help="gopher.mean_word_length; default: all that depend on language.")
    ] = "",
    min_documents: Annotated[int, typer.Option(min=20, help="A language with fewer keeps its bounds.")] = 200,
    reference_text: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Match on this text of all the languages, not on the run's.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the config with these bounds.")] = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Match bounds by language: each cuts off of a language what it cuts off of the reference."""
    from rich.console import Console

    from pipeline.analysis.calibrate import calibrate as calibrate_run
    from pipeline.report.calibrate import render
    from pipeline.runs import open_run
    from pipeline.terminal_compare import print_calibration

    found = calibrate_run(
        open_run(run),
        reference,
        names(languages),
        signals=names(signals),
        min_documents=min_documents,
        reference_text=reference_text,
    )
    if output:
        write_config(output, found.patch(reference_text or run))
    if html:
        write_page(html, render(found, reference_text or run))
    print(json.dumps(found.to_json())) if as_json else print_calibration(found, Console(markup=False))


def profile(
    input: Annotated[str, typer.Argument(metavar="INPUT", help="A file, glob or directory: what input.path takes.")],
    output: Annotated[Path | None, typer.Option(metavar="CONFIG", help="Write a config to start from.")] = None,
    sample_bytes: Annotated[int, typer.Option(min=10_000, help="Text to measure, in bytes.")] = 64 << 20,
    text: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    format: Annotated[str, typer.Option(metavar="FORMAT", help="parquet, jsonl, warc, wet or text.")] = "auto",
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Measure a sample of any corpus: languages, signals, what published recipes would drop, a config to start from."""
    from rich.console import Console

    from pipeline.analysis.profile import profile as profile_input
    from pipeline.analysis.starting_config import starting_config
    from pipeline.config import read_input
    from pipeline.report.profile import render
    from pipeline.terminal_profile import print_profile

    found = profile_input(read_input({"path": input, "text": text, "format": format}), sample_bytes)
    if output:
        write_config(output, starting_config(found))
    if html:
        write_page(html, render(found))
    print(json.dumps(found.to_json())) if as_json else print_profile(found, Console(markup=False))
    if not output and not as_json:
        again = [input, *(["--text", text] if text != "text" else [])]
        again += ["--format", format] if format != "auto" else []
        print(f"For a config to start from: tamis profile {shlex.join(again)} --output first.yaml", file=sys.stderr)


def names(text: str) -> list[str]:
    """`de, ja` as a list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def write_page(path: Path, page: str) -> None:
    """Write one HTML file and say how large it is."""
    from pipeline.numbers import short
    from pipeline.report.page import save

    print(f"{path}: {short(save(page, str(path), '--html'), 'B')}", file=sys.stderr)


def write_config(path: Path, text: str) -> None:
    """Write a config file and say how to run it. Raises ConfigError where it cannot be written."""
    from stages.errors import ConfigError

    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--output {path}: a config is a file that ends in .yaml")
    write_text(path, text)
    print(f"{path} written; run it: tamis run {shlex.quote(str(path))} --output RUN", file=sys.stderr)


def write_text(path: Path, text: str) -> None:
    """Write a file that `--output` names. Raises ConfigError where it cannot be written."""
    from stages.errors import ConfigError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output {path} cannot be written: {error.strerror}") from error


def report(
    run: RunPath,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Where to; default: RUN/report.html.")] = None,
    samples: Annotated[bool, typer.Option("--samples/--no-samples", help="Show texts of documents.")] = True,
    redact: Annotated[bool, typer.Option("--redact", help="Of texts and names show the shape alone.")] = False,
) -> None:
    """Write what became of a run's documents into one HTML file."""
    from pipeline.report.write import write_report
    from pipeline.runs import open_run

    path = output or f"{run.rstrip('/')}/report.html"
    size = write_report(open_run(run), path, with_samples=samples, redacted=redact)
    print(f"{path}: {size / 1e6:.1f} MB", file=sys.stderr)
