"""What does not grow: memory of counting from 2 to 20 million rows, and the cost of one day more after ever more days.

Usage: python bench/profile/growth.py [--rows 2000000 20000000] [--days 30 365 3650]

Each count is a process of its own with its own peak memory. The day is 20,000 rows of the same 63 columns: counting
them, adding them to a history of so many days, and going on with a detector that has seen that history.
"""

from __future__ import annotations

import argparse
import operator
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from run import generate, measure

from shelflife import Reference
from shelflife.check.watching import Promise, watch
from shelflife.detect.detector import Detector

DAY = 20_000
ROLES = {"time": "ts", "score": "score", "prediction": "prediction", "outcome": "outcome"}
COUNT = """
import json, sys, tempfile, time
from pathlib import Path
from shelflife import Reference, tables
learnt = Reference.open(sys.argv[1])
begun = time.perf_counter()
with tempfile.TemporaryDirectory() as folder, tables.open_rows(sys.argv[2], time="ts", folder=Path(folder)) as rows:
    learnt.count(rows)
seconds = time.perf_counter() - begun
# Of this program alone: what the operating system keeps for a process begins with that of its parent.
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"work": seconds, "own peak": peak}))
"""


def memory(rows: list[int], folder: Path) -> None:
    """Count files of ever more rows with one reference."""
    small = folder / "small.parquet"
    generate(small, 100_000, seed=0)
    Reference.learn(_table(small), **ROLES).save(folder / "reference.profile")
    print("| rows | work s | peak MB |\n|---|---|---|")
    for size in rows:
        path = folder / "rows.parquet"
        generate(path, size, seed=1)
        found = measure([sys.executable, "-c", COUNT, str(folder / "reference.profile"), str(path)])
        print(f"| {size:,} | {found['work']:.1f} | {found['own peak']:,.0f} |" if found else f"| {size:,} | failed | |")
        path.unlink()


def one_day(days: list[int], folder: Path) -> None:
    """Count a day, add it to a history, go on with the detector."""
    path = folder / "day.parquet"
    generate(path, DAY, seed=0)
    table = _table(path)
    start = np.datetime64("2026-01-01", "s")
    table = table.set_column(
        table.column_names.index("ts"), "ts", pa.array(start + np.zeros(DAY, dtype=int).astype("timedelta64[s]"))
    )
    reference = Reference.learn(table, **ROLES)
    day = reference.count(table)
    promise = Promise.of(reference.profile, tolerance=0.05)
    print("\n| days before | count the day s | add it s | detector's step s |\n|---|---|---|---|")
    for past in days:
        keep = np.zeros(past, dtype=int)
        history = day.chosen(keep)
        buckets = day.buckets[0] + np.arange(past) * 86_400_000_000
        history = type(day)(day.layout, history.segments, buckets, *(getattr(history, n) for n in _VALUES))
        today = type(day)(
            day.layout, day.segments, day.buckets + past * 86_400_000_000, *(getattr(day, n) for n in _VALUES)
        )
        state = Detector.from_bytes(watch(promise, history, promise.detector(180.0)).state.to_bytes())
        works = (
            partial(reference.count, table),
            partial(operator.add, history, today),
            partial(watch, promise, today, state),
        )
        print(f"| {past:,} | " + " | ".join(f"{_seconds(work):.3f}" for work in works) + " |")


def _seconds(work: partial) -> float:
    found = []
    for _ in range(5):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return median(found)


_VALUES = ("rows", "counts", "sums", "lows", "highs")


def _table(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def main() -> None:
    """Print both tables in Markdown's form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000_000, 20_000_000])
    parser.add_argument("--days", type=int, nargs="+", default=[30, 365, 3650])
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        one_day(asked.days, Path(folder))
        memory(asked.rows, Path(folder))


if __name__ == "__main__":
    main()
