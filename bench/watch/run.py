"""What watching costs: a day's look at many systems, how it grows with history, and the status of all.

Usage: python bench/watch/run.py [--systems 200] [--columns 50] [--rows 500] [--days 3] [--history 5 60]

Each system has so many columns and rows a day. A look reads the day's rows, counts them, steps the detector and writes.
The report goes to stdout.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from shelflife import plan
from shelflife.observe.keep import keep
from shelflife.observe.rows import from_arrow
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=200)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--history", type=int, nargs="*", default=[5, 60])
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
        print(f"| {asked.systems} systems of {asked.columns} columns, {asked.rows} rows a day | seconds |\n|---|---|")
        for day in range(asked.days):
            for name in names:
                send(system, name, asked.columns, clock.now(), 1, asked.rows, f"day{day}")
            clock.advance(DAY)
            begun = time.perf_counter()
            watched = sum(system.watching.look(name).buckets for name in names)
            print(
                f"| day {day + 1}: a look at all ({watched} buckets) | {time.perf_counter() - begun:.1f} |", flush=True
            )
        begun = time.perf_counter()
        statuses(system)
        print(f"| status of all, first | {time.perf_counter() - begun:.3f} |")
        begun = time.perf_counter()
        statuses(system)
        print(f"| status of all, again | {time.perf_counter() - begun:.3f} |")
        name, day = names[0], asked.days
        for length in asked.history:
            while day < length:
                send(system, name, asked.columns, clock.now(), 1, asked.rows, f"day{day}")
                clock.advance(DAY)
                system.watching.look(name)
                day += 1
                if day % 7 == 0:
                    system.compact(name, by="bench")
            begun = time.perf_counter()
            for _ in range(3):
                send(system, name, asked.columns, clock.now(), 1, asked.rows, f"day{day}")
                clock.advance(DAY)
                day += 1
                begun = time.perf_counter()
                system.watching.look(name)
            print(f"| one look after {day} days of history | {time.perf_counter() - begun:.3f} |", flush=True)
        system.close()


if __name__ == "__main__":
    main()
