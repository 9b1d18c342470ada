"""What a token may attend to in a packed sequence: itself and what is before it in its own span."""

from __future__ import annotations

from typing import Any

import torch


def dense_mask(document_index: torch.Tensor) -> torch.Tensor:
    """`bool[b, 1, length, length]`, true where the query (row) sees the key (column): for
    `scaled_dot_product_attention`. A gigabyte for sixteen sequences of 8,192.

    Args:
        document_index: the number of the span that each token belongs to, `int64[b, length]`.
    """
    length = document_index.shape[-1]
    causal = torch.ones(length, length, dtype=torch.bool, device=document_index.device).tril()
    return (document_index[:, None, :, None] == document_index[:, None, None, :]) & causal


def block_mask(document_index: torch.Tensor) -> Any:
    """The same as a BlockMask for `torch.nn.attention.flex_attention`, which skips the blocks where nothing is seen."""
    from torch.nn.attention.flex_attention import create_block_mask

    def sees(b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        return (q >= kv) & (document_index[b, q] == document_index[b, kv])

    num_rows, length = document_index.shape
    return create_block_mask(sees, num_rows, None, length, length, device=str(document_index.device))
