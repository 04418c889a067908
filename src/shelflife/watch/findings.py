"""Findings as they live: opened once, updated while they last, resolved when over, quiet where people say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, update

from shelflife.check.codes import CODES
from shelflife.errors import BadInput, Missing
from shelflife.events import FindingAcknowledged, FindingMuted, FindingOpened, FindingResolved
from shelflife.ledger import append
from shelflife.store.schema import findings

State = Literal["open", "acknowledged", "muted", "resolved"]
BY = "watch"  # in the ledger
_CALM = 7  # buckets that are within their limit together, until a finding is over


@dataclass(frozen=True)
class Found:
    """A departure from the plan, as it is seen now.

    Attributes
    ----------
    code, key
        What it is, and of what: of one key one finding lives at a time.
    says, promised
        What is seen and what was promised, in words.
    since
        When it began.
    line
        Of the plan, where it is promised.
    evidence
        Figures: observed, reference, limit, rows, log10_evidence, where there are any.
    streams
        The streams by which it is seen that it is over; of what needs no statistics none.
    also
        Keys of what began together with it, and of what it explains.
    explained
        Keys of findings that explain it where they live: it is not told then.
    """

    code: str
    key: str
    says: str
    promised: str
    since: datetime | None
    line: int | None
    evidence: dict[str, Any] = field(default_factory=dict)
    severity: str | None = None
    estimated: bool = False
    streams: tuple[int, ...] = ()
    also: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A finding as it is kept.

    ``recent`` holds what its streams had over what they were allowed, of the last buckets.
    """

    number: int
    system: str
    code: str
    key: str
    severity: str
    kind: str
    state: State
    since: datetime | None
    opened: datetime
    seen: datetime
    ended: datetime | None
    until: datetime | None
    reason: str | None
    by: str | None
    says: str
    promised: str
    plan: int
    line: int | None
    estimated: bool
    evidence: dict[str, Any]
    recent: dict[str, Any]

    @property
    def keys(self) -> set[str]:
        """All that it stands for."""
        return {self.key, *self.recent.get("also", ())}


def kept(connection: Connection, *, system: str | None = None, ended: bool = False) -> list[Finding]:
    """Findings that live, or all: the newest first."""
    query = select(findings).order_by(findings.c.number.desc())
    if system is not None:
        query = query.where(findings.c.system == system)
    if not ended:
        query = query.where(findings.c.state != "resolved")
    return [_finding(row) for row in connection.execute(query)]


def one(connection: Connection, number: int) -> Finding:
    """A finding by its number."""
    row = connection.execute(select(findings).where(findings.c.number == number)).one_or_none()
    if row is None:
        raise Missing(f"There is no finding {number}.")
    return _finding(row)


def tell(
    connection: Connection, system: str, found: Iterable[Found], *, plan: int, now: datetime,
    together: timedelta = timedelta(0),
) -> list[int]:  # fmt: skip
    """Open what is new, and update what is known; the numbers of those opened.

    Drift of one code that begins within `together` of a finding that lives belongs to it.
    """
    alive = {key: one for one in kept(connection, system=system) for key in one.keys}
    opened = []
    for each in found:
        known = alive.get(each.key)
        if known is not None:
            values: dict[str, Any] = {"seen": now}
            if known.key == each.key and not each.streams:
                values |= {"says": each.says, "evidence": each.evidence}
            _set(connection, known.number, **values)
            continue
        cause = _cause(each, alive, together)
        if cause is not None:
            also = [*cause.recent.get("also", ()), each.key, *each.also]
            _set(connection, cause.number, recent={**cause.recent, "also": also}, seen=now)
            alive[each.key] = one(connection, cause.number)
            continue
        number = _opened(connection, system, each, plan, now)
        opened.append(number)
        alive |= dict.fromkeys((each.key, *each.also), one(connection, number))
    return opened


def _cause(each: Found, alive: dict[str, Finding], together: timedelta) -> Finding | None:
    """The finding that lives and explains another, or began with it for one cause."""
    for key in each.explained:
        if key in alive:
            return alive[key]
    if CODES[each.code].kind != "drift" or each.since is None:
        return None
    for other in alive.values():
        near = other.since is not None and abs(other.since - each.since) <= together
        if other.code == each.code and near:
            return other
    return None


def _opened(connection: Connection, system: str, each: Found, plan: int, now: datetime) -> int:
    made = connection.execute(
        insert(findings).values(
            system=system, code=each.code, key=each.key, severity=each.severity or CODES[each.code].severity,
            kind=CODES[each.code].kind, state="open", since=each.since, opened=now, seen=now, says=each.says,
            promised=each.promised, plan=plan, line=each.line, estimated=each.estimated, evidence=each.evidence,
            recent={"streams": list(each.streams), "also": list(each.also), "buckets": []},
        )
    )  # fmt: skip
    key = made.inserted_primary_key
    assert key is not None
    number = int(key[0])
    append(connection, FindingOpened(system, number, each.code, each.says, each.since), at=now, by=BY)
    return number


def calm(some: Iterable[Finding], over: Iterator[dict[int, float]]) -> dict[int, tuple[dict[str, Any], bool]]:
    """What the newest buckets say of some findings: what is to be remembered of each, and whether it is over.

    Parameters
    ----------
    over
        Of each new bucket: by stream, how much more it had than it was allowed; streams without rows are left out.
    """
    watched = {one.number: one for one in some if one.recent.get("streams")}
    recent = {number: list(one.recent["buckets"]) for number, one in watched.items()}
    for bucket in over:
        for number, one in watched.items():
            own = [bucket[stream] for stream in one.recent["streams"] if stream in bucket]
            if own:
                recent[number] = [*recent[number], max(own)][-_CALM:]
    return {
        number: ({**one.recent, "buckets": recent[number]}, len(recent[number]) == _CALM and sum(recent[number]) <= 0)
        for number, one in watched.items()
    }


def remember(connection: Connection, number: int, recent: dict[str, Any]) -> None:
    """Keep what is needed to see that a finding is over."""
    _set(connection, number, recent=recent)


def resolve(connection: Connection, finding: Finding, *, reason: str, now: datetime, by: str = BY) -> None:
    """A finding is over."""
    _set(connection, finding.number, state="resolved", ended=now, reason=reason, by=by)
    append(connection, FindingResolved(finding.system, finding.number, reason), at=now, by=by)


def acknowledge(connection: Connection, number: int, *, now: datetime, by: str) -> None:
    """Somebody knows."""
    found = living(connection, number)
    _set(connection, number, state="acknowledged", by=by)
    append(connection, FindingAcknowledged(found.system, number), at=now, by=by)


def mute(connection: Connection, number: int, *, reason: str, until: datetime, now: datetime, by: str) -> None:
    """Say nothing of a finding for a time, for a reason."""
    if not reason.strip():
        raise BadInput("A finding is muted for a reason: say it.")
    if until <= now:
        raise BadInput(f"A finding is muted until a time to come; found {until:%Y-%m-%d %H:%M}.")
    found = living(connection, number)
    _set(connection, number, state="muted", until=until, reason=reason, by=by)
    append(connection, FindingMuted(found.system, number, reason, until), at=now, by=by)


def unmute(connection: Connection, system: str, now: datetime) -> None:
    """Open again what was muted until now."""
    past = (findings.c.system == system, findings.c.state == "muted", findings.c.until <= now)
    connection.execute(update(findings).where(*past).values(state="open", until=None))


def hold(connection: Connection, system: str) -> None:
    """Whoever decides on a finding of a system waits from now on until this transaction is over."""
    alive = (findings.c.system == system, findings.c.state != "resolved")
    connection.execute(select(findings.c.number).where(*alive).order_by(findings.c.number).with_for_update())


def living(connection: Connection, number: int) -> Finding:
    """A finding that is not over, for whoever decides on it; raises `BadInput` for others."""
    # Whoever ends it at this moment is waited for: what is over stays over.
    connection.execute(select(findings.c.number).where(findings.c.number == number).with_for_update())
    found = one(connection, number)
    if found.state == "resolved":
        raise BadInput(f"Finding {number} is resolved since {found.ended:%Y-%m-%d %H:%M}; there is nothing left to do.")
    return found


def _set(connection: Connection, number: int, **values: Any) -> None:
    connection.execute(update(findings).where(findings.c.number == number).values(**values))


def _finding(row: Row[Any]) -> Finding:
    return Finding(**row._asdict())
