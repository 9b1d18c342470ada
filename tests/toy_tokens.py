"""Small stages for tests of packed tokens."""

from typing import ClassVar

import numpy as np
import pyarrow as pa

from stages.contract import Bounds, Count, Filter, Signals
from stages.text.batch import TextBatch
from stages.tokens.packing import Frame, Marks, Packing, token_marks


class ByteTokens(Packing, Filter):
    """The bytes of a text as its token ids. Source: none, a toy."""

    transient: ClassVar[tuple[str, ...]] = ("ids",)

    count: Count = Bounds()
    """Tokens, special ones excluded."""

    def attachments(self) -> dict[str, pa.DataType]:
        return {"ids": pa.list_(pa.uint32())}

    def frame(self) -> Frame:
        return Frame(begin=256, end=257, padding=258)

    def tokenizer(self) -> dict[str, object]:
        return {"name": "bytes", "hash": "none", "size": 259}

    def token_marks(self) -> Marks:
        return token_marks([bytes([i]) for i in range(256)])

    def measure(self, batch: TextBatch) -> Signals:
        data, offsets = batch.utf8.data, batch.utf8.offsets
        ids = pa.ListArray.from_arrays(
            pa.array(offsets - offsets[0], pa.int32()), pa.array(data[offsets[0] : offsets[-1]].astype(np.uint32))
        )
        return {"count": np.diff(offsets), "ids": ids}


class MaskedTokens(ByteTokens):
    """The same, and capital letters are not to be learnt. Source: none, a toy."""

    transient: ClassVar[tuple[str, ...]] = ("ids", "loss_mask")

    def attachments(self) -> dict[str, pa.DataType]:
        return {**super().attachments(), "loss_mask": pa.list_(pa.uint8())}

    def measure(self, batch: TextBatch) -> Signals:
        found = super().measure(batch)
        ids = found["ids"]
        values = ids.values.to_numpy()
        learnt = pa.array(((values < 65) | (values > 90)).astype(np.uint8))
        return {**found, "loss_mask": pa.ListArray.from_arrays(ids.offsets, learnt)}


class Copies(Filter):
    """How often a document is written, as its column `copies` says. Source: none, a toy."""

    copies: Count = Bounds()
    """Times."""

    def measure(self, batch: TextBatch) -> Signals:
        return {"copies": batch.table["copies"].combine_chunks()}
