"""How late `shelflife check` finds a change at its stated budget: by kind and size of change, and rows a bucket.

Usage: python bench/detection/power.py [--runs 20] [--rows 30 200 1000 5000]

Every history has a reference of 60 buckets and a current part of 60 that is changed from its first bucket on, six
numeric columns, three of categories, a prediction and its outcome (wrong in 20 % of rows). All defaults: tolerance 5
points, at most one false alarm in 180 days. The report goes to stdout.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from shelflife.check.watching import Promise, watch
from shelflife.profile import Reference

DAY = 86_400_000_000
BUCKETS = 60
THRESHOLD = 180.0
MISSED = float("inf")

# What the first column, the first category or the errors become; each is found by the codes beside it.
CHANGES: dict[str, tuple[str, list[float], Callable[[dict[str, np.ndarray], np.random.Generator, float], None]]] = {}


def change(name: str, unit: str, *sizes: float):
    def known(function):
        CHANGES[name] = (unit, list(sizes), function)
        return function

    return known


@change("mean of a numeric column", "sd", 0.25, 0.5, 1.0)
def _mean(columns, _, size):
    columns["n0"] += size


@change("spread of a numeric column", "×", 1.5, 2.0)
def _spread(columns, _, size):
    columns["n0"] *= size


@change("missing values", "of rows", 0.02, 0.05, 0.2)
def _missing(columns, rng, size):
    columns["n1"][rng.random(len(columns["n1"])) < size] = np.nan


@change("a new category", "of rows", 0.02, 0.05, 0.2)
def _new(columns, rng, size):
    columns["c0"][rng.random(len(columns["c0"])) < size] = "new"


@change("mix of categories", "of rows", 0.1, 0.2)
def _mix(columns, rng, size):
    columns["c1"][rng.random(len(columns["c1"])) < size] = "a"


@change("predictions that are wrong", "points more", 0.1, 0.2)
def _wrong(columns, rng, size):
    flip = rng.random(len(columns["true"])) < size / 0.6  # of those flipped 20 % were wrong and are now right
    columns["true"][flip] = np.where(columns["true"][flip] == "x", "y", "x")


def table(rng: np.random.Generator, rows: int, first: int, name: str | None = None, size: float = 0.0) -> pa.Table:
    """`BUCKETS` days of rows from day `first` on, changed or not."""
    n = BUCKETS * rows
    columns: dict[str, np.ndarray] = {f"n{i}": rng.normal(size=n) for i in range(6)}
    columns |= {f"c{i}": rng.choice(["a", "b", "c", "d"], n, p=[0.2, 0.4, 0.3, 0.1]).astype(object) for i in range(3)}
    said = rng.choice(["x", "y"], n)
    wrong = rng.random(n) < 0.2
    columns |= {"said": said, "true": np.where(wrong, np.where(said == "x", "y", "x"), said)}
    if name is not None:
        CHANGES[name][2](columns, rng, size)
    moments = pa.array((first + np.arange(n) // rows) * DAY, pa.timestamp("us"))
    return pa.table({"ts": moments, **columns})


def delay(seed: int, rows: int, name: str, size: float) -> float:
    """Buckets from the change to the first alarm."""
    rng = np.random.default_rng(seed)
    reference = Reference.learn(table(rng, rows, 0), time="ts", prediction="said", outcome="true")
    promise = Promise.of(reference.profile, tolerance=0.05)
    current = reference.count(table(rng, rows, BUCKETS, name, size))
    found = watch(promise, current, promise.detector(THRESHOLD))
    return min((alarm.bucket + 1 for alarm in found.alarms), default=MISSED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rows", nargs="+", type=int, default=[30, 200, 1000, 5000])
    asked = parser.parse_args()
    print("| change | size | " + " | ".join(f"{rows:,} rows" for rows in asked.rows) + " |")
    print("|---" * (2 + len(asked.rows)) + "|")
    for name, (unit, sizes, _) in CHANGES.items():
        for size in sizes:
            cells = []
            for rows in asked.rows:
                found = [delay(seed, rows, name, size) for seed in range(asked.runs if rows < 5000 else 5)]
                missed = sum(one == MISSED for one in found) / len(found)
                median = statistics.median_high(found)
                late = f"> {BUCKETS}" if median == MISSED else f"{median:.0f}"
                cells.append(late + (f" ({missed:.0%} missed)" if missed and median != MISSED else ""))
            print(f"| {name} | {size:g} {unit} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
