"""How long observations stay: small files made large, old rows removed, one id removed everywhere."""

from __future__ import annotations

from datetime import datetime, timedelta

from shelflife.events import IdErased, RowsExpired, TablesCompacted
from shelflife.ledger import append
from shelflife.observe import ids
from shelflife.observe.shapes import KINDS
from shelflife.plan import Plan
from shelflife.store.database import Database
from shelflife.store.tables import Tables, moment

_READERS = timedelta(hours=1)  # how long a reader may take who has begun with files that are now replaced
_WRITERS = timedelta(days=1)  # how long one may take who has written files and not told yet that they count


def compact(database: Database, tables: Tables, system: str, *, now: datetime, by: str) -> tuple[int, int]:
    """Make few large files of many small ones in all tables of a system; files before and after."""
    before = after = 0
    for kind in KINDS:
        had, has = tables.compact(system, kind)
        tables.vacuum(system, kind, keep=_READERS)
        tables.vacuum(system, kind, keep=_WRITERS, full=True)
        before, after = before + had, after + has
    if before != after:
        with database.writing() as connection:
            append(connection, TablesCompacted(system, before, after), at=now, by=by)
    return before, after


def expire(database: Database, tables: Tables, plan: Plan, *, now: datetime, by: str) -> int:
    """Remove the rows that are older than the plan keeps them; how many. Without `keep` none are."""
    if plan.keep is None:
        return 0
    before = now - plan.keep
    gone = 0
    for kind in KINDS:
        # An outcome goes with its prediction, however late it came.
        column = "coalesce(prediction_time, time)" if kind == "outcomes" else "time"
        gone += tables.delete(plan.system, kind, f"{column} < {moment(before)}")
        tables.vacuum(plan.system, kind, keep=_READERS)
    with database.writing() as connection:
        ids.forget(connection, plan.system, before=int(before.timestamp() * 1_000_000))
        if gone:
            append(connection, RowsExpired(plan.system, before, gone), at=now, by=by)
    return gone


def erase(database: Database, tables: Tables, system: str, id: str, *, now: datetime, by: str) -> int:  # noqa: A002
    """Remove all that is kept of one id, from every version of every table; how many rows.

    Its digest stays, so that a file that is read again, or a connector, does not bring it back.
    """
    with database.writing() as connection:
        # First of all: whatever of it is on its way is not kept from now on.
        ids.erase(connection, system, id)
    gone = sum(tables.erase(system, kind, [id]) for kind in KINDS)
    with database.writing() as connection:
        append(connection, IdErased(system, gone), at=now, by=by)
    return gone
