"""Rows that are new: each prediction once, and each once more when its outcome is known.

A tick takes what came in batches that are all in their tables, of buckets that are over. What came too early for one
tick is taken by a later one, by its time; so each row is taken once, whenever it came and whatever its time says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shelflife.durations import DAY
from shelflife.store.tables import Tables
from shelflife.watch.columns import Columns

WAITS = 31 * DAY  # how long an outcome that came before its prediction waits for it


@dataclass(frozen=True)
class Reach:
    """How far rows were taken: those of batches up to `batch` whose time lies before `end`, in microseconds."""

    batch: int
    end: int

    def taken(self) -> Any:
        """The rows within reach, as a filter."""
        return (pc.field("batch") <= self.batch) & (pc.field("time") < _moment(self.end))

    def beyond(self) -> Any:
        """The rows that it has not reached."""
        return (pc.field("batch") > self.batch) | (pc.field("time") >= _moment(self.end))


@dataclass(frozen=True)
class New:
    """Rows of one tick, flat.

    Attributes
    ----------
    made
        Predictions that are new.
    known
        Predictions whose outcome is known now, with it.
    waits
        The latest time, in microseconds, of an outcome that came before its prediction; None where there is none.
    """

    made: pa.Table
    known: pa.Table
    waits: int | None


def new(
    tables: Tables, system: str, columns: Columns, *, start: int, since: Reach, now: Reach, waits: int | None
) -> New:
    """The rows within reach now that were not before, of predictions from `start` on.

    `waits` is what the look before answered.
    """
    predictions, outcomes = tables.dataset(system, "predictions"), tables.dataset(system, "outcomes")
    none = pa.table({"id": pa.array([], pa.string())})
    if predictions is None:
        return New(none, none, waits)
    places = columns.of_predictions(predictions.schema)
    watched = pc.field("time") >= _moment(start)
    made = predictions.to_table(columns=places, filter=now.taken() & since.beyond() & watched)
    if outcomes is None or columns.outcome is None:
        return New(made, none, None)
    names = ["id", "outcome", "time", "prediction_time"]
    true = outcomes.to_table(columns=names, filter=now.taken() & since.beyond())
    if waits is not None and now.end - waits < WAITS and len(made):
        before = now.taken() & ~since.beyond() & (pc.field("time") >= _moment(now.end - WAITS))
        early = outcomes.to_table(columns=names, filter=before)
        true = pa.concat_tables([true, early.filter(pc.is_in(early["id"], value_set=made["id"].combine_chunks()))])
    if not len(true):
        return New(made, none, waits)
    ids = true["id"].combine_chunks()
    # Where a prediction was not known when its outcome came, it is looked for some way back.
    back = pc.coalesce(true["prediction_time"], pc.subtract(true["time"], pa.scalar(WAITS, pa.duration("us"))))
    near = (pc.field("time") >= pc.min(back)) & (
        pc.field("time") <= pc.max(pc.coalesce(true["prediction_time"], _moment(now.end)))
    )
    found = predictions.to_table(columns=places, filter=now.taken() & watched & near & pc.field("id").isin(ids))
    known = found.append_column(columns.outcome, true["outcome"].take(pc.index_in(found["id"], value_set=ids)))
    lost = true.filter(pc.invert(pc.is_in(true["id"], value_set=found["id"].combine_chunks())))
    latest = pc.max(lost["time"]).cast(pa.int64()).as_py() if len(lost) else None
    return New(made, known, max((one for one in (latest, waits) if one is not None), default=None))


def _moment(microseconds: int) -> pa.Scalar:
    return pa.scalar(microseconds, pa.timestamp("us", "UTC"))
