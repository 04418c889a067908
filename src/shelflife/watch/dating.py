"""When it began: alarms, which ring as rows become evidence, told of the time of the predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelflife.detect.detector import Alarm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Clock:
    """From the steps of a detector to buckets of predictions.

    Attributes
    ----------
    buckets
        Starts of those that have rows, in microseconds.
    origin, length
        Where the detector's first step was, and how long each is.
    waits
        How long after its bucket an outcome is evidence.
    """

    buckets: Ints
    origin: int
    length: int
    waits: int

    def place(self, step: int, lag: int) -> int:
        """The place among the buckets of what was predicted `lag` before a step."""
        at = int(np.searchsorted(self.buckets, self.origin + step * self.length - lag))
        return min(at, len(self.buckets) - 1)


def by_predictions(
    alarms: Iterable[Alarm], truths: NDArray[np.bool_], clock: Clock, hits: Floats, rows: Floats, limit: Floats
) -> list[Alarm]:
    """Alarms of streams of rows, their steps places among the buckets of the predictions.

    Parameters
    ----------
    truths
        Shape (streams,): those of outcomes, which are evidence when they are due.
    hits, rows, limit
        Shape (buckets, streams), by the time of the predictions.
    """
    return [
        one
        for alarm in alarms
        for chosen, late in ((~truths, False), (truths, True))
        for one in _moved(alarm, chosen, clock, clock.waits if late else 0, (hits, rows, limit) if late else None)
    ]


def _moved(
    alarm: Alarm, chosen: NDArray[np.bool_], clock: Clock, lag: int, sums: tuple[Floats, Floats, Floats] | None
) -> Iterator[Alarm]:
    own = alarm.streams < len(chosen)
    own[own] = chosen[alarm.streams[own]]
    if not own.any():
        return
    last = clock.place(alarm.bucket, lag)
    onset = np.array([clock.place(int(step), lag) for step in alarm.onset[own]], dtype=np.int64)
    for at, stream in enumerate(alarm.streams[own].tolist() if sums is not None else ()):
        # What came later than the alarm did not ring it: many buckets may be looked at together.
        hits, rows, limit = (each[: last + 1, stream] for each in sums or ())
        found = _began(hits, rows, limit, float(alarm.rows[own][at]))
        onset[at] = onset[at] if found is None else found
    yield Alarm(last, alarm.streams[own], onset, alarm.log_evidence[own], alarm.rows[own], alarm.hits[own])


def _began(hits: Floats, rows: Floats, limit: Floats, rung: float) -> int | None:
    """The place from which on the newest rows, as many as rang, are over their limit; None where none is.

    The last rows are those of the alarm. Outcomes are due in the order of their predictions, so those that rang are of
    the newest by then, also where predictions came late.
    """
    newest = np.cumsum(rows[::-1])[::-1] - rows < rung  # those after it do not amount to so many
    total = np.append(0.0, np.cumsum(np.where(newest, hits - rows * limit, 0.0)))
    above = total - np.minimum.accumulate(total)
    end = int(np.argmax(above))
    if above[end] <= 0:
        return None
    lowest = total[: end + 1]
    return end - int(np.argmin(lowest[::-1]))
