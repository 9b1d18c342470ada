"""Plans and stages as text on a terminal."""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from pipeline.numbers import duration, short

_LEVELS = "▁▂▃▄▅▆▇█"


def print_plan(plan: dict[str, Any], console: Console) -> None:
    """What a run would do, in a few lines a phase."""
    source = plan["input"]
    console.print(
        f"input   {source['files']:,} files, {short(source['bytes'], 'B')}, in {source['shards']:,} shards",
        highlight=False,
    )
    console.print(
        f"columns {', '.join(f'{name} ({type_})' for name, type_ in source['columns'].items())}", highlight=False
    )
    console.print(f"output  {plan['output']}\n", highlight=False)
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("phase", "tasks", "done"):
        table.add_column(name, justify="left" if name == "phase" else "right", no_wrap=True)
    for phase in plan["phases"]:
        tasks = "known later" if phase["tasks"] is None else str(phase["tasks"])
        table.add_row(phase["directory"], tasks, str(phase["done"]))
    console.print(table)
    console.print("\nstages, in this order:", highlight=False)
    for stage in plan["stages"]:
        rules = [f"{name} {_rule(rule)}" for name, rule in stage["decisions"].items()]
        rules += [f"{field}: bounds of their own for {', '.join(keys)}" for field, keys in stage["overrides"].items()]
        bounds = ", ".join(rules) or "measures only"
        note = " (annotates, drops nothing)" if stage["action"] == "annotate" else ""
        console.print(Padding(f"{stage['name']}{note}: {bounds}", (0, 0, 0, 2)), highlight=False)
    estimate = plan["estimate"]
    cost = (
        f"about {duration(estimate['core_seconds'])} on one core"
        if estimate
        else "unknown until this config has run once"
    )
    console.print(f"\ncost    {cost}", highlight=False)
    for name, script in plan["scripts"].items():
        console.print(f"\n# {name}\n{script}", highlight=False, markup=False, soft_wrap=True)


def _rule(rule: Any) -> str:
    if isinstance(rule, dict):
        low, high = rule.get("min"), rule.get("max")
        if low is not None and high is not None:
            return f"{low:g} … {high:g}"
        return f"≥ {low:g}" if low is not None else f"≤ {high:g}"
    return "must be false" if rule is True else "in " + " ".join(rule)


def print_overview(stages: list[dict[str, Any]], console: Console) -> None:
    """All stages, a row each."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("stage", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("signals", justify="right")
    table.add_column("what it is")
    for stage in stages:
        table.add_row(stage["name"], stage["kind"], str(stage["signals"]), stage["summary"])
    console.print(table)
    console.print("\nOne of them, with every signal and bound: tamis stages NAME", highlight=False)


def print_stage(stage: dict[str, Any], console: Console) -> None:
    """One stage: what it is, its signals, its parameters."""
    console.print(f"{stage['name']} ({stage['kind']})\n", style="bold", highlight=False)
    console.print(_flowing(stage["doc"]), highlight=False, markup=False)
    if stage["needs"]:
        console.print(
            f"\nReads {', '.join(stage['needs'])}: put those stages before it.", highlight=False, markup=False
        )
    console.print("\nSignals, in the order in which they decide:", highlight=False)
    for signal in stage["signals"]:
        console.print(
            f"\n  {signal['name']}  [{signal['type']}, {signal['unit']}]  {signal['default']}",
            markup=False,
            highlight=False,
        )
        console.print(Padding(signal["definition"], (0, 0, 0, 4)), highlight=False, markup=False)
    console.print("\nParameters:", highlight=False)
    for parameter in stage["parameters"]:
        console.print(f"\n  {parameter['name']}  = {parameter['default']}", markup=False, highlight=False)
        console.print(Padding(parameter["definition"], (0, 0, 0, 4)), highlight=False, markup=False)


def print_bands(settings: list[dict[str, Any]], console: Console) -> None:
    """What settings of `minhash` find: a table by similarity, and a curve each; 80 columns will do."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("similarity", justify="right")
    for setting in settings:
        table.add_column(setting["name"], justify="right")
    for similarity in settings[0]["probability"]:
        table.add_row(similarity, *(f"{100 * setting['probability'][similarity]:.1f} %" for setting in settings))
    console.print(table)
    console.print("\nfound, over similarity from 0 to 1:", highlight=False)
    for setting in settings:
        curve = "".join(_LEVELS[min(int(value * len(_LEVELS)), len(_LEVELS) - 1)] for value in setting["curve"])
        console.print(f" {setting['name'][:14]:<14} {curve}", markup=False, highlight=False)
    console.print(f" {'':<14} 0{'0.5':^49}1\n", highlight=False)
    for setting in settings:
        check = setting["verified_jaccard"]
        checked = f", and {check:.0%} of {setting['num_perm']} slots equal" if check is not None else ""
        console.print(
            f" {setting['name']}: {setting['num_bands']} bands of {setting['num_rows']} rows{checked}; finds half at "
            f"{setting['half_found_at']:.2f}",
            markup=False,
            highlight=False,
        )


def _flowing(doc: str) -> str:
    """A docstring without the line breaks inside its paragraphs and list items."""
    return re.sub(r"(?<!\n)\n(?!\n|\s*- )\s*", " ", doc)
