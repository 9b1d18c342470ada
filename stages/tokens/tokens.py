"""The stage that gives every document its token ids."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.contract import Bounds, Count, Fact, Filter, Flag, Signal, Signals
from stages.errors import AssetError, InputError
from stages.text.batch import TextBatch, Utf8
from stages.tokens.bpe import Encoder
from stages.tokens.dialog import read_column, render
from stages.tokens.ids import Ids
from stages.tokens.library import LibraryEncoder, read_library
from stages.tokens.packing import Frame, Marks, Packing, token_marks
from stages.tokens.vocabulary import LLAMA3, LLAMA3_SHA256, read_ranks, vocabulary_path

Bytes = Annotated[Bounds, Signal(pa.float64(), "bytes")]


class Tokens(Packing, Filter):
    """Token ids of Llama 3's byte-pair encoding (Dubey et al. 2024, arXiv 2407.21783, section 3.2: 128,000 tokens and
    256 special ones), the same that tiktoken gives; or of a vocabulary of yours.

    Every document is encoded once, here. The ids travel with it as `tokens.ids`, to be counted by a mix and packed at
    the end of the run; packing puts `begin` and `end` around each document, they are not among the ids. Special tokens
    that are written in a text are encoded as plain text.
    """

    transient: ClassVar[tuple[str, ...]] = ("ids", "loss_mask")

    count: Count = Bounds()
    """Tokens, those that packing adds excluded."""
    bytes_per_token: Bytes = Bounds()
    """Bytes of text a token holds: few where the text is no language that the vocabulary knows. Null without a token,
    and for dialogs."""
    malformed: Fact = Flag()
    """A dialog that cannot be rendered: it is no list of messages, or a message has no role or content."""

    vocabulary: str = LLAMA3
    """`llama3`, the path of a file in tiktoken's format (split by Llama 3's regular expression), or of a Hugging Face
    `tokenizer.json` (any tokenizer, through their library, some 25 times slower)."""
    begin: str | None = "<|begin_of_text|>"
    """Special token before every document; null for none."""
    end: str | None = "<|end_of_text|>"
    """Special token after every document; null for none."""
    padding: str = "<|finetune_right_pad_id|>"
    """Special token that fills what is left of a sequence."""
    messages: str | None = None
    """Column of dialogs, lists of `role` and `content`: they are rendered in Llama 3's format instead of the text.
    Rows where it is null are encoded from their text. Stages that rewrite text do not rewrite messages."""
    loss: Literal["all", "assistant"] = "all"
    """`assistant` learns of a dialog only what the assistant says, of other documents everything; `all` learns all."""

    def setup(self) -> None:
        self._encoder()

    def assets(self) -> Mapping[str, str]:
        return {"vocabulary": self._encoder().sha256}

    def attachments(self) -> Mapping[str, pa.DataType]:
        ids = {"ids": pa.list_(pa.uint32())}
        return ids if self.loss == "all" else {**ids, "loss_mask": pa.list_(pa.uint8())}

    def frame(self) -> Frame:
        """Ids of `begin`, `end` and `padding`. Raises AssetError if the vocabulary does not have them."""
        begin, end = (-1 if token is None else self._special(token) for token in (self.begin, self.end))
        return Frame(begin, end, self._special(self.padding))

    def tokenizer(self) -> dict[str, Any]:
        """Name, hash and size of the vocabulary."""
        encoder = self._encoder()
        name = self.vocabulary if self.vocabulary == LLAMA3 else Path(self.vocabulary).name
        return {"name": name, "hash": encoder.sha256, "size": encoder.num_ids}

    def token_marks(self) -> Marks:
        """Where documents may be cut."""
        return token_marks(self._encoder().tokens())

    def measure(self, batch: TextBatch) -> Signals:
        if self.messages is not None:
            return self._measure_dialogs(batch, self.messages)
        return self._signals(batch, self._encoder().encode(batch.utf8), np.zeros(batch.num_rows, np.bool_))

    def _measure_dialogs(self, batch: TextBatch, name: str) -> Signals:
        """Ids of each row from its messages, or from its text where there are none."""
        if name not in batch.table.column_names:
            raise InputError(f"{self.name}.messages: the documents have no column '{name}'")
        dialogs = read_column(batch.table[name].combine_chunks())
        malformed = np.array([isinstance(dialog, ValueError) for dialog in dialogs], np.bool_)
        is_text = np.array([dialog is None for dialog in dialogs], np.bool_)
        rendered, mask = render([dialog for dialog in dialogs if isinstance(dialog, list)], self._encoder())
        plain = self._encoder().encode(_rows(batch.utf8, np.flatnonzero(is_text)))
        source = np.where(is_text, 0, np.where(malformed, 2, 1))
        parts = [plain, rendered, Ids(np.empty(0, np.uint32), np.zeros(int(malformed.sum()) + 1, np.int64))]
        ids, learnt = _interleave(parts, [np.ones(len(plain.values), np.uint8), mask, np.empty(0, np.uint8)], source)
        return self._signals(batch, ids, malformed, source == 1, learnt)

    def _signals(
        self,
        batch: TextBatch,
        ids: Ids,
        malformed: npt.NDArray[np.bool_],
        is_dialog: npt.NDArray[np.bool_] | None = None,
        learnt: npt.NDArray[np.uint8] | None = None,
    ) -> Signals:
        count = np.diff(ids.offsets)
        has_ratio = (count > 0) if is_dialog is None else (count > 0) & ~is_dialog
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.diff(batch.utf8.offsets) / count
        offsets = pa.array(ids.offsets.astype(np.int32), pa.int32(), mask=np.append(malformed, False))
        found: Signals = {
            "count": pa.array(count.astype(np.int32), pa.int32(), mask=malformed),
            "bytes_per_token": pa.array(ratio, pa.float64(), mask=~has_ratio),
            "malformed": malformed,
            "ids": pa.ListArray.from_arrays(offsets, pa.array(ids.values)),
        }
        if self.loss == "assistant":
            learnt = np.ones(len(ids.values), np.uint8) if learnt is None else learnt
            found["loss_mask"] = pa.ListArray.from_arrays(offsets, pa.array(learnt))
        return found

    def _special(self, token: str) -> int:
        specials = self._encoder().specials
        if token not in specials:
            raise AssetError(
                f"{self.vocabulary} has no special token '{token}'; it has: {', '.join([*specials][:12])} …"
            )
        return specials[token]

    def _encoder(self) -> Encoder | LibraryEncoder:
        return load_encoder(self.vocabulary)


@lru_cache(maxsize=4)
def load_encoder(vocabulary: str) -> Encoder | LibraryEncoder:
    """What encodes with a vocabulary; see the field `vocabulary`. Raises AssetError or MissingPartError."""
    path = vocabulary_path(vocabulary)
    if path.suffix == ".json":
        return read_library(path)
    ranks = read_ranks(path)
    if vocabulary == LLAMA3 and ranks.sha256 != LLAMA3_SHA256:
        raise AssetError(f"{path}: SHA-256 {ranks.sha256}, expected {LLAMA3_SHA256}: not Llama 3's vocabulary")
    return Encoder(ranks)


def _rows(utf8: Utf8, rows: npt.NDArray[np.int64]) -> Utf8:
    """Some of the texts."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(utf8.offsets[rows + 1] - utf8.offsets[rows], out=offsets[1:])
    texts = [utf8.data[utf8.offsets[row] : utf8.offsets[row + 1]] for row in rows]
    return Utf8(np.concatenate(texts) if texts else np.empty(0, np.uint8), offsets)


def _interleave(
    parts: list[Ids], masks: list[npt.NDArray[np.uint8]], source: npt.NDArray[np.int64]
) -> tuple[Ids, npt.NDArray[np.uint8]]:
    """Rows of several parts in one: row `i` is the next one of part `source[i]`."""
    place = [0] * len(parts)
    values, learnt, lengths = [np.empty(0, np.uint32)], [np.empty(0, np.uint8)], [0]
    for part in source.tolist():
        low, high = parts[part].offsets[place[part] : place[part] + 2]
        place[part] += 1
        values.append(parts[part].values[low:high])
        learnt.append(masks[part][low:high])
        lengths.append(int(high - low))
    return Ids(np.concatenate(values), np.cumsum(lengths, dtype=np.int64)), np.concatenate(learnt)
