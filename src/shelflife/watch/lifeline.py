"""A system's lifeline: of each bucket, how often its predictions were wrong, and how often that could be expected.

Sums of a few numbers, so that years of it are read at once. Outcomes are shown from when they are due: before, those
that come soon stand for all, and they are seldom typical. One that comes after that is added to the bucket of its
prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Connection, func, insert, select, update

from shelflife.profile.counts import Profile
from shelflife.profile.residual import STEPS, Residual
from shelflife.store.schema import lifelines, profiles, references
from shelflife.watch.promised import Promised

_SEEN, _EXPECTED = "SL301", "SL302"


@dataclass(frozen=True)
class Point:
    """One bucket.

    Attributes
    ----------
    reference, bucket
        By which reference it was judged; its start in microseconds.
    known, wrong
        Predictions whose outcome is known, and how many of them were wrong: for numbers the sum of how far they were
        off, in units of the outcome. What is evidence is a bounded part of that; what is shown is all of it.
    scored, expected
        Predictions with a score, and how many of them could be expected to be wrong; for numbers the like.
    limit
        The most of them that may be wrong, in the mean.
    squares
        For numbers the sum of squares of how far they were off.
    due
        Predictions whose outcome is due: those that are not known are missing.
    """

    reference: int
    bucket: int
    known: float
    wrong: float
    scored: float
    expected: float
    limit: float | None
    due: int = 0
    squares: float | None = None


def of_rows(promised: Promised, reference: int, made: Profile, known: Profile) -> Iterator[Point]:
    """What new rows add to the buckets of their predictions."""
    streams = promised.promise.streams.streams
    place = {code: index for index, stream in reversed(list(enumerate(streams))) for code in (_SEEN, _EXPECTED)
             if stream.code == code and stream.segment == 0 and stream.rises}  # fmt: skip
    if not place:
        return
    first = next(iter(place.values()))
    unit, errors = _unit(promised), _errors(known)
    for bucket, seen in promised.see(made, known):
        rows_known, wrong, scored, expected = (
            float(values[place[code]]) if code in place else 0.0
            for code in (_SEEN, _EXPECTED)
            for values in (seen.rows, seen.hits)
        )
        if rows_known or scored:
            limit = float(seen.limit[place.get(_SEEN, first)])
            held = limit * unit if limit < 1.0 else None
            squares = None
            if errors is not None:
                wrong, squares = errors.get(bucket, (0.0, 0.0))
                held = held if promised.off is None else promised.off
            yield Point(reference, bucket, rows_known, wrong, scored, expected * unit, held, squares=squares)


def _unit(promised: Promised) -> float:
    """What a bounded loss of 1 is in units of the outcome; in the reference's mean, so that its bound costs nothing."""
    reference = promised.promise.reference
    part = reference.layout.outcome
    if not isinstance(part, Residual):
        return 1.0
    counts = reference.whole().of(part).sum(axis=0)
    bounded = float(counts[part.losses] @ np.arange(STEPS + 1)) / STEPS
    off = sum(off for off, _ in (_errors(reference) or {}).values())
    return off / bounded if bounded else part.scale


def _errors(rows: Profile) -> dict[int, tuple[float, float]] | None:
    """By bucket the sum of how far predictions of numbers were off, and of its square; None of what is no number."""
    part = rows.layout.outcome
    if not isinstance(part, Residual):
        return None
    whole = rows.whole()
    sums = whole.sums_of(part)
    off, squares = sums[:, [0, 7]].sum(axis=1), sums[:, [3, 4]].sum(axis=1)
    return dict(zip(whole.buckets.tolist(), zip(off.tolist(), squares.tolist(), strict=True), strict=True))


def add(connection: Connection, points: Iterable[Point]) -> None:
    """Add to the buckets."""
    for one in points:
        sums = {name: getattr(one, name) for name in ("known", "wrong", "scored", "expected")}
        which = lifelines.c.reference == one.reference, lifelines.c.bucket == one.bucket
        more = {name: lifelines.c[name] + value for name, value in sums.items()}
        if one.squares is not None:
            sums["squares"] = one.squares
            more["squares"] = lifelines.c.squares + one.squares
        if connection.execute(update(lifelines).where(*which).values(**more, limit=one.limit)).rowcount == 0:
            made = {"reference": one.reference, "bucket": one.bucket, "limit": one.limit}
            connection.execute(insert(lifelines).values(**made, **sums))


def kept(connection: Connection, system: str, *, start: int) -> list[Point]:
    """The buckets of a system from `start` on, in microseconds; each by the newest reference that judged it.

    A new reference judges predictions of before it whose outcomes were not due yet, and nothing else of them.
    """
    due = (profiles.c.reference == lifelines.c.reference) & (profiles.c.bucket == lifelines.c.bucket)
    query = (
        select(lifelines, func.coalesce(profiles.c.rows, 0).label("due"))
        .join(references, references.c.number == lifelines.c.reference)
        .outerjoin(profiles, due & (profiles.c.of == "known"))
        .where(references.c.system == system, lifelines.c.bucket >= start)
        .order_by(lifelines.c.bucket, lifelines.c.reference)
    )
    found: dict[int, Point] = {}
    for row in connection.execute(query):
        point, before = Point(**row._asdict()), found.get(row.bucket)
        if before is not None and not point.due:
            point = replace(point, known=before.known, wrong=before.wrong, squares=before.squares, due=before.due)
        if before is not None and not point.scored:
            point = replace(point, scored=before.scored, expected=before.expected)
        found[row.bucket] = point
    return list(found.values())
