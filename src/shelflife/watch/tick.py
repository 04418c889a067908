"""One look at one system: rows that are new, each counted once; streams against their limits; findings kept.

All that a look does is written in one transaction, from how far rows were taken to the findings and their events. So
whoever is killed on the way has done nothing, and the next look does it; and of two that look at once one is too late
and leaves it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from shelflife.check import findings as telling
from shelflife.check.watching import Watched
from shelflife.detect.detector import Alarm, Seen
from shelflife.durations import MINUTE, micros, moment
from shelflife.plan import Plan, Written
from shelflife.profile.counts import Profile, empty, merged
from shelflife.profile.kernel import Kernel
from shelflife.profile.layout import Layout
from shelflife.store.database import Database
from shelflife.store.schema import delta_tables, systems, volumes, watches
from shelflife.store.settled import settled as up_to
from shelflife.store.tables import Tables
from shelflife.watch import adoption, conditions, dating, findings, lifeline, state
from shelflife.watch.columns import Columns
from shelflife.watch.conditions import Facts
from shelflife.watch.figures import Figures
from shelflife.watch.findings import Found
from shelflife.watch.promised import Promised, together
from shelflife.watch.rows import EARLY, Reach, due_before, new, waiting, whole
from shelflife.watch.state import Watch

Floats = NDArray[np.float64]

_MICROSECOND = timedelta(microseconds=1)
_TOGETHER = 3  # buckets apart that what has one cause may begin
# Whoever did not look for longer than this does not know what should have come meanwhile.
PAUSE = 10 * MINUTE * _MICROSECOND


@dataclass(frozen=True)
class Look:
    """What a look did.

    Attributes
    ----------
    buckets
        How many were watched.
    opened, resolved
        Numbers of findings.
    """

    buckets: int
    opened: tuple[int, ...]
    resolved: tuple[int, ...]


class Watcher:
    """Looks at systems, and remembers what a reference promises between two looks.

    Parameters
    ----------
    database, tables
        Where rows and what is known of them are.
    """

    def __init__(self, database: Database, tables: Tables) -> None:
        self._database, self._tables = database, tables
        self._figures = Figures(tables)
        self._promised: dict[str, tuple[tuple[str, int], Promised]] = {}

    def look(self, written: Written, number: int, *, applied: datetime, resumed: datetime, now: datetime) -> Look:
        """Look at a system by its newest plan.

        Parameters
        ----------
        written, number, applied
            The plan, its number, and since when it counts.
        resumed
            Since when systems are looked at without a pause.
        """
        system = written.plan.system
        with self._database.reading() as connection:
            reference = state.reference_number(connection, system)
            before = state.watch_of(connection, system) if reference is not None else None
            facts = _facts(connection, self._figures, written, resumed=resumed, applied=applied, now=now)
        judged = list(conditions.judged(written.plan, facts, now))
        seen = None if reference is None else self._seen(written, reference, before, now)
        with self._database.writing() as connection:
            # Of two that look at once one waits here for the other, and then sees what it did.
            connection.execute(select(systems.c.name).where(systems.c.name == system).with_for_update(key_share=True))
            if seen is not None and _moved(connection, system, before):
                return Look(0, (), ())  # somebody else has looked meanwhile
            findings.hold(connection, system)
            findings.unmute(connection, system, now)
            told = [_of_condition(one, written) for one in judged if one.says is not None]
            over: list[int] = []
            if seen is not None:
                told += seen.found
                for of, profile in (("made", seen.made), ("known", seen.known)):
                    state.add_profile(connection, seen.watch.reference, of, profile)
                lifeline.add(connection, seen.points)
                state.keep_watch(connection, system, seen.watch)
                over += _ended(connection, system, seen, now)
            together = _TOGETHER * written.plan.watch.bucket
            opened = findings.tell(connection, system, told, plan=number, now=now, together=together)
            over += _settled_facts(connection, written.plan, judged, now)
        return Look(0 if seen is None else seen.buckets, tuple(opened), tuple(over))

    def _seen(self, written: Written, reference: int, before: Watch | None, now: datetime) -> _Seen | None:
        """What the buckets that are over since the last look say; None where none is."""
        plan = written.plan
        promised = self._of(written, reference)
        layout = promised.promise.reference.layout
        length = layout.bucket or round(plan.watch.bucket / _MICROSECOND)
        waits = waiting(plan, length)
        end = due_before(micros(now), length, 0)
        with self._database.reading() as connection:
            settled = up_to(connection, plan.system)
            promise = _digest(written)
            afresh = before is None or before.reference != reference or before.promise != promise
            if afresh:
                start, taken = state.reference_times(connection, reference)
                # A change of the plan begins where watching was; a new reference where its rows end.
                if before is not None and before.reference == reference:
                    before = dataclasses.replace(before, promise=promise, detector=promised.detector(), told=0, late=0)
                else:
                    first = due_before(start, length, 0) if start is not None else end
                    due = min(first, due_before(taken, length, waits))
                    before = Watch(reference, promise, first, Reach(settled, first, due), promised.detector(), now)
        assert before is not None
        since = before.reach
        reach = Reach(settled, max(end, since.end), max(end - waits, since.due))
        if reach.end <= since.end and not afresh:
            return None
        columns = Columns.of(plan)
        rows = new(self._tables, plan.system, columns, start=before.start, waits=waits, since=since, now=reach)
        counted = [_count(layout, some) for some in (rows.made, rows.due, rows.late)]
        made_of = adoption.used(
            self._tables, plan.system, promised.uses, start=before.start, since=since, now=reach, length=length
        )
        return self._stepped(written, promised, before, reach, counted, made_of, afresh=afresh, now=now)

    def _of(self, written: Written, reference: int) -> Promised:
        held = self._promised.get(written.plan.system)
        if held is not None and held[0] == (written.sha256, reference):
            return held[1]
        with self._database.reading() as connection:
            made = Promised.of(written.plan, state.reference_profile(connection, reference))
        self._promised[written.plan.system] = ((written.sha256, reference), made)
        return made

    def _stepped(
        self, written: Written, promised: Promised, before: Watch, reach: Reach, counted: list[Profile],
        used: dict[int, Floats], *, afresh: bool, now: datetime,
    ) -> _Seen:  # fmt: skip
        """The detector after the buckets that are over, and what it found.

        `counted` are the rows that were made, those whose outcome is due, and those whose outcome came after that.
        """
        made, known, late = counted
        layout = promised.promise.reference.layout
        length = layout.bucket or 1
        first = before.reach.end
        says = dict(promised.see(made, known, used, since=first, later=waiting(written.plan, length)))
        detector = before.detector
        origin = first - detector.buckets * length
        alarms: list[Alarm] = []
        over: list[dict[int, float]] = []
        for bucket in range(first, reach.end, length):
            seen = says.get(bucket) or promised.nothing()
            detector, rung = detector.step(seen)
            alarms += rung
            over.append(_over(seen))
        found: list[Found] = []
        if alarms:
            found = self._found(written, promised, before.reference, alarms, origin, reach, made, known)
        points, came = (
            tuple(lifeline.of_rows(promised, before.reference, *some))
            for some in ((made, known), (empty(layout), late))
        )
        watch = dataclasses.replace(
            before, reach=reach, detector=detector, at=now,
            told=before.told + round(sum(one.known for one in points)),
            late=before.late + round(sum(one.known for one in came)),
        )  # fmt: skip
        return _Seen(watch, made, known, points + came, tuple(found), tuple(over), len(over), afresh)

    def _found(
        self, written: Written, promised: Promised, reference: int, alarms: list[Alarm], origin: int, reach: Reach,
        made: Profile, known: Profile,
    ) -> list[Found]:  # fmt: skip
        """Alarms in words: the buckets from their onset on are looked at once more.

        What is known of outcomes was due later than its predictions were made, and is told of these: so they are looked
        for back.
        """
        layout = promised.promise.reference.layout
        length = layout.bucket or 1
        start = origin + min(int(alarm.onset.min()) for alarm in alarms) * length
        truths = np.append(promised.of_outcomes, np.zeros(len(promised.uses), dtype=bool))
        if any(truths[alarm.streams].any() for alarm in alarms):
            start -= _back(written.plan, length)
        with self._database.reading() as connection:
            parts = [
                state.profile_of(connection, layout, reference, of, start=start, end=reach.end)
                for of in ("made", "known")
            ]
        parts = [
            merged([part, fresh]).between(start, reach.end) for part, fresh in zip(parts, (made, known), strict=True)
        ]
        whole = together(*parts)
        buckets = whole.whole().buckets
        says = dict(promised.see(parts[0], parts[1]))
        own = len(promised.promise.streams.streams)
        seen = [says[int(bucket)] for bucket in buckets]
        size = len(seen[0].rows) if seen else own
        hits, rows, limit = (
            np.array([getattr(one, name) for one in seen]).reshape(-1, size)[:, :own]
            for name in ("hits", "rows", "limit")
        )

        clock = dating.Clock(buckets, origin, length, waiting(written.plan, length))
        moved = dating.by_predictions(alarms, truths[:own], clock, hits, rows, limit) if len(buckets) else []
        used = [(alarm, at) for alarm in alarms for at in np.flatnonzero(alarm.streams >= own).tolist()]
        watched = Watched(tuple(moved), np.zeros(len(buckets)), hits, rows, limit, promised.detector())
        named = telling.of_alarms(promised.promise, watched, whole, moment)
        return [_of_alarm(one, written, promised, moved) for one in named] + [
            _of_use(alarm, at, written, promised, origin, length) for alarm, at in used
        ]


@dataclass(frozen=True)
class _Seen:
    """What a look is to write of the rows that it took."""

    watch: Watch
    made: Profile
    known: Profile
    points: tuple[lifeline.Point, ...]
    found: tuple[Found, ...]
    over: tuple[dict[int, float], ...]
    buckets: int
    afresh: bool


def _moved(connection: Connection, system: str, before: Watch | None) -> bool:
    """Whether somebody has looked since `before` was read."""
    row = connection.execute(
        select(watches.c.batch, watches.c.end, watches.c.reference, watches.c.promise).where(watches.c.system == system)
    ).one_or_none()
    if row is None or before is None:
        return row is not None or before is not None
    return (row.batch, row.end, row.reference, row.promise) != (
        before.reach.batch, before.reach.end, before.reference, before.promise,
    )  # fmt: skip


def _digest(written: Written) -> str:
    """What of a plan the streams and their limits follow from; another owner changes none of them."""
    said = [written.plan.watch.model_dump_json(), written.plan.model.model_dump_json()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _ended(connection: Connection, system: str, seen: _Seen, now: datetime) -> list[int]:
    """Resolve the findings whose streams are within their limits again; their numbers."""
    living = findings.kept(connection, system=system)
    if seen.afresh:
        # Their streams are no more; what still goes on is found again, by what is promised now.
        gone = [one for one in living if one.recent.get("streams")]
        for one in gone:
            findings.resolve(connection, one, reason="what is promised has changed, and watching began afresh", now=now)
        return [one.number for one in gone]
    ended = []
    for number, (recent, over) in findings.calm(living, iter(seen.over)).items():
        findings.remember(connection, number, recent)
        if over:
            finding = next(one for one in living if one.number == number)
            findings.resolve(connection, finding, reason="it is within its limit again", now=now)
            ended.append(number)
    return ended


def _facts(
    connection: Connection, figures: Figures, written: Written, *, resumed: datetime, applied: datetime, now: datetime
) -> Facts:
    plan = written.plan
    newest, counts = {}, {}
    longest = max(
        (feed.expect_rows.per + feed.fresh_within for feed in plan.feeds.values() if feed.expect_rows), default=None
    )
    for row in connection.execute(select(delta_tables).where(delta_tables.c.system == plan.system)):
        if row.newest is not None:
            newest[row.kind] = moment(row.newest)
        if longest is not None:
            back = round((now - 2 * longest).timestamp() * 1_000_000)
            query = select(volumes.c.hour, volumes.c.rows).where(
                volumes.c.delta_table == row.number, volumes.c.hour >= back
            )
            counts[row.kind] = {moment(one.hour): int(one.rows) for one in connection.execute(query)}
    return Facts(newest, counts, figures.of(plan.system) if plan.objective.kpis else {}, resumed, applied)


def _count(layout: Layout, rows: pa.Table) -> Profile:
    return Kernel(layout).count(
        rows.select([name for name in rows.column_names if name in layout.columns]).to_batches()
    )


def _settled_facts(connection: Connection, plan: Plan, judged: list[conditions.Judged], now: datetime) -> list[int]:
    """Resolve the findings of facts that are as promised again, or that no promise is about any more; their numbers."""
    kept, promised = {one.key for one in judged if one.says is None}, conditions.keys(plan)
    over = []
    for finding in findings.kept(connection, system=plan.system):
        if finding.code not in conditions.CODES:
            continue
        if finding.key in kept:
            reason = "it is as promised again"
        elif finding.key not in promised:
            reason = "the plan does not promise it any more"
        else:
            continue
        findings.resolve(connection, finding, reason=reason, now=now)
        over.append(finding.number)
    return over


def _back(plan: Plan, length: int) -> int:
    """How far back of an outcome its prediction may lie, in whole buckets."""
    return waiting(plan, length) + whole(EARLY, length)


def _over(seen: Seen) -> dict[int, float]:
    """By stream that has rows: by how much its mean lies over its limit."""
    there = np.flatnonzero(seen.rows > 0)
    return {int(stream): float(seen.hits[stream] / seen.rows[stream] - seen.limit[stream]) for stream in there}


def _of_condition(one: conditions.Judged, written: Written) -> Found:
    assert one.says is not None
    evidence = {} if one.observed is None else {"observed": one.observed}
    return Found(one.code, one.key, one.says, one.promised, one.since, written.line(*one.place), evidence)


_PLACES = {"SL1": ("watch", "quality"), "SL2": ("watch", "drift"), "SL3": ("watch", "performance")}


def _of_alarm(one: Any, written: Written, promised: Promised, alarms: list[Alarm]) -> Found:
    segments = promised.promise.reference.layout.segments
    names = {f"{segment.column}={segment.value}": place for place, segment in enumerate(segments, start=1)}
    key = (one.code, one.column, names.get(one.segment, 0))
    streams = promised.promise.streams.streams
    rung = {int(stream) for alarm in alarms for stream in alarm.streams}
    own = tuple(sorted(stream for stream in rung if streams[stream].key == key))
    evidence = {
        name: None if isinstance(value := getattr(one, name), float) and not math.isfinite(value) else value
        for name in ("observed", "reference", "limit", "log10_evidence", "rows", "column", "segment")
    }
    says, limit = one.says, _promised(one)
    if one.code in {"SL301", "SL302"} and (one.segment or not promised.held):
        # The plan says nothing of this figure: what it is held to is what the reference was.
        says = says.replace("promised is at most", "the reference allows at most")
        limit = f"{limit}, by the reference"
    return Found(
        code=one.code, key=_named(one.code, one.column, one.segment), says=says,
        promised=limit, since=one.since,
        line=written.line(*_PLACES[one.code[:3]]), evidence=evidence, severity=one.severity, estimated=one.estimated,
        streams=own, also=tuple(_named(one.code, column, one.segment) for column in one.also),
        explained=_explained(one, promised.promise.reference.layout),
    )  # fmt: skip


def _promised(one: Any) -> str:
    if one.limit is None:
        return ""
    # What falls is kept from below.
    falls = one.observed is not None and one.observed < one.limit
    return f"{'at least' if falls else 'at most'} {one.limit:.4g}"


def _explained(one: Any, layout: Layout) -> tuple[str, ...]:
    """Keys of findings that say already what this one says; the rules are those of a check of one table."""
    truth = layout.outcome.outcome if layout.outcome is not None else None
    found: list[str] = []
    if one.code == "SL202" and truth is not None and one.column == truth:
        found += ["SL301", "SL303"]
    elif one.code.startswith("SL2"):
        found += [_named(code, one.column, None) for code in ("SL104", "SL105", "SL106")]
    if one.code == "SL302":
        found.append(_named("SL301", None, one.segment))
    if one.code in {"SL301", "SL302"} and one.segment:
        found += ["SL301", "SL302"]
    return tuple(found)


def _named(code: str, column: str | None, segment: str | None) -> str:
    return " ".join(filter(None, (code, column, segment)))


def _of_use(alarm: Alarm, at: int, written: Written, promised: Promised, origin: int, length: int) -> Found:
    own = len(promised.promise.streams.streams)
    use = promised.uses[int(alarm.streams[at]) - own]
    since = moment(origin + int(alarm.onset[at]) * length - whole(adoption.TIME, length))
    share = float(alarm.hits[at] / max(alarm.rows[at], 1.0))
    verb = {"overrides": "overridden", "escalations": "escalated"}[use.name]
    return Found(
        code=use.code, key=use.code, promised=f"at most {use.limit:.4g} of predictions are {verb}",
        says=f"Since {since:%-d %B %Y}, {share:.1%} of predictions are {verb}; promised is at most {use.limit:.1%}.",
        since=since, line=written.line("watch", "adoption", use.name), streams=(int(alarm.streams[at]),),
        evidence={"observed": share, "limit": use.limit, "rows": int(alarm.rows[at]),
                  "log10_evidence": float(alarm.log_evidence[at] / np.log(10.0))},
    )  # fmt: skip
