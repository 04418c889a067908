"""The newest figure of each KPI, as it is asked for at every look."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from shelflife.store.tables import Tables

Figure = tuple[float, datetime]
_MOMENT = pa.timestamp("us", "UTC")
_UNDER_WAY = timedelta(hours=1)  # longer than rows are on their way into their table once they were received


class Figures:
    """Remembers the newest figures, so that after the first time only what came since is read."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._known: dict[str, tuple[datetime, dict[str, Figure]]] = {}

    def of(self, system: str) -> dict[str, Figure]:
        """The newest figure of each KPI of a system that was reported, by its own time: value and time."""
        found = self._tables.dataset(system, "kpis")
        if found is None:
            return {}
        upto, newest = self._known.get(system, (None, {}))
        since = None if upto is None else pc.field("received") >= pa.scalar(upto - _UNDER_WAY, _MOMENT)
        rows = found.to_table(columns=["kpi", "time", "value", "received"], filter=since)
        last = rows.group_by("kpi").aggregate([("time", "max")])
        for row in rows.join(last, ["kpi", "time"], ["kpi", "time_max"], join_type="inner").to_pylist():
            if row["kpi"] not in newest or row["time"] >= newest[row["kpi"]][1]:
                newest = {**newest, row["kpi"]: (row["value"], row["time"])}
        received = [one for one in (upto, pc.max(rows["received"]).as_py()) if one is not None]
        if received:
            self._known[system] = (max(received), newest)
        return newest
