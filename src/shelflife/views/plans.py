"""A plan as people read it: as text, in words, who decided it and why, and what each changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from shelflife.plan import Plan, differences
from shelflife.plan.words import written
from shelflife.store.schema import plans
from shelflife.system import System
from shelflife.views.detail import of_feed, of_inputs, promises


@dataclass(frozen=True)
class Applied:
    """A plan that was applied: who did, why, and what it changed."""

    number: int
    at: datetime
    by: str
    because: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class PlanView:
    """One plan of a system, and all that there were."""

    system: str
    number: int
    plan: Plan
    lines: tuple[str, ...]
    words: tuple[tuple[str, tuple[str, ...]], ...]
    history: tuple[Applied, ...]

    @property
    def is_newest(self) -> bool:
        """Whether it counts."""
        return self.number == self.history[0].number


def plan(system: System, name: str, number: int | None = None) -> PlanView:
    """A plan by its number, else the newest; raises `BadInput` where there is none."""
    found = system.plan(name, number)
    with system.database.reading() as connection:
        columns = [plans.c[of] for of in ("number", "at", "by", "because")]
        rows = connection.execute(select(*columns).where(plans.c.system == name).order_by(plans.c.number)).all()
    history, before = [], None
    for row in rows:
        now = system.plan(name, row.number).plan
        changes = () if before is None else tuple(one.says for one in differences(before, now))
        history.append(Applied(row.number, row.at, row.by, row.because, changes))
        before = now
    shown = rows[-1].number if number is None else number
    return PlanView(
        name, shown, found.plan, tuple(found.text.splitlines()), _grouped(_words(found.plan)), tuple(reversed(history))
    )


def _words(plan: Plan) -> list[tuple[str, str]]:
    """What it says, a subject and a sentence each."""
    watch, model = plan.watch, plan.model
    found = [("Why", plan.objective.why)]
    if plan.objective.owner is not None:
        found.append(("Owner", _person(plan, plan.objective.owner)))
    answer = f"{model.task} of {model.prediction} from {', '.join(model.inputs)}"
    truth = "" if model.outcome is None else f"; {model.outcome.name} is known within {written(model.outcome.within)}"
    found.append(("Model", f"{model.name}: {answer}{truth}."))
    calm = watch.false_alarms
    found.append(("Watched", f"in slices of {written(watch.bucket)}, with at most {calm.at_most:g} false alarm per "
                             f"{written(calm.per)} for the whole system."))  # fmt: skip
    found += [("Promised", f"{what}: {said}.") for what, said in _promised(plan)]
    inputs = of_inputs(plan, unseen=False)
    if inputs:
        found.append(("Inputs", f"each {inputs}."))
    categories = of_inputs(plan, unseen=True)
    if categories != inputs and "category" in plan.model.inputs.values():
        found.append(("Inputs", f"categories: {categories.removeprefix(inputs).removeprefix(', ')}."))
    for name, feed in plan.feeds.items():
        owner = "" if feed.owner is None else f"; {_person(plan, feed.owner)} repairs it"
        found.append((f"Feed {name}", f"is {of_feed(feed)}{owner}."))
    if plan.renew is not None and plan.renew.approve is not None:
        approve = plan.renew.approve
        found.append(
            ("Decided", f"Renewals are approved by {_person(plan, approve.by)} within {written(approve.within)}.")
        )
    for brief in plan.brief:
        found.append(("Told", f"{_person(plan, brief.to)} of {', '.join(brief.on).replace('_', ' ')}."))
    if plan.review is not None:
        found.append(("Reviewed", f"every {written(plan.review.every)} by {_person(plan, plan.review.by)}."))
    return found


def _grouped(words: list[tuple[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each subject once, with all that is said of it."""
    found: dict[str, list[str]] = {}
    for name, said in words:
        found.setdefault(name, []).append(said)
    return tuple((name, tuple(said)) for name, said in found.items())


def _promised(plan: Plan) -> list[tuple[str, str]]:
    return [(one.what, one.promised) for one in promises(plan) if one.place[0] in {"watch", "objective"}]


def _person(plan: Plan, name: str) -> str:
    person = plan.people.get(name)
    return name if person is None else f"{person.name} ({person.role})"
