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
STUCK = timedelta(minutes=15)  # in which rows that were taken in are in their table, if ever
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
    stale = [one for one in living if one.code in {"SL501", "SL502"}]
    if stale:
        return Freshness("stale", stale[-1].says)
    never = [name for name in plan.feeds if rows_of(plan, name) not in newest]
    if never:
        return Freshness("unknown", f"Nothing of {' and '.join(never)} came yet.")
    ages = {name: (now - newest[rows_of(plan, name)]) / feed.fresh_within for name, feed in plan.feeds.items()}
    oldest = max(ages, key=lambda name: ages[name])
    promised = written(plan.feeds[oldest].fresh_within)
    if ages[oldest] > 1:
        return Freshness("unknown", f"The newest of {oldest} is older than {promised}, and nobody looked meanwhile.")
    if ages[oldest] > _AGEING:
        return Freshness("ageing", f"The newest of {oldest} is nearly {promised} old.")
    return Freshness("fresh", f"Each feed is as new as promised; the oldest is {oldest}.")


def of_model(
    plan: Plan, living: Sequence[Finding], *, referenced: bool, watched: datetime | None,
    newest: Mapping[str, datetime], waiting: datetime | None, now: datetime,
) -> Freshness:  # fmt: skip
    """How fresh the model is.

    Parameters
    ----------
    referenced
        Whether there is a reference to compare with.
    watched
        The end of the last bucket that was watched.
    newest
        The newest time of each kind of row.
    waiting
        Since when rows are on their way into their table that were not there yet; None where there are none.
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
    unseen = _unseen(plan, watched, newest, waiting, now)
    if unseen is not None:
        return Freshness("unknown", unseen)
    return Freshness("fresh", "Nothing departs from what the plan promises of it.")


def _unseen(
    plan: Plan, watched: datetime | None, newest: Mapping[str, datetime], waiting: datetime | None, now: datetime
) -> str | None:
    """Why nobody can tell how the model is, where nothing is found; None where it can be told."""
    while_ = _UNSEEN * plan.watch.bucket + timedelta(hours=1)
    if watched is None or now - watched > while_:
        return "It was not watched for a while: is `shelflife up` running?"
    if waiting is not None and now - waiting > STUCK:
        return f"Rows of {waiting:%Y-%m-%d %H:%M} are not in their table yet, and watching waits for them."
    made = newest.get("predictions")
    if made is None or now - made > while_:
        return "No predictions came " + ("yet." if made is None else f"since {made:%Y-%m-%d %H:%M}.")
    outcome = plan.model.outcome
    if outcome is None:
        return "Nobody tells what turned out true; the inputs show no change."
    known = newest.get("outcomes")
    if known is None or now - known > outcome.within + while_:
        return "Nobody told what turned out true" + ("." if known is None else f" since {known:%Y-%m-%d %H:%M}.")
    return None
