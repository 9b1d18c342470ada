"""Our stages inside a datatrove pipeline, as one step:

LocalPipelineExecutor([JsonlReader("crawl/"), TamisStep(["gopher", "repetition"]), JsonlWriter("out/")], tasks=8)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.typeshelper import StatHints

from pipeline import stats as counting
from pipeline.config import build_stages
from pipeline.sieve import sieve
from stages.contract import Barrier, Fitted, Survey
from stages.errors import ConfigError
from stages.text.batch import TextBatch


class TamisStep(PipelineStep):
    """Measures documents in batches, writes every signal to their metadata, and drops those that break a bound.

    Args:
        stages: as in a config: `["gopher", {"c4": {"terminal_punctuation": False}}]`.
        exclusion_writer: gets the dropped documents, with `filter_reason` in their metadata, as datatrove's filters do.
        batch_bytes: text gathered before the stages see it. Documents keep their order.
    """

    name = "Tamis"
    type = "🔻 - FILTER"

    def __init__(
        self,
        stages: Sequence[str | Mapping[str, Any]],
        exclusion_writer: DiskWriter | None = None,
        batch_bytes: int = 8 << 20,
    ) -> None:
        super().__init__()
        self.stages = build_stages(stages)
        for stage in self.stages:
            if isinstance(stage, (Fitted, Survey, Barrier)):
                raise ConfigError(
                    f"{stage.name} has to see the corpus first, which a step of a pipeline cannot show it"
                )
        self.exclusion_writer = exclusion_writer
        self.batch_bytes = batch_bytes

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for stage in self.stages:
            stage.setup()
        with self.exclusion_writer or contextlib.nullcontext() as writer:
            for documents in self._batches(data):
                with self.track_time("batch"):
                    reasons = self._sieve(documents)
                for document, reason in zip(documents, reasons, strict=True):
                    if reason is None:
                        self.update_doc_stats(document)
                        yield document
                    elif writer:
                        document.metadata["filter_reason"] = reason
                        writer.write(document, rank)

    def _batches(self, data: Iterable[Document]) -> Iterator[list[Document]]:
        batch: list[Document] = []
        size = 0
        for document in data:
            batch.append(document)
            size += len(document.text)
            if size >= self.batch_bytes:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _sieve(self, documents: list[Document]) -> list[str | None]:
        """Run the stages; texts and metadata are updated in place. Returns why each document is dropped, None if it
        is not."""
        columns: dict[str, pa.Array] = {
            "id": pa.array([document.id for document in documents], pa.string()),
            "text": pa.array([document.text for document in documents], pa.large_string()),
            "url": pa.array([document.metadata.get("url") for document in documents], pa.string()),
        }
        stats = counting.empty(stage.name for stage in self.stages)
        result = sieve(TextBatch(pa.table(columns)), self.stages, stats)
        for row, text in zip(result.rows.tolist(), result.kept.table["text"].to_pylist(), strict=True):
            documents[row].text = text
        for name, column in result.signals.items():
            for document, value in zip(documents, column.to_pylist(), strict=True):
                if value is not None:
                    document.metadata[name] = value
        reasons: list[str | None] = result.dropped_by.to_pylist()
        self.stat_update(StatHints.total, value=len(documents))
        self.stat_update(StatHints.forwarded, value=reasons.count(None))
        self.stat_update(StatHints.dropped, value=len(reasons) - reasons.count(None))
        for rule, counts in counting.dropped(stats).items():
            self.stat_update(f"dropped_{rule}", value=counts["documents"])
        return reasons
