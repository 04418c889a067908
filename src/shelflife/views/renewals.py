"""Renewals: why each was started, how far it is, what its gates say, how it does live, and who is to decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from shelflife.brief import Brief
from shelflife.errors import Missing
from shelflife.plan import Plan
from shelflife.plan.words import written
from shelflife.renew import approval
from shelflife.renew.approval import Approval
from shelflife.renew.run import Done, Renewal
from shelflife.renew.steps import Step
from shelflife.rights import Denied
from shelflife.store.schema import approvals, renewals
from shelflife.system import System

PAGE = 50
# What is being done, as it is said of a renewal that is under way.
_DOING = MappingProxyType({
    "snapshot": "its rows are being fixed", "check": "its rows are being looked at",
    "train": "challengers are being trained", "choose": "the best challenger is being chosen",
    "gates": "the gates are being asked", "approve": "people are being asked",
    "canary": "version {version} answers {share:g} % of requests", "promote": "version {version} is being promoted",
    "bake": "version {version} answers everybody and is watched closely",
    "brief": "people are being told", "close": "it is being closed",
})  # fmt: skip
_ENDS = MappingProxyType({
    "promoted": "version {version} was promoted", "kept": "the champion stays", "held": "nothing was renewed",
    "rejected": "version {version} was rejected", "expired": "nobody decided on version {version} in time",
    "rolled_back": "version {version} went back", "cancelled": "the renewal was cancelled",
    "failed": "the renewal failed",
})  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A decision that is waited for: on which version of which system, by whom and until when."""

    renewal: int
    system: str
    title: str
    version: int | None
    whom: str
    expires: datetime


@dataclass(frozen=True)
class Listed:
    """A renewal among others; `asked` where it waits for a decision."""

    renewal: Renewal
    title: str
    says: str
    asked: Asked | None


@dataclass(frozen=True)
class Renewals:
    """A page of renewals, those that wait for people first; `next` is where the next page begins."""

    waiting: tuple[Listed, ...]
    others: tuple[Listed, ...]
    found: int
    next: int | None


@dataclass(frozen=True)
class StepView:
    """A step.

    Attributes
    ----------
    does
        What it is there for.
    state
        ``done``, ``now``, ``waits``, ``ended`` (the renewal ended with it), ``to come`` or ``left out``.
    said
        What came of it.
    log
        The last lines of a log, where they are told with it.
    """

    name: str
    does: str
    state: str
    said: str
    started: datetime | None
    ended: datetime | None
    log: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a gate says, and by which figures."""

    gate: str
    state: str
    says: str
    evidence: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Told:
    """What somebody was told; `whom` is their name."""

    whom: str
    brief: Brief


@dataclass(frozen=True)
class Live:
    """How a version does with real requests, beside the champion.

    Attributes
    ----------
    version, beside
        Their numbers; where nothing served before, it is beside nobody.
    rows, others
        How many requests each answered.
    outcomes
        How many of its answers could be compared by what turned out true.
    worse_by
        How much more often it erred than the other, in points: of numbers a share of the largest error that counts.
    allowed
        By how much it may be worse.
    until
        How long it is watched, in words.
    """

    step: str
    state: str
    version: int
    beside: int | None
    share: float
    since: datetime | None
    rows: int | None
    others: int | None
    crashed: int | None
    outcomes: int | None
    worse_by: float | None
    allowed: float | None
    latency_p95: float | None
    until: str


@dataclass(frozen=True)
class RenewalView:
    """A renewal.

    Attributes
    ----------
    says, more
        The one thing to know, and what else is.
    asked
        The decision that is waited for.
    decision
        What was decided, or is to be.
    """

    renewal: Renewal
    title: str
    says: str
    more: str
    steps: tuple[StepView, ...]
    verdicts: tuple[Verdict, ...]
    live: tuple[Live, ...]
    asked: Asked | None
    decision: Approval | None
    same_person: bool
    briefs: tuple[Told, ...]

    @property
    def moves(self) -> bool:
        """Whether it goes on by itself."""
        return self.renewal.ended is None and self.asked is None


def waiting(system: System, name: str | None = None) -> list[Asked]:
    """All decisions that are waited for, the one that is due first."""
    query = (
        select(renewals.c.number, renewals.c.system, renewals.c.plan, renewals.c.challenger, approvals.c.expires)
        .join(approvals, approvals.c.renewal == renewals.c.number)
        .where(renewals.c.ended.is_(None), approvals.c.decision.is_(None), approvals.c.expires > system.clock.now())
        .order_by(approvals.c.expires, renewals.c.number)
    )
    if name is not None:
        query = query.where(renewals.c.system == name)
    with system.database.reading() as connection:
        rows = connection.execute(query).all()
    found = []
    for row in rows:
        plan = system.plan(row.system, row.plan).plan
        title = system.plan(row.system).plan.title
        found.append(Asked(row.number, row.system, title, row.challenger, whom(plan), row.expires))
    return found


def whom(plan: Plan) -> str:
    """The names of those who may decide on renewals."""
    asked = plan.renew.approve if plan.renew is not None else None
    if asked is None:
        return "nobody"
    return " or ".join(one.name for name, one in plan.people.items() if asked.by in (name, one.role)) or asked.by


def every(system: System, *, name: str | None = None, before: int | None = None) -> Renewals:
    """A page of renewals, of one system or all."""
    found = system.renewing.renewals(name)
    asked = {one.renewal: one for one in waiting(system, name)}
    rest = [one for one in found if before is None or one.number < before]
    titles = {one.system: system.plan(one.system).plan.title for one in rest[:PAGE]}
    listed = [
        Listed(one, titles.get(one.system, one.system), _first(_headline(one, asked.get(one.number), None)),
               asked.get(one.number))
        for one in rest[:PAGE]
    ]  # fmt: skip
    return Renewals(
        tuple(one for one in listed if one.asked), tuple(one for one in listed if not one.asked), len(found),
        rest[PAGE - 1].number if len(rest) > PAGE else None,
    )  # fmt: skip


def renewal(system: System, number: int) -> RenewalView:
    """One renewal; raises `Missing` where there is none."""
    if number not in {one.number for one in system.renewing.renewals()}:
        raise Missing(f"There is no renewal {number}.")
    found, done = system.renewing.renewal(number)
    planned = system.renewing.planned(number)
    plan = system.plan(found.system, found.plan).plan
    asked = next((one for one in waiting(system, found.system) if one.renewal == number), None)
    with system.database.reading() as connection:
        decision = approval.of(connection, number)
    steps = _steps(found, planned, {one.place: one for one in done})
    now = next((step for step, seen in zip(planned, steps, strict=True) if seen.state in {"now", "waits"}), None)
    title = system.plan(found.system).plan.title
    headline = _headline(found, asked, now, decided=decision is not None and decision.decision is not None)
    gates: list[Any] = next((one.evidence.get("verdicts", []) for one in done if one.name == "gates"), [])
    approve = plan.renew.approve if plan.renew is not None else None
    return RenewalView(
        found, title, f"{title}: {headline}.", _more(found, asked, decision), tuple(steps),
        tuple(Verdict(one["gate"], one["state"], one["says"], tuple(_plain(one["evidence"]))) for one in gates),
        tuple(_live(found, plan, planned, steps, done)), asked, decision, approve is not None and approve.same_person,
        tuple(Told(_name(plan, one.to), one) for one in system.renewing.briefs(number)),
    )  # fmt: skip


def _name(plan: Plan, short: str) -> str:
    """How people know somebody; of whom only another plan names, the short name."""
    return plan.people[short].name if short in plan.people else short


def refusal(system: System, found: Renewal, person: str | None, *, account: str, approve: bool) -> str | None:
    """Why somebody may not decide on a renewal, None where they may."""
    plan = system.plan(found.system, found.plan).plan
    if person is None:
        return f"The plan asks {whom(plan)}, and your account has no address of theirs."
    try:
        with system.database.reading() as connection:
            approval.check_may(connection, plan, person, started_by=found.by, approve=approve, known_as=account)
    except Denied as error:
        return str(error)
    return None


def _headline(found: Renewal, asked: Asked | None, now: Step | None, *, decided: bool = False) -> str:
    """What is to be known of it, in a few words."""
    version = "none" if found.challenger is None else found.challenger
    if asked is not None:
        return f"version {asked.version} waits for {asked.whom} to decide"
    if found.ended is not None:
        return _ENDS[found.state].format(version=version)
    if now is None:
        return "it is under way"
    if now.kind == "approve" and decided:
        return "people have decided, and what they said is being done"
    return _DOING[now.kind].format(version=version, share=100 * (now.share or 0.0))


def _more(found: Renewal, asked: Asked | None, decision: Approval | None) -> str:
    if asked is not None:
        return "All gates pass. Nothing is rolled out until a person says so."
    # What the gates said stands below, gate by gate.
    told = found.says.partition("\n")[0]  # the lines of a log that may follow stand with their step
    said = told.split(": ")[0] if found.state == "rejected" and decision is None else told
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _first(words: str) -> str:
    return words[:1].upper() + words[1:]


def _steps(found: Renewal, planned: list[Step], done: dict[int, Done]) -> list[StepView]:
    """All steps, those that were not begun too."""
    steps, over = [], found.ended is not None
    for place, step in enumerate(planned):
        own = done.get(place)
        if own is None:
            first = not over and all(at in done and done[at].state == "done" for at in range(place))
            state = "left out" if over else "now" if first else "to come"
            steps.append(StepView(step.name, step.says, state, "", None, None))
            continue
        state = "done" if found.state == "promoted" else "left out" if over and own.state == "waits" else own.state
        said = found.says if own.state == "waits" and not over else own.evidence.get("says", "")
        line, _, log = str(said).partition("\n")
        steps.append(StepView(step.name, step.says, state, line, own.started, own.ended, log))
    return steps


def _live(
    found: Renewal, plan: Plan, planned: list[Step], steps: list[StepView], done: list[Done]
) -> list[Live]:  # fmt: skip
    """What was seen of the version at each step at which it answered, the newest first."""
    rolling = plan.renew.rollout if plan.renew is not None else None
    allowed = rolling.abort_if.error if rolling is not None and rolling.abort_if is not None else None
    bake = rolling.bake if rolling is not None else None
    until = [] if bake is None or bake.rows is None else [f"{bake.rows:,} requests"]
    until += [] if bake is None or bake.time is None else [written(bake.time)]
    seen = []
    for own in reversed(done):
        step = planned[own.place]
        if step.kind not in {"canary", "bake"} or "began" not in own.evidence or found.challenger is None:
            continue
        said = own.evidence.get
        seen.append(Live(
            step.name, steps[own.place].state, found.challenger, found.champion, step.share or 1.0,
            datetime.fromisoformat(own.evidence["began"]), said("rows"), said("others"), said("crashed"),
            said("outcomes"), said("worse_by"), None if allowed is None else allowed.worse_by, said("latency_p95"),
            " and ".join(until) or "as long as it takes",
        ))  # fmt: skip
    return seen


def _plain(evidence: dict[str, Any]) -> list[tuple[str, Any]]:
    """Figures by their names, as people read them."""
    return [
        (name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in evidence.items()
        if value is not None and not isinstance(value, dict)
    ]
