"""Columns of times beside the one that orders the rows: how long before the row they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.profile import numeric
from shelflife.profile.numeric import Numeric
from shelflife.profile.runs import Counted, Floats, Runs

_SECOND = 1_000_000


@dataclass(frozen=True)
class Moment:
    """The lag of one column of times behind the time of its row, in seconds, counted as a numeric column is.

    Attributes
    ----------
    lags
        How lags are counted; its name is the column's.
    clock
        The column that holds the time of the row.
    """

    lags: Numeric
    clock: str

    kind: ClassVar[str] = "time"
    sums: ClassVar[int] = Numeric.sums
    extremes: ClassVar[int] = Numeric.extremes

    @property
    def name(self) -> str:
        return self.lags.name

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name, self.clock)

    @property
    def cells(self) -> int:
        return self.lags.cells

    def count(self, batch: pa.RecordBatch, runs: Runs) -> Counted:
        """Counts, sums and extremes of the lags in each run."""
        return self.lags.count_array(lag(batch.column(self.name), batch.column(self.clock)), runs)


def lag(moments: pa.Array, clock: pa.Array) -> pa.Array:
    """Seconds from each moment to the time of its row (negative: it lies in the row's future); null where missing."""
    behind = (microseconds(clock) - microseconds(moments)) / _SECOND
    missing = pc.or_(moments.is_null(), clock.is_null()).to_numpy(zero_copy_only=False)
    return pa.array(behind, mask=missing)


def microseconds(array: pa.Array) -> Floats:
    """Times as microseconds since 1970 (UTC where they have a zone); what stands at missing ones is not defined."""
    if pa.types.is_null(array.type):
        return np.zeros(len(array))
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(array.type):
        factor = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[array.type.unit]
        array = array.cast(pa.int64())
    elif pa.types.is_int64(array.type):  # as the doors hand out times that they read from text or numbers
        factor = 1.0
    else:
        raise TypeError("neither a time nor microseconds")
    found: Floats = pc.fill_null(array, 0).to_numpy(zero_copy_only=False).astype(np.float64) * factor
    return found


def learn(name: str, lags: Floats, clock: str) -> Moment:
    """Edges at the quantiles of a sample of lags in seconds."""
    return Moment(numeric.learn(name, lags), clock)


def part(plain: dict[str, Any]) -> Moment:
    """The part that a layout's plain form names."""
    return Moment(numeric.part(plain["lags"]), plain["clock"])
