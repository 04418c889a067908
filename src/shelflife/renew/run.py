"""A renewal as it goes: begun once, done step by step, each of which counts once whoever is killed on the way.

A step decides and prepares first; then what it changes, that it is done, and the event that tells of it are one
transaction. What it prepares outside of the database it finds again by name when it is done a second time.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import OperationalError

from shelflife.clock import Clock
from shelflife.durable import Ended
from shelflife.errors import BadInput, Missing, ShelflifeError
from shelflife.events import RenewalEnded, RenewalJoined, RenewalStarted, RenewalStep
from shelflife.ledger import append
from shelflife.plan import Plan, Written
from shelflife.plan.spec import Renew
from shelflife.renew import registry, rollout
from shelflife.renew.steps import Step, steps
from shelflife.routes import Routes, current
from shelflife.store.database import Database
from shelflife.store.schema import renewal_steps, renewals, systems
from shelflife.store.tables import Tables
from shelflife.workspace import Settings

State = Literal[
    "running", "waiting", "promoted", "kept", "held", "rejected", "expired", "rolled_back", "cancelled", "failed"
]
BY = "renew"  # in the ledger
_log = logging.getLogger("shelflife.renew")


@dataclass(frozen=True)
class Reason:
    """Why a renewal is started.

    Attributes
    ----------
    what
        The trigger: a word of the plan, ``challenger`` for its cadence, or ``hand``.
    says
        The same for people.
    finding
        The number of the finding that it follows from.
    change
        That of the change in the business.
    late
        Whether it came when the renewal was under way already, and decides nothing of it.
    """

    what: str
    says: str
    finding: int | None = None
    change: int | None = None
    late: bool = False


@dataclass(frozen=True)
class Rooms:
    """What a renewal needs of the house.

    Attributes
    ----------
    plan
        A plan as it was applied, by the system's name and the plan's number.
    snapshot
        Fixes the rows of a system from before a moment, under an id of the caller's; the same id is the same snapshot.
    rows
        The rows of a snapshot.
    reference
        Learns from answers of a new version to rows that were held out; what is to be done in a transaction so that
        live rows are compared with that from then on.
    brief
        Tells in a transaction whom a plan names for an occasion.
    code
        The folder where trainers live.
    """

    database: Database
    tables: Tables
    settings: Settings
    clock: Clock
    plan: Callable[[str, int], Written]
    snapshot: Callable[..., Any]
    rows: Callable[[str], pa.Table]
    reference: Callable[[str, pa.Table, datetime], Callable[[Connection], object]]
    brief: Callable[..., object]
    code: Path = field(default_factory=Path.cwd)


@dataclass(frozen=True)
class Renewal:
    """A renewal as it is kept."""

    number: int
    system: str
    plan: int
    reasons: tuple[Reason, ...]
    state: State
    champion: int | None
    challenger: int | None
    started: datetime
    by: str
    ended: datetime | None
    says: str

    @property
    def name(self) -> str:
        """Of its run."""
        return f"renewal-{self.number}"


def number_of(name: str) -> int:
    """The number of a renewal by the name of its run."""
    return int(name.removeprefix("renewal-"))


@dataclass(frozen=True)
class Done:
    """A step as it is kept."""

    place: int
    name: str
    state: Literal["waits", "done", "ended"]
    started: datetime
    ended: datetime | None
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes
    ----------
    says
        For people.
    evidence
        Figures and names that later steps and pages read.
    waits
        Whether it is to be looked at again.
    ends
        As what the renewal ends with it.
    write
        What else changes, in the transaction in which the step is noted.
    challenger
        The version that was registered.
    """

    says: str
    evidence: dict[str, Any] = field(default_factory=dict)
    waits: bool = False
    ends: State | None = None
    write: Callable[[Connection], None] | None = None
    challenger: int | None = None


@dataclass(frozen=True)
class Going:
    """A renewal, its plan and steps, what those before this one said, and what was noted of this one so far."""

    rooms: Rooms
    renewal: Renewal
    written: Written
    steps: Sequence[Step]
    before: Mapping[str, dict[str, Any]]
    place: int
    now: datetime
    own: Done | None

    @property
    def step(self) -> Step:
        """The one that is to be done."""
        return self.steps[self.place]

    @property
    def renew(self) -> Renew:
        """How the plan renews."""
        assert self.written.plan.renew is not None  # nothing is started without
        return self.written.plan.renew

    @property
    def folder(self) -> Path:
        """Where it keeps what it makes."""
        return self.rooms.settings.home.absolute() / "renewals" / str(self.renewal.number)

    @functools.cached_property
    def parts(self) -> tuple[pa.Table, pa.Table]:
        """The rows before the cut, which are learnt from, and those after it, by which is decided."""
        taken = self.before["snapshot"]
        rows = self.rooms.rows(taken["snapshot"])
        if not len(rows):  # nothing was observed yet, so that it has no columns either
            return rows, rows
        cut = pa.scalar(datetime.fromisoformat(taken["cut"])).cast(rows["time"].type)
        return rows.filter(pc.less(rows["time"], cut)), rows.filter(pc.greater_equal(rows["time"], cut))

    def routes(self) -> Routes | None:
        """Who answers now."""
        with self.rooms.database.reading() as connection:
            return current(connection).get(self.renewal.system)


def start(
    rooms: Rooms, system: str, number: int, reasons: Sequence[Reason], *, by: str
) -> Renewal:  # fmt: skip
    """Start a renewal, unless one is under way: its reasons are added to that one then."""
    now = rooms.clock.now()
    plan = rooms.plan(system, number).plan
    if plan.renew is None:
        raise BadInput(f"The plan of {system} does not say how it is renewed (`renew`).")
    with rooms.database.writing() as connection:
        alone(connection, system)  # of two that start one at once the other sees the first
        under_way = living(connection, system)
        if under_way is not None:
            known = {replace(one, late=True) for one in under_way.reasons}
            late = [said for said in (replace(one, late=True) for one in reasons) if said not in known]
            if late:
                values = [vars(one) for one in (*under_way.reasons, *late)]
                which = renewals.c.number == under_way.number
                connection.execute(update(renewals).where(which).values(reasons=values))
                event = RenewalJoined(system, under_way.number, tuple(one.says for one in late))
                append(connection, event, at=now, by=by)
            return one(connection, under_way.number)
        routed = current(connection).get(system)
        made = connection.execute(
            insert(renewals).values(
                system=system, plan=number, reasons=[vars(one) for one in reasons], state="running",
                champion=None if routed is None else routed.champion, started=now, by=by, says="begun",
            )
        ).inserted_primary_key  # fmt: skip
        assert made is not None
        said = tuple(one.says for one in reasons)
        append(connection, RenewalStarted(system, int(made[0]), number, said), at=now, by=by)
        begun = one(connection, int(made[0]))
        tell(rooms, connection, plan, begun, "renewal_started", because=said, now=now, by=by)
        return begun


def do(rooms: Rooms, handlers: Mapping[str, Callable[[Going], Outcome]], name: str, place: int) -> Ended:
    """Do one step of a renewal; what was done by then is not done again."""
    number = number_of(name)
    with rooms.database.reading() as connection:
        renewal = one(connection, number)
        before = done(connection, number)
    if renewal.ended is not None:
        return "over"
    own = next((step for step in before if step.place == place), None)
    if own is not None and own.state == "done":
        return "next"
    written = rooms.plan(renewal.system, renewal.plan)
    going = Going(
        rooms, renewal, written, steps_of(renewal, written), {step.name: step.evidence for step in before},
        place, rooms.clock.now(), own,
    )  # fmt: skip

    def undone(connection: Connection) -> None:
        undo(rooms, connection, written.plan, renewal, because="the renewal failed", now=going.now, by=BY)

    try:
        found = handlers[going.step.kind](going)
    except OperationalError:  # the database is away: nothing is the matter with the renewal, and it is tried again
        raise
    except ShelflifeError as error:
        found = Outcome(str(error), ends="failed", write=undone)
    except Exception as error:  # noqa: BLE001 - whatever it was, people are told, and the system goes on as it was
        _log.exception("%s of renewal %s", going.step.name, number)
        found = Outcome(f"{type(error).__name__}: {error}", ends="failed", write=undone)
    return _note(going, found)


def steps_of(renewal: Renewal, written: Written) -> list[Step]:
    """The steps of a renewal, the same as long as it lasts."""
    recent = any(reason.what == "relation" and not reason.late for reason in renewal.reasons)
    return steps(written.plan, recent=recent)


def undo(
    rooms: Rooms, connection: Connection, plan: Plan, renewal: Renewal, *, because: str, now: datetime, by: str
) -> None:  # fmt: skip
    """Leave nobody with the challenger of a renewal that comes to nothing: the champion before it answers again."""
    routed = current(connection).get(renewal.system)
    baking = routed is not None and renewal.champion is not None and routed.champion == renewal.challenger
    if routed is not None and (routed.canary is not None or baking):
        to = renewal.champion if routed.canary is None else None
        rollout.back(connection, renewal.system, to, because=because, now=now, by=by)
        tell(rooms, connection, plan, renewal, "rolled_back", because=[because], now=now, by=by)
    elif renewal.challenger is not None:
        # A first version that answers already has nothing to which one could go back.
        stays = routed is not None and routed.champion == renewal.challenger
        occasion = "promoted" if stays else "rejected"
        tell(rooms, connection, plan, renewal, occasion, because=[because], now=now, by=by)
    registry.close(connection, renewal.system, "challenger", because=because, now=now, by=by)


def tell(
    rooms: Rooms, connection: Connection, plan: Plan, renewal: Renewal, occasion: str, *, by: str, **more: Any
) -> None:  # fmt: skip
    """Tell whom the plan of a renewal names for an occasion, in the transaction in which it happens."""
    rooms.brief(
        connection, plan, occasion=occasion, renewal=renewal.number, version=renewal.challenger,
        other=renewal.champion, started_by=renewal.by, by=by, **more,
    )  # fmt: skip


def _note(going: Going, found: Outcome) -> Ended:
    """Write down what became of a step, together with all that it changes."""
    renewal, now = going.renewal, going.now
    state = "waits" if found.waits else "done" if found.ends is None else "ended"
    with going.rooms.database.writing() as connection:
        alone(connection, renewal.system)
        if held(connection, renewal.number).ended is not None:  # a person ended it meanwhile
            return "over"
        # One that led before and was halted: what it saw is no longer so, and what another one noted stands.
        if next((step for step in done(connection, renewal.number) if step.place == going.place), None) != going.own:
            return "wait"
        if found.write is not None:
            found.write(connection)
        noted = _kept(connection, going, state, {**found.evidence, "says": found.says})
        values: dict[str, Any] = {"state": "waiting" if found.waits else "running", "says": found.says}
        if found.challenger is not None:
            values["challenger"] = found.challenger
        connection.execute(update(renewals).where(renewals.c.number == renewal.number).values(**values))
        if noted and not found.waits:
            event = RenewalStep(renewal.system, renewal.number, going.step.name, found.says)
            append(connection, event, at=now, by=BY)
        if found.ends in ("rejected", "expired"):
            plan, why = going.written.plan, [found.says]
            tell(going.rooms, connection, plan, renewal, "rejected", because=why, now=now, by=BY)
        if found.ends is not None:
            end(connection, renewal, found.ends, found.says, now=now, by=BY)
    return "wait" if found.waits else "next" if found.ends is None else "over"


def _kept(connection: Connection, going: Going, state: str, evidence: dict[str, Any]) -> bool:
    """Keep a step; whether that is news."""
    which = (renewal_steps.c.renewal == going.renewal.number, renewal_steps.c.place == going.place)
    before = connection.execute(select(renewal_steps.c.state).where(*which)).scalar()
    ended = None if state == "waits" else going.now
    values = {"state": state, "ended": ended, "evidence": evidence}
    if before is None:
        connection.execute(
            insert(renewal_steps).values(
                renewal=going.renewal.number, place=going.place, name=going.step.name, started=going.now, **values
            )
        )
    else:
        connection.execute(update(renewal_steps).where(*which).values(**values))
    return before != "done"


def alone(connection: Connection, system: str) -> None:
    """Let one transaction at a time change renewals and routes of a system: before anything else of them is locked."""
    connection.execute(select(systems.c.name).where(systems.c.name == system).with_for_update(key_share=True))


def held(connection: Connection, number: int) -> Renewal:
    """A renewal that nobody else changes until the transaction is over."""
    connection.execute(select(renewals.c.number).where(renewals.c.number == number).with_for_update())
    return one(connection, number)


def end(connection: Connection, renewal: Renewal, state: State, says: str, *, now: datetime, by: str) -> None:
    """End a renewal."""
    which = (renewals.c.number == renewal.number, renewals.c.ended.is_(None))
    if connection.execute(update(renewals).where(*which).values(state=state, ended=now, says=says)).rowcount:
        append(connection, RenewalEnded(renewal.system, renewal.number, state, says), at=now, by=by)


# ---- reading ---------------------------------------------------------------------------------------------------------


def living(connection: Connection, system: str) -> Renewal | None:
    """The renewal of a system that is under way."""
    query = select(renewals).where(renewals.c.system == system, renewals.c.ended.is_(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else _renewal(row)


def one(connection: Connection, number: int) -> Renewal:
    """A renewal by its number."""
    row = connection.execute(select(renewals).where(renewals.c.number == number)).one_or_none()
    if row is None:
        raise Missing(f"There is no renewal {number}; `shelflife renewals` shows all.")
    return _renewal(row)


def every(connection: Connection, system: str | None = None) -> list[Renewal]:
    """All renewals, the newest first."""
    query = select(renewals).order_by(renewals.c.number.desc())
    if system is not None:
        query = query.where(renewals.c.system == system)
    return [_renewal(row) for row in connection.execute(query)]


def done(connection: Connection, number: int) -> list[Done]:
    """The steps of a renewal so far."""
    query = select(renewal_steps).where(renewal_steps.c.renewal == number).order_by(renewal_steps.c.place)
    return [
        Done(row.place, row.name, row.state, row.started, row.ended, row.evidence)
        for row in connection.execute(query)
    ]  # fmt: skip


def _renewal(row: Any) -> Renewal:
    said = {name: getattr(row, name) for name in Renewal.__dataclass_fields__}
    return Renewal(**{**said, "reasons": tuple(Reason(**one) for one in row.reasons)})
