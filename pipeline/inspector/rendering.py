"""The templates of the inspector, over those of the report."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.analysis.safe_text import visible

if TYPE_CHECKING:
    from jinja2 import Environment

    from pipeline.analysis.estimates import Estimate

TEMPLATES = Path(__file__).with_name("templates")
SHARED = Path(__file__).parents[1] / "report" / "templates"


@cache
def environment() -> Environment:
    """Everything is escaped, and a name that a view forgot is an error."""
    import jinja2

    from pipeline.report import page

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "cell": cell,
        "visible": visible,
        "plain": plain,
        "amount": amount,
        "estimate": estimate,
        "signed": lambda value: f"{value:+,.0f}".replace("-", "−"),
        "size": lambda value: amount(value, "bytes"),
        "broken": page.broken,
        "count": page.count,
        "prose": page.prose,
        "ratio": page.ratio,
        "value": page.value,
    }
    return made


def cell(value: object) -> str:
    """A value of a table, for people; null is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return visible(str(value))


def plain(value: float) -> str:
    """A number as one would write it in a config: 50, 0.65."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def estimate(found: Estimate) -> str:
    """A number, with its interval if it is not exact."""
    if found.exact:
        return f"{found.value:,.0f}"
    return f"{found.value:,.0f} ({found.low:,.0f} – {found.high:,.0f})"


def amount(value: float, weight: str) -> str:
    """Documents, or bytes in a unit that fits."""
    if weight == "documents":
        return f"{value:,.0f}"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"
