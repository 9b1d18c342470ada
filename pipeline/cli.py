"""The command `tamis`: one function a command, no logic. Heavy imports happen inside, so that `--help` is quick.

Exit codes: 0 done; 1 the run failed; 2 the request was wrong; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli_analysis import AsJson, RunPath, calibrate, compare, profile, report, whatif
from stages.errors import RunError, TamisError

app = typer.Typer(
    name="tamis",
    help="A fine sieve for pretraining corpora: raw web text in, the documents worth training on out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

CTRL_C = 130

ConfigPath = Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a preset: fineweb.")]
InputPath = Annotated[str | None, typer.Option("--input", metavar="GLOB", help="Replaces input.path.")]
OutputPath = Annotated[str | None, typer.Option("--output", metavar="RUN", help="Replaces output: the run directory.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="stages.gopher.word_count.min=100; repeatable.")
]
Executor = Annotated[
    str | None, typer.Option(metavar="local|slurm|ray", help="Who runs the tasks; default: what the config says.")
]


@app.callback(invoke_without_command=True)
def tamis(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """A fine sieve for pretraining corpora."""
    if version:
        from importlib.metadata import version as version_of

        print(f"tamis {version_of('tamis')}")
        raise typer.Exit


@app.command()
def run(
    config: ConfigPath,
    input: InputPath = None,
    output: OutputPath = None,
    set: Sets = None,
    executor: Executor = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Tasks at a time; default: one a core.")] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
) -> None:
    """Run a config, or go on with its run where it stopped."""
    from rich.console import Console

    from pipeline.launch import run as launch
    from pipeline.mixture import achieved
    from pipeline.terminal import Display, list_set_aside, print_outcome, print_submitted

    overrides = [*(set or []), *([f"execution.executor={executor}"] if executor else [])]
    with Display(quiet) as display:
        done = launch(config, input=input, output=output, set=overrides, workers=workers, show=display)
    if as_json:
        print(json.dumps(done.stats))
    elif done.state == "running":
        print_submitted(done.path, Console(markup=False))
    elif not quiet:
        print_outcome(done.stats, done.path, Console(markup=False), achieved(done), done.config.stages)
    if done.state == "done" and (lost := done.set_aside):
        raise RunError(list_set_aside(lost, done.path))


@app.command()
def plan(
    config: ConfigPath,
    input: InputPath = None,
    output: OutputPath = None,
    set: Sets = None,
    executor: Executor = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do: phases, tasks, bounds, what is done already; with --executor slurm, its job scripts."""
    from rich.console import Console

    from pipeline.config import load_config, profile_path
    from pipeline.preview import preview
    from pipeline.terminal_text import print_plan

    overrides = [*(set or []), *([f"execution.executor={executor}"] if executor else [])]
    found = preview(load_config(config, overrides=overrides, input=input, output=output, profile=profile_path()))
    print(json.dumps(found)) if as_json else print_plan(found, Console(markup=False))


@app.command()
def status(
    run: RunPath,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw until the run is done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where a run stands, from its directory."""
    from rich.console import Console

    from pipeline.runs import open_run
    from pipeline.terminal import watch_run

    opened = open_run(run)
    print(json.dumps(opened.snapshot())) if as_json else watch_run(opened, Console(markup=False), watch)


@app.command()
def cancel(run: RunPath) -> None:
    """Stop a run, wherever it is at work; what is done is kept."""
    from pipeline.launch import cancel_run

    print(cancel_run(run), file=sys.stderr)


@app.command()
def clean(
    run: RunPath,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Instead: have tasks that were set aside tried again by the next run.")
    ] = False,
) -> None:
    """Remove what a run that is done keeps between its phases, and its logs; its output stays."""
    from pipeline.cleaning import clean as clean_run
    from pipeline.cleaning import try_again

    print(try_again(run) if set_aside else clean_run(run), file=sys.stderr)


@app.command()
def annotate(
    input: Annotated[str, typer.Argument(metavar="INPUT", help="A file, glob or directory.")],
    stages: Annotated[str, typer.Option(help="Names, comma separated, or a YAML list of stages with fields.")],
    output: Annotated[Path, typer.Option(help="A .parquet or .jsonl file.")],
    text: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
) -> None:
    """Write every input row, in its order, with a column for every signal; drop nothing."""
    from pipeline.annotation import annotate_file

    rows = annotate_file(input, stages, output, text)
    print(f"{rows:,} rows written to {output}", file=sys.stderr)


@app.command()
def train(
    what: Annotated[str, typer.Argument(metavar="STAGE", help="What the model is for: nsfw, quality.")],
    train: Annotated[str, typer.Option("--train", metavar="FILE", help="Labelled rows, Parquet or JSON lines.")],
    test: Annotated[str, typer.Option("--test", metavar="FILE", help="Rows to judge by, of the same columns.")],
    output: Annotated[
        Path, typer.Option(metavar="MODEL", help="The model, .ftz (embedding: .npz); its card goes beside it.")
    ],
    time: Annotated[float, typer.Option(min=0, help="Seconds that the search for hyper-parameters may take.")] = 300,
    exclude_license: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Judge rows of such a licence, train on none; repeatable.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="quality: ordinary text in many languages, to set them on one scale."),
    ] = None,
    features: Annotated[
        str, typer.Option(metavar="KIND", help="What it goes by: words, or embedding (a head on an encoder's vectors).")
    ] = "words",
    model: Annotated[
        str, typer.Option(metavar="NAME", help="embedding: the encoder, as in the stage embedding.")
    ] = "use",
) -> None:
    """Train a classifier for a stage: columns text, label (0 or 1), and lang, source, license if there."""
    from pipeline.training import train as train_model

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    excluded = tuple(exclude_license or ())
    train_model(what, train, test, output, time, excluded, report, reference, features, model)


@app.command()
def bands(
    num_bands: Annotated[int | None, typer.Option("--bands", help="Bands of a signature; with --rows.")] = None,
    num_rows: Annotated[int | None, typer.Option("--rows", help="Slots in a band; with --bands.")] = None,
    threshold: Annotated[float | None, typer.Option(help="A similarity, for which bands and rows are chosen.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which near duplicates minhash finds: its presets, or bands and rows of your own."""
    from rich.console import Console

    from pipeline.curves import describe, settings
    from pipeline.terminal_text import print_bands

    found = [describe(setting) for setting in settings(num_bands, num_rows, threshold)]
    print(json.dumps(found)) if as_json else print_bands(found, Console(markup=False))


@app.command()
def inspect(
    run: RunPath,
    other: Annotated[str | None, typer.Argument(metavar="[RUN2]", help="A second run, to hold it against.")] = None,
    host: Annotated[str, typer.Option(help="Where to listen; beyond this machine a token is asked for.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 7707,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Look into a run in a browser: stages, samples, duplicates, and what other bounds would do."""
    from pipeline.inspector.serve import inspect as serve

    serve(run, other, host, port, not no_browser)


for command in (whatif, compare, calibrate, profile, report):
    app.command()(command)


@app.command("stages")
def list_stages(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A stage, for all its fields.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the stages, or explain one: its signals, bounds and where they come from."""
    from rich.console import Console

    from pipeline.catalogue import describe, overview
    from pipeline.terminal_text import print_overview, print_stage

    found: Any = overview() if name is None else describe(name)
    if as_json:
        print(json.dumps(found))
    elif name is None:
        print_overview(found, Console(markup=False))
    else:
        print_stage(found, Console(markup=False))


UsageError: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")
"""Typer brings its own copy of click or the installed one, by version."""


def main() -> None:
    """The console command: runs a command, turns errors into messages and exit codes."""
    try:
        code = app(prog_name="tamis", standalone_mode=False) or 0
        if code == CTRL_C:  # some versions of typer make an exit code of the interrupt
            raise KeyboardInterrupt
        sys.exit(code)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except UsageError as error:
        _fail(error, 2, _usage(error))
    except (typer.Abort, KeyboardInterrupt) as error:
        _fail(error, CTRL_C, _stopped())
    except TamisError as error:
        resume = f"\nWhat is done is kept; go on with: {_again()}" if error.exit_code == 1 and "run" in sys.argv else ""
        _fail(error, error.exit_code, f"{error}{resume}")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        _fail(error, 1, f"internal error: {type(error).__name__}: {error}. Run again with: tamis --debug …")


def _fail(error: BaseException, code: int, message: str) -> None:
    if "--debug" in sys.argv[1:3]:
        raise error
    print(f"tamis: {message}", file=sys.stderr)
    sys.exit(code)


def _usage(error: Any) -> str:
    """A wrong command or option, with where to find the right one."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return f"say what to do.\n{context.get_help() if context else ''}"
    path = context.command_path if context else "tamis"
    return f"{error.format_message()} See: {path} --help"


def _stopped() -> str:
    return f"stopped. What is done is kept; go on with: {_again()}"


def _again() -> str:
    import shlex

    return shlex.join(["tamis", *sys.argv[1:]])
