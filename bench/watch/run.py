"""What watching costs: a day's look at many systems, how it grows with history, and the status of all.

Usage: python bench/watch/run.py [--systems 200] [--columns 50] [--rows 500] [--days 3] [--history 10 100 400]
                                 [--status 1000]

Each system has so many columns and rows a day. A look reads the day's rows, counts them, steps the detector and writes.
One of them then goes on for as many days as are asked, its files made few once a week as the loop does once a day. For
the status of many, what is known of the first is written down for others by other names. The report goes to stdout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import insert, select

from shelflife import plan
from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
from shelflife.store import schema
from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.views.status import statuses
from shelflife.workspace import Settings

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def planned(name: str, columns: int) -> plan.Written:
    inputs = {f"x{n:02d}": "numeric" if n % 5 else "category" for n in range(columns)}
    return plan.parse(json.dumps({
        "shelflife": 1, "system": name, "title": name, "objective": {"why": "Measure", "owner": "lead"},
        "people": {"lead": {"name": "Lead", "role": "owner"}},
        "model": {"name": name, "task": "classification", "prediction": "said", "score": "score", "inputs": inputs,
                  "outcome": {"name": "true", "within": "1d"}},
        "feeds": {"rows": {"fresh_within": "2d", "owner": "lead"}},
        "watch": {"bucket": "1d", "false_alarms": {"at_most": 1, "per": "180d"}, "quality": {"nulls": {"within": 0.01}},
                  "drift": {"tolerance": 0.05}, "performance": {"metric": "accuracy", "at_least": 0.6}},
    }))  # fmt: skip


def send(system: System, name: str, columns: int, first: datetime, days: int, rows: int, label: str) -> None:
    """Rows of some days and their outcomes."""
    rng = np.random.default_rng(abs(hash((name, label))) % 2**32)
    count = days * rows
    score = rng.random(count)
    times = np.datetime64(first.replace(tzinfo=None), "us") + (np.arange(count) * (86_400_000_000 // rows)).astype(
        "timedelta64[us]"
    )
    ids = [f"{label}-{n}" for n in range(count)]
    flat = {f"x{n:02d}": rng.normal(size=count) if n % 5 else rng.choice(list("abcdef"), count) for n in range(columns)}
    said = {"id": ids, "time": pa.array(times, pa.timestamp("us", "UTC")), "score": score,
            "prediction": np.where(score > 0.5, "yes", "no"), **flat}  # fmt: skip
    true = {"id": ids, "time": said["time"], "outcome": np.where(rng.random(count) < score, "yes", "no")}
    for kind, table in (("predictions", said), ("outcomes", true)):
        read = from_arrow(pa.table(table), system.shape(name, kind), now=system.clock.now())
        assert not read.rejected
        keep(system.database, system.tables, source=f"{name}-{label}", system=name, kind=kind, rows=read.table,
             now=system.clock.now())  # fmt: skip


def day_by_day(system: System, asked: argparse.Namespace, names: list[str]) -> None:
    """A look at all systems, some days."""
    for day in range(asked.days):
        for name in names:
            send(system, name, asked.columns, system.clock.now(), 1, asked.rows, f"day{day}")
        pass_by(system)
        begun = time.perf_counter()
        watched = sum(system.watching.look(name).buckets for name in names)
        print(f"| day {day + 1}: a look at all ({watched} buckets) | {time.perf_counter() - begun:.1f} s |", flush=True)


def history(system: System, asked: argparse.Namespace, name: str) -> None:
    """One look after as many days as are asked: the median of five, and what it reads."""
    day = asked.days
    for length in asked.history:
        looks = []
        while day < length:
            send(system, name, asked.columns, system.clock.now(), 1, asked.rows, f"day{day}")
            pass_by(system)
            read, begun = bytes_read(), time.perf_counter()
            system.watching.look(name)
            looks.append((time.perf_counter() - begun, bytes_read() - read))
            day += 1
            if day % 7 == 0:
                system.compact(name, by="bench")
        seconds, read = (statistics.median(column) for column in zip(*looks[-5:], strict=True))
        print(f"| a look after {day} days of history | {seconds:.3f} s, {read / 1e6:.1f} MB read |", flush=True)


def status(system: System, asked: argparse.Namespace, name: str) -> None:
    """The status of many systems, each as the first."""
    with system.database.writing() as connection:
        for number in range(asked.systems, asked.status):
            twin = f"t{number:04d}"
            connection.execute(insert(schema.systems).values(name=twin, title=twin, since=system.clock.now()))
            for table in (schema.delta_tables, schema.references, schema.watches, schema.findings):
                for row in connection.execute(select(table).where(table.c.system == name)).mappings().all():
                    connection.execute(insert(table).values({**row, "system": twin, "number": None}
                                       if "number" in row else {**row, "system": twin}))  # fmt: skip
    for number in range(asked.systems, asked.status):
        system.apply(planned(f"t{number:04d}", asked.columns), by="bench", because="bench")
    again = System(system.settings, system.clock)  # as a process that has just begun, which has read no plan
    for label, here in (("first", again), *(("again", again) for _ in range(5))):
        begun = time.perf_counter()
        found = statuses(here)
        print(f"| status of {len(found)}, {label} | {1000 * (time.perf_counter() - begun):.0f} ms |", flush=True)
    again.close()


def pass_by(system: System) -> None:
    """A day goes by."""
    assert isinstance(system.clock, ManualClock)
    system.clock.advance(DAY)


def bytes_read() -> int:
    """Bytes that this process has read, from the disk or what is kept of it in memory; 0 where nobody tells."""
    told = Path("/proc/self/io")
    return int(told.read_text().split()[1]) if told.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=200)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--history", type=int, nargs="*", default=[10, 100, 400])
    parser.add_argument("--status", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        clock = ManualClock(START)
        system = System(Settings(home=Path(home) / "workspace"), clock)
        names = [f"s{n:04d}" for n in range(asked.systems)]
        clock.advance(30 * DAY)
        for name in names:
            system.apply(planned(name, asked.columns), by="bench", because="bench")
            send(system, name, asked.columns, START, 30, asked.rows, "reference")
            system.watching.take_reference(name, end=clock.now(), by="bench")
        print(f"| {asked.systems} systems of {asked.columns} columns, {asked.rows} rows a day | |\n| --- | --- |")
        day_by_day(system, asked, names)
        history(system, asked, names[0])
        status(system, asked, names[0])
        system.close()


if __name__ == "__main__":
    main()
