"""What stages that have to know all documents wait for, in words for a display."""

from __future__ import annotations

from pipeline.phases import Kind
from pipeline.plan import Plan

DOES: dict[Kind, str] = {
    "conclude": "adds up",
    "sketch": "sketches",
    "resolve": "compares",
    "shrink": "links documents",
    "root": "finds clusters",
    "connect": "joins clusters",
    "collect": "collects clusters",
    "settle": "chooses whom to keep",
}


def waits(plan: Plan, phase: str, num_done: int, num_tasks: int) -> dict[str, str]:
    """By the name of its stage, what every barrier and survey that cannot go on yet waits for.

    Args:
        phase: the name of the one that is at work; none of it is before the first.
        num_done, num_tasks: tasks of that phase.
    """
    current = next((found for found in plan.phases if found.name == phase), plan.phases[0])
    told = {}
    for number, segment in enumerate(plan.segments):
        if not segment.before:
            continue
        name = segment.stages[0].name
        if current in segment.before:
            told[name] = f"{DOES[current.kind]} {num_done}/{num_tasks}"
        elif current.number < segment.before[0].number:
            before = plan.segments[number - 1].sieve
            told[name] = f"waits for {before.name}" + (f" {num_done}/{num_tasks}" if current == before else "")
    return told
