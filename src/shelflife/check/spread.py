"""Counting spread over an engine: pieces of Parquet files to workers, anything else in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from shelflife import tables
from shelflife.engines import Engine
from shelflife.errors import BadInput
from shelflife.profile.counts import Profile, empty, merged
from shelflife.profile.kernel import Kernel, rows_at_once
from shelflife.profile.layout import Layout
from shelflife.profile.reference import Reference
from shelflife.tables.rows import read_parquet

_DIED = "A worker process died while it counted: it was killed for want of memory. Try --jobs 1, or --engine threads."


def learn(rows: tables.Rows, options: dict[str, Any], engine: Engine) -> Reference:
    """A reference learnt here, its rows counted on the engine."""
    return Reference.learn(rows, **options, counting=lambda layout: count(layout, rows, set(), engine))


def opened(reference: Any, options: dict[str, Any], engine: Engine, folder: Path) -> Reference:
    """A reference as it was saved, or learnt from a table; `folder` is made for what reading needs."""
    known = saved(reference)
    if known is not None:
        return known
    folder.mkdir()
    with tables.open_rows(reference, time=options["time"], folder=folder) as rows:
        if rows.rows == 0:
            raise BadInput(f"The reference ({rows.source}) has no rows. Give a table of what was good.")
        return learn(rows, options, engine)


def saved(reference: Any) -> Reference | None:
    """A reference that was made before: an object, a profile, or a file of one; None for a table."""
    if isinstance(reference, Reference):
        return reference
    if isinstance(reference, Profile):
        return Reference(reference.layout, reference)
    if is_profile(reference):
        return Reference.open(reference)
    return None


def is_profile(data: Any) -> bool:
    """Whether `data` is the path of a profile."""
    return isinstance(data, str | Path) and str(data).endswith(".profile")


def count(layout: Layout, rows: tables.Rows, dropped: set[str], engine: Engine) -> tuple[Profile, int]:
    """The profile of all rows without the columns `dropped`, and how many rows had no time."""
    columns = [name for name in layout.columns if name not in dropped]
    size = rows_at_once(len(columns))
    if engine.name == "threads" or len(rows.pieces) < 2:
        kernel = Kernel(layout)
        return kernel.count(rows.batches(columns, size)), kernel.untimed
    written = layout.to_json()
    work = [(written, path, groups, columns, size) for path, groups in _shared_out(rows.pieces, engine.jobs)]
    found = list(engine.run(count_piece, work, died=BadInput(_DIED)))
    # Whatever the order in which they arrive: addition is exact.
    return merged([profile for profile, _ in found] or [empty(layout)]), sum(untimed for _, untimed in found)


def count_piece(work: tuple[str, str, tuple[int, ...], list[str], int]) -> tuple[Profile, int]:
    """What a worker does: read some row groups of one file and count them."""
    written, path, groups, columns, size = work
    kernel = Kernel(Layout.from_json(written), threads=1)
    found: Iterator[pa.RecordBatch] = read_parquet(path, groups, columns, size)
    return kernel.count(found), kernel.untimed


def _shared_out(pieces: tuple[tuple[str, tuple[int, ...]], ...], jobs: int) -> list[tuple[str, tuple[int, ...]]]:
    """Row groups of one file together, in about four portions a worker."""
    most = max(1, len(pieces) // (4 * jobs))
    found: list[tuple[str, tuple[int, ...]]] = []
    for path, groups in pieces:
        if found and found[-1][0] == path and len(found[-1][1]) < most:
            found[-1] = (path, found[-1][1] + groups)
        else:
            found.append((path, groups))
    return found
