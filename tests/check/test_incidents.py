"""What is one finding and what are two, and what a pass rests on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

import shelflife
from shelflife.check.findings import of_alarms
from shelflife.check.watching import Promise, watch
from shelflife.errors import BadInput
from shelflife.profile import Reference
from shelflife.profile.counts import merged

DAY = 86_400_000_000


def days(count: int, start: int, rows: int = 100, seed: int | None = None, **columns: Any) -> pa.Table:
    """`count` days of `rows` rows; each column is made by a function of a generator, the size and the days."""
    of = start + np.arange(count * rows) // rows
    rng = np.random.default_rng(start if seed is None else seed)
    made = {name: draw(rng, count * rows, of) for name, draw in columns.items()}
    return pa.table({"ts": pa.array(of * DAY, pa.timestamp("us")), **made})


def normal(rng: np.random.Generator, size: int, _: Any) -> Any:
    return rng.normal(size=size)


def letters(rng: np.random.Generator, size: int, _: Any) -> Any:
    return rng.choice(["a", "b", "c"], size)


def missing_on(*bad: int) -> Any:
    """Values of which a fifth is missing on some days."""

    def made(rng: np.random.Generator, size: int, of: Any) -> Any:
        return pa.array(rng.choice(["x", "y"], size), mask=np.isin(of, bad) & (rng.random(size) < 0.2))

    return made


def test_two_incidents_of_one_thing_are_dated_and_measured_apart() -> None:
    current = days(160, 60, rows=200, country=missing_on(70, 71, 180, 181))
    (found,) = shelflife.check(days(60, 0, rows=200, country=missing_on()), current, time="ts").findings
    assert found.since is not None
    assert (found.since.timetuple().tm_yday - 1, found.column) == (70, "country")
    assert found.observed == pytest.approx(0.2, abs=0.05)
    assert "It came back once, on 30 June 1970" in found.says


@pytest.mark.parametrize("change", ["mean", "nulls", "new", "mix", "variance"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_told_was_over_its_limit(change: str, seed: int) -> None:
    from shelflife.testing import streams

    before = streams.steady(days=60, rows=100, seed=seed)
    after = streams.shifted(days=60, rows=100, seed=seed + 10, after=20, change=change)
    for finding in shelflife.check(before, after, time="ts").findings:
        assert finding.observed is not None
        assert finding.limit is not None
        assert finding.reference is not None
        over = finding.observed - finding.limit
        assert over * (finding.observed - finding.reference) > 0


def test_columns_in_which_the_same_began_together_are_one_finding() -> None:
    def broken(*bad: int) -> dict[str, Any]:
        return {f"c{i}": missing_on(*bad) for i in range(5)}

    (found,) = shelflife.check(
        days(60, 0, rows=200, x=normal, **broken()), days(20, 60, rows=200, x=normal, **broken(*range(70, 80))),
        time="ts",
    ).findings  # fmt: skip
    assert sorted([found.column, *found.also]) == [f"c{i}" for i in range(5)]
    assert "So it is in " in found.says


def test_a_check_gone_on_with_finds_what_it_would_have_found_at_once() -> None:
    reference = Reference.learn(days(60, 0, rows=200, country=missing_on()), time="ts")
    current = reference.count(days(40, 60, rows=200, country=missing_on(*range(85, 100))))
    promise = Promise.of(reference.profile, tolerance=0.05)
    at_once = watch(promise, current, promise.detector(180.0))
    first, second = current.between(0, 90 * DAY), current.between(90 * DAY, 200 * DAY)
    before = watch(promise, first, promise.detector(180.0))
    after = watch(promise, second, before.state)
    assert [a.bucket for a in at_once.alarms] == [
        *(a.bucket for a in before.alarms),
        *(a.bucket + 30 for a in after.alarms),
    ]
    assert merged([first, second]) == current
    for watched, part in ((before, first), (after, second)):
        for finding in of_alarms(promise, watched, part, lambda _: None):
            assert finding.column == "country"


# ----------------------------------------------------------------------------------------------------------------------
# What a pass rests on


def outcomes(known: Any) -> Any:
    """Outcomes that are right in four of five rows, known as `known` says."""

    def made(rng: np.random.Generator, size: int, of: Any) -> Any:
        words = rng.choice(["a", "b"], size)
        return pa.array(words, mask=~known(rng, size, of))

    return made


def test_a_few_outcomes_are_not_enough_to_pass() -> None:
    every = outcomes(lambda _, size, __: np.ones(size, dtype=bool))
    three = outcomes(lambda _, size, __: np.arange(size) < 3)
    before = days(60, 0, said=letters_of_two, true=every)
    found = shelflife.check(before, days(30, 60, said=letters_of_two, true=three), time="ts", prediction="said",
                            outcome="true")  # fmt: skip
    assert found.verdict == "unknown"
    assert "too few outcomes are known" in found.says


def letters_of_two(rng: np.random.Generator, size: int, _: Any) -> Any:
    return rng.choice(["a", "b"], size)


def test_a_counted_reference_asks_for_outcomes_as_a_table_does() -> None:
    every = outcomes(lambda _, size, __: np.ones(size, dtype=bool))
    none = outcomes(lambda _, size, __: np.zeros(size, dtype=bool))
    reference = Reference.learn(days(60, 0, said=letters_of_two, true=every), time="ts", prediction="said",
                                outcome="true")  # fmt: skip
    current = days(60, 60, said=letters_of_two, true=none)
    assert shelflife.check(reference, current).verdict == "unknown"
    assert shelflife.check(reference, current, outcome="true", prediction="said").verdict == "unknown"


def test_phases_that_the_reference_has_not_are_not_watched() -> None:
    def summer(rng: np.random.Generator, size: int, of: Any) -> Any:
        return rng.normal(size=size) + 5.0 * (of > 190)

    found = shelflife.check(days(180, 0, x=summer), days(30, 213, x=summer), time="ts", season="year")
    assert found.verdict == "unknown"
    assert found.findings == ()


@pytest.mark.parametrize("change", ["new", "nulls", "mean"])
def test_an_audit_rings_no_more_than_the_budget_though_something_changed(change: str) -> None:
    from shelflife.testing import streams

    before = streams.steady(days=60, rows=100, seed=1)
    after = streams.shifted(days=60, rows=100, seed=2, after=1, change=change)
    found = shelflife.check(before, after, time="ts", audit=10)
    assert found.audit is not None
    assert found.findings
    # As many as nine in ten times, if they came by the budget alone.
    assert found.audit.alarms <= stats.poisson.ppf(0.9, found.audit.expected) + 1


@pytest.mark.parametrize("rows", [50, 200])
def test_a_share_that_moved_by_what_a_pass_says_shows(rows: int) -> None:
    def share(level: float) -> Any:
        return lambda rng, size, _: (rng.random(size) < level).astype(str)

    before = days(60, 0, rows=rows, seed=0, x=share(0.4), **{f"n{i}": normal for i in range(5)})
    others = {f"n{i}": normal for i in range(5)}
    quiet = shelflife.check(before, days(10, 60, rows=rows, seed=1, x=share(0.4), **others), time="ts")
    assert quiet.sees is not None
    shown = 0
    for seed in range(20):
        moved = days(10, 60, rows=rows, seed=100 + seed, x=share(0.4 + quiet.sees), **others)
        shown += any(f.column == "x" for f in shelflife.check(before, moved, time="ts").findings)
    # Nine in ten are promised; this few of twenty would be seen once in a thousand.
    assert shown >= stats.binom.ppf(0.001, 20, 0.9)


def test_the_interval_of_an_estimate_does_not_depend_on_how_classes_are_called() -> None:
    def table(start: int, names: str) -> pa.Table:
        rng = np.random.default_rng(start)
        said = rng.choice(3, 6000, p=[0.7, 0.2, 0.1])
        sure = rng.beta(8, 2, 6000)
        wrong = rng.random(6000) > sure
        true = np.where(wrong, (said + 1) % 3, said)
        words = np.array(list(names))
        return pa.table(
            {
                "ts": pa.array(start * DAY + np.arange(6000) * (DAY // 100), pa.timestamp("us")),
                "said": words[said], "sure": sure,
                "true": pa.array(words[true], mask=np.full(6000, start > 0)),
            }
        )  # fmt: skip

    widths = []
    for names in ("abc", "cba"):
        found = shelflife.check(table(0, names), table(100, names), time="ts", prediction="said", score="sure",
                                outcome="true")  # fmt: skip
        row = next(one for one in found.performance if one.metric == "accuracy")
        assert row.low is not None
        assert row.high is not None
        widths.append(row.high - row.low)
    assert widths[0] == pytest.approx(widths[1], rel=0.25)


# ----------------------------------------------------------------------------------------------------------------------
# Input that looks well


def test_sums_far_off_add_the_same_in_any_order() -> None:
    rng = np.random.default_rng(0)
    reference = Reference.learn(pa.table({"x": rng.normal(50, 10, 10_000)}))
    values = rng.normal(50_000, 10_000, 3_000_000)
    forth, back = (reference.count(pa.table({"x": some})) for some in (values, values[::-1].copy()))
    assert forth == back
    part = reference.layout.parts[0]
    mean = part.mean(forth.of(part)[0], forth.sums_of(part)[0])
    assert mean == pytest.approx(values.mean(), rel=1e-6)


def test_a_boolean_is_not_made_of_words() -> None:
    table = pa.table({"x": ["yes", "no"] * 50})
    with pytest.raises(BadInput, match="is to be counted as boolean; found"):
        Reference.learn(table, kinds={"x": "boolean"})


def test_numbers_of_unknown_unit_are_no_times() -> None:
    table = pa.table({"ts": pa.array(1_700_000_000 + np.arange(100) * 86_400), "x": np.arange(100.0)})
    with pytest.raises(BadInput, match="The time column 'ts' holds int64"):
        Reference.learn(table, time="ts")
    assert shelflife.check(table, table, time="ts").buckets == 100


def test_all_rows_of_a_reference_are_known_to_it() -> None:
    codes = np.random.default_rng(0).integers(0, 20_000, 300_000)
    reference = Reference.learn(pa.table({"zip": codes}), kinds={"zip": "category"})
    part = reference.layout.parts[0]
    assert part.open or reference.profile.of(part)[0, -1] == 0


def test_a_lost_score_leaves_the_accuracy() -> None:
    every = outcomes(lambda _, size, __: np.ones(size, dtype=bool))
    columns = {"said": letters_of_two, "true": every, "x": normal}
    before = days(60, 0, s=lambda rng, size, _: rng.random(size), **columns)
    found = shelflife.check(before, days(20, 60, **columns), time="ts", prediction="said", score="s", outcome="true")
    assert ("SL102", "s") in {(f.code, f.column) for f in found.findings}
    assert next(row for row in found.performance if row.metric == "accuracy").observed is not None


def test_a_segment_column_that_is_gone_is_found() -> None:
    every = outcomes(lambda _, size, __: np.ones(size, dtype=bool))
    columns = {"said": letters_of_two, "true": every}
    found = shelflife.check(
        days(60, 0, channel=letters, **columns), days(20, 60, **columns), time="ts", prediction="said", outcome="true",
        segments="channel", exclude="channel",
    )  # fmt: skip
    assert [(f.code, f.column) for f in found.findings] == [("SL102", "channel")]


def test_rows_without_a_time_and_days_without_rows_are_told() -> None:
    before, after = days(60, 0, x=normal), days(20, 60, x=normal)
    holes = pa.array(np.asarray(after["ts"]), pa.timestamp("us"), mask=np.arange(len(after)) % 2 == 0)
    found = shelflife.check(before, after.set_column(0, "ts", holes), time="ts")
    assert [(f.code, f.column) for f in found.findings] == [("SL101", "ts")]
    apart = pa.concat_tables([days(10, 60, x=normal), days(10, 110, x=normal)])
    assert any("40 buckets between" in note for note in shelflife.check(before, apart, time="ts").notes)


def test_zones_travel_with_a_profile() -> None:
    def zoned(table: pa.Table) -> pa.Table:
        return table.set_column(0, "ts", table["ts"].cast(pa.timestamp("us", "UTC")))

    before, after = days(60, 0, country=missing_on()), days(20, 60, country=missing_on(*range(65, 80)))
    reference = Reference.learn(zoned(before), time="ts")
    for current in (zoned(after), reference.count(zoned(after))):
        since = shelflife.check(reference, current).findings[0].since
        assert since is not None
        assert since.tzinfo is not None
    assert any("a zone" in note for note in shelflife.check(zoned(before), after, time="ts").notes)


@pytest.mark.parametrize("gone", ["rows", "counts", "segment"])
def test_a_profile_without_a_column_is_damaged(gone: str) -> None:
    table = Reference.learn(days(3, 0, x=normal), time="ts").profile.to_arrow()
    with pytest.raises(BadInput, match="damaged"):
        shelflife.Profile.from_arrow(table.drop_columns([gone]))


def test_a_mean_that_the_sums_cannot_hold_is_not_told() -> None:
    found = shelflife.check(
        days(60, 0, x=normal), days(20, 60, x=lambda rng, size, _: rng.normal(size=size) * 1e9), time="ts"
    )
    assert "Its mean is" not in found.findings[0].says
    assert math.isfinite(found.findings[0].observed or math.nan)
