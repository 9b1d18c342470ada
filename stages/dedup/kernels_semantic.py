"""Compiled parts of semantic deduplication: hashes of vectors, nearest centroids, near pairs of a tile, greedy keep.

Vectors come in as float32, converted from float16. A product of two float16 numbers is a multiple of 2^-48, and the
dot product of two unit vectors, with all its partial sums, is at most 1: in float64 it is exact, in whatever order it
is added up. So products of matrices only find candidates, and what is decided are exact numbers: the same on any
machine, with any number of threads.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import math

import numpy as np
from numba import boolean, float32, float64, int32, int64, njit, types, uint8, uint16, uint64, void

from stages.text.kernels import INT64S, add_block, finish

HALF_BITS = types.Array(uint16, 2, "C", readonly=True)
MATRIX = types.Array(float32, 2, "C", readonly=True)
FLOATS = types.Array(float32, 1, "C", readonly=True)
DOUBLES = types.Array(float64, 1, "C", readonly=True)
INT32S = types.Array(int32, 1, "C", readonly=True)
UINT8S = types.Array(uint8, 1, "C", readonly=True)
CANDIDATES = types.Array(int64, 2, "C", readonly=True)
CHUNK, WIDE_CHUNK = 16, 64


@njit(void(HALF_BITS, uint64[::1]), nogil=True, cache=True)
def hash_rows(bits, out):
    """A hash of the 16-bit numbers of every row, `uint64[n]`."""
    for row in range(bits.shape[0]):
        h = uint64(bits.shape[1])
        for column in range(bits.shape[1]):
            h = add_block(h, uint64(bits[row, column]))
        out[row] = finish(h)


@njit(fastmath={"reassoc", "contract"})
def _dot(a, row_a, b, row_b):
    """Exact whatever the order, which is why it may be vectorised."""
    total = 0.0
    for column in range(a.shape[1]):
        total += float64(a[row_a, column]) * float64(b[row_b, column])
    return total


@njit(void(MATRIX, float64[::1]), nogil=True, cache=True)
def squared_norms(vectors, out):
    """The squared length of every row."""
    for row in range(vectors.shape[0]):
        out[row] = _dot(vectors, row, vectors, row)


@njit(void(MATRIX, MATRIX, float32[::1]), nogil=True, cache=True)
def cosines(a, b, out):
    """The cosine similarity of the rows of two matrices, one by one; at most 1."""
    for row in range(a.shape[0]):
        product = _dot(a, row, a, row) * _dot(b, row, b, row)
        out[row] = min(1.0, _dot(a, row, b, row) / math.sqrt(product))


@njit(void(MATRIX, int64[:, ::1]), nogil=True, cache=True)
def find_largest(products, out):
    """The columns of the largest values of every row; among equal ones those that come first; -1 where there are none
    left."""
    n, count = out.shape
    values = np.empty(count, np.float32)
    for row in range(n):
        values[:] = -np.inf
        out[row, :] = -1
        for start in range(0, products.shape[1], CHUNK):
            stop = min(start + CHUNK, products.shape[1])
            above = int32(0)
            for column in range(start, stop):
                above += int32(1) if products[row, column] > values[count - 1] else int32(0)
            if above == 0:
                continue
            for column in range(start, stop):
                value = products[row, column]
                if value > values[count - 1]:
                    place = count - 1
                    while place > 0 and value > values[place - 1]:
                        values[place] = values[place - 1]
                        out[row, place] = out[row, place - 1]
                        place -= 1
                    values[place] = value
                    out[row, place] = column


@njit(void(MATRIX, MATRIX, CANDIDATES, int64[:, ::1], float32[:, ::1]), nogil=True, cache=True)
def rank_exactly(vectors, centroids, candidates, index, similarity):
    """Of some candidates the centroids nearest to every vector, by exact cosine, the smaller number first among equals.

    Args:
        candidates: numbers of centroids, -1 for none.
        index: out, the nearest ones in order, -1 for none; has at most as many columns as `candidates`.
        similarity: out, their cosine similarities, rounded; 0 for none.
    """
    count = index.shape[1]
    values = np.empty(count)
    for row in range(vectors.shape[0]):
        length = _dot(vectors, row, vectors, row)
        values[:] = -np.inf
        index[row, :] = -1
        for column in range(candidates.shape[1]):
            number = candidates[row, column]
            if number < 0:
                continue
            squared = length * _dot(centroids, number, centroids, number)
            value = _dot(vectors, row, centroids, number) / math.sqrt(squared)
            place = count
            while place > 0 and (
                value > values[place - 1] or (value == values[place - 1] and number < index[row, place - 1])
            ):
                place -= 1
            if place == count:
                continue
            for later in range(count - 1, place, -1):
                values[later], index[row, later] = values[later - 1], index[row, later - 1]
            values[place], index[row, place] = value, number
        for column in range(count):
            similarity[row, column] = 0.0 if index[row, column] < 0 else min(1.0, values[column])


@njit(void(MATRIX, INT64S, float64[:, ::1], int64[::1]), nogil=True, cache=True)
def add_rows(vectors, group, sums, counts):
    """Add every vector to the sum of its group. Sums of float16 numbers are exact in float64 up to 5 * 10^8 of them."""
    for row in range(vectors.shape[0]):
        counts[group[row]] += 1
        for column in range(vectors.shape[1]):
            sums[group[row], column] += vectors[row, column]


@njit(types.Array(types.boolean, 1, "C")(float64[:, ::1]), nogil=True, cache=True)
def make_unit(sums):
    """Divide every row by its length, added up in the order of its columns; returns which rows have one."""
    out = np.zeros(sums.shape[0], np.bool_)
    for row in range(sums.shape[0]):
        squared = 0.0
        for column in range(sums.shape[1]):
            squared += sums[row, column] * sums[row, column]
        out[row] = squared > 1e-12
        if out[row]:
            length = math.sqrt(squared)
            for column in range(sums.shape[1]):
                sums[row, column] /= length
    return out


@njit(int64(MATRIX, INT64S, float32, boolean, int32[::1], int32[::1], float32[::1]), nogil=True, cache=True)
def find_above(products, among, floor, diagonal, rows, columns, values):
    """Where some rows of a tile of products are at least `floor`, row by row; returns how many places there are.

    Args:
        among: rows to look at.
        diagonal: look only at columns before the row's own, the tile being one of a matrix against itself.
        rows, columns, values: out, as long as the tile has places.
    """
    count = 0
    for row in among:
        end = row if diagonal else products.shape[1]
        for start in range(0, end, WIDE_CHUNK):
            stop = min(start + WIDE_CHUNK, end)
            above = int32(0)
            for column in range(start, stop):
                above += int32(1) if products[row, column] >= floor else int32(0)
            if above == 0:
                continue
            for column in range(start, stop):
                if products[row, column] >= floor:
                    rows[count], columns[count], values[count] = row, column, products[row, column]
                    count += 1
    return count


@njit(
    int64(
        INT32S, INT32S, FLOATS, float32, MATRIX, MATRIX, DOUBLES, DOUBLES, INT64S, INT64S, FLOATS, int64, boolean,
        uint8[:, ::1], int32[:, ::1], float32[::1], int64[::1], int64[::1], float32[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def record_pairs(
    rows, columns, values, slack, a, b, norms_a, norms_b, places_a, places_b, bounds, max_links, triangle,
    kept, seen, nearest, later_out, earlier_out, similarity_out,
):  # fmt: skip
    """Judge the candidates of a tile exactly and record the pairs that greedy keep may need; returns how many.

    A pair is recorded if its earlier document is kept as far as is known here at any bound that the pair reaches, or
    if it is one of the first `max_links` of its later document at the tightest bound it reaches. The earlier
    documents of a later one come in order, so these are its earliest.

    Args:
        rows, columns, values, slack: candidates, their products, and how far these may be off.
        a, b, norms_a, norms_b: the vectors of the tile's rows and columns, and their squared lengths.
        places_a, places_b: their places in the order in which documents are kept.
        bounds: least similarities, the tightest first.
        triangle: settle `kept` on the way; every pair of documents that come before a row has been seen.
        kept: by bound and place, whether the document is kept as far as is known here.
        seen: by place and bound, pairs so far of the document as the later one that reach the bound.
        nearest: by place, the largest similarity to an earlier document so far.
        later_out, earlier_out, similarity_out: out, at least as long as `rows`.
    """
    num_bounds = bounds.shape[0]
    count = 0
    for k in range(rows.shape[0]):
        r, c = rows[k], columns[k]
        later, earlier = places_a[r], places_b[c]
        if later < earlier:
            later, earlier = earlier, later
        first = 0
        while first < num_bounds and values[k] + slack < bounds[first]:
            first += 1
        local = False
        for bound in range(first, num_bounds):
            local |= kept[bound, earlier] != 0
        if first == num_bounds:
            continue
        if not local and seen[later, first] >= max_links and values[k] + slack <= nearest[later]:
            continue
        similarity = float32(min(1.0, _dot(a, r, b, c) / math.sqrt(norms_a[r] * norms_b[c])))
        while first < num_bounds and similarity < bounds[first]:
            first += 1
        if first == num_bounds:
            continue
        nearest[later] = max(nearest[later], similarity)
        local = False
        for bound in range(first, num_bounds):
            if kept[bound, earlier]:
                local = True
                if triangle:
                    kept[bound, later] = 0
        if local or seen[later, first] < max_links:
            later_out[count], earlier_out[count], similarity_out[count] = later, earlier, similarity
            count += 1
        for bound in range(first, num_bounds):
            seen[later, bound] += 1
    return count


@njit(int64(INT64S, INT64S, int64[::1], int64[::1]), nogil=True, cache=True)
def order_nodes(starts, followers, waiting, order):
    """Nodes in an order in which every one comes after all that point to it; returns how many could be ordered.

    Args:
        starts, followers: the nodes that node `i` points to are `followers[starts[i]:starts[i + 1]]`.
        waiting: how many nodes point to each; overwritten.
        order: out.
    """
    count = 0
    for node in range(waiting.shape[0]):
        if waiting[node] == 0:
            order[count] = node
            count += 1
    done = 0
    while done < count:
        node = order[done]
        done += 1
        for k in range(starts[node], starts[node + 1]):
            waiting[followers[k]] -= 1
            if waiting[followers[k]] == 0:
                order[count] = followers[k]
                count += 1
    return count


@njit(void(INT64S, INT64S, INT64S, FLOATS, float32, uint8[::1], int64[::1]), nogil=True, cache=True)
def keep_greedily(order, starts, earlier, similarity, bound, kept, kept_for):
    """Keep a document iff none that was kept before it is as similar as `bound`.

    Args:
        order: nodes, each after its earlier ones.
        starts, earlier, similarity: the earlier neighbours of node `i` are those from `starts[i]` to `starts[i + 1]`,
            the most similar first.
        kept: out, whether each node is kept.
        kept_for: out, the kept neighbour most similar to each removed node; of a kept one, itself.
    """
    for place in range(order.shape[0]):
        node = order[place]
        kept[node], kept_for[node] = 1, node
        for k in range(starts[node], starts[node + 1]):
            if similarity[k] < bound:
                break
            if kept[earlier[k]]:
                kept[node], kept_for[node] = 0, earlier[k]
                break
