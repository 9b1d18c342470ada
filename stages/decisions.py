"""Signals and the rules on them: a bound on a number, a set of labels, a flag.

A rule compares recorded values, so every decision can be made again without measuring. Null and NaN drop nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, field_validator, model_serializer, model_validator

Mask: TypeAlias = npt.NDArray[np.bool_]
Number: TypeAlias = int | float
End: TypeAlias = Literal["min", "max"]


@dataclass(frozen=True)
class Signal:
    """The column that a decision field declares: its Arrow type and the unit of its values."""

    type: pa.DataType
    unit: str


class Decision(BaseModel, ABC):
    """A rule on one signal. Null and NaN never drop a document: the stage could not tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def drops(self, values: pa.Array) -> Mask:
        """Which of the documents this rule drops: a mask as long as `values`."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """True if the rule can drop nothing: the signal is measured and recorded, no more."""


class Bounds(Decision):
    """An interval on a number, both ends inclusive; absent = no limit, 0 means 0."""

    min: Number | None = None
    max: Number | None = None

    @field_validator("min", "max", mode="before")
    @classmethod
    def _is_a_number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"a bound is a number or null, not {value}")
        return value

    @field_validator("min", "max")
    @classmethod
    def _is_finite(cls, value: Number | None) -> Number | None:
        try:
            finite = value is None or math.isfinite(float(value))
        except OverflowError:  # an integer that no float64 comes near
            finite = False
        if not finite:
            raise ValueError("a bound is a finite number, or null for no limit")
        return value

    @model_validator(mode="after")
    def _is_an_interval(self) -> Bounds:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: no document could pass")
        return self

    def drops(self, values: pa.Array) -> Mask:
        numbers = values.to_numpy(zero_copy_only=False)  # null becomes NaN, which compares false
        dropped = np.zeros(len(values), np.bool_)
        if self.min is not None:
            dropped |= numbers < self.min
        if self.max is not None:
            dropped |= numbers > self.max
        return dropped

    @property
    def ends(self) -> dict[End, Number]:
        """Those that are set: `min`, `max`."""
        both: tuple[tuple[End, Number | None], ...] = (("min", self.min), ("max", self.max))
        return {end: value for end, value in both if value is not None}

    @property
    def is_open(self) -> bool:
        return not self.ends


class Allowed(Decision):
    """A set of labels; a document whose label is another one is dropped. Written as a list: `label: [en, de]`."""

    labels: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"labels": (value,)}
        if value is None or isinstance(value, (list, tuple)):
            return {"labels": value}
        return value

    @field_validator("labels")
    @classmethod
    def _names_a_label(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if labels == ():
            raise ValueError("an empty list allows nothing; write null to allow every label")
        return labels

    @model_serializer
    def _as_list(self) -> list[str] | None:
        return None if self.labels is None else list(self.labels)

    def drops(self, values: pa.Array) -> Mask:
        if self.labels is None:
            return np.zeros(len(values), np.bool_)
        allowed = pc.is_in(values, value_set=pa.array(self.labels, values.type))
        return pc.invert(pc.or_(allowed, pc.is_null(values))).to_numpy(zero_copy_only=False).astype(np.bool_)

    @property
    def is_open(self) -> bool:
        return self.labels is None


class Flag(Decision):
    """A boolean signal that drops where it is true; `false` in the config records it and drops nothing."""

    drop: bool = True

    @model_validator(mode="before")
    @classmethod
    def _from_bool(cls, value: Any) -> Any:
        return {"drop": value} if isinstance(value, bool) else value

    @model_serializer
    def _as_bool(self) -> bool:
        return self.drop

    def drops(self, values: pa.Array) -> Mask:
        if not self.drop:
            return np.zeros(len(values), np.bool_)
        return pc.fill_null(values, False).to_numpy(zero_copy_only=False).astype(np.bool_)

    @property
    def is_open(self) -> bool:
        return not self.drop


Count = Annotated[Bounds, Signal(pa.int32(), "count")]
Ratio = Annotated[Bounds, Signal(pa.float64(), "ratio")]
Chars = Annotated[Bounds, Signal(pa.float64(), "characters")]
Score = Annotated[Bounds, Signal(pa.float32(), "score in [0, 1]")]
Label = Annotated[Allowed, Signal(pa.string(), "label")]
Fact = Annotated[Flag, Signal(pa.bool_(), "true or false")]
