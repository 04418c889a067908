"""What is promised of facts that need no statistics: how old, how many, how good the newest figure is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shelflife.plan import Plan
from shelflife.plan.words import Place, written

CODES = {"SL401", "SL501", "SL502", "SL601"}
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Facts:
    """What is known of a system's rows.

    Attributes
    ----------
    newest
        The newest time of each kind of row.
    volumes
        Rows of each kind, by the hour of their time.
    kpis
        The newest figures that were reported, by name: value and time.
    resumed
        Since when it was looked at without a pause; what came late while nobody looked is no fault of a feed.
    applied
        When the plan was applied.
    """

    newest: Mapping[str, datetime]
    volumes: Mapping[str, Mapping[datetime, int]]
    kpis: Mapping[str, tuple[float, datetime]]
    resumed: datetime
    applied: datetime


@dataclass(frozen=True)
class Judged:
    """One promise and whether it is kept.

    Attributes
    ----------
    code, key
        Of the finding, where it is broken; one key is open once.
    place
        Where the plan promises it.
    promised
        In words.
    says
        What is seen instead; None where it is kept.
    since
        Since when it is broken.
    observed
        The figure.
    """

    code: str
    key: str
    place: Place
    promised: str
    says: str | None = None
    since: datetime | None = None
    observed: float | None = None


def judged(plan: Plan, facts: Facts, now: datetime) -> Iterator[Judged]:
    """Every promise that can be judged now; what cannot be told is left out."""
    yield from _fresh(plan, facts, now)
    yield from _volumes(plan, facts, now)
    yield from _kpis(plan, facts)
    yield from _review(plan, facts, now)


def keys(plan: Plan) -> set[str]:
    """The keys of all that a plan promises of facts, whether it can be judged now or not."""
    found = {f"SL401 {kpi.name}" for kpi in plan.objective.kpis} | {f"SL501 {name}" for name in plan.feeds}
    found |= {f"SL502 {name}" for name, feed in plan.feeds.items() if feed.expect_rows is not None}
    return found | ({"SL601"} if plan.review is not None else set())


def rows_of(plan: Plan, feed: str) -> str:
    """The kind of rows by which a feed is seen."""
    asked = plan.feeds[feed]
    return asked.rows or (asked.pull.rows if asked.pull is not None else "predictions")


def _fresh(plan: Plan, facts: Facts, now: datetime) -> Iterator[Judged]:
    for name, feed in plan.feeds.items():
        kind = rows_of(plan, name)
        newest = facts.newest.get(kind)
        promised = f"{name} is at most {written(feed.fresh_within)} old"
        made = Judged("SL501", f"SL501 {name}", ("feeds", name, "fresh_within"), promised)
        # While nobody looked nothing could come; then a feed has its time once more.
        seen = max(one for one in (newest, facts.resumed) if one is not None)
        if now - seen <= feed.fresh_within:
            if newest is not None and now - newest <= feed.fresh_within:
                yield made
            continue
        if newest is None:
            yield _broken(made, f"Nothing of {name} ever came.", facts.resumed, None)
            continue
        age = now - newest
        says = (
            f"The newest of {name} is {_about(age)} old ({newest:%Y-%m-%d %H:%M}); promised are"
            f" {written(feed.fresh_within)}."
        )
        yield _broken(made, says, newest + feed.fresh_within, age / _HOUR)


def _volumes(plan: Plan, facts: Facts, now: datetime) -> Iterator[Judged]:
    for name, feed in plan.feeds.items():
        expected = feed.expect_rows
        counts = facts.volumes.get(rows_of(plan, name), {})
        if expected is None or expected.per < _HOUR or not counts:
            continue
        # The newest stretch that is over, with the time that its rows may take to come.
        zero = datetime(1970, 1, 5, tzinfo=now.tzinfo)  # a Monday
        end = zero + (now - feed.fresh_within - zero) // expected.per * expected.per
        start = end - expected.per
        if start < max(facts.resumed, min(counts)):
            continue
        rows = sum(count for hour, count in counts.items() if start <= hour < end)
        bounds = [f"at least {expected.at_least:g}" if expected.at_least is not None else "",
                  f"at most {expected.at_most:g}" if expected.at_most is not None else ""]  # fmt: skip
        promised = f"{name} has {' and '.join(filter(None, bounds))} rows per {written(expected.per)}"
        made = Judged("SL502", f"SL502 {name}", ("feeds", name, "expect_rows"), promised, observed=float(rows))
        few = expected.at_least is not None and rows < expected.at_least
        many = expected.at_most is not None and rows > expected.at_most
        if not (few or many):
            yield made
            continue
        between = f"from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
        says = f"{rows:,} rows of {name} came {between}; promised are {' and '.join(filter(None, bounds))}."
        yield _broken(made, says, start, float(rows))


def _kpis(plan: Plan, facts: Facts) -> Iterator[Judged]:
    for place, kpi in enumerate(plan.objective.kpis):
        if kpi.name not in facts.kpis:
            continue
        value, at = facts.kpis[kpi.name]
        bounds = [f"at least {kpi.at_least:g}" if kpi.at_least is not None else "",
                  f"at most {kpi.at_most:g}" if kpi.at_most is not None else ""]  # fmt: skip
        said = " and ".join(filter(None, bounds))
        made = Judged(
            "SL401", f"SL401 {kpi.name}", ("objective", "kpis", place), f"{kpi.name} is {said}", observed=value
        )
        low = kpi.at_least is not None and value < kpi.at_least
        high = kpi.at_most is not None and value > kpi.at_most
        if low or high:
            yield _broken(made, f"{kpi.name} was {value:g} on {at:%Y-%m-%d}; promised is {said}.", at, value)
        else:
            yield made


def _review(plan: Plan, facts: Facts, now: datetime) -> Iterator[Judged]:
    review = plan.review
    if review is None:
        return
    last = facts.applied
    if review.last is not None:
        last = max(last, datetime(review.last.year, review.last.month, review.last.day, tzinfo=now.tzinfo))
    due = last + review.every
    made = Judged("SL601", "SL601", ("review",), f"the plan is read through every {written(review.every)}")
    if now <= due:
        yield made
    else:
        yield _broken(
            made,
            f"The plan was last read through on {last:%Y-%m-%d}; it was to be read again by {due:%Y-%m-%d}.",
            due,
            None,
        )


def _broken(made: Judged, says: str, since: datetime, observed: float | None) -> Judged:
    return Judged(made.code, made.key, made.place, made.promised, says, since, observed)


def _about(age: timedelta) -> str:
    for unit, length in (("day", timedelta(days=1)), ("hour", _HOUR), ("minute", timedelta(minutes=1))):
        count = round(age / length)
        if age >= 2 * length or (unit == "minute"):
            return f"{count:,} {unit}{'s' if count != 1 else ''}"
    raise AssertionError
