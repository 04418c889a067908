"""A system's lifeline: what was promised, what was observed, what was expected, and what happened meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select

from shelflife.durations import micros, moment
from shelflife.plan import Plan
from shelflife.profile.residual import Residual
from shelflife.store.schema import plans, references
from shelflife.system import System
from shelflife.watch import lifeline as watched
from shelflife.watch import state

SPAN = timedelta(days=400)
_MOST = 130  # points of a line; more cannot be told apart
_SHARES = {"accuracy", "precision", "recall"}  # metrics that are shares of rows
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
        What the newest plan promises of the model, in words.
    metric
        "accuracy", or "mean error" of numbers, which is better where it is lower.
    start, end
        The time it shows.
    every
        The length of a point's slice.
    """

    promise: str
    metric: Literal["accuracy", "mean error"]
    start: datetime
    end: datetime
    every: timedelta
    points: tuple[Point, ...]
    marks: tuple[Mark, ...]

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
        if not points:
            return None
        scale, bucket = None, plan.watch.bucket
        if plan.model.task == "regression":
            profile = state.reference_profile(connection, points[-1].reference)
            part = profile.layout.outcome
            scale = part.scale if isinstance(part, Residual) else 1.0
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
    several = max(1, math.ceil((now - start) / bucket / _MOST))
    every = several * bucket
    shown = _gathered(points, start, every, scale)
    end = max([shown[-1].start + every, *(one.until or one.at for one in marks)])
    kept = tuple(sorted((one for one in marks if (one.until or one.at) >= start or one.living), key=lambda one: one.at))
    metric: Literal["accuracy", "mean error"] = "accuracy" if scale is None else "mean error"
    return Lifeline(promised(plan), metric, start, end, every, shown, kept)


def _gathered(points: list[watched.Point], start: datetime, every: timedelta, scale: float | None) -> tuple[Point, ...]:
    """Slices of `every` from `start`: sums add, so that each is as exact as its buckets."""
    slices: dict[int, list[watched.Point]] = {}
    for one in points:
        slices.setdefault((moment(one.bucket) - start) // every, []).append(one)
    return tuple(_point(start + place * every, some, scale) for place, some in sorted(slices.items()))


def _point(start: datetime, some: list[watched.Point], scale: float | None) -> Point:
    known, wrong, scored, expected = (
        sum(getattr(one, name) for one in some) for name in ("known", "wrong", "scored", "expected")
    )
    limits = [one.limit for one in some if one.limit is not None]
    limit = sum(limits) / len(limits) if limits else None

    def shown(share: float | None) -> float | None:
        if share is None:
            return None
        return 1.0 - share if scale is None else share * scale

    seen = wrong / known if known else None
    low, high = _interval(wrong, known) if scale is None and known else (None, None)
    missing = max(0, sum(one.due for one in some) - round(known))
    return Point(
        start, round(known), missing, shown(seen), shown(high), shown(low),
        shown(expected / scored if scored else None), shown(limit),
    )  # fmt: skip


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
