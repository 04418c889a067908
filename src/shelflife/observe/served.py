"""What gateways have answered, from their logs into the tables: each record once, whoever takes it, and however often.

A gateway hands a segment of its log over every few seconds; what one that is gone has left is taken as well. One
process of a machine takes at a time, and a segment is gone on with by the next where the one before was killed.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shelflife.clock import Clock
from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
from shelflife.observe.shapes import MOMENT, SERVED, RowKind, Shape
from shelflife.store.answers import unpacked
from shelflife.store.database import Database
from shelflife.store.log import OVER, adopted, records
from shelflife.store.tables import Tables

_EVERY = 2.0  # seconds
_ROUNDING = 1e-6  # by which a chance may be above one where it was added up
_log = logging.getLogger("shelflife.observe")


class Served:
    """Takes what gateways on this machine have logged.

    Parameters
    ----------
    database, tables
        Where rows are kept.
    folder
        The folder of the logs of all gateways here.
    shape
        The columns of a kind of row of a system, by its newest plan.
    clock
        Tells when rows came.
    """

    def __init__(
        self, database: Database, tables: Tables, folder: Path, shape: Callable[[str, RowKind], Shape], clock: Clock
    ) -> None:
        self._database, self._tables, self._folder, self._shape, self._clock = database, tables, folder, shape, clock

    def take(self) -> int:
        """Keep what was handed over or left; how many rows."""
        taken, failed = 0, None
        with adopted(self._folder, living=True) as segments:
            for segment in segments:
                try:
                    taken += self._keep(segment)
                except Exception as error:  # noqa: BLE001 - what cannot be kept must not hold up what can
                    failed = error
        if failed is not None:
            raise failed
        return taken

    def run(self, stop: threading.Event, *, every: float = _EVERY) -> None:
        """Take until told to stop, every so many seconds, and once more then; whoever answers goes first."""
        if sys.platform == "linux":  # where each thread has its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        over = False
        while not over:
            over = stop.wait(every)
            try:
                self.take()
            except Exception:  # noqa: BLE001 - whatever it is, the log keeps the rows
                _log.exception("what gateways have answered cannot be kept; it is tried again")

    def _keep(self, segment: Path) -> int:
        parts: dict[tuple[str, RowKind], list[pa.Table]] = defaultdict(list)
        now = self._clock.now()
        # One that was handed over was whole; of another one the end may never have been written.
        for record in records(segment, sealed=segment.suffix == OVER):
            said = unpacked(record)
            key = said["system"], said["kind"]
            parts[key].append(_read(said, self._shape(*key), segment, now))
        source = f"served:{segment.parent.name}/{segment.stem}"
        kept, failed = 0, None
        for (system, kind), some in sorted(parts.items(), key=lambda item: item[0]):
            rows = pa.concat_tables(some, promote_options="permissive")
            try:
                kept += keep(
                    self._database, self._tables, source=source, system=system, kind=kind, rows=rows, now=now
                ).rows
            except Exception as error:  # noqa: BLE001 - likewise
                failed = error
        if failed is not None:
            raise failed
        segment.unlink()
        return kept


def _read(said: Mapping[str, Any], shape: Shape, segment: Path, now: datetime) -> pa.Table:
    """One record as rows of its kind: of each request what all its rows have, and of each row the rest."""
    rows, *each = zip(*said["requests"], strict=True)
    columns = {
        name: pa.array(np.repeat(np.array(values, kind), rows))
        for name, values, kind in zip(("time", *SERVED), each, (np.int64, object, object, float, float), strict=True)
    }
    columns["time"] = columns["time"].cast(MOMENT)
    columns["id"] = pa.array(said["id"])
    columns["version"] = pa.array([said["version"]] * len(said["id"]))
    if "prediction" in said:
        columns["prediction"] = pa.array(said["prediction"])
    if "score" in said:
        columns["score"] = pa.array(_bounded(said["score"], shape, said["version"]))
    if "error" in said:
        columns["error"] = pa.array([said["error"]] * len(said["id"]))
    if said["inputs"]:
        parts = [pa.array(values, from_pandas=True) for values in said["inputs"].values()]
        columns["inputs"] = pa.StructArray.from_arrays(parts, list(said["inputs"]))
    # What the plan keeps private was made a digest before it was written.
    kept = replace(shape, schema=shape.kept, private=frozenset())
    read = from_arrow(pa.table(columns), kept, now=now)
    if read.rejected:
        place, why = next(iter(read.rejected.items()))
        _log.warning("%s rows in %s cannot be kept; row %s: %s", len(read.rejected), segment.name, place, why)
    return read.table


def _bounded(scores: list[Any], shape: Shape, version: str) -> list[Any]:
    """Scores as they may be kept: an answer that was given is kept, also where its model's score is no chance."""
    if "score" not in shape.between:
        return scores
    least, most = shape.between["score"]
    strange = 0

    def one(score: Any) -> Any:
        nonlocal strange
        if isinstance(score, dict):
            return {name: one(part) for name, part in score.items()}
        if score is None or least <= score <= most:
            return score
        near = min(max(score, least), most)
        if abs(score - near) <= _ROUNDING:
            return near
        strange += 1
        return None

    found = [one(score) for score in scores]
    if strange:
        _log.warning("%s scores of version %s are no probabilities, and are left out", strange, version)
    return found
