"""One system: how it stands, what is watched of it and how that goes, and who keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from shelflife.durations import moment
from shelflife.plan import Plan
from shelflife.plan.spec import Feed
from shelflife.plan.words import written
from shelflife.store.schema import delta_tables, references
from shelflife.system import System
from shelflife.views.lifeline import Lifeline, bound, lifeline, promised
from shelflife.views.renewals import Asked, waiting
from shelflife.views.status import Status, statuses, urgency
from shelflife.views.versions import Serving, serving
from shelflife.watch import freshness
from shelflife.watch.findings import Finding
from shelflife.watch.freshness import Freshness

_SEEN = {True: Freshness("fresh", "as promised"), False: Freshness("unknown", "nothing seen yet")}


@dataclass(frozen=True)
class Watched:
    """Something that is watched.

    Attributes
    ----------
    what, promised
        In words.
    line
        Of the plan, where it is promised.
    seen
        How it stands, where no finding says it.
    findings
        Those that live.
    """

    what: str
    promised: str
    line: int
    seen: Freshness
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Taken:
    """The reference that live rows are compared with."""

    number: int
    at: datetime
    start: datetime | None
    end: datetime | None
    rows: int


@dataclass(frozen=True)
class Detail:
    """One system."""

    status: Status
    plan: Plan
    applied: datetime
    reference: Taken | None
    lifeline: Lifeline | None
    living: tuple[Finding, ...]
    ended: int
    watched: tuple[Watched, ...]
    serving: Serving
    asked: Asked | None

    @property
    def promise(self) -> str:
        """What the model promises, in a few words."""
        return promised(self.plan)


def detail(system: System, name: str) -> Detail:
    """All that the page of a system says; raises `BadInput` where there is none."""
    (status,) = statuses(system, name)
    _, applied, plan = system.newest(name)
    every = system.watching.findings(name, ended=True)
    living = [one for one in every if one.state != "resolved"]
    with system.database.reading() as connection:
        columns = [references.c[of] for of in ("number", "at", "start", "end", "rows")]
        query = select(*columns).where(references.c.system == name).order_by(references.c.number.desc())
        row = connection.execute(query.limit(1)).one_or_none()
        came = select(delta_tables).where(delta_tables.c.system == name, delta_tables.c.newest.is_not(None))
        newest = {one.kind: moment(one.newest) for one in connection.execute(came)}
    line = lifeline(system, name)
    now = system.clock.now()
    seen = {"rows": _SEEN[status.watched is not None], "outcomes": _performance(line), "plan": _SEEN[True]}
    seen |= {kind: _SEEN[kind in newest] for kind in ("feedback", "kpis")}
    seen |= {f"feed {feed}": freshness.of_feed(plan.plan, feed, newest, living, now) for feed in plan.plan.feeds}
    watched = tuple(
        Watched(one.what, one.promised, plan.line(*one.place), seen[one.by],
                tuple(found for found in sorted(living, key=urgency) if _is_of(found, one.codes, one.column)))
        for one in promises(plan.plan)
    )  # fmt: skip
    return Detail(
        status, plan.plan, applied, None if row is None else Taken(**row._asdict()), line,
        tuple(sorted(living, key=urgency)), len(every) - len(living), watched, serving(system, name),
        next(iter(waiting(system, name)), None),
    )  # fmt: skip


def _performance(line: Lifeline | None) -> Freshness:
    """How the newest slice of a lifeline stands to what is promised, where nothing is found."""
    latest = None if line is None else line.latest
    if line is None or latest is None or latest.observed is None:
        return _SEEN[False]
    if not line.held:
        return Freshness("fresh", "no more errors than the reference allows")
    held = latest.promised
    if held is None or (latest.observed >= held if line.rises else latest.observed <= held):
        return _SEEN[True]
    why = "by no more than chance may do" if line.rises else "by no more than chance or a few large errors may do"
    return Freshness("ageing", f"{'below' if line.rises else 'above'} it lately, {why}")


@dataclass(frozen=True)
class Promised:
    """One promise of a plan.

    Attributes
    ----------
    place
        Where the plan makes it.
    codes, column
        Of the findings that say that it is broken.
    by
        By what it is seen: "rows" that are watched, known "outcomes", the "plan" itself, "feedback", "kpis" or a feed.
    """

    what: str
    promised: str
    place: tuple[str | int, ...]
    codes: tuple[str, ...]
    column: str | None
    by: str


def promises(plan: Plan) -> list[Promised]:
    """All that a plan promises and that is watched, the model's performance first."""
    watch, found = plan.watch, list[Promised]()
    if watch.performance is not None:
        what = f"Performance: {watch.performance.metric.replace('_', ' ')}"
        codes: tuple[str, ...] = ("SL301", "SL302", "SL303")
        found.append(Promised(what, bound(watch.performance), ("watch", "performance"), codes, None, "outcomes"))
    for name, code in (("overrides", "SL402"), ("escalations", "SL403")):
        use = getattr(watch.adoption, name, None)
        if use is not None:
            most = f"at most {100 * use.at_most:.4g} % of predictions"
            found.append(Promised(name.capitalize(), most, ("watch", "adoption", name), (code,), None, "feedback"))
    for place, kpi in enumerate(plan.objective.kpis):
        what = f"KPI: {kpi.name.replace('_', ' ')}"
        found.append(Promised(what, bound(kpi), ("objective", "kpis", place), ("SL401",), kpi.name, "kpis"))
    for name, feed in plan.feeds.items():
        codes = ("SL501", "SL502")
        found.append(Promised(f"Feed: {name}", of_feed(feed), ("feeds", name), codes, name, f"feed {name}"))
    found += _inputs(plan)
    if plan.review is not None:
        every = f"every {written(plan.review.every)}"
        found.append(Promised("Review of the plan", every, ("review",), ("SL601",), None, "plan"))
    return found


def of_feed(feed: Feed) -> str:
    """What is promised of a feed, in words."""
    rows = feed.expect_rows
    said = f"fresh within {written(feed.fresh_within)}"
    return said if rows is None else f"{said}, {bound(rows)} rows per {written(rows.per)}"


def _inputs(plan: Plan) -> list[Promised]:
    return [
        Promised(f"Input: {name}", said, ("model", "inputs", name), ("SL1", "SL2"), name, "rows")
        for name, kind in plan.model.inputs.items()
        if (said := of_inputs(plan, unseen=kind == "category"))
    ]


def of_inputs(plan: Plan, *, unseen: bool) -> str:
    """What is promised of each input, in words; of those that can hold what was never seen also of that."""
    watch, said = plan.watch, []
    if watch.drift is not None:
        said.append(f"moves by at most {100 * watch.drift.tolerance:.4g} % of rows")
    quality = watch.quality
    if quality is not None and quality.nulls is not None:
        said.append(f"at most {100 * quality.nulls.within:.4g} % more are missing")
    if unseen and quality is not None and quality.unseen is not None:
        said.append(f"at most {100 * quality.unseen.at_most:.4g} % were never seen")
    return ", ".join(said)


def _is_of(finding: Finding, codes: tuple[str, ...], column: str | None) -> bool:
    """Whether a finding stands for something of this: by its key, or by one of those that began with it."""
    return any(
        key.startswith(codes) and (column is None or key.split(" ")[1:2] == [column] or column in key.split(" ", 1)[1:])
        for key in finding.keys
    )
