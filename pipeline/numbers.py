"""Numbers as a person reads them."""

from __future__ import annotations

import math
from typing import Any

UNITS = ("", "k", "M", "G", "T", "P")


def short(value: float, unit: str = "") -> str:
    """`12.3 k`, `4.5 GB`, `999`: three digits and a decimal prefix."""
    size, prefix = float(value), 0
    while abs(size) >= 999.5 and prefix < len(UNITS) - 1:
        size /= 1000
        prefix += 1
    digits = (
        f"{size:.0f}" if prefix == 0 and float(size).is_integer() else f"{size:.3g}" if size < 99.5 else f"{size:.0f}"
    )
    return f"{digits} {UNITS[prefix]}{unit}".rstrip()


def percent(part: float, whole: float) -> str:
    """`12.3 %`; a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def finite(value: Any) -> Any:
    """A value as JSON can hold it, with all that is in it: NaN and the infinities are None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
