"""Slow twins of what compares distributions, and of the bound that matches."""

import math


def ks_distance(a, b):
    steps = sorted({*a, *b})
    return max(abs(sum(x <= step for x in a) / len(a) - sum(x <= step for x in b) / len(b)) for step in steps)


def stability_index(a, b):
    p = [(count + 0.5) / (sum(a) + 0.5 * len(a)) for count in a]
    q = [(count + 0.5) / (sum(b) + 0.5 * len(b)) for count in b]
    return sum((x - y) * math.log(x / y) for x, y in zip(p, q, strict=True))


def smallest_gap(reference, values, bound, end):
    """How near any value that occurs can come, as a bound, to the share that `bound` cuts off of the reference."""

    def share(of, limit):
        return sum(x > limit if end == "max" else x < limit for x in of) / len(of)

    target = share(reference, bound)
    return min(abs(share(values, value) - target) for value in values)
