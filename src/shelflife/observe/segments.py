"""From a segment of the log to the tables: what can be kept is kept once, and what never can is set aside and told."""

from __future__ import annotations

import json
import logging
import struct
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from shelflife.errors import BadInput
from shelflife.events import RowsSetAside
from shelflife.ledger import append
from shelflife.observe import left
from shelflife.observe.keep import fitted, keep
from shelflife.observe.shapes import RowKind, Shape
from shelflife.store.database import Database
from shelflife.store.log import Damaged, records
from shelflife.store.tables import Tables

ASIDE = ".aside"  # a folder among the logs, which nobody adopts

Key = tuple[str, RowKind]

_HEAD = struct.Struct("<I")
_log = logging.getLogger("shelflife.observe")


def packed(key: Key, tables: list[pa.Table]) -> bytes:
    """Rows of one system and kind as a record."""
    head = json.dumps(key).encode()
    rows = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, rows.schema) as writer:
        writer.write_table(rows)
    return b"".join([_HEAD.pack(len(head)), head, out.getvalue()])


def _unpacked(record: bytes) -> tuple[Key, pa.Table]:
    (length,) = _HEAD.unpack_from(record)
    start = _HEAD.size
    system, kind = json.loads(record[start : start + length])
    return (system, kind), pa.ipc.open_stream(pa.py_buffer(record)[start + length :]).read_all()


def move(
    database: Database, tables: Tables, segment: Path, *, sealed: bool, shape: Callable[[str, RowKind], Shape],
    now: datetime,
) -> int:  # fmt: skip
    """Keep the rows of a segment that nobody writes any more, and remove it; how many rows.

    Where it holds what can never be kept, the others are kept and it is set aside. Whatever else is raised may be over
    soon: the segment stays then, and is moved again.
    """
    found: dict[Key, list[pa.Table]] = defaultdict(list)
    wrong: list[str] = []
    try:
        for record in records(segment, sealed=sealed):
            key, table = _unpacked(record)
            found[key].append(table)
    except Damaged as error:
        wrong.append(str(error))
    source = f"log:{segment.parent.name}/{segment.stem}"
    moved = 0
    failed: Exception | None = None
    for (system, kind), parts in sorted(found.items(), key=lambda item: item[0]):
        try:
            rows, unfit = _fitting(tables, system, shape(system, kind), parts)
            wrong += unfit
            if rows:
                together = pa.concat_tables(rows, promote_options="permissive")
                moved += keep(
                    database, tables, source=source, system=system, kind=kind, rows=together, now=now
                ).rows  # fmt: skip
        except BadInput as error:
            wrong.append(f"The {kind} of {system} cannot be kept: {error}")
        except Exception as error:  # noqa: BLE001 - what cannot be kept must not hold up what can
            _log.error("the %s of %s cannot be kept: %s", kind, system, error)
            failed = error
    if failed is not None:
        raise failed
    if wrong:
        _set_aside(database, tables, segment, source, wrong, now)
    else:
        segment.unlink()
    return moved


def _fitting(
    tables: Tables, system: str, shape: Shape, parts: list[pa.Table]
) -> tuple[list[pa.Table], list[str]]:  # fmt: skip
    """Rows in the types of their table, and why some are not."""
    rows, unfit = [], []
    for part in parts:
        try:
            rows.append(fitted(tables, system, shape, part))
        except pa.ArrowException as error:
            unfit.append(f"{len(part):,} {shape.kind} of {system} do not fit the plan of today: {error}")
    return rows, unfit


def _set_aside(
    database: Database, tables: Tables, segment: Path, source: str, wrong: list[str], now: datetime
) -> None:  # fmt: skip
    left.give_up(database, tables, source, now=now)  # else watching would wait for it
    folder = segment.parent.parent / ASIDE
    folder.mkdir(exist_ok=True)
    kept = folder / f"{segment.parent.name}-{segment.name}"
    says = " ".join(wrong)
    with database.writing() as connection:
        append(connection, RowsSetAside(str(kept), says), at=now, by="intake")
    segment.replace(kept)
    _log.error("%s is set aside: %s", kept, says)
