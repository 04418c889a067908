"""A system's lifeline: of each bucket, how often its predictions were wrong, and how often that could be expected.

Sums of a few numbers, so that years of it are read at once. Outcomes are shown from when they are due: before, those
that come soon stand for all, and they are seldom typical. One that comes after that is added to the bucket of its
prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, insert, select, update

from shelflife.profile.counts import Profile
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
        Predictions whose outcome is known, and how many of them were wrong: for numbers the sum of their losses, each
        at most 1, in the reference's loss scale.
    scored, expected
        Predictions with a score, and how many of them could be expected to be wrong.
    limit
        The most of them that may be wrong, in the mean.
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


def of_rows(promised: Promised, reference: int, made: Profile, known: Profile) -> Iterator[Point]:
    """What new rows add to the buckets of their predictions."""
    streams = promised.promise.streams.streams
    place = {code: index for index, stream in reversed(list(enumerate(streams))) for code in (_SEEN, _EXPECTED)
             if stream.code == code and stream.segment == 0 and stream.rises}  # fmt: skip
    if not place:
        return
    first = next(iter(place.values()))
    for bucket, seen in promised.see(made, known):
        rows_known, wrong, scored, expected = (
            float(values[place[code]]) if code in place else 0.0
            for code in (_SEEN, _EXPECTED)
            for values in (seen.rows, seen.hits)
        )
        if rows_known or scored:
            limit = float(seen.limit[place.get(_SEEN, first)])
            held = limit if limit < 1.0 else None
            yield Point(reference, bucket, rows_known, wrong, scored, expected, held)


def add(connection: Connection, points: Iterable[Point]) -> None:
    """Add to the buckets."""
    for one in points:
        sums = {name: getattr(one, name) for name in ("known", "wrong", "scored", "expected")}
        which = lifelines.c.reference == one.reference, lifelines.c.bucket == one.bucket
        more = {name: lifelines.c[name] + value for name, value in sums.items()}
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
            point = replace(point, known=before.known, wrong=before.wrong, due=before.due)
        if before is not None and not point.scored:
            point = replace(point, scored=before.scored, expected=before.expected)
        found[row.bucket] = point
    return list(found.values())
