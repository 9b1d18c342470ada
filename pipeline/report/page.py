"""Templates, how they write numbers, and pages that are one file: text, tables, pictures drawn as SVG, and a few lines
of script. Their content security policy lets them fetch nothing and run nothing else."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.analysis.estimates import Estimate
from pipeline.analysis.safe_text import redact, visible
from pipeline.io.files import write_text
from pipeline.numbers import duration, short
from stages.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")
DASH = "–"


@cache
def environment(*folders: Path) -> Environment:
    """Templates of some folders, and the report's. Everything is escaped, and a name that nobody gave is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols"],
    )
    made.filters |= {
        "amount": amount,
        "broken": broken,
        "count": count,
        "estimate": estimate,
        "plain": plain,
        "prose": prose,
        "duration": took,
        "fine": fine,
        "range": interval,
        "ratio": ratio,
        "redact": redact,
        "signed": signed,
        "value": value,
        "visible": visible,
    }
    made.globals["infinity"] = math.inf
    return made


def whole_page(kind: str, subject: str, sections: Mapping[str, str], **context: Any) -> str:
    """A page that needs no other file.

    Args:
        kind: the command that makes it, whose name its template has too.
        subject: what it is about: a run's path.
        sections: ids and names, for the contents.
    """
    script, *styles = ((TEMPLATES / name).read_text("utf-8") for name in ("report.js", "report.css", "ridges.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    context |= {"kind": kind, "subject": subject, "sections": sections.items()}
    return (
        environment()
        .get_template(f"{kind}.html")
        .render(script=script, style="".join(styles), digest=digest, **context)
    )


def save(page: str, output: str, option: str) -> int:
    """Write a page; returns its bytes. Raises ConfigError when it cannot be written."""
    try:
        write_text(output, page)
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror or error}; give another {option}") from error
    return len(page.encode())


def count(number: float) -> str:
    """`12,345`."""
    return f"{number:,.0f}"


def amount(number: float, weight: str) -> str:
    """Documents in full, bytes and tokens with three digits."""
    return count(number) if weight == "documents" else short(number, "B" if weight == "bytes" else "")


def took(seconds: float) -> str:
    """`3 min 05 s`, `42 s`, `170 ms`."""
    return duration(seconds) if seconds >= 1 or not seconds else f"{max(round(1000 * seconds), 1)} ms"


def interval(found: Estimate, weight: str) -> str:
    """`120 – 160`: where an estimate lies 95 times in 100."""
    return f"{amount(found.low, weight)} – {amount(found.high, weight)}"


def estimate(found: Estimate) -> str:
    """`140`, or `140 (120 – 160)` if it is not exact, in full."""
    shown = count(found.value)
    return shown if found.exact else f"{shown} ({interval(found, 'documents')})"


def signed(number: float) -> str:
    """`+12,345`, `−12,345`."""
    return f"{number:+,.0f}".replace("-", "−")


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


def broken(name: str) -> Markup:
    """A name, made safe, that may be broken after each of its parts: `gopher.word_count`."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[._/])", visible(name)))


def prose(text: str) -> Markup:
    """A docstring's sentence, made safe, with what stands in backticks as code."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in visible(text).split("`")]
    return Markup().join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def plain(number: object) -> str:
    """An end of a bound as a config writes it, in full."""
    if isinstance(number, float):
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.6g}"
    return visible(str(number))


def fine(number: object) -> str:
    """A value beside its bound: so many digits that the two differ."""
    return f"{number:.5g}" if isinstance(number, float) else value(number)


def value(number: object) -> str:
    """A value of a signal, or an end of a bound, as one reads it."""
    if number is None:
        return DASH
    if isinstance(number, bool):
        return str(number).lower()
    if isinstance(number, int):
        return f"{number:,}"
    if isinstance(number, float):
        if number.is_integer() and abs(number) < 1e15:
            return f"{int(number):,}"
        return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return visible(str(number))
