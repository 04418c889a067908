"""What is valid and yet unwise: promises that cannot be watched, nobody who owns, decides or can be told.

Each remark has a short, stable code, listed in the docs with what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shelflife.plan.reader import Written
from shelflife.plan.references import approvers, owners
from shelflife.plan.spec import SCORED, FairnessGate, MetricGate, Outcomes, Plan, Pull, Renew, Schedule
from shelflife.plan.words import Place, Window, dotted, written

CODES = {
    "PL101": "nobody owns it",
    "PL102": "nobody can approve",
    "PL103": "one person starts and approves",
    "PL104": "somebody cannot be told",
    "PL105": "somebody has no part",
    "PL201": "promised but not watchable",
    "PL202": "promised but nothing follows",
    "PL203": "outcome later than the budget can wait",
    "PL204": "bucket and season do not fit",
    "PL205": "kept too short",
    "PL206": "an alarm in every bucket is allowed",
    "PL207": "more often than it helps",
    "PL301": "review overdue",
    "PL302": "never reviewed",
    "PL303": "reviewed in the future",
    "PL401": "cannot be renewed",
    "PL402": "not gated",
    "PL403": "judged longer than learnt",
    "PL404": "a reason that may never come",
    "PL501": "a secret stands in it",
}


@dataclass(frozen=True)
class Remark:
    """One thing that a valid plan leaves open: its code, the line and place of it, and what to do."""

    code: str
    line: int
    place: str
    says: str


def remarks(plan: Written, today: date, *, reviewed: date | None = None) -> list[Remark]:
    """Everything that a plan leaves open, in the order of its lines.

    Parameters
    ----------
    plan
        As read by `shelflife.plan.read`.
    today
        The day on which a review is or is not overdue.
    reviewed
        When the plan was last applied, which counts as a review; None where it never was.
    """
    found = [*_ownership(plan.plan), *_watchable(plan.plan), *_spans(plan.plan), *_renewable(plan.plan)]
    found += _often(plan.plan)
    found += _secrets(plan.plan)
    found += _review(plan.plan, today, reviewed)
    made = [Remark(code, plan.line(*place), dotted(place), says) for code, place, says in found]
    return sorted(made, key=lambda remark: (remark.line, remark.code))


Found = tuple[str, Place, str]

# Beyond these a bucket holds several phases of the season.
_LONGEST = {"day": timedelta(hours=12), "week": timedelta(days=1), "year": timedelta(days=31)}
_SECRET = re.compile(r"://[^/@:]*:(?!\$\{)[^/@]+@|[?&](?:password|pwd|token|secret)=(?!\$\{)[^&]", re.IGNORECASE)
_SECRET_NAME = re.compile(r"password|passwd|pwd|secret|token|api_?key", re.IGNORECASE)


def _ownership(plan: Plan) -> Iterator[Found]:
    if plan.objective.owner is None:
        yield "PL101", ("objective",), "Nobody owns the outcome: name one of `people` as `objective.owner`."
    for name, feed in plan.feeds.items():
        if feed.owner is None:
            yield "PL101", ("feeds", name), f"Nobody repairs the feed {name!r}: name one of `people` as its `owner`."
    for name, source in plan.knowledge.items():
        if source.owner is None:
            yield "PL101", ("knowledge", name), f"Nobody keeps {name!r} true: name one of `people` as its `owner`."
    if plan.renew is not None and plan.renew.approve is None:
        yield (
            "PL102",
            ("renew",),
            "Nobody can approve a renewal, so none can be promoted: say who with `renew.approve: {by: …, within: …}`.",
        )
    elif len(approvers(plan)) == 1 and plan.renew is not None and plan.renew.approve is not None:
        only = plan.people[approvers(plan)[0]]
        if (only.size or 1) == 1 and not plan.renew.approve.same_person:
            yield (
                "PL103",
                ("renew", "approve"),
                f"Only {only.name} can approve, and not what they started themselves: name a second approver, or say"
                " `same_person: true`.",
            )
    told = {brief.to for brief in plan.brief} | {name for _, name in owners(plan)} | set(approvers(plan))
    for name, person in plan.people.items():
        if person.email is None and person.channel is None:
            yield (
                "PL104",
                ("people", name),
                f"{person.name} cannot be told anything: give an `email` or a `channel`.",
            )
        if name not in told and person.role in {"affected", "leader"}:
            yield (
                "PL105",
                ("people", name),
                f"{person.name} ({person.role}) is told nothing: add `- {{to: {name}, on: […]}}` to `brief`.",
            )


def _watchable(plan: Plan) -> Iterator[Found]:
    watch, model = plan.watch, plan.model
    if watch.performance is not None and model.outcome is None and not model.score:
        yield (
            "PL201",
            ("watch", "performance"),
            f"{watch.performance.metric} is promised but cannot be watched: name `model.outcome`, or a `model.score` to"
            " estimate it from.",
        )
    elif watch.performance is not None and model.outcome is None:
        yield (
            "PL201",
            ("watch", "performance"),
            f"{watch.performance.metric} is promised but can only be estimated, and an estimate does not see that the"
            " same inputs now mean something else: name `model.outcome`, and hand in a few.",
        )
    if watch.performance is not None and watch.performance.metric in SCORED and not model.score:
        yield (
            "PL201",
            ("watch", "performance"),
            f"{watch.performance.metric} is promised but is a measure of the score, which the plan does not name: name"
            " `model.score`.",
        )
    if watch.performance is None:
        yield (
            "PL202",
            ("watch",),
            "Nothing is promised of the model itself: say `watch.performance: {metric: …, at_least: …}`.",
        )
    if plan.objective.owner is not None and not plan.objective.kpis:
        yield "PL202", ("objective",), "Nothing says what the system is worth: name at least one of `objective.kpis`."
    for position, kpi in enumerate(plan.objective.kpis):
        if kpi.value_per_point is None and position == 0 and len(plan.objective.kpis) == 1:
            yield (
                "PL202",
                ("objective", "kpis", position),
                f"Nobody can say what {kpi.name} is worth: give `value_per_point`.",
            )
    for name, feed in plan.feeds.items():
        if feed.pull is not None and feed.pull.every > feed.fresh_within:
            yield (
                "PL201",
                ("feeds", name),
                f"The feed {name!r} is promised to be at most {written(feed.fresh_within)} old and fetched every"
                f" {written(feed.pull.every)}: in between it cannot be told from a stale one. Fetch it more often.",
            )


def _spans(plan: Plan) -> Iterator[Found]:
    """Lengths of time that do not go together."""
    watch, model = plan.watch, plan.model
    longest = _LONGEST.get(watch.season)
    if longest is not None and watch.bucket > longest:
        yield (
            "PL204",
            ("watch", "season"),
            f"A bucket of {written(watch.bucket)} mixes phases of a {watch.season}: `season: {watch.season}` needs"
            f" buckets of at most {written(longest)}.",
        )
    if watch.false_alarms.per <= watch.bucket * watch.false_alarms.at_most:
        yield (
            "PL206",
            ("watch", "false_alarms"),
            f"A budget of {watch.false_alarms.at_most:g} in {written(watch.false_alarms.per)} allows a false alarm in"
            f" every bucket of {written(watch.bucket)}: allow fewer, or watch in shorter buckets.",
        )
    needed = max(watch.bucket, model.outcome.within if model.outcome is not None else watch.bucket)
    if plan.keep is not None and plan.keep < needed:
        yield (
            "PL205",
            ("keep",),
            f"Rows are kept for {written(plan.keep)}, and looked at up to {written(needed)} later, when their bucket is"
            " over and their outcome known: keep them longer.",
        )
    if model.outcome is not None and model.outcome.within > watch.false_alarms.per:
        yield (
            "PL203",
            ("model", "outcome"),
            f"Outcomes may come after {written(model.outcome.within)}, later than the"
            f" {written(watch.false_alarms.per)} of the budget: what is found is then long past. Hand in a few early"
            " ones.",
        )


def _renewable(plan: Plan) -> Iterator[Found]:
    renew = plan.renew
    if renew is None:
        yield "PL401", (), "Nothing says when and how the system is renewed: add `renew`."
        return
    if plan.model.train is None:
        yield "PL401", ("model",), "It cannot be renewed: name the function that trains it, `train: module:name`."
    if not renew.when:
        yield "PL401", ("renew",), "Nothing starts a renewal by itself: say `when`."
    if not renew.gates:
        yield "PL402", ("renew",), "Whatever is trained may be promoted: add `gates`."
    if renew.data is not None and _longest(renew.data.windows) < renew.data.validate_:
        yield (
            "PL403",
            ("renew", "data"),
            f"Rivals learn from at most {written(_longest(renew.data.windows))} and are judged on"
            f" {written(renew.data.validate_)}: judge them on less, or let them learn from more.",
        )
    if plan.model.outcome is None:
        measured = [gate for gate in renew.gates if isinstance(gate, MetricGate | FairnessGate)]
        if measured or "beats_baseline" in renew.gates or any(isinstance(item, Outcomes) for item in renew.when):
            yield (
                "PL201",
                ("renew",),
                "Gates on a metric need outcomes, without which they answer unknown, and unknown never passes: name"
                " `model.outcome`.",
            )
    timed = renew.challenger is not None or any(isinstance(item, Schedule) for item in renew.when)
    if renew.by_best_before and not timed:
        yield (
            "PL404",
            ("renew", "when"),
            "A champion that was adopted, or whose like were not seen to age, has no best-before date, and is never"
            " renewed by it: say how often at least beside it, `{every: 52w}`, or name a `challenger`.",
        )
    if "change" in renew.when and "performance" not in renew.when:
        yield "PL202", ("renew", "when"), "A broken promise of performance starts no renewal: add `performance`."


def _longest(windows: tuple[Window, ...]) -> timedelta:
    return max(timedelta.max if isinstance(window, str) else window for window in windows)


def _often(plan: Plan) -> Iterator[Found]:
    """What is done more often than it helps."""
    asked: list[tuple[Place, timedelta, timedelta]] = [
        (("feeds", name, "pull", "every"), pull.every, timedelta(minutes=1)) for name, pull in _pulls(plan)
    ]
    if plan.renew is not None:
        asked += [(place, every, plan.watch.bucket) for place, every in _renewals(plan.renew)]
    if plan.review is not None:
        asked.append((("review", "every"), plan.review.every, timedelta(days=1)))
    for place, every, least in asked:
        if every < least:
            yield (
                "PL207",
                place,
                f"`{dotted(place)}` is {written(every)}, more often than there is anything new: say {written(least)} or"
                " longer.",
            )


def _renewals(renew: Renew) -> Iterator[tuple[Place, timedelta]]:
    if renew.challenger is not None:
        yield ("renew", "challenger", "every"), renew.challenger.every
    for position, item in enumerate(renew.when):
        if isinstance(item, Schedule):
            yield ("renew", "when", position, "every"), item.every


def _pulls(plan: Plan) -> Iterator[tuple[str, Pull]]:
    for name, feed in plan.feeds.items():
        if feed.pull is not None:
            yield name, feed.pull


def _secrets(plan: Plan) -> Iterator[Found]:
    for name, pull in _pulls(plan):
        place: Place = ("feeds", name, "pull")
        places = [(*place, "sql")] if pull.sql is not None and _SECRET.search(pull.sql) else []
        for option, value in pull.options.items():
            if _SECRET.search(value) or (_SECRET_NAME.search(option) and "${" not in value):
                places.append((*place, "options", option))
        for found in places:
            yield (
                "PL501",
                found,
                f"`{dotted(found)}` holds a password: whoever reads the plan reads it, and what was applied is never"
                " changed. Write `${NAME}`, which is read from the environment, and change the password.",
            )


def _review(plan: Plan, today: date, reviewed: date | None) -> Iterator[Found]:
    if plan.review is None:
        yield "PL302", (), "Nobody will read this plan again: say `review: {every: 90d, by: …}`."
        return
    if plan.review.last is not None and plan.review.last > today:
        yield (
            "PL303",
            ("review", "last"),
            f"The plan is said to have been reviewed on {plan.review.last:%-d %B %Y}, which is yet to come: say when it"
            " was.",
        )
    days = [day for day in map(_day, filter(None, (plan.review.last, reviewed))) if day <= today]
    if days and max(days) + plan.review.every < today:
        yield (
            "PL301",
            ("review",),
            f"The plan was last reviewed on {max(days):%-d %B %Y}; every {written(plan.review.every)} is promised. Read"
            " it through, and apply it or set `review.last`.",
        )


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment
