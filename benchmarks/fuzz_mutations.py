"""Broken versions of valid inputs: bytes and values changed, cut out, put in, told by a random number generator."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

EDGES = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**63 - 1, -(2**63))
FORMS = ("<B", "<H", "<i", "<q", ">I", "<f", "<d")
TAIL = 1024
"""Formats with a footer keep most of what can be broken in it: a third of all changes are near the end."""
NASTY = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.0, -0.0, 1e308, 0.5, float("inf")),
    *(float("nan"), "", " ", "a", "0", "-1", "null", "\x00", "\ud800", "é" * 50, "x" * 5000, "../../etc/passwd"),
    *("s3://a:b@c/d", "http://[", "llama3", "{", "%s", "*", [], [None], [[]], [1, "a"], {}, {"": None}, {"min": 1}),
    *({"min": "a", "max": []}, {"a": {"b": {"c": 1}}}, {1: 2}, [{"role": "user"}], ["a"] * 50),
)
"""Values that somebody wrote where another was meant."""


@dataclass(frozen=True)
class Seed:
    """A valid input. With `wrap` (a compression) half of the mutations are of what is inside it."""

    kind: str
    content: bytes
    wrap: Callable[[bytes], bytes] = bytes


def mutated(seed: Seed, rng: random.Random, words: Sequence[bytes], others: Sequence[Seed]) -> bytes:
    """A seed with one to eight changes; one in two hundred stays as it is, and one is empty."""
    if (draw := rng.random()) < 0.01:
        return seed.wrap(seed.content) if draw < 0.005 else b""
    inside = rng.random() < 0.5
    content = bytearray(seed.content if inside else seed.wrap(seed.content))
    for _ in range(1 + min(7, int(rng.expovariate(0.7)))):
        _change(content, rng, words, others)
    return seed.wrap(bytes(content)) if inside else bytes(content)


def _change(content: bytearray, rng: random.Random, words: Sequence[bytes], others: Sequence[Seed]) -> None:
    size = len(content)
    at = rng.randrange(max(0, size - TAIL), size + 1) if rng.random() < 0.33 else rng.randrange(size + 1)
    length = min(size - at, 1 + int(rng.expovariate(0.1)))
    match rng.randrange(9):
        case 0 if at < size:
            content[at] ^= 1 << rng.randrange(8)
        case 1 if at < size:
            content[at] = rng.choice((0, 1, 0x0A, 0x22, 0x5C, 0x7F, 0x80, 0xC0, 0xED, 0xFF, rng.randrange(256)))
        case 2:
            form = rng.choice(FORMS)
            value = rng.choice(EDGES)
            number = struct.pack(form, float(value)) if form[1] in "fd" else _packed(form, value)
            content[at : at + len(number)] = number
        case 3:
            del content[at : at + length]
        case 4:
            content[at:at] = rng.randbytes(length or 1)
        case 5:
            content[at:at] = rng.choice(words) if words else b""
        case 6:
            content[at:at] = content[at : at + length] * rng.choice((1, 1, 2, 50))
        case 7 if others:
            other = rng.choice(others).content
            start = rng.randrange(len(other) + 1)
            content[at:] = other[start : start + size]
        case 8 if rng.random() < 0.5:
            del content[at:]


def _packed(form: str, value: int) -> bytes:
    size = struct.calcsize(form)
    return (value % (1 << 8 * size)).to_bytes(size, "big" if form[0] == ">" else "little")


def with_other_values(content: Any, rng: random.Random, names: Sequence[str]) -> Any:
    """A nested value with one to three of its keys or values replaced, dropped or doubled."""
    for _ in range(rng.randint(1, 3)):
        content = _replaced(content, rng, names)
    return content


def _replaced(value: Any, rng: random.Random, names: Sequence[str]) -> Any:
    deeper = isinstance(value, (dict, list)) and value and rng.random() < 0.85
    if not deeper:
        return rng.choice(NASTY) if rng.random() < 0.8 else rng.choice(names)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        other = _replaced(value[at], rng, names)
        return rng.choice((value[:at], value + value[at : at + 1], [*value[:at], other, *value[at + 1 :]]))
    key = rng.choice(list(value))
    draw = rng.random()
    if draw < 0.1:
        return {name: kept for name, kept in value.items() if name != key}
    if draw < 0.2:
        return {**value, rng.choice(names): value[key]}
    return {**value, key: _replaced(value[key], rng, names)}
