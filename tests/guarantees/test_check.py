"""What `check` promises, measured on streams whose truth is known. `make guarantees` runs these in full.

Each test prints its figure; the suite runs a small version of the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shelflife import Reference
from shelflife.check.watching import Promise, watch
from shelflife.profile import Profile

pytestmark = pytest.mark.guarantee

DAY = 86_400_000_000
BUDGET = 180.0


def _each(seeds: int, measure: Callable[[int], Any]) -> list[Any]:
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=-1)(delayed(measure)(seed) for seed in range(seeds)))


def _days(days: int, rows: int) -> pa.Array:
    return pa.array(np.repeat(np.arange(days), rows) * DAY, pa.timestamp("us"))


def _table(rng: np.random.Generator, days: int, rows: int, columns: int, kind: str) -> pa.Table:
    """Columns of one kind; `dependent` ones all hang together, in a bucket and from row to row."""
    total = days * rows
    made: dict[str, Any] = {}
    common = rng.normal(size=total)
    words = np.array([f"w{i}" for i in range(40)])
    for place in range(columns):
        if kind == "category":
            made[f"c{place}"] = rng.choice(20, total, p=np.arange(1, 21) / 210).astype(str)
        elif kind == "text":
            made[f"t{place}"] = pa.array([" ".join(row) for row in rng.choice(words, (total, 6))])
        elif kind == "dependent":
            made[f"d{place}"] = common + 0.1 * rng.normal(size=total)
        else:
            made[f"n{place}"] = np.exp(rng.normal(size=total))
    return pa.table({"ts": _days(days, rows), **made})


def _rung(reference: Profile, current: Profile, threshold: float = BUDGET, season: str = "none") -> int:
    promise = Promise.of(reference, tolerance=0.05, season=season)
    return len(watch(promise, current, promise.detector(threshold)).alarms)


def _steady(seed: int, days: int, rows: int, columns: int, kind: str, reference_days: int = 60) -> int:
    rng = np.random.default_rng(seed)
    table = _table(rng, reference_days + days, rows, columns, kind)
    reference = Reference.learn(table.slice(0, reference_days * rows), time="ts")
    return _rung(reference.profile, reference.count(table.slice(reference_days * rows)))


@pytest.mark.parametrize(
    ("kind", "columns", "rows"),
    [
        ("numeric", 5, 30), ("numeric", 5, 200), ("numeric", 5, 5000), ("numeric", 500, 30), ("numeric", 500, 200),
        ("dependent", 50, 200), ("category", 5, 30), ("category", 5, 1000), ("category", 100, 200), ("text", 2, 100),
    ],
)  # fmt: skip
def test_alarms_without_change_stay_within_the_budget(full: bool, kind: str, columns: int, rows: int) -> None:
    heavy = columns * rows > 20_000
    seeds, days = (10 if heavy else 50, 180) if full else (1, 40) if heavy else (2, 90)
    alarms = sum(_each(seeds, lambda seed: _steady(seed, days, rows, columns, kind)))
    allowed = seeds * days / BUDGET
    print(f"{kind}, {columns} columns, {rows} rows: {alarms} alarms in {seeds * days:,} buckets; {allowed:g} allowed")
    assert alarms <= allowed


def _levels(rng: np.random.Generator, kind: str, buckets: int, mean: float) -> Any:
    """The level of each bucket: beta-binomial with intra-class correlation, or autoregressive on the logit scale."""
    name, _, size = kind.partition(" ")
    if name == "beta":
        rho = float(size)
        return rng.beta(mean * (1 - rho) / rho, (1 - mean) * (1 - rho) / rho, buckets)
    state = np.empty(buckets)
    state[0] = rng.normal()
    for bucket in range(1, buckets):
        state[bucket] = float(size) * state[bucket - 1] + np.sqrt(1 - float(size) ** 2) * rng.normal()
    return 1 / (1 + np.exp(-(np.log(mean / (1 - mean)) + 0.3 * state)))


def _varying(seed: int, kind: str, days: int, rows: int, reference_days: int) -> int:
    rng = np.random.default_rng(seed)
    columns = {}
    for place, mean in enumerate((0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.3, 0.5)):
        level = np.repeat(_levels(rng, kind, reference_days + days, mean), rows)
        columns[f"c{place}"] = rng.random(len(level)) < level
    table = pa.table({"ts": _days(reference_days + days, rows), **columns})
    reference = Reference.learn(table.slice(0, reference_days * rows), time="ts")
    return _rung(reference.profile, reference.count(table.slice(reference_days * rows)))


@pytest.mark.parametrize("rows", [30, 300, 3000])
@pytest.mark.parametrize("kind", ["beta 0.01", "beta 0.05", "beta 0.2", "autoregressive 0.5", "autoregressive 0.8"])
def test_alarms_of_buckets_that_vary_by_themselves_stay_within_the_budget(full: bool, kind: str, rows: int) -> None:
    seeds, days = (40, 180) if full else (3, 90)
    alarms = sum(_each(seeds, lambda seed: _varying(seed, kind, days, rows, 60)))
    allowed = seeds * days / BUDGET
    print(f"{kind}, {rows} rows a bucket: {alarms} alarms in {seeds * days:,} buckets; {allowed:g} allowed")
    assert alarms <= allowed


def _batches(seed: int, reference_rows: int, rows: int, batches: int) -> tuple[int, int]:
    """False verdicts of single batches against one reference: ten columns, as the peers were measured on."""
    rng = np.random.default_rng(seed)

    def table(total: int) -> pa.Table:
        numbers = {f"n{i}": rng.normal(size=total) for i in range(6)}
        names = {f"c{i}": rng.choice(10, total).astype(str) for i in range(4)}
        return pa.table({**numbers, **names})

    reference = Reference.learn(table(reference_rows))
    promise = Promise.of(reference.profile, tolerance=0.05)
    rung = sum(
        bool(watch(promise, reference.count(table(rows)), promise.detector(100.0)).alarms) for _ in range(batches)
    )
    return rung, batches


@pytest.mark.parametrize("reference_rows", [1_000, 100_000])
@pytest.mark.parametrize("rows", [50, 200, 1_000, 5_000])
def test_false_verdicts_on_single_batches_stay_under_the_level(full: bool, reference_rows: int, rows: int) -> None:
    seeds, batches = (40, 25) if full else (4, 10)
    found = _each(seeds, lambda seed: _batches(seed, reference_rows, rows, batches))
    rung, total = (sum(values) for values in zip(*found, strict=True))
    print(f"{rows} rows against {reference_rows:,}: {rung} false verdicts of {total:,}; level 1 %")
    assert rung <= 0.01 * total


def _scored(rng: np.random.Generator, days: int, rows: int, *, error: float = 0.0, shift: float = 0.0) -> pa.Table:
    total = days * rows
    score = 1 / (1 + np.exp(-(rng.normal(size=total) * 2 + shift)))
    true = (rng.random(total) < score) ^ (rng.random(total) < error)
    return pa.table({"ts": _days(days, rows), "score": score, "said": score > 0.5, "true": true})


ROLES: dict[str, Any] = {"time": "ts", "prediction": "said", "score": "score", "outcome": "true"}


@pytest.mark.parametrize("rows", [30, 300])
def test_performance_that_does_not_change_does_not_ring(full: bool, rows: int) -> None:
    seeds, days = (50, 180) if full else (4, 90)

    def measure(seed: int) -> int:
        rng = np.random.default_rng(seed)
        reference = Reference.learn(_scored(rng, 60, rows), **ROLES)
        return _rung(reference.profile, reference.count(_scored(rng, days, rows)))

    alarms = sum(_each(seeds, measure))
    print(f"performance, {rows} rows a bucket: {alarms} alarms in {seeds * days:,} buckets")
    assert alarms <= seeds * days / BUDGET


@pytest.mark.parametrize("rows", [30, 300])
def test_scores_that_shift_with_the_inputs_are_not_taken_for_a_changed_relation(full: bool, rows: int) -> None:
    seeds, days = (50, 90) if full else (4, 60)

    def measure(seed: int) -> int:
        rng = np.random.default_rng(seed)
        reference = Reference.learn(_scored(rng, 60, rows), **ROLES)
        promise = Promise.of(reference.profile, tolerance=0.05)
        shifted = reference.count(_scored(rng, days, rows, shift=1.0))
        alarms = watch(promise, shifted, promise.detector(BUDGET)).alarms
        return sum(promise.streams.streams[s].code == "SL303" for alarm in alarms for s in alarm.streams)

    assert sum(_each(seeds, measure)) <= seeds * days / BUDGET


@pytest.mark.parametrize("known", [0.0, 0.05])
@pytest.mark.parametrize("rows", [30, 300])
def test_rows_that_wait_for_their_outcome_do_not_ring(full: bool, rows: int, known: float) -> None:
    seeds, days = (50, 180) if full else (4, 90)

    def measure(seed: int) -> int:
        rng = np.random.default_rng(seed)
        reference = Reference.learn(_scored(rng, 60, rows), **ROLES)
        later = _scored(rng, days, rows)
        waiting = pa.array(later["true"].to_pylist(), mask=rng.random(len(later)) >= known)
        current = later.set_column(later.column_names.index("true"), "true", waiting)
        return _rung(reference.profile, reference.count(current))

    alarms = sum(_each(seeds, measure))
    print(f"performance, {rows} rows a bucket, {known:.0%} known: {alarms} alarms in {seeds * days:,} buckets")
    assert alarms <= seeds * days / BUDGET


@pytest.mark.parametrize("rows", [30, 300])
def test_a_season_that_comes_again_does_not_ring(full: bool, rows: int) -> None:
    seeds, days = (50, 180) if full else (4, 90)

    def table(rng: np.random.Generator, first: int, count: int) -> pa.Table:
        of = first + np.arange(count * rows) // rows
        weekend = (of + 3) % 7 >= 5
        return pa.table(
            {
                "ts": pa.array(of * DAY, pa.timestamp("us")),
                "x": rng.normal(size=len(of)) + 2.0 * weekend,
                "c": np.where(weekend & (rng.random(len(of)) < 0.5), "leisure", rng.choice(["a", "b"], len(of))),
            }
        )

    def measure(seed: int) -> int:
        rng = np.random.default_rng(seed)
        reference = Reference.learn(table(rng, 0, 84), time="ts")
        promise = Promise.of(reference.profile, tolerance=0.05, season="week")
        current = reference.count(table(rng, 84, days))
        return len(watch(promise, current, promise.detector(BUDGET)).alarms)

    alarms = sum(_each(seeds, measure))
    print(f"weekly season, {rows} rows a bucket: {alarms} alarms in {seeds * days:,} buckets")
    assert alarms <= seeds * days / BUDGET


def _delay(seed: int, rows: int, change: str, size: float, after: int = 40) -> float:
    """Buckets from a change to the alarm that names it; infinite where none does, NaN for a false one before."""
    rng = np.random.default_rng(seed)

    def table(days: int, much: float) -> pa.Table:
        total = days * rows
        columns: dict[str, Any] = {f"n{i}": rng.normal(size=total) for i in range(6)}
        columns |= {f"c{i}": rng.choice(8, total).astype(str) for i in range(3)}
        if change == "mean":
            columns["n0"] = columns["n0"] + much
        elif change == "variance":
            columns["n0"] = columns["n0"] * (1 + much)
        elif change == "new":
            columns["c0"] = np.where(rng.random(total) < much, "new", columns["c0"])
        scored = _scored(rng, days, rows, error=much if change == "concept" else 0.0)
        return pa.table({**columns, **{name: scored[name] for name in scored.column_names}})

    reference = Reference.learn(table(60, 0.0), **ROLES)
    later = table(60, size)
    moved = later.set_column(later.column_names.index("ts"), "ts", _later(later["ts"], after))
    current = reference.count(table(after, 0.0)) + reference.count(moved)
    promise = Promise.of(reference.profile, tolerance=0.05)
    for alarm in watch(promise, current, promise.detector(BUDGET)).alarms:
        return float(alarm.bucket - after + 1) if alarm.bucket >= after else float("nan")
    return float("inf")


def _later(times: pa.ChunkedArray, days: int) -> pa.Array:
    return pa.array(times.cast(pa.int64()).to_numpy() + days * DAY, pa.timestamp("us"))


@pytest.mark.parametrize(
    ("change", "size", "rows", "most"),
    [
        ("mean", 0.5, 200, 6), ("mean", 1.0, 200, 2), ("mean", 1.0, 30, 10), ("variance", 1.0, 200, 4),
        ("new", 0.05, 200, 10), ("new", 0.2, 200, 2), ("concept", 0.3, 200, 8), ("concept", 0.5, 200, 4),
    ],
)  # fmt: skip
def test_material_changes_are_found_soon(full: bool, change: str, size: float, rows: int, most: int) -> None:
    seeds = 40 if full else 4
    delays = np.array(_each(seeds, lambda seed: _delay(seed, rows, change, size)))
    assert np.isnan(delays).mean() <= 0.1
    known = delays[~np.isnan(delays)]
    missed = np.isinf(known).sum()
    print(f"{change} {size:g}, {rows} rows a bucket: median delay {np.median(known):g} buckets, missed {missed}")
    assert np.median(known) <= most
    assert missed <= 0.1 * len(known)
