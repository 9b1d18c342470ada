"""Templates, and how they write numbers."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.analysis.estimates import Estimate
from pipeline.analysis.safe_text import redact, visible
from pipeline.numbers import duration, short

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
DASH = "–"


@cache
def environment() -> Environment:
    """Everything is escaped, and a name that nobody gave is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols"],
    )
    made.filters |= {
        "amount": amount,
        "count": count,
        "duration": duration,
        "fine": fine,
        "range": interval,
        "ratio": ratio,
        "redact": redact,
        "value": value,
        "visible": visible,
    }
    made.globals["infinity"] = math.inf
    return made


def count(number: float) -> str:
    """`12,345`."""
    return f"{number:,.0f}"


def amount(number: float, weight: str) -> str:
    """Documents in full, bytes and tokens with three digits."""
    return count(number) if weight == "documents" else short(number, "B" if weight == "bytes" else "")


def interval(found: Estimate, weight: str) -> str:
    """`120 – 160`: where an estimate lies 95 times in 100."""
    return f"{amount(found.low, weight)} – {amount(found.high, weight)}"


def ratio(share: float | None, digits: int = 1) -> str:
    """`12.3 %`; what is less than it can show, but not nothing, is `< 0.1 %`."""
    if share is None:
        return DASH
    least = 10.0**-digits
    if 0 < 100 * share < least / 2:
        return f"< {least:g} %"
    if 100 - least / 2 < 100 * share < 100:
        return f"> {100 - least:g} %"
    return f"{100 * share:.{digits}f} %"


def fine(number: object) -> str:
    """A value beside its bound: so many digits that the two differ."""
    return f"{number:.5g}" if isinstance(number, float) else value(number)


def value(number: object) -> str:
    """A value of a signal, or an end of a bound, as one reads it."""
    if number is None:
        return DASH
    if isinstance(number, bool):
        return str(number).lower()
    if isinstance(number, (int, float)):
        if float(number).is_integer() and abs(number) < 1e15:
            return f"{int(number):,}"
        return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return visible(str(number))
