"""How fresh a system is: its feeds, what it knows, its model; each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shelflife.plan import Plan
from shelflife.plan.words import written
from shelflife.watch.conditions import rows_of
from shelflife.watch.findings import Finding

State = Literal["fresh", "ageing", "stale", "unknown"]
_AGEING = 0.75  # of the time in which a feed is to be fresh
_UNSEEN = 3  # buckets that may go by without a look, or without rows
_BUSY = timedelta(minutes=10)  # with one system, when others wait
STUCK = timedelta(minutes=15)  # in which rows that were taken in are in their table, if ever
_WORST = {"stale": 0, "unknown": 1, "ageing": 2, "fresh": 3}
_HARM = {"performance", "relation", "kpi"}


@dataclass(frozen=True)
class Freshness:
    """One state and why."""

    state: State
    reason: str


def of_feeds(plan: Plan, newest: Mapping[str, datetime], living: Sequence[Finding], now: datetime) -> Freshness:
    """How fresh the feeds are: the worst of them."""
    if not plan.feeds:
        return Freshness("unknown", "The plan names no feed.")
    each = [of_feed(plan, name, newest, living, now) for name in plan.feeds]
    worst = min(each, key=lambda one: _WORST[one.state])
    return worst if worst.state != "fresh" else Freshness("fresh", "Each feed is as new as promised.")


def of_feed(
    plan: Plan, name: str, newest: Mapping[str, datetime], living: Sequence[Finding], now: datetime
) -> Freshness:
    """How fresh one feed is."""
    stale = [one for one in living if one.key in {f"SL501 {name}", f"SL502 {name}"}]
    if stale:
        return Freshness("stale", stale[-1].says)
    kind = rows_of(plan, name)
    if kind not in newest:
        return Freshness("unknown", f"Nothing of {name} came yet.")
    within = plan.feeds[name].fresh_within
    age, promised = (now - newest[kind]) / within, written(within)
    if age > 1:
        return Freshness("unknown", f"The newest of {name} is older than {promised}, and nobody looked meanwhile.")
    if age > _AGEING:
        return Freshness("ageing", f"The newest of {name} is nearly {promised} old.")
    return Freshness("fresh", "As promised.")


@dataclass(frozen=True)
class Watching:
    """How watching of a system stands.

    Attributes
    ----------
    end
        Of the last bucket that was watched.
    told, late
        Of how many predictions an outcome was here when it was due, since this watching began; how many came later.
    """

    end: datetime
    told: int = 0
    late: int = 0


def of_model(
    plan: Plan, living: Sequence[Finding], *, referenced: bool, watched: Watching | None,
    newest: Mapping[str, datetime], waiting: datetime | None, led: datetime | None, best_before: datetime | None,
    now: datetime,
) -> Freshness:  # fmt: skip
    """How fresh the model is.

    Parameters
    ----------
    referenced
        Whether there is a reference to compare with.
    watched
        How watching of it stands; None where it never was.
    newest
        The newest time of each kind of row.
    waiting
        Since when rows are on their way into their table that were not there yet; None where there are none.
    led
        Until when somebody leads, or led, who looks at all systems; None where nobody ever did.
    best_before
        Of the version that is champion; None where that is not known.
    """
    if not referenced:
        return Freshness("unknown", "There is no reference yet to compare with.")
    spoken = [one for one in living if one.state != "muted"]
    harm = [one for one in spoken if one.kind in _HARM and one.severity == "page" and not one.estimated]
    if harm:
        return Freshness("stale", harm[-1].says)
    signs = [one for one in spoken if one.kind in {"performance", "integrity", "drift", "relation", "adoption"}]
    if signs:
        return Freshness("ageing", signs[-1].says)
    unseen = _unwatched(plan, watched, led, now) or _unseen(plan, newest, waiting, now)
    late = _late(plan, watched)
    if unseen is None and watched is not None and watched.late > watched.told:
        unseen = late
    if unseen is not None:
        return Freshness("unknown", unseen)
    if best_before is not None and best_before <= now:
        until = f"It was best before {best_before:%Y-%m-%d}"
        return Freshness(
            "ageing", f"{until}, and nothing departs yet from what the plan promises of it. {late}".rstrip()
        )
    return Freshness("fresh", f"Nothing departs from what the plan promises of it. {late}".rstrip())


def _unwatched(plan: Plan, watched: Watching | None, led: datetime | None, now: datetime) -> str | None:
    """Why nobody can tell how the model is, where nobody looks at it."""
    if watched is not None and now - watched.end <= _while(plan):
        return None
    since = "It was not watched yet" if watched is None else f"It was not watched since {watched.end:%Y-%m-%d %H:%M}"
    if led is not None and led > now:
        return f"{since}: `shelflife up` runs, and comes to it after others."
    if led is not None and now - led <= _BUSY:
        return f"{since}: `shelflife up` ran until {led:%H:%M}, and is busy or has ended."
    return f"{since}: is `shelflife up` running?"


def _late(plan: Plan, watched: Watching | None) -> str:
    """What was not counted, and why."""
    if watched is None or not watched.late or plan.model.outcome is None:
        return ""
    came = watched.late + watched.told
    return (
        f"{watched.late:,} of {came:,} outcomes came after they were due and are no evidence: the plan says that they"
        f" are known within {written(plan.model.outcome.within)}."
    )


def _unseen(plan: Plan, newest: Mapping[str, datetime], waiting: datetime | None, now: datetime) -> str | None:
    """Why nobody can tell how the model is, where nothing comes to look at."""
    if waiting is not None and now - waiting > STUCK:
        return f"Rows of {waiting:%Y-%m-%d %H:%M} are not in their table yet, and watching waits for them."
    made, while_ = newest.get("predictions"), _while(plan)
    if made is None or now - made > while_:
        return "No predictions came " + ("yet." if made is None else f"since {made:%Y-%m-%d %H:%M}.")
    outcome = plan.model.outcome
    if outcome is None:
        return "Nobody tells what turned out true; the inputs show no change."
    known = newest.get("outcomes")
    if known is None or now - known > outcome.within + while_:
        return "Nobody told what turned out true" + ("." if known is None else f" since {known:%Y-%m-%d %H:%M}.")
    return None


def _while(plan: Plan) -> timedelta:
    """What may go by without a look, or without rows."""
    return _UNSEEN * plan.watch.bucket + timedelta(hours=1)
