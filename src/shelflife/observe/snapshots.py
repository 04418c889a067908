"""The rows that a model is trained on, fixed: read again at any later time they are the same, bit for bit.

A snapshot is no copy and no version of a table. Every row carries the number of the batch in which it came, and
rows never change; so the rows of a time up to a batch, in one order, are the same whatever was appended or compacted
since. A digest tells where they are not: where one of their ids was erased, or the plan's time of keeping has passed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, insert, select

from shelflife.errors import BadInput
from shelflife.events import SnapshotTaken
from shelflife.ledger import append
from shelflife.plan import Plan
from shelflife.store.database import Database
from shelflife.store.schema import snapshots, systems
from shelflife.store.settled import settled
from shelflife.store.tables import Tables


@dataclass(frozen=True)
class Snapshot:
    """The name of some rows, and what they were when it was given."""

    id: str
    system: str
    until: int
    rows: int
    sha256: str


def take(
    database: Database, tables: Tables, plan: Plan, *, start: datetime | None, end: datetime | None, now: datetime,
    by: str, id: str | None = None,  # noqa: A002 - what it is called
) -> Snapshot:  # fmt: skip
    """Fix the predictions of a time (from `start` to before `end`) that have an outcome by now.

    Under an `id` of the caller's it is taken once; whoever asks again is given the same.
    """
    system = plan.system
    with database.reading() as connection:
        until = settled(connection, system)
        known = _kept(connection, id) if id is not None else None
    if known is not None:
        return known
    inputs = [name for name in plan.model.inputs if name in _inputs(tables, system)]  # the others have no rows yet
    found = _rows(tables, system, inputs, until, start, end)
    made = Snapshot(id or secrets.token_hex(8), system, until, len(found), _digest(found))
    versions = {kind: tables.version(system, kind) for kind in ("predictions", "outcomes")}
    with database.writing() as connection:
        # Of two that take one at once the later one waits here, and then finds it.
        connection.execute(select(systems.c.name).where(systems.c.name == system).with_for_update(key_share=True))
        known = _kept(connection, made.id)
        if known is not None:
            return known
        connection.execute(
            insert(snapshots).values(
                id=made.id, system=system, until=until, start=start, end=end, columns=inputs, rows=made.rows,
                sha256=made.sha256, versions=versions, at=now, by=by,
            )
        )  # fmt: skip
        append(connection, SnapshotTaken(system, made.id, made.rows, made.sha256), at=now, by=by)
    return made


def _kept(connection: Connection, id: str) -> Snapshot | None:  # noqa: A002 - as above
    row = connection.execute(select(snapshots).where(snapshots.c.id == id)).one_or_none()
    return None if row is None else Snapshot(row.id, row.system, row.until, row.rows, row.sha256)


def read(database: Database, tables: Tables, id: str) -> pa.Table:  # noqa: A002 - what it is called
    """The rows of a snapshot: ``id``, ``time``, its inputs, ``outcome``; sorted by time and id.

    Raises
    ------
    BadInput
        Where there is no such snapshot, or its rows are not all there any more.
    """
    with database.reading() as connection:
        known = connection.execute(select(snapshots).where(snapshots.c.id == id)).one_or_none()
    if known is None:
        raise BadInput(f"There is no snapshot {id!r}.")
    found = _rows(tables, known.system, known.columns, known.until, known.start, known.end)
    if (known.rows or len(found)) and _digest(found) != known.sha256:
        raise BadInput(
            f"The rows of snapshot {id} are no longer what they were: {known.rows:,} then, {len(found):,} now. Rows of"
            " it were erased, or are older than the plan keeps them; the ledger says which (shelflife ledger show)."
        )
    return found


def _inputs(tables: Tables, system: str) -> set[str]:
    """The inputs of which there are columns."""
    made = tables.dataset(system, "predictions")
    return set() if made is None else {one.name for one in made.schema.field("inputs").type}


def some(tables: Tables, plan: Plan, rows: int = 20) -> pa.Table | None:
    """Inputs of some rows as a model is asked; None where there are none yet, or some are kept as digests alone."""
    made = tables.dataset(plan.system, "predictions")
    if made is None or plan.model.private:
        return None
    found = made.head(rows, columns=["inputs"])["inputs"].combine_chunks()
    names = [one for one in plan.model.inputs if found.type.get_field_index(one) >= 0]
    return pa.table({name: found.field(name) for name in names}) if len(found) else None


def _rows(
    tables: Tables, system: str, inputs: list[str], until: int, start: datetime | None, end: datetime | None
) -> pa.Table:
    import duckdb

    made, true = tables.dataset(system, "predictions"), tables.dataset(system, "outcomes")
    if made is None or true is None:
        return pa.table({"id": pa.array([], pa.string())})
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("made", made)
        connection.register("true", true)
        chosen = "".join(f"made.inputs.{_quoted(name)} AS {_quoted(name)}, " for name in inputs)
        within = "made.batch <= $until"
        given: dict[str, Any] = {"until": until}
        for name, sign, moment in (("start", ">=", start), ("end", "<", end)):
            if moment is not None:
                within += f" AND made.time {sign} ${name}"
                given[name] = moment
        return connection.sql(
            f'SELECT made.id, made.time, {chosen}"true".outcome FROM made JOIN "true" ON "true".id = made.id'  # noqa: S608
            f' AND "true".batch <= $until WHERE {within} ORDER BY made.time, made.id',
            params=given,
        ).to_arrow_table()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _digest(rows: pa.Table) -> str:
    """SHA-256 of the values, column by column, however they lie in memory."""
    import hashlib

    found = hashlib.sha256()
    for name in rows.column_names:
        column = rows[name]
        found.update(f"{name}\0{column.type}\0{len(column)}\0".encode())
        sink = pa.BufferOutputStream()
        # In chunks of one size, so that it does not matter in how many the rows came.
        flat = pa.table({"values": pc.cast(column, column.type)}).combine_chunks()
        with pa.ipc.new_stream(sink, flat.schema) as writer:
            writer.write_table(flat, max_chunksize=65_536)
        found.update(sink.getvalue())
    return found.hexdigest()
