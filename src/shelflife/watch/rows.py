"""Rows that are new: each prediction once, and each once more when its outcome is due.

A look takes what came in batches that are all in their tables, of buckets that are over. What came too early for one
look is taken by a later one, by its time; so each row is taken once, whenever it came and whatever its time says.

When an outcome is due follows from the time of its prediction alone. Whoever counted outcomes as they come would see
those that come soon first, and for a while no others: where frauds are known in days and honest payments in months,
everything begins with frauds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.durations import DAY
from shelflife.plan import Plan
from shelflife.profile.kernel import start_of_buckets
from shelflife.store.tables import Tables
from shelflife.watch.columns import Columns

EARLY = 31 * DAY  # how long before the time of its prediction an outcome may come

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Reach:
    """How far rows were taken: those of batches up to `batch` whose time lies before `end`, in microseconds.

    The outcomes of predictions before `due` were due.
    """

    batch: int
    end: int
    due: int

    @property
    def here(self) -> Any:
        """What is in its batches, whatever its time: an outcome is told of its prediction's."""
        return pc.field("batch") <= self.batch

    def taken(self, end: int | None = None) -> Any:
        """The rows within reach, or those of its batches before another `end`, as a filter."""
        return self.here & (pc.field("time") < moment(self.end if end is None else end))

    def beyond(self, end: int | None = None) -> Any:
        """The rows that it has not reached."""
        return (pc.field("batch") > self.batch) | (pc.field("time") >= moment(self.end if end is None else end))


@dataclass(frozen=True)
class New:
    """Rows of one look, flat.

    Attributes
    ----------
    made
        Predictions that are new.
    due
        Predictions whose outcome is due now, with it; null where it is missing.
    late
        Predictions whose outcome was due before and came only now.
    """

    made: pa.Table
    due: pa.Table
    late: pa.Table


def waiting(plan: Plan, length: int) -> int:
    """How long after its bucket has begun the outcomes of a prediction are due, in microseconds: whole buckets."""
    outcome = plan.model.outcome
    return 0 if outcome is None else whole(round(outcome.within / _MICROSECOND), length)


def due_before(now: int, length: int, waits: int) -> int:
    """The time before which the outcomes of predictions are due now, in microseconds."""
    return int(start_of_buckets(np.array([now]), length)[0]) - waits


def whole(duration: int, length: int) -> int:
    """A duration rounded up to whole buckets, in microseconds."""
    return -(-duration // length) * length


def new(tables: Tables, system: str, columns: Columns, *, start: int, waits: int, since: Reach, now: Reach) -> New:
    """The rows within reach now that were not before, of predictions from `start` on.

    Outcomes are also told of the predictions within `waits` before it, whose outcomes were not due then.
    """
    predictions, outcomes = tables.dataset(system, "predictions"), tables.dataset(system, "outcomes")
    none = pa.table({"id": pa.array([], pa.string())})
    if predictions is None:
        return New(none, none, none)
    places = columns.of_predictions(predictions.schema)
    made = predictions.to_table(
        columns=places, filter=now.taken() & since.beyond() & (pc.field("time") >= moment(start))
    )
    if columns.outcome is None:
        return New(made, none, none)
    watched = pc.field("time") >= moment(start - waits)
    due = predictions.to_table(columns=places, filter=now.taken(now.due) & since.beyond(since.due) & watched)
    if outcomes is None:
        return New(made, due, none)
    late = _late(predictions, outcomes, columns, start=start, waits=waits, since=since, now=now)
    return New(made, _with_outcome(due, _of(outcomes, due[columns.time], now), columns), late)


def _of(outcomes: Any, times: pa.ChunkedArray, now: Reach) -> pa.Table:
    """The outcomes that may be those of predictions of some times."""
    names = ["id", "outcome"]
    if not len(times):
        return outcomes.schema.empty_table().select(names)
    first, last = pc.min(times), pc.max(times)
    made = pc.field("prediction_time")
    came = pc.field("received") >= pc.subtract(first, pa.scalar(EARLY, pa.duration("us")))
    found: pa.Table = outcomes.to_table(
        columns=names, filter=now.here & came & (made.is_null() | ((made >= first) & (made <= last)))
    )
    return found


def _late(
    predictions: Any, outcomes: Any, columns: Columns, *, start: int, waits: int, since: Reach, now: Reach
) -> pa.Table:
    """Predictions whose outcome was due before it came, with it."""
    names = ["id", "outcome", "time", "prediction_time"]
    true = outcomes.to_table(columns=names, filter=now.here & (pc.field("batch") > since.batch))
    # Where a prediction was not known when its outcome came, it is looked for some way back.
    back = pa.scalar(max(EARLY, waits), pa.duration("us"))
    from_ = pc.coalesce(true["prediction_time"], pc.subtract(true["time"], back))
    true = true.filter(pc.less(from_, moment(since.due)))
    near = (pc.field("time") >= moment(start)) & pc.field("id").isin(true["id"].combine_chunks())
    if len(true):
        near &= pc.field("time") >= pc.min(from_)
    places = columns.of_predictions(predictions.schema)
    found = predictions.to_table(columns=places, filter=since.taken(since.due) & near)
    return _with_outcome(found, true, columns)


def _with_outcome(made: pa.Table, true: pa.Table, columns: Columns) -> pa.Table:
    """Predictions with their outcome, null where it is missing."""
    places = pc.index_in(made["id"], value_set=true["id"].combine_chunks())
    return made.append_column(columns.outcome, true["outcome"].take(places))


def moment(microseconds: int) -> pa.Scalar:
    """A moment as rows have it."""
    return pa.scalar(microseconds, pa.timestamp("us", "UTC"))
