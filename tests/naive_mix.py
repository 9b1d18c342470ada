"""A slow, obvious twin of the mix: one document after the other, with nothing binned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xxhash


def copies_of(
    texts: Sequence[str],
    groups: Sequence[str | None],
    amounts: Sequence[int],
    epochs: Mapping[str, float],
    preferences: Sequence[float | None] | None = None,
) -> list[int]:
    """How often each document is taken, if every group is taken so many times: whole copies for all, and one more for
    the first in the order of preference and hash, up to the document in which the amount is reached, which goes to the
    nearer side."""
    out = [0] * len(texts)
    for name in {group or "null" for group in groups}:
        members = [i for i, group in enumerate(groups) if (group or "null") == name]
        whole = int(epochs[name])
        wanted = (epochs[name] - whole) * sum(amounts[i] for i in members)

        def place(i: int) -> tuple[float, int]:
            preference = None if preferences is None else preferences[i]
            worst = float("inf") if preferences is not None else 0.0
            return (worst if preference is None else -preference, xxhash.xxh3_64_intdigest(texts[i].encode()))

        reached = 0
        for i in members:
            out[i] = whole
        for i in sorted(members, key=place):
            if not wanted or wanted - reached < amounts[i] / 2:
                break
            out[i] += 1
            reached += amounts[i]
    return out
