"""The stage that keeps any one value of a column, a domain above all, from filling the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field, model_validator

from stages.contract import Barrier, Fact, Flag, Signals
from stages.text.batch import TextBatch
from stages.text.hashes import text_hashes

TOKENS = "tokens.count"


class Cap(Barrier):
    """At most so many documents, or so much text, of each value of a column: of a domain, so that no site fills the
    corpus. Blocklists leave single domains out; here every one is bounded alike.

    Which documents stay is said by `priority`, then by a hash of the text: chance, but the same whatever the shards
    are. Documents are taken in that order as long as they fit: the first one that goes beyond a bound drops, and all
    after it. Documents whose value is null are bounded by nothing.
    """

    over: Fact = Flag()
    """It comes after those of its value that stay. Null where the value is null."""

    by: str = "url.domain"
    """Column or signal whose values are bounded, `within` anything else."""
    max_documents: int | None = Field(None, ge=1)
    """Documents of a value that stay, at most."""
    max_amount: int | None = Field(None, ge=1)
    """Tokens or bytes (`unit`) of a value that stay, at most."""
    unit: Literal["tokens", "bytes"] = "bytes"
    """What `max_amount` is of. Tokens are those of the stage `tokens`, which goes before."""
    seed: int = Field(0, ge=0)
    """Another number, another choice."""

    @model_validator(mode="after")
    def _bounds_something(self) -> Cap:
        if self.max_documents is None and self.max_amount is None:
            raise ValueError("write max_documents, max_amount or both: without them nothing is bounded")
        return self

    def columns(self) -> Sequence[tuple[str, str]]:
        needs_tokens = self.max_amount is not None and self.unit == "tokens"
        return [("by", self.by), *super().columns(), *([("unit", TOKENS)] if needs_tokens else [])]

    def sketch(self, batch: TextBatch) -> pa.Table:
        coded = batch.column(self.by).dictionary_encode()
        hashes = [xxhash.xxh3_64_intdigest(str(value).encode()) for value in coded.dictionary.to_pylist()]
        rows = np.flatnonzero(coded.indices.is_valid().to_numpy(zero_copy_only=False))
        codes = coded.indices.drop_null().to_numpy()
        return pa.table(
            {
                "row": rows,
                "key": np.array(hashes, np.uint64)[codes],
                "hash": text_hashes(batch, self.seed)[rows],
                "amount": self._amounts(batch)[rows],
            }
        )

    def resolve(self, rows: pa.Table) -> pa.Table:
        order = [(name, "ascending") for name in ("key", "priority", "hash", "address") if name in rows.column_names]
        rows = rows.sort_by(order)
        keys, amounts = rows["key"].to_numpy(), rows["amount"].to_numpy()
        first = np.flatnonzero(np.diff(keys, prepend=~keys[:1]) != 0)  # rows that begin a value
        lengths = np.diff(first, append=len(keys))
        reached = np.cumsum(amounts)
        place = np.arange(len(keys)) - np.repeat(first, lengths)
        within = reached - np.repeat(reached[first] - amounts[first], lengths)
        over = np.zeros(len(keys), np.bool_)
        if self.max_documents is not None:
            over |= place >= self.max_documents
        if self.max_amount is not None:
            over |= within > self.max_amount
        addresses = rows["address"].to_numpy()[over]
        return pa.table({"address": addresses, "over": np.ones(len(addresses), np.bool_)})

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        over = resolution["over"].combine_chunks().is_valid()
        return batch, {"over": pc.if_else(batch.column(self.by).is_valid(), over, None)}

    def _amounts(self, batch: TextBatch) -> npt.NDArray[np.int64]:
        if self.max_amount is not None and self.unit == "tokens":
            return np.asarray(batch.column(TOKENS).cast(pa.int64()).fill_null(0).to_numpy())
        return np.diff(batch.utf8.offsets)
