"""Every system at a glance: how fresh it is, and what departs from its plan."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from shelflife.durations import moment
from shelflife.plan import Plan
from shelflife.renew.registry import best_before
from shelflife.store.schema import batches, delta_tables, leases, references, watches
from shelflife.store.schema import tasks as task_rows
from shelflife.system import System
from shelflife.views import renewals
from shelflife.watch import freshness
from shelflife.watch.findings import Finding
from shelflife.watch.freshness import Freshness

_WORST = {"stale": 0, "unknown": 1, "ageing": 2, "fresh": 3}


@dataclass(frozen=True)
class Status:
    """One system.

    Attributes
    ----------
    system, title, owner
        Its name, what people call it, and who owns the outcome.
    says
        The one thing to know.
    feeds, knowledge, model
        How fresh each is.
    pages, notes
        How many findings live that page, and how many that note.
    watched
        The end of the last bucket that was watched.
    plan, reference
        Numbers.
    known
        Whether anybody can tell how its model is, and its feeds where it has any.
    waits
        The renewal that waits for a decision.
    """

    system: str
    title: str
    owner: str | None
    objective: str
    says: str
    feeds: Freshness
    knowledge: Freshness
    model: Freshness
    pages: int
    notes: int
    watched: datetime | None
    plan: int
    reference: int | None
    known: bool
    waits: int | None = None

    @property
    def worst(self) -> tuple[int, bool, int, int, str]:
        """By which the worst comes first."""
        state = min(_WORST[self.model.state], _WORST[self.feeds.state])
        return -self.pages, self.waits is None, state, -self.notes, self.system


@dataclass(frozen=True)
class TaskStatus:
    """Something that is done for a system again and again: when it was last begun, and why it failed, if it did."""

    system: str
    name: str
    at: datetime
    failed: str | None


def tasks(system: System) -> list[TaskStatus]:
    """What was done again and again, of every system."""
    with system.database.reading() as connection:
        rows = connection.execute(select(task_rows).order_by(task_rows.c.system, task_rows.c.name))
        return [TaskStatus(**row._asdict()) for row in rows]


def statuses(system: System, only: str | None = None) -> list[Status]:
    """All systems or one, the worst first; a handful of queries, however many there are.

    Raises `BadInput` where there is no system `only`.
    """
    current = system.current_plans() if only is None else [system.newest(only)[::2]]
    now = system.clock.now()
    living: dict[str, list[Finding]] = defaultdict(list)
    for finding in system.watching.findings(only):
        living[finding.system].append(finding)
    newest: dict[str, dict[str, datetime]] = defaultdict(dict)
    with system.database.reading() as connection:
        for row in connection.execute(select(delta_tables).where(delta_tables.c.newest.is_not(None))):
            newest[row.system][row.kind] = moment(row.newest)
        columns = [watches.c[of] for of in ("system", "end", "told", "late")]
        watched = {
            row.system: freshness.Watching(moment(row.end), row.told, row.late)
            for row in connection.execute(select(*columns))
        }
        led = connection.execute(select(func.max(leases.c.until))).scalar()
        latest = select(references.c.system, func.max(references.c.number).label("number")).group_by(
            references.c.system
        )
        waits = select(batches.c.system, func.min(batches.c.started).label("since")).where(batches.c.done.is_(None))
        waiting = {row.system: row.since for row in connection.execute(waits.group_by(batches.c.system))}
        referenced = {row.system: row.number for row in connection.execute(latest)}
        until = best_before(connection, only)
    asked = {one.system: one.renewal for one in renewals.waiting(system, only)}
    found = []
    for number, written in current:
        plan = written.plan
        name = plan.system
        own = living[name]
        model = freshness.of_model(
            plan, own, referenced=name in referenced, watched=watched.get(name), newest=newest[name],
            waiting=waiting.get(name), led=led, best_before=until.get(name), now=now,
        )  # fmt: skip
        feeds = freshness.of_feeds(plan, newest[name], own, now)
        knowledge = Freshness("unknown", "Documents are not looked at yet.")
        pages = sorted((one for one in own if one.severity == "page" and one.state != "muted"), key=urgency)
        found.append(
            Status(
                name, plan.title, _owner(plan), plan.objective.why, pages[0].says if pages else model.reason,
                feeds, knowledge, model, len(pages), len([one for one in own if one.severity == "note"]),
                None if name not in watched else watched[name].end, number, referenced.get(name),
                model.state != "unknown" and (not plan.feeds or feeds.state != "unknown"), asked.get(name),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: one.worst)


def urgency(finding: Finding) -> tuple[bool, bool, bool, int]:
    """By which the finding comes first that needs somebody first: a broken promise, seen itself, that lasts longest."""
    return finding.severity != "page", finding.state == "muted", finding.estimated, finding.number


def _owner(plan: Plan) -> str | None:
    """The name of who owns the outcome, as people know them."""
    person = plan.people.get(plan.objective.owner or "")
    return plan.objective.owner if person is None else person.name
