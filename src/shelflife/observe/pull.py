"""Rows that are fetched: those beyond the last mark, kept by the same steps as any others."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, insert, select, update

from shelflife.clock import Clock
from shelflife.errors import BadInput, nearest
from shelflife.events import RowsObserved
from shelflife.ledger import append
from shelflife.observe import left
from shelflife.observe.connectors import Connector, connector, hidden
from shelflife.observe.files import Observed, Tally
from shelflife.observe.keep import keep
from shelflife.observe.rows import check_columns, from_arrow
from shelflife.observe.shapes import shape
from shelflife.plan import Plan
from shelflife.plan.spec import Pull
from shelflife.store.database import Database
from shelflife.store.schema import pulls
from shelflife.store.tables import Tables


def pull(
    database: Database, tables: Tables, plan: Plan, feed: str, *, clock: Clock, by: str,
    source: Connector | None = None,
) -> Observed:  # fmt: skip
    """Fetch the rows of a feed that are new since the last time; whoever is killed on the way is gone on from there.

    Parameters
    ----------
    source
        Instead of the one that the plan names.

    Raises
    ------
    BadInput
        Where the plan has no such feed, or its source cannot be read.
    """
    asked = plan.feeds[feed].pull if feed in plan.feeds else None
    if asked is None:
        fetched = [name for name, one in plan.feeds.items() if one.pull is not None]
        raise BadInput(f"The plan fetches no feed {feed!r}. {nearest(feed, fetched)}".strip())
    with database.reading() as connection:
        last, told = _last(connection, plan.system, feed, asked)
    found = _tables(asked, feed, _since(last, asked.overlap), source)
    tally, run = Tally(), f"pull:{uuid.uuid4().hex}"
    left.finish(database, tables, plan.system, now=clock.now())
    with left.running(database, run, clock):
        try:
            _keep_all(database, tables, plan, feed, asked, found, tally, clock=clock, run=run)
        finally:
            done = tally.done()
            rejected = max(0, done.rejected - told)
            if done.accepted or rejected:  # what was kept is told also where the run ends early
                event = RowsObserved(plan.system, asked.rows, feed, done.accepted, done.duplicate, rejected)
                with database.writing() as connection:
                    append(connection, event, at=clock.now(), by=by)
    return done


def _keep_all(
    database: Database, tables: Tables, plan: Plan, feed: str, asked: Pull, found: Iterator[pa.Table], tally: Tally,
    *, clock: Clock, run: str,
) -> None:  # fmt: skip
    wanted = shape(plan, asked.rows)
    again: list[Any] = []
    for number, table in enumerate(found):
        if asked.mark not in table.column_names:
            raise BadInput(f"The feed {feed!r} has no column {asked.mark!r}. {nearest(asked.mark, table.column_names)}")
        check_columns(table.column_names, wanted, asked.columns)
        now = clock.now()
        read = from_arrow(table, wanted, now=now, columns=asked.columns)
        kept = keep(
            database, tables, source=f"{run}:{number}", system=plan.system, kind=asked.rows, rows=read.table, now=now
        )  # fmt: skip
        tally.read(read, len(table))
        tally.kept(kept)
        marks = table[asked.mark]
        mark = marks[-1].as_py()
        again = _read_again([*again, *(marks[place].as_py() for place in read.rejected)], mark, asked.overlap)
        # Only now: were the mark noted first, whoever is killed in between would leave rows out.
        with database.writing() as connection:
            _note(connection, plan.system, feed, asked, mark, kept.rows, len(again))


def _tables(asked: Pull, feed: str, since: Any, source: Connector | None) -> Iterator[pa.Table]:
    """The rows of a feed; what goes wrong there is told without what the environment told the connector."""
    try:
        yield from (source or connector(asked)).read(asked.mark, since)
    except Exception as error:
        known = isinstance(error, BadInput)
        said = str(error) if known else f"The feed {feed!r} cannot be fetched: {type(error).__name__}: {error}"
        raise BadInput(hidden(asked, said)) from error


def _read_again(rejected: list[Any], mark: Any, overlap: timedelta | None) -> list[Any]:
    """The marks of those rejected rows that the next pull reads again; what was told of them is not told again."""
    if not rejected:
        return []
    since = _since(mark, overlap)
    return [one for one in rejected if one is not None and one >= since]


def _last(connection: Connection, system: str, feed: str, asked: Pull) -> tuple[Any | None, int]:
    """The mark up to which a feed was read, None before the first time; how many rejected rows are read again."""
    found = connection.execute(select(pulls.c.mark).where(pulls.c.system == system, pulls.c.feed == feed)).scalar()
    if found is None or found.get("of") != _named(asked):
        return None, 0
    return _READ[found["is"]](found["value"]), found.get("rejected", 0)


def _named(asked: Pull) -> str:
    """What a mark belongs to: its column, and the source that has it; of another one it would say nothing."""
    said = asked.model_dump(mode="json", exclude={"every", "overlap"})
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _note(
    connection: Connection, system: str, feed: str, asked: Pull, mark: Any, rows: int, rejected: int
) -> None:  # fmt: skip
    word = next((word for kind, word in _KINDS if isinstance(mark, kind)), None)
    if word is None or mark != mark:  # noqa: PLR0124 - not a number
        raise BadInput(f"The marks of the feed {feed!r} are to be numbers, texts or times, which grow; found {mark!r}.")
    value = mark if word == "plain" else str(mark) if word == "number" else mark.isoformat()
    said = {"is": word, "value": value, "rejected": rejected, "of": _named(asked)}
    which = (pulls.c.system == system, pulls.c.feed == feed)
    if connection.execute(update(pulls).where(*which).values(mark=said, rows=pulls.c.rows + rows)).rowcount == 0:
        connection.execute(insert(pulls).values(system=system, feed=feed, mark=said, rows=rows))


def _since(last: Any | None, overlap: timedelta | None) -> Any | None:
    """From where on to read: some way back, where rows may be written late."""
    if last is None or overlap is None:
        return last
    if not isinstance(last, date):  # which every datetime is
        raise BadInput(f"`overlap` goes back in time, and the marks are no times: {last!r}.")
    return last - overlap


# A datetime is a date as well: it has to be asked for first.
_KINDS = ((datetime, "time"), (date, "date"), (Decimal, "number"), (int | float | str, "plain"))
_READ: dict[str, Callable[[Any], Any]] = {
    "time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "number": Decimal,
    "plain": lambda value: value,
}
