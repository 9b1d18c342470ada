"""Compiled parts of grouping: stars of equal keys, union-find."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from numba import int64, njit, types, uint64, void

from stages.text.kernels import INT64S, UINT64S

KEYS = types.Array(uint64, 2, "A", readonly=True)


@njit(void(UINT64S, uint64, uint64[::1]), nogil=True, cache=True)
def pack(keys, row_bits, out):
    """The upper bits of every key with the number of its row in the lower ones, to be sorted in one piece."""
    shift = uint64(row_bits)
    for row in range(keys.shape[0]):
        out[row] = (keys[row] >> shift) << shift | uint64(row)


@njit
def _same(keys, a, b):
    for k in range(keys.shape[1]):
        if keys[a, k] != keys[b, k]:
            return False
    return True


@njit
def _less(keys, a, b):
    for k in range(keys.shape[1]):
        if keys[a, k] != keys[b, k]:
            return keys[a, k] < keys[b, k]
    return False


@njit
def _sift(rows, first, size, root, keys):
    """Restore the heap of `rows[first:first + size]` below one place."""
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and _less(keys, rows[first + child], rows[first + child + 1]):
            child += 1
        if not _less(keys, rows[first + root], rows[first + child]):
            return
        rows[first + root], rows[first + child] = rows[first + child], rows[first + root]
        root = child


@njit
def _heap_sort(rows, first, stop, keys):
    """Sort a few rows by their whole keys, in place and never in quadratic time."""
    size = stop - first
    for root in range(size // 2 - 1, -1, -1):
        _sift(rows, first, size, root, keys)
    for last in range(size - 1, 0, -1):
        rows[first], rows[first + last] = rows[first + last], rows[first]
        _sift(rows, first, last, 0, keys)


@njit(int64(uint64[::1], uint64, KEYS, UINT64S, uint64[:, ::1]), nogil=True, cache=True)
def link_runs(packed, row_bits, keys, ids, edges):
    """Star edges of every run of equal keys; returns their number, which is below that of the rows.

    Args:
        packed: sorted, as `pack` made it of the first column of `keys`; overwritten.
        keys: whole keys, one row each; rows of zeros are linked to nothing.
        ids: of the rows.
        edges: out, (smallest id, other id).
    """
    mask = (uint64(1) << uint64(row_bits)) - uint64(1)
    m = packed.shape[0]
    e = first = 0
    while first < m:
        prefix = packed[first] & ~mask
        stop, mixed = first, False
        while stop < m and packed[stop] & ~mask == prefix:
            packed[stop] &= mask
            mixed |= not _same(keys, packed[stop], packed[first])
            stop += 1
        if mixed:
            _heap_sort(packed, first, stop, keys)
        while first < stop:
            row = packed[first]
            smallest, end = ids[row], first
            while end < stop and _same(keys, packed[end], row):
                smallest = min(smallest, ids[packed[end]])
                end += 1
            zero = True
            for k in range(keys.shape[1]):
                zero &= keys[row, k] == 0
            if not zero:
                for k in range(first, end):
                    if ids[packed[k]] != smallest:
                        edges[e, 0] = smallest
                        edges[e, 1] = ids[packed[k]]
                        e += 1
            first = end
    return e


@njit(int64(UINT64S, INT64S, uint64[::1], int64[::1]), nogil=True, cache=True)
def number(values, order, distinct, numbers):
    """Number equal values alike, from 0 in ascending order; returns how many distinct ones there are.

    Args:
        order: sorts `values`.
        distinct: out, the distinct values in ascending order.
        numbers: out, the number of each value.
    """
    count = 0
    for k in range(order.shape[0]):
        value = values[order[k]]
        if k == 0 or value != distinct[count - 1]:
            distinct[count] = value
            count += 1
        numbers[order[k]] = count - 1
    return count


@njit
def _find(parent, node):
    """The root of a node; every node on the way is hung below its grandparent (path halving)."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(void(INT64S, int64[::1]), nogil=True, cache=True)
def unite(ends, root):
    """Union-find over edges; the smaller root wins, so the result does not depend on the order of the edges.

    Args:
        ends: numbers of the two ends of each edge, one after the other.
        root: out, for every node the smallest node of its component.
    """
    for node in range(root.shape[0]):
        root[node] = node
    for k in range(0, ends.shape[0], 2):
        a, b = _find(root, ends[k]), _find(root, ends[k + 1])
        if a < b:
            root[b] = a
        else:
            root[a] = b
    for node in range(root.shape[0]):
        root[node] = root[root[node]]  # parents are smaller, so theirs is final already
