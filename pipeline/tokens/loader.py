"""Batches for training with torch: sharded by rank, read by workers, resumed where a run stopped.

Step `k` of a pass gives rank `r` the sequences from `(k * world_size + r) * batch_size` on, whatever the number of
workers: worker `w` of `W` makes every `W`-th batch from the `w`-th on, which is the order in which torch's DataLoader
asks for them. So the state of a loader is one number, the first sequence that no rank was given, and a run may be
resumed with other numbers of workers and ranks and another batch size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import copy
from typing import Any, Literal

import numpy as np
import torch
import xxhash
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from pipeline.tokens.masks import block_mask, dense_mask
from pipeline.tokens.reader import Tokens
from stages.errors import ConfigError

Batch = dict[str, Any]
MASKS = {"block": ("block_mask", block_mask), "dense": ("attention_mask", dense_mask)}


class TokenDataset(IterableDataset):  # type: ignore[type-arg, unused-ignore]
    """Batches of one rank, as tensors, from sequence `first` on; give it to a DataLoader with `batch_size=None`.

    A batch is a dictionary: `input_ids`, `labels` (the next token; -100 = none to predict), `position_ids` (from 0 in
    each span) and `document_index` (the number of the span in its sequence; padding is the last), `int64[b, length]`
    each; `cu_seqlens`, the edges of all spans of the batch laid end to end, `int32[k]`, and the longest, `max_seqlen`;
    `sequences`, the numbers of the sequences.
    """

    def __init__(
        self,
        tokens: Tokens,
        batch_size: int = 1,
        *,
        rank: int = 0,
        world_size: int = 1,
        across_documents: bool = False,
        drop_last: bool = True,
        first: int = 0,
    ) -> None:
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank is {rank} and world_size {world_size}: ranks count from 0")
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}: must be at least 1")
        self.tokens, self.batch_size, self.rank, self.world_size = tokens, batch_size, rank, world_size
        self.across_documents, self.drop_last, self.first = across_documents, drop_last, first
        self._step = 0

    @property
    def step_size(self) -> int:
        """Sequences that all ranks together take in a step."""
        return self.batch_size * self.world_size

    def __len__(self) -> int:
        """Steps from `first` on."""
        rest = max(0, len(self.tokens) - self.first)
        return rest // self.step_size if self.drop_last else -(-rest // self.step_size)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self._step, len(self)):
            begin = self.first + (step * self.world_size + self.rank) * self.batch_size
            numbers = range(begin, min(begin + self.batch_size, len(self.tokens)))
            if step % count == number and numbers:
                self._step = step + 1
                yield self.batch(numbers)
        self.first = self._step = 0

    def batch(self, numbers: range) -> Batch:
        """Some sequences as one batch."""
        found = [self.tokens[i] for i in numbers]
        length = self.tokens.sequence_length
        edges = [sequence.cu_seqlens for sequence in found]
        flat = np.concatenate([[0], *(part[1:] + i * length for i, part in enumerate(edges))])
        index = [np.repeat(np.arange(len(part) - 1), np.diff(part)) for part in edges]
        labels = [sequence.labels(across_documents=self.across_documents) for sequence in found]
        columns = {
            "input_ids": np.stack([sequence.input_ids for sequence in found]).astype(np.int64),
            "labels": np.stack(labels),
            "position_ids": np.stack([sequence.position_ids for sequence in found]),
            "document_index": np.stack(index),
            "cu_seqlens": flat.astype(np.int32),
            "sequences": np.array(numbers),
        }
        batch: Batch = {name: torch.from_numpy(values) for name, values in columns.items()}
        return {**batch, "max_seqlen": int(np.diff(flat).max())}

    def state_dict(self) -> dict[str, int]:
        """Where this copy of the dataset stands, for loaders that ask their workers for it (torchdata's)."""
        return {"first": self.first, "step": self._step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.first, self._step = state["first"], state["step"]


class TokenLoader:
    """A loop over batches that knows where it stands.

        for batch in loader:
            …
            save(loader.state_dict())       # after a step: the next batch is the first one of the resumed run

    Args:
        batch_size: sequences in a batch of one rank.
        rank, world_size: which of how many processes this is.
        num_workers: processes that prepare batches; 0 for none.
        across_documents: labels also predict the first token of a document from the last of the one before.
        drop_last: leave out the last sequences if they are no full step of all ranks. Without it, ranks may have
            different numbers of steps.
        mask: `block` adds `block_mask`, for flex_attention; `dense` adds `attention_mask`, `bool[b, 1, length,
            length]`: what a token sees is itself and what is before it in its span.
        device: where the tensors of a batch go.
    """

    def __init__(
        self,
        tokens: Tokens,
        batch_size: int = 1,
        *,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
        across_documents: bool = False,
        drop_last: bool = True,
        mask: Literal["block", "dense"] | None = None,
        device: str | None = None,
    ) -> None:
        if mask is not None and mask not in MASKS:
            raise ConfigError(f"mask is {mask!r}: must be 'block', 'dense' or None")
        self.num_workers, self.mask, self.device = num_workers, mask, device
        self.dataset = TokenDataset(
            tokens,
            batch_size,
            rank=rank,
            world_size=world_size,
            across_documents=across_documents,
            drop_last=drop_last,
        )

    def __len__(self) -> int:
        """Batches that are left of this pass."""
        return len(self.dataset)

    def __iter__(self) -> Iterator[Batch]:
        this_pass = copy(self.dataset)
        for batch in DataLoader(this_pass, batch_size=None, num_workers=self.num_workers):
            self.dataset.first += self.dataset.step_size
            yield self._finished(batch)
        self.dataset.first = 0

    def _finished(self, batch: Batch) -> Batch:
        if self.device is not None:
            batch = {key: value.to(self.device) if hasattr(value, "to") else value for key, value in batch.items()}
        if self.mask is not None:
            name, make = MASKS[self.mask]
            batch[name] = make(batch["document_index"])
        return batch

    def state_dict(self) -> dict[str, Any]:
        """How far all ranks are: the first sequence that none was given, and of which tokens."""
        return {"sequence": self.dataset.first, "tokens": self._fingerprint()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of this or another loader of the same tokens. Raises ConfigError if they are others."""
        if state["tokens"] != self._fingerprint():
            raise ConfigError(f"the state is of other tokens than those in {self.dataset.tokens.folder}")
        self.dataset.first = state["sequence"]

    def _fingerprint(self) -> str:
        tokens = self.dataset.tokens
        return xxhash.xxh3_64_hexdigest(json.dumps([tokens.split, tokens.manifest], sort_keys=True).encode())
