"""What people make of predictions: of each, once, whether it was overridden or escalated.

A prediction is a yes or a no when people have had their time, which follows from when it was made and not from what
they said. Who said it earlier is not counted earlier, and who says it later is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shelflife.durations import DAY
from shelflife.profile.kernel import start_of_buckets
from shelflife.store.tables import Tables
from shelflife.watch.promised import Use
from shelflife.watch.rows import Reach, moment, whole

TIME = 3 * DAY  # that people have: an answer of a Friday may be overridden on the Monday

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def used(
    tables: Tables, system: str, uses: Sequence[Use], *, start: int, since: Reach, now: Reach, length: int
) -> dict[int, Floats]:
    """By bucket in which their time is over: how many predictions, and of how many each use was made."""
    predictions = tables.dataset(system, "predictions") if uses else None
    if predictions is None:
        return {}
    waits = whole(TIME, length)
    watched = pc.field("time") >= moment(start - waits)
    over = now.taken(now.end - waits) & since.beyond(since.end - waits) & watched
    made = predictions.to_table(columns=["id", "time"], filter=over)
    if not len(made):
        return {}
    times = _micros(made)
    said = _said(tables, system, int(times.min()) - length, now)
    buckets = start_of_buckets(times, length)
    found = np.ones((len(made), 1 + len(uses)))
    for place, use in enumerate(uses, start=1):
        found[:, place] = _share(made, times, said, use, predictions, now, waits)
    entered, turn = np.unique(np.maximum(buckets + waits, since.end), return_inverse=True)
    sums = np.zeros((len(entered), found.shape[1]))
    np.add.at(sums, turn, found)
    return dict(zip(entered.tolist(), sums, strict=True))


def _said(tables: Tables, system: str, start: int, now: Reach) -> pa.Table:
    """Feedback from `start` on."""
    names = ["prediction_id", "what", "time"]
    feedback = tables.dataset(system, "feedback")
    if feedback is None:
        return pa.table({"prediction_id": pa.array([], pa.string()), "what": pa.array([], pa.string()),
                         "time": pa.array([], pa.timestamp("us", "UTC"))})  # fmt: skip
    return feedback.to_table(columns=names, filter=now.taken() & (pc.field("time") >= moment(start)))


def _share(made: pa.Table, times: Ints, said: pa.Table, use: Use, predictions: Any, now: Reach, waits: int) -> Floats:
    """Of each prediction 1 where the use was made of it, and its share of what names no prediction."""
    own = said.filter(pc.equal(said["what"], use.name.removesuffix("s")))
    found = pc.is_in(made["id"], value_set=own["prediction_id"].drop_null().combine_chunks())
    share: Floats = found.to_numpy(zero_copy_only=False).astype(np.float64)
    nameless = np.sort(_micros(own.filter(pc.is_null(own["prediction_id"]))))
    if not len(nameless):
        return share
    # What names no prediction is as likely of each that was made in the time before it.
    first, last = int(times.min()) - waits, int(times.max()) + waits
    near = (pc.field("time") >= moment(first)) & (pc.field("time") <= moment(last))
    every = np.sort(_micros(predictions.to_table(columns=["time"], filter=now.taken() & near)))
    among = np.searchsorted(every, nameless, "right") - np.searchsorted(every, nameless - waits, "right")
    each = np.append(0.0, np.cumsum(1.0 / np.maximum(among, 1)))
    after = each[np.searchsorted(nameless, times + waits)] - each[np.searchsorted(nameless, times)]
    share += after
    return np.minimum(share, 1.0, out=share)


def _micros(rows: pa.Table) -> Ints:
    found: Ints = rows["time"].cast(pa.int64()).to_numpy()
    return found
