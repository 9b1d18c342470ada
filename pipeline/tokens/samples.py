"""What a model is given of a packed sequence besides its ids: what to predict, and where in a document it is.

A sequence of `length` tokens is a row of *spans*: the pieces of documents in it and, as the last one, padding. All of
these follow from `document_starts` and `num_tokens`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IGNORED = -100
"""The label that torch's cross entropy leaves out."""

Int64s = npt.NDArray[np.int64]


def spans(starts: npt.NDArray[np.uint32], num_tokens: int, length: int) -> Int64s:
    """Where spans begin, and `length`: `int64[num_spans + 1]`, the `cu_seqlens` of one sequence."""
    ends = [num_tokens, length] if num_tokens < length else [length]
    return np.concatenate([starts.astype(np.int64), np.array(ends, np.int64)])


def position_ids(edges: Int64s) -> Int64s:
    """Places that begin anew with every span: `int64[length]`."""
    sizes = np.diff(edges)
    return np.arange(edges[-1]) - np.repeat(edges[:-1], sizes)


def labels(
    ids: npt.NDArray[np.uint32],
    edges: Int64s,
    num_tokens: int,
    *,
    across_documents: bool = False,
    loss_mask: npt.NDArray[np.uint8] | None = None,
) -> Int64s:
    """The token to be predicted at each place, the next one: `int64[length]`.

    `IGNORED` where there is none: at the end of a span, and in padding.

    Args:
        across_documents: predict the first token of a document from the last of the one before, too.
        loss_mask: 1 for tokens that are to be predicted; all of them without it.
    """
    found = np.full(len(ids), IGNORED, np.int64)
    found[: max(0, num_tokens - 1)] = ids[1:num_tokens]
    if not across_documents:
        found[edges[1:] - 1] = IGNORED
    if loss_mask is not None:
        found[:-1][loss_mask[1:] == 0] = IGNORED
    return found
