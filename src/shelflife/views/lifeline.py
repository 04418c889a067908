"""A system's lifeline: what was promised, what was observed, what was expected, and what happened meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select

from shelflife.durations import micros, moment
from shelflife.plan import Plan
from shelflife.store.schema import plans, references
from shelflife.system import System
from shelflife.watch import lifeline as watched

SPAN = timedelta(days=400)
_MOST = 130  # points of a line; more cannot be told apart
_SHARES = {"accuracy", "precision", "recall"}  # metrics that are shares of rows
Metric = Literal["accuracy", "mean error", "root mean square error"]
_METRICS: dict[str, Metric] = {"accuracy": "accuracy", "mae": "mean error", "rmse": "root mean square error"}
_Z = 1.645  # of an interval of 90 %


@dataclass(frozen=True)
class Point:
    """One slice of time.

    Attributes
    ----------
    observed, low, high
        The metric of the predictions whose outcome is known, with an interval of 90 % where it is a share.
    known, missing
        How many those are, and of how many the outcome did not come though it was due.
    estimated
        What could be expected of all with a score.
    promised
        What it is held to.
    """

    start: datetime
    known: int
    missing: int
    observed: float | None
    low: float | None
    high: float | None
    estimated: float | None
    promised: float | None


@dataclass(frozen=True)
class Mark:
    """Something that happened: of a finding from when to when, and whether it goes on."""

    row: Literal["finding", "plan", "reference"]
    at: datetime
    until: datetime | None
    living: bool
    says: str
    number: int


@dataclass(frozen=True)
class Lifeline:
    """The picture of a system over time.

    Attributes
    ----------
    promise
        What the newest plan promises of the model, in words: with its measure, where that is another than is shown.
    metric
        "accuracy", or of numbers an error, which is better where it is lower.
    held
        Whether the plan promises what is shown; else it is held to what the reference allows.
    start, end
        The time it shows.
    every
        The length of a point's slice.
    """

    promise: str
    metric: Metric
    held: bool
    start: datetime
    end: datetime
    every: timedelta
    points: tuple[Point, ...]
    marks: tuple[Mark, ...]

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return self.metric == "accuracy"

    @property
    def latest(self) -> Point | None:
        """The newest slice with known outcomes."""
        return next((one for one in reversed(self.points) if one.observed is not None), None)


def lifeline(system: System, name: str) -> Lifeline | None:
    """The last year or so of a system; None where nothing of it was watched yet.

    Raises `BadInput` where there is no such system.
    """
    plan = system.plan(name).plan
    now = system.clock.now()
    with system.database.reading() as connection:
        points = watched.kept(connection, name, start=micros(now - SPAN))
        if plan.model.task == "regression":
            points = [one for one in points if one.squares is not None]
        if not points:
            return None
        applied = connection.execute(select(plans.c.number, plans.c.at, plans.c.because).where(plans.c.system == name))
        marks = [Mark("plan", row.at, None, True, f"Plan {row.number}", row.number) for row in applied]
        taken = connection.execute(select(references.c.number, references.c.at).where(references.c.system == name))
        marks += [Mark("reference", row.at, None, True, f"Reference {row.number}", row.number) for row in taken]
    start = moment(points[0].bucket)
    for one in system.watching.findings(name, ended=True):
        until = one.ended or now
        if until >= start:
            says = one.says if one.state != "resolved" else f"{one.says} Over since {until:%-d %B %Y}."
            marks.append(Mark("finding", one.since or one.opened, one.ended, one.ended is None, says, one.number))
    metric, held = shown(plan)
    bucket = plan.watch.bucket
    every = max(1, math.ceil((now - start) / bucket / _MOST)) * bucket
    slices = _gathered(points, start, every, metric)
    end = max([slices[-1].start + every, *(one.until or one.at for one in marks)])
    kept = tuple(sorted((one for one in marks if (one.until or one.at) >= start or one.living), key=lambda one: one.at))
    said = promised(plan)
    if not held and plan.watch.performance is not None:
        said = f"{plan.watch.performance.metric.replace('_', ' ')} {said}"
    return Lifeline(said, metric, held, start, end, every, slices, kept)


def shown(plan: Plan) -> tuple[Metric, bool]:
    """What is shown of a plan's model, and whether the plan promises that."""
    found = plan.watch.performance
    usual: Metric = "mean error" if plan.model.task == "regression" else "accuracy"
    if found is None or found.metric not in _METRICS:
        return usual, False
    metric = _METRICS[found.metric]
    bound_ = found.at_least if metric == "accuracy" else found.at_most
    return metric, bound_ is not None


def _gathered(points: list[watched.Point], start: datetime, every: timedelta, metric: Metric) -> tuple[Point, ...]:
    """Slices of `every` from `start`: sums add, so that each is as exact as its buckets."""
    slices: dict[int, list[watched.Point]] = {}
    for one in points:
        slices.setdefault((moment(one.bucket) - start) // every, []).append(one)
    return tuple(_point(start + place * every, some, metric) for place, some in sorted(slices.items()))


def _point(start: datetime, some: list[watched.Point], metric: Metric) -> Point:
    known, wrong, scored, expected, squares = (
        sum(getattr(one, name) or 0.0 for one in some) for name in ("known", "wrong", "scored", "expected", "squares")
    )
    limits = [one.limit for one in some if one.limit is not None]
    limit = sum(limits) / len(limits) if limits else None
    missing = max(0, sum(one.due for one in some) - round(known))
    estimated = expected / scored if scored else None
    if metric == "accuracy":
        low, high = _interval(wrong, known) if known else (None, None)
        values = (1 - each if each is not None else None for each in (wrong / known if known else None, high, low,
                                                                      estimated, limit))  # fmt: skip
        return Point(start, round(known), missing, *values)
    root = metric == "root mean square error"
    seen = None if not known else math.sqrt(squares / known) if root else wrong / known
    # What is expected is a mean; of its square nothing is.
    return Point(start, round(known), missing, seen, None, None, None if root else estimated, limit)


def _interval(hits: float, rows: float) -> tuple[float, float]:
    """Wilson's interval of a share."""
    share, extra = hits / rows, _Z**2 / rows
    middle = (share + extra / 2) / (1 + extra)
    half = _Z / (1 + extra) * math.sqrt(share * (1 - share) / rows + extra / (4 * rows))
    return max(0.0, middle - half), min(1.0, middle + half)


def promised(plan: Plan) -> str:
    """What the model promises, in a few words."""
    found = plan.watch.performance
    return "nothing in figures" if found is None else bound(found)


def bound(promised: Any) -> str:
    """What is at least or at most promised; of what is counted in errors of a unit as a figure, else as a share."""
    share = getattr(promised, "metric", None) in _SHARES
    words = (("at least", promised.at_least), ("at most", promised.at_most))
    return " and ".join(f"{word} {f'{value:.4g}' if not share else f'{100 * value:.4g} %'}" for word, value in words
                        if value is not None)  # fmt: skip
