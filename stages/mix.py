"""The stage that makes the mix: how often each document goes into the tokens, so that groups have given proportions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PrivateAttr, field_validator, model_validator

from stages import mix_bins as bins
from stages import mix_targets as targets
from stages.contract import Bounds, Census, Count, Signals
from stages.text.batch import TextBatch
from stages.text.hashes import text_hashes

Int64s = bins.Int64s
TOKENS = "tokens.count"
NULL = "null"
PRESETS = {"llama3": {"general": 0.5, "maths": 0.25, "code": 0.17, "multilingual": 0.08}}
REFERENCE = pa.schema(
    {
        "group": pa.string(),
        "documents": pa.int64(),
        "available": pa.int64(),
        "share": pa.float64(),
        "wanted": pa.float64(),
        "planned": pa.float64(),
        "copies": pa.int32(),
        "cut_order": pa.int64(),
        "cut_part": pa.uint8(),
        "cut_ratio": pa.float64(),
        "level": pa.uint32(),
    }
)
"""What `conclude` says of each group: its documents, its amount and its share in the corpus; the amount that was asked
for and the one that is planned; how often every document is taken, and up to where once more."""
MAX_COUNTED = 200
"""Groups that are counted one by one in a run's stats; of more, the reference says what was planned."""


class Mix(Census):
    """Proportions of a corpus by any column: language, category, domain, quality bucket, source.

    The preset is Llama 3's final mix over `category.label` (arXiv 2407.21783, section 3.1.2): "roughly 50% of tokens
    corresponding to general knowledge, 25% of mathematical and reasoning tokens, 17% code tokens, and 8% multilingual
    tokens".

    First all groups are measured, then every document is told how often it is seen, by a hash of its text: the same
    whatever the shards are, and met to within a document, or to a bin of the million that all groups share. Documents
    of equal text share their fate: put `exact` before. A share that cannot be met is met as far as it can; what is
    missing is in the mix's table (`docs/mix.md`), which a run prints at its end.
    """

    tallied: ClassVar[tuple[str, ...]] = ("by", "unit", "prefer", "seed")

    copies: Count = Bounds(min=1)
    """How often the document goes into the tokens. With 1.5 epochs half of a group has 1 and the other half 2."""

    by: str = "category.label"
    """Column or signal whose values are the groups. Null is a group, called `null`."""
    preset: Literal["llama3"] = "llama3"
    """Shares by category. In force where no `shares`, `epochs` or `alpha` are written."""
    shares: dict[str, float] | None = None
    """Share of each group in the mix: `{wiki: 0.2, web: 0.7}`. What is missing to 1 is the share of all other groups
    together, in their own proportions (`rest` names it); if nothing is missing they are dropped."""
    epochs: dict[str, float] | None = None
    """Instead of shares, how often each group is seen: `{wiki: 2, web: 0.5}`; all others once, or `rest` times."""
    alpha: float | None = Field(None, ge=0, le=1)
    """Instead of shares, a temperature: shares in proportion to amount ** alpha (XLM-R: 0.3). 1 changes nothing, 0
    makes all groups equal. The total is the corpus's own unless `total` says another."""
    unit: Literal["tokens", "bytes", "documents"] = "tokens"
    """What shares and totals are of. Tokens are those of the stage `tokens`, which goes before."""
    total: float | None = Field(None, gt=0)
    """Size of the mix, in the unit. By default the largest in which all shares are met without exceeding
    `max_epochs`."""
    max_epochs: float = Field(1, gt=0)
    """How often a group may be seen to meet its share. Up to 4 do about as well as new text (Muennighoff et al. 2023,
    arXiv 2305.16264)."""
    prefer: str | None = None
    """Column or signal: of a group that is not seen whole, documents with the largest values are taken first, and of
    one that is repeated, repeated first. Nulls come last. Without it, chance decides."""
    seed: int = Field(0, ge=0)
    """Another number, another sample."""

    _taken: dict[str, float] = PrivateAttr(default_factory=dict)

    @field_validator("shares", "epochs", mode="before")
    @classmethod
    def _names_are_strings(cls, value: Any) -> Any:
        """YAML reads `null`, `true` and `5` as what they are, and groups have names."""
        if not isinstance(value, Mapping):
            return value
        special = {None: NULL, True: "true", False: "false"}
        return {special[key] if key is None or isinstance(key, bool) else str(key): v for key, v in value.items()}

    @model_validator(mode="after")
    def _makes_sense(self) -> Mix:
        given = [name for name in ("shares", "epochs", "alpha") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are two ways to say it: write one")
        if self.epochs is not None and self.total is not None:
            raise ValueError("epochs decide how large the mix is: leave total out, or write shares")
        for field in ("shares", "epochs"):
            for group, value in (getattr(self, field) or {}).items():
                if not 0 <= value < float("inf"):
                    raise ValueError(f"{field}.{group} is {value}: it cannot be negative or endless")
        if self.shares is not None:
            total = sum(self.shares.values())
            if total > 1 + 1e-6 or (targets.REST in self.shares and total < 1 - 1e-6):
                raise ValueError(f"shares come to {total:g}; all groups together, `rest` included, are 1")
            if not total:
                raise ValueError("shares are all 0: nothing would be left")
        return self

    def columns(self) -> Sequence[tuple[str, str]]:
        named = [("by", self.by), ("unit", TOKENS if self.unit == "tokens" else None), ("prefer", self.prefer)]
        return [(field, name) for field, name in named if name is not None]

    def tally(self, batch: TextBatch) -> pa.Table:
        order, parts, _ = self._places(batch)
        rows = bins.tally(self._groups(batch), order, parts, self._amounts(batch))
        return self.combine(rows)

    def combine(self, rows: pa.Table) -> pa.Table:
        return bins.combine(rows, bins.MAX_BINS if self.prefer is None else bins.MAX_BINS // bins.PARTS)

    def conclude(self, rows: pa.Table, num_documents: int) -> pa.Table:
        """A row for each group: what it has, what was asked for, what was planned and where it is cut."""
        of_group = _by_group(rows)
        available = {group: int(pc.sum(own["amount"]).as_py()) for group, own in of_group.items()}
        nothing = rows.slice(0, 0)
        planned = [_planned(target, of_group.get(target.group, nothing)) for target in self._targets(available)]
        return pa.Table.from_pylist(planned, REFERENCE)

    def _targets(self, available: Mapping[str, int]) -> list[targets.Target]:
        if self.epochs is not None:
            return targets.targets_by_epochs(available, self.epochs)
        if self.alpha is not None:
            return targets.targets_by_temperature(available, self.alpha, self.max_epochs, self.total)
        shares = PRESETS[self.preset] if self.shares is None else self.shares
        return targets.targets_by_share(available, shares, self.max_epochs, self.total)

    def measure(self, batch: TextBatch, reference: pa.Table) -> Signals:
        known = reference.filter(pc.greater(reference["documents"], 0))
        groups = self._groups(batch)
        found = pc.index_in(groups, known["group"].combine_chunks())
        places = np.flatnonzero(found.is_valid())
        rows = found.drop_null().to_numpy()
        base, cut_order, cut_part, cut_ratio, level = (
            known[name].to_numpy()[rows] for name in ("copies", "cut_order", "cut_part", "cut_ratio", "level")
        )
        order, parts, chance = self._places(batch)
        first = order[places] >> level
        copies = np.zeros(batch.num_rows, np.int64)
        copies[places] = base + bins.is_taken(first, parts[places], chance[places], cut_order, cut_part, cut_ratio)
        self._count(groups, known, copies, self._amounts(batch))
        return {"copies": pa.array(copies, mask=found.is_null().to_numpy(zero_copy_only=False))}

    def counters(self) -> Mapping[str, float]:
        """`documents.GROUP` and `amount.GROUP`: what was taken, copies counted as often as they are."""
        taken = dict(self._taken)
        self._taken.clear()
        return taken

    def _count(self, groups: pa.Array, known: pa.Table, copies: Int64s, amounts: Int64s) -> None:
        if known.num_rows > MAX_COUNTED:
            return
        taken = pa.table({"group": groups, "documents": copies, "amount": copies * amounts})
        for row in taken.group_by("group").aggregate([("documents", "sum"), ("amount", "sum")]).to_pylist():
            for kind in ("documents", "amount"):
                name = f"{kind}.{row['group']}"
                self._taken[name] = self._taken.get(name, 0) + row[f"{kind}_sum"]

    def _groups(self, batch: TextBatch) -> pa.Array:
        column = batch.column(self.by)
        return pc.fill_null(column if column.type == pa.string() else column.cast(pa.string()), NULL)

    def _amounts(self, batch: TextBatch) -> Int64s:
        if self.unit == "documents":
            return np.ones(batch.num_rows, np.int64)
        if self.unit == "bytes":
            return np.diff(batch.utf8.offsets)
        return np.asarray(batch.column(TOKENS).cast(pa.int64()).fill_null(0).to_numpy())

    def _places(self, batch: TextBatch) -> tuple[bins.UInt32s, bins.UInt8s, bins.UInt32s]:
        """Where each document is in the order of its group: number, part, and chance for what is left."""
        hashes = text_hashes(batch, self.seed)
        upper, lower = (hashes >> np.uint64(32)).astype(np.uint32), hashes.astype(np.uint32)
        if self.prefer is None:
            return upper, np.zeros(batch.num_rows, np.uint8), lower
        return bins.preference_order(batch.column(self.prefer)), (upper >> np.uint32(26)).astype(np.uint8), lower


def _by_group(rows: pa.Table) -> dict[str, pa.Table]:
    """The rows of each group; they lie together."""
    groups = rows["group"].combine_chunks()
    changed = pc.not_equal(groups.slice(1), groups.slice(0, max(0, len(groups) - 1)))
    edges = [0, *(np.flatnonzero(changed.to_numpy(zero_copy_only=False)) + 1).tolist(), len(groups)]
    return {groups[a].as_py(): rows.slice(a, b - a) for a, b in pairwise(edges) if b > a}


def _planned(target: targets.Target, rows: pa.Table) -> dict[str, Any]:
    """A row of the reference: the target, and the cut that meets it."""
    copies = math.floor(target.epochs + targets.TOLERANCE)
    beyond = (target.epochs - copies) * target.available
    cut = bins.cut_at(rows, beyond) if beyond > 0 and target.available else bins.NOTHING
    return {
        "group": target.group,
        "documents": pc.sum(rows["documents"]).as_py() or 0,
        "available": target.available,
        "share": target.share,
        "wanted": target.wanted,
        "planned": copies * target.available + cut.amount,
        "copies": copies,
        "cut_order": cut.order,
        "cut_part": cut.part,
        "cut_ratio": cut.ratio,
        "level": rows["level"][0].as_py() if rows.num_rows else 0,
    }
