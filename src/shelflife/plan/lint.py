"""What is valid and yet unwise: promises that cannot be watched, nobody who owns, decides or can be told.

Each remark has a short, stable code, listed in the docs with what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from shelflife.plan.reader import Written
from shelflife.plan.references import approvers, owners
from shelflife.plan.spec import Age, FairnessGate, MetricGate, Outcomes, Plan
from shelflife.plan.words import Place, dotted, written

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
    "PL301": "review overdue",
    "PL302": "never reviewed",
    "PL401": "cannot be renewed",
    "PL402": "not gated",
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
    found = [*_ownership(plan.plan), *_watchable(plan.plan), *_renewable(plan.plan)]
    found += _review(plan.plan, today, reviewed)
    made = [Remark(code, plan.line(*place), dotted(place), says) for code, place, says in found]
    return sorted(made, key=lambda remark: (remark.line, remark.code))


Found = tuple[str, Place, str]


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
    if watch.season == "day" and watch.bucket.days >= 1:
        yield (
            "PL204",
            ("watch", "season"),
            f"A bucket of {written(watch.bucket)} holds every phase of a day: `season: day` compares nothing.",
        )
    if watch.season == "week" and watch.bucket.days >= 7:
        yield (
            "PL204",
            ("watch", "season"),
            f"A bucket of {written(watch.bucket)} holds every phase of a week: `season: week` compares nothing.",
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
    if plan.model.outcome is None:
        measured = [gate for gate in renew.gates if isinstance(gate, MetricGate | FairnessGate)]
        if measured or "beats_baseline" in renew.gates or any(isinstance(item, Outcomes) for item in renew.when):
            yield (
                "PL201",
                ("renew",),
                "Gates on a metric need outcomes, without which they answer unknown, and unknown never passes: name"
                " `model.outcome`.",
            )
    if any(isinstance(item, Age) for item in renew.when) and plan.model.outcome is None:
        yield "PL201", ("renew", "when"), "A best-before date is measured on outcomes: name `model.outcome`."
    if "change" in renew.when and "performance" not in renew.when:
        yield "PL202", ("renew", "when"), "A broken promise of performance starts no renewal: add `performance`."


def _review(plan: Plan, today: date, reviewed: date | None) -> Iterator[Found]:
    if plan.review is None:
        yield "PL302", (), "Nobody will read this plan again: say `review: {every: 90d, by: …}`."
        return
    days = [_day(day) for day in (plan.review.last, reviewed) if day is not None]
    if days and max(days) + plan.review.every < today:
        yield (
            "PL301",
            ("review",),
            f"The plan was last reviewed on {max(days):%-d %B %Y}; every {written(plan.review.every)} is promised. Read"
            " it through, and apply it or set `review.last`.",
        )


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment
