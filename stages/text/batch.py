"""`TextBatch`: some documents, their text as raw UTF-8, and the views of it that stages share.

Views are computed at most once per batch, on first use, and travel along when documents are dropped (`take`).
Positions in a view are bytes *relative to the start of their document*, so that they stay true wherever the text moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.errors import StageError

if TYPE_CHECKING:
    from stages.text.views import Lines, Paragraphs, Sentences, Words

VIEWS = ("words", "lines", "paragraphs", "sentences")


class View(Protocol):
    """What `TextBatch.view` keeps: something with a part for every document."""

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """The parts of some of the documents."""
        ...


AnyView = TypeVar("AnyView", bound=View)


@dataclass(frozen=True)
class Utf8:
    """Text of `n` documents without a copy: document `d` is `data[offsets[d]:offsets[d + 1]]`."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


class TextBatch:
    """Some documents. Immutable.

    `table` has at least `id` and `text` (large_string, no nulls); `signals` are those of earlier stages.
    """

    def __init__(self, table: pa.Table, signals: Mapping[str, pa.Array] | None = None) -> None:
        if table.schema.field("text").type != pa.large_string():
            table = table.set_column(table.column_names.index("text"), "text", table["text"].cast(pa.large_string()))
        self.table = table.combine_chunks()
        self.signals: Mapping[str, pa.Array] = dict(signals or {})
        self._views: dict[str, Any] = {}

    @classmethod
    def from_texts(cls, texts: list[str], **columns: list[Any]) -> TextBatch:
        """A batch from Python strings, with ids "0", "1", …: for tests and small tries."""
        ids = columns.pop("id", [str(i) for i in range(len(texts))])
        return cls(pa.table({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.large_string()), **columns}))

    @property
    def num_rows(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def utf8(self) -> Utf8:
        column = self.table["text"]
        array = column.chunk(0) if column.num_chunks else pa.array([], pa.large_string())
        if array.null_count:
            raise ValueError("a text is null: readers set such records aside before a batch is made")
        _, offsets, data = array.buffers()
        if len(array) == 0 or offsets is None:
            return Utf8(np.zeros(0, np.uint8), np.zeros(1, np.int64))
        bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        return Utf8(raw, bounds)

    @cached_property
    def words(self) -> Words:
        from stages.text.views import Words

        return Words.of(self.utf8)

    @cached_property
    def lines(self) -> Lines:
        from stages.text.views import Lines

        return Lines.of(self.utf8)

    @cached_property
    def paragraphs(self) -> Paragraphs:
        from stages.text.views import Paragraphs

        return Paragraphs.of(self.utf8, self.lines)

    @cached_property
    def sentences(self) -> Sentences:
        from stages.text.views import Sentences

        return Sentences.of(self.utf8, self.lines)

    @cached_property
    def num_chars(self) -> npt.NDArray[np.int64]:
        """Code points of each document, white space included."""
        from stages.text.views import count_chars

        return count_chars(self.utf8)

    def view(self, name: str, compute: Callable[[TextBatch], AnyView]) -> AnyView:
        """A further view, of a stage's own making: computed on first use, kept and taken along like the others."""
        if name not in self._views:
            self._views[name] = compute(self)
        found: AnyView = self._views[name]
        return found

    @property
    def languages(self) -> pa.Array | None:
        """`language.label` of each document, or None if no earlier stage measured it."""
        return self.signals.get("language.label")

    def column(self, name: str) -> pa.Array:
        """A signal of an earlier stage, or a column that came in, by its name. Raises StageError if there is none."""
        if name in self.signals:
            return self.signals[name]
        if name in self.table.column_names:
            column = self.table[name].combine_chunks()
            return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        known = ", ".join([*self.table.column_names, *self.signals])
        raise StageError(f"there is no column '{name}' before this stage; there are: {known}")

    def language_rows(self, names: Sequence[str | None], untold: str | None) -> npt.NDArray[np.int64]:
        """The place in `names` of each document's language, or -1; that of `untold` for all of them if no earlier
        stage measured it."""
        places = {name: row for row, name in enumerate(names)}
        if self.languages is None:
            return np.full(self.num_rows, places.get(untold, -1), np.int64)
        labels = self.languages.to_pylist()
        return np.array([-1 if label is None else places.get(label, -1) for label in labels], np.int64)

    def with_text(self, text: pa.Array) -> TextBatch:
        """The same documents with new text; views start afresh."""
        index = self.table.column_names.index("text")
        return TextBatch(self.table.set_column(index, "text", text.cast(pa.large_string())), self.signals)

    def with_columns(self, columns: Mapping[str, pa.Array]) -> TextBatch:
        """The same documents with columns added or replaced; views are kept unless `text` changes."""
        table = self.table
        for name, column in columns.items():
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, column)
            else:
                table = table.append_column(name, column)
        return self._keep_views(TextBatch(table, self.signals), None if "text" not in columns else ())

    def with_signals(self, signals: Mapping[str, pa.Array]) -> TextBatch:
        """The same documents with further signals; views are kept."""
        return self._keep_views(TextBatch(self.table, {**self.signals, **signals}), None)

    def take(self, rows: npt.NDArray[np.int64]) -> TextBatch:
        """The documents at `rows`; views already computed are taken along, not computed again."""
        taken = TextBatch(
            self.table.take(rows), {name: column.take(pa.array(rows)) for name, column in self.signals.items()}
        )
        for name in VIEWS:
            if name in self.__dict__:
                taken.__dict__[name] = self.__dict__[name].take(rows)
        if "num_chars" in self.__dict__:
            taken.__dict__["num_chars"] = self.num_chars[rows]
        taken._views = {name: view.take(rows) for name, view in self._views.items()}
        return taken

    def _keep_views(self, other: TextBatch, names: tuple[str, ...] | None) -> TextBatch:
        for name in (*VIEWS, "num_chars", "utf8") if names is None else names:
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        if names is None:
            other._views = self._views
        return other
