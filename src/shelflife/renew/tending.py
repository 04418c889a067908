"""Tending: starting renewals that are due, and going on with those that can."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from datetime import datetime

import pyarrow.compute as pc
from sqlalchemy import URL, Connection, select

from shelflife.durable import Durable
from shelflife.errors import BadInput
from shelflife.events import RenewalHeld
from shelflife.ledger import append
from shelflife.plan import Plan, Written
from shelflife.plan.spec import Outcomes
from shelflife.renew import approval, making, proving, registry, rolling, rollout, run
from shelflife.renew.run import BY, Reason, Renewal, Rooms
from shelflife.renew.tidying import tidy
from shelflife.renew.triggers import Due, Known, due
from shelflife.routes import current
from shelflife.store.schema import changes, findings, ledger
from shelflife.store.tables import Tables
from shelflife.workspace import Settings

_HANDLERS = {
    "snapshot": making.snapshot, "check": making.check, "train": making.train, "choose": making.choose,
    "gates": proving.gates, "approve": proving.approve, "canary": rolling.canary, "promote": rolling.promote,
    "bake": rolling.bake, "brief": rolling.brief, "close": rolling.close,
}  # fmt: skip
_UNHEARD = ("kept", "held")  # ends of renewals of which nobody was asked anything


class Renewer:
    """Renewals of one workspace.

    Parameters
    ----------
    rooms
        What they need of the house.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._durable = Durable(
            url_of(rooms.settings), lambda name, place: run.do(rooms, _HANDLERS, name, place), self._lives
        )

    def close(self) -> None:
        """Stop; what is under way is gone on with by whoever tends next."""
        self._durable.close()

    def join(self) -> None:
        """Wait until all that was begun here waits for somebody, or is over."""
        self._durable.join()

    def tend(self, number: int, written: Written) -> Due:
        """Start what is due of a system by its newest plan, and go on with what can; what was due."""
        plan, now = written.plan, self._rooms.clock.now()
        tidy(self._rooms.database, self._rooms.settings, plan.system, now)
        with self._rooms.database.reading() as connection:
            under_way = run.living(connection, plan.system)
            known = None if under_way is not None else known_of(connection, self._rooms.tables, plan)
            idle = under_way is not None and _idle(connection, under_way, now)
        if under_way is not None:
            if not idle:
                self.go(under_way)
            return Due()
        assert known is not None
        found = due(plan, known, now)
        if found.holds:
            self._hold(plan.system, "; ".join(found.holds), now)
        if found.reasons:
            self.go(run.start(self._rooms, plan.system, number, found.reasons, by="loop"))
        return found

    def start(self, system: str, number: int, reason: Reason, *, by: str) -> Renewal:
        """Start a renewal by hand, or add a reason to the one that is under way; the loop goes on with it."""
        return run.start(self._rooms, system, number, [reason], by=by)

    def go(self, renewal: Renewal) -> None:
        """Go on with a renewal from the first step that is not done."""
        with self._rooms.database.reading() as connection:
            ready = {one.place for one in run.done(connection, renewal.number) if one.state == "done"}
        self._durable.go(renewal.name, next(place for place in itertools.count() if place not in ready))

    def decide(
        self, number: int, *, approve: bool, person: str, reason: str, known_as: str | None = None
    ) -> None:  # fmt: skip
        """Approve or reject, as one of the plan's people."""
        with self._rooms.database.writing() as connection:
            renewal = run.one(connection, number)
            plan = self._rooms.plan(renewal.system, renewal.plan).plan
            approval.decide(
                connection, plan, number, approve=approve, person=person, reason=reason, now=self._rooms.clock.now(),
                known_as=known_as,
            )  # fmt: skip

    def cancel(self, number: int, *, reason: str, by: str) -> None:
        """End a renewal by hand; what it had let answer goes back."""
        now = self._rooms.clock.now()
        with self._rooms.database.reading() as connection:
            asked = run.one(connection, number)
        plan = self._rooms.plan(asked.system, asked.plan).plan
        with self._rooms.database.writing() as connection:
            run.alone(connection, asked.system)
            renewal = run.held(connection, number)
            if renewal.ended is not None:
                raise BadInput(f"Renewal {number} is over ({renewal.state}): there is nothing left to cancel.")
            decided = approval.of(connection, number)
            if decided is not None and decided.decision == "rejected":
                raise BadInput(
                    f"Renewal {number} was rejected by {decided.by}, and ends at the next look: there is nothing left"
                    " to cancel."
                )
            run.undo(self._rooms, connection, plan, renewal, because=reason, now=now, by=by)
            run.end(connection, renewal, "cancelled", reason, now=now, by=by)

    def roll_back(self, plan: Plan, version: int | None, *, reason: str, by: str) -> int:
        """Let an earlier version answer at once, and end what was under way; the version."""
        now, system = self._rooms.clock.now(), plan.system
        with self._rooms.database.writing() as connection:
            run.alone(connection, system)
            under_way = run.living(connection, system)
            if under_way is not None:
                run.end(connection, under_way, "rolled_back", reason, now=now, by=by)
            routed = current(connection).get(system)
            back = rollout.back(connection, system, version, because=reason, now=now, by=by)
            assert routed is not None  # nothing goes back where nothing answers
            gone = routed.canary if back == routed.champion else routed.champion
            of = None if under_way is None or under_way.challenger != gone else under_way.number
            if under_way is not None and of is None and under_way.challenger is not None:
                run.tell(self._rooms, connection, plan, under_way, "rejected", because=[reason], now=now, by=by)
            self._rooms.brief(
                connection, plan, occasion="rolled_back", renewal=of, version=gone, other=back, because=[reason],
                now=now, by=by,
            )  # fmt: skip
            return back

    def _lives(self, name: str) -> bool:
        with self._rooms.database.reading() as connection:
            return run.one(connection, run.number_of(name)).ended is None

    def _hold(self, system: str, says: str, now: datetime) -> None:
        with self._rooms.database.writing() as connection:
            query = select(ledger.c.body).where(ledger.c.system == system, ledger.c.kind == RenewalHeld.kind)
            last = connection.execute(query.order_by(ledger.c.number.desc()).limit(1)).scalar()
            event = RenewalHeld(system, says)
            if last is None or json.loads(last)["says"] != says:  # told once
                append(connection, event, at=now, by=BY)


def known_of(connection: Connection, tables: Tables, plan: Plan) -> Known:
    """What is known of a system, as far as its renewal is concerned."""
    own = [one for one in run.every(connection, plan.system) if one.ended is not None]
    pointed = registry.pointer(connection, plan.system, "champion")
    heard = [one for one in own if one.state not in _UNHEARD]
    challenged = [one for one in own if any(reason.what == "challenger" for reason in one.reasons)]
    living = connection.execute(
        select(findings.c.number, findings.c.kind, findings.c.says, findings.c.opened, findings.c.state)
        .where(findings.c.system == plan.system, findings.c.state != "resolved")
        .order_by(findings.c.number)
    ).all()  # fmt: skip
    return Known(
        findings=living,
        champion=None if pointed is None else pointed.since,
        learnt=None if pointed is None else _learnt(connection, plan.system, pointed.version, own),
        best_before=None if pointed is None else registry.one(connection, plan.system, pointed.version).best_before,
        renewed=own[0].started if own else None,
        asked=heard[0].started if heard else None,
        answered=frozenset(reason.finding for one in own for reason in one.reasons if reason.finding is not None),
        challenged=challenged[0].started if challenged else None,
        outcomes=_outcomes(tables, plan, own[0].started if own else None),
        changes=connection.execute(
            select(changes.c.number, changes.c.what, changes.c.effective)
            .where(changes.c.system == plan.system, changes.c.withdrawn.is_(None))
            .order_by(changes.c.effective, changes.c.number)
        ).all(),
        begun=frozenset(reason.change for one in own for reason in one.reasons if reason.change is not None),
    )


def _learnt(connection: Connection, system: str, version: int, own: Sequence[Renewal]) -> datetime:
    """Until when rows can be from which a version has learnt: what began later it knows nothing of."""
    made = next((one.started for one in own if one.challenger == version), None)
    return registry.one(connection, system, version).at if made is None else made


def _outcomes(tables: Tables, plan: Plan, since: datetime | None) -> int:
    """How many outcomes came since a moment; only counted where the plan asks for it."""
    if plan.renew is None or not any(isinstance(one, Outcomes) for one in plan.renew.when):
        return 0
    found = tables.dataset(plan.system, "outcomes")
    if found is None:
        return 0
    return int(found.count_rows(filter=None if since is None else pc.field("received") > since))


def _idle(connection: Connection, renewal: Renewal, now: datetime) -> bool:
    """Whether a renewal waits for people who have neither answered nor run out of time, nor are to be reminded."""
    asked = approval.of(connection, renewal.number)
    if renewal.state != "waiting" or asked is None or asked.decision is not None or now >= asked.expires:
        return False
    return asked.reminded is not None or now - asked.asked < (asked.expires - asked.asked) / 2


def url_of(settings: Settings) -> str:
    """Where it is kept how far each renewal is: beside the workspace's SQLite file, or in its PostgreSQL."""
    if settings.database is None or settings.database.startswith("sqlite"):
        return URL.create("sqlite", database=str((settings.home / "durable.db").absolute())).render_as_string()
    return settings.database
