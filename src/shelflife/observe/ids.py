"""Which ids were observed: every id of every table once, by its digest, in SQL.

Ids pass by the hundred thousand, so each question is one statement over all of them: the digests go in as one value,
their times as another, and the database takes them apart. That is several times as fast as a parameter for each, and
no other thread of this process waits meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from sqlalchemy import Connection, CursorResult, Select, delete, select, text

from shelflife.observe.shapes import KINDS, RowKind
from shelflife.store.schema import delta_tables, observed

_LENGTH = 16  # bytes of a digest
ERASED = 0  # the batch of an id that was erased: it is known, and is not kept again
DIGEST = np.dtype((np.void, _LENGTH))
_MANY = 5_000  # ids from which starting a query engine is quicker than calling a function for each

# A CROSS JOIN keeps SQLite to this order: it would else go through all that was observed, and look each up in what was
# handed in, which has no index.

# The ids that were handed in, with their time, and their place among them from 0.
_GIVEN = {
    "sqlite": "SELECT substr(:ids, key * 16 + 1, 16) AS id, value AS time, key AS place FROM json_each(:times)",
    "postgresql": "SELECT substring(CAST(:ids AS bytea) FROM CAST(nth - 1 AS int) * 16 + 1 FOR 16) AS id,"
    " CAST(value AS bigint) AS time, nth - 1 AS place"
    " FROM json_array_elements_text(CAST(:times AS json)) WITH ORDINALITY AS given (value, nth)",
}


_NUMBER = "(SELECT number FROM delta_tables WHERE system = :system AND kind = :kind)"


def digests(ids: pa.ChunkedArray | pa.Array | Sequence[str]) -> np.ndarray[Any, Any]:
    """Sixteen bytes that stand for each id: the first half of its SHA-256; shape (ids,), type `DIGEST`."""
    if len(ids) < _MANY or not isinstance(ids, pa.ChunkedArray | pa.Array):
        values = ids.to_pylist() if isinstance(ids, pa.ChunkedArray | pa.Array) else ids
        joined = b"".join([hashlib.sha256(one.encode()).digest()[:_LENGTH] for one in values])
        return np.frombuffer(joined, DIGEST)
    import duckdb

    with duckdb.connect() as connection:
        connection.register("given", pa.table({"id": ids}))
        found = connection.sql("SELECT unhex(left(sha256(id), 32)) AS id FROM given").to_arrow_table()["id"]
    flat = found.cast(pa.binary(_LENGTH)).combine_chunks()
    return np.frombuffer(flat.buffers()[1], DIGEST, count=len(flat), offset=flat.offset * _LENGTH)


def of_rows(kind: RowKind, rows: pa.Table) -> np.ndarray[Any, Any]:
    """What stands for each row of a kind: its id, and of a shadow its version too, for several are asked the same."""
    if kind != "shadows":
        return digests(rows["id"])
    pairs = zip(rows["id"].to_pylist(), rows["version"].to_pylist(), strict=True)
    return digests([f"{name}\0{version}" for name, version in pairs])


def claim(
    connection: Connection, system: str, kind: RowKind, batch: int, ids: np.ndarray[Any, Any], times: Any
) -> np.ndarray[Any, Any]:
    """Claim ids for a batch; the places of those that are its own now, of an id that came twice the first.

    Parameters
    ----------
    ids
        Shape (ids,), type `DIGEST`.
    times
        Shape (ids,): microseconds since 1970.
    """
    # In one order for all: two writers of the same ids do not wait for each other, and each page is written once.
    order = np.argsort(np.frombuffer(ids, ">u8")[::2].astype(np.uint64))
    _number(connection, system, kind)
    added = _ask(
        connection, "INSERT INTO observed (delta_table, id, time, batch) SELECT {number}, id, time, :batch FROM"
        " ({given}) AS given WHERE true ON CONFLICT DO NOTHING",
        system, kind, ids[order], times[order], batch=batch,
    )  # fmt: skip
    if added.rowcount == len(ids):
        return np.arange(len(ids))
    rows = _ask(
        connection, "SELECT place FROM ({given}) AS given CROSS JOIN observed WHERE observed.id = given.id AND"
        " observed.delta_table = {number} AND observed.batch = :batch ORDER BY place",
        system, kind, ids, batch=batch,
    )  # fmt: skip
    mine = np.array(rows.scalars().all(), dtype=np.int64)
    return mine[np.sort(np.unique(ids[mine], return_index=True)[1])]


def known(connection: Connection, system: str, kind: RowKind, ids: np.ndarray[Any, Any]) -> set[bytes]:
    """Those of some ids that were observed before."""
    rows = _ask(
        connection, "SELECT id FROM ({given}) AS given WHERE EXISTS (SELECT 1 FROM observed WHERE"
        " observed.delta_table = {number} AND observed.id = given.id)",
        system, kind, ids,
    )  # fmt: skip
    return {bytes(one) for one in rows.scalars()}


def times(connection: Connection, system: str, kind: RowKind, ids: np.ndarray[Any, Any]) -> list[int | None]:
    """The time of each id, in microseconds since 1970; None where it was not observed."""
    rows = _ask(
        connection, "SELECT place, observed.time AS time FROM ({given}) AS given CROSS JOIN observed WHERE"
        " observed.id = given.id AND observed.delta_table = {number}",
        system, kind, ids,
    )  # fmt: skip
    found: list[int | None] = [None] * len(ids)
    for row in rows:
        found[row.place] = row.time
    return found


def forget(connection: Connection, system: str, *, before: int) -> None:
    """Forget the ids of a system whose time lies before a moment, in microseconds since 1970."""
    connection.execute(delete(observed).where(observed.c.delta_table.in_(_of(system)), observed.c.time < before))


def erase(connection: Connection, system: str, id: str) -> None:  # noqa: A002 - what it is called
    """Keep of an id only that it is known, by its digest.

    Also where it is not known yet: it may be on its way, and is not to be kept when it comes.
    """
    found = digests([id]).tobytes()
    for kind in KINDS:
        connection.execute(
            text("INSERT INTO observed (delta_table, id, time, batch) VALUES (:number, :id, NULL, :batch)"
                 " ON CONFLICT (delta_table, id) DO UPDATE SET time = NULL, batch = excluded.batch"),
            {"number": _number(connection, system, kind), "id": found, "batch": ERASED},
        )  # fmt: skip


def taken_back(
    connection: Connection, system: str, kind: RowKind, batch: int, ids: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """The places of those ids that a batch had claimed and that are no longer its own: they were erased meanwhile."""
    rows = _ask(
        connection, "SELECT place FROM ({given}) AS given CROSS JOIN observed WHERE observed.id = given.id AND"
        " observed.delta_table = {number} AND observed.batch <> :batch",
        system, kind, ids, batch=batch,
    )  # fmt: skip
    return np.array(rows.scalars().all(), dtype=np.int64)


def erased(connection: Connection, system: str, kind: RowKind, ids: np.ndarray[Any, Any]) -> list[int]:
    """The places of those ids that were erased."""
    rows = _ask(
        connection, "SELECT place FROM ({given}) AS given CROSS JOIN observed WHERE observed.id = given.id AND"
        " observed.delta_table = {number} AND observed.batch = :batch",
        system, kind, ids, batch=ERASED,
    )  # fmt: skip
    return [int(place) for place in rows.scalars()]


def any_of(
    connection: Connection, system: str, kind: RowKind, ids: np.ndarray[Any, Any], some: Sequence[int]
) -> bool:  # fmt: skip
    """Whether any of some ids belongs to one of some batches."""
    rows = _ask(
        connection, "SELECT DISTINCT observed.batch FROM ({given}) AS given CROSS JOIN observed WHERE"
        " observed.id = given.id AND observed.delta_table = {number}",
        system, kind, ids,
    )  # fmt: skip
    return not set(some).isdisjoint(rows.scalars())


def release(connection: Connection, system: str, kind: RowKind, batch: int) -> None:
    """Forget what a batch has claimed."""
    number = _number(connection, system, kind)
    connection.execute(delete(observed).where(observed.c.delta_table == number, observed.c.batch == batch))


def _number(connection: Connection, system: str, kind: RowKind) -> int:
    """The number of a table, which is given where it has none yet."""
    query = select(delta_tables.c.number).where(delta_tables.c.system == system, delta_tables.c.kind == kind)
    found = connection.execute(query).scalar()
    if found is None:
        connection.execute(
            text("INSERT INTO delta_tables (system, kind) VALUES (:system, :kind) ON CONFLICT DO NOTHING"),
            {"system": system, "kind": kind},
        )
        found = connection.execute(query).scalar_one()
    return int(found)


def _of(system: str) -> Select[tuple[int]]:
    return select(delta_tables.c.number).where(delta_tables.c.system == system)


def _ask(
    connection: Connection, question: str, system: str, kind: RowKind, ids: np.ndarray[Any, Any],
    times: Any = None, **more: int,
) -> CursorResult[Any]:  # fmt: skip
    given = np.zeros(len(ids), np.int64) if times is None else np.ascontiguousarray(times, np.int64)
    return connection.execute(
        text(question.replace("{given}", _GIVEN[connection.dialect.name]).replace("{number}", _NUMBER)),
        {"system": system, "kind": kind, "ids": ids.tobytes(),
         "times": orjson.dumps(given, option=orjson.OPT_SERIALIZE_NUMPY).decode(), **more},
    )  # fmt: skip
