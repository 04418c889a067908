from __future__ import annotations

import datetime as dt
import re
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelflife.profile import Reference, category, numeric, statistics, text, vector
from shelflife.profile.runs import Counted, Runs

RANDOM = np.random.default_rng(0)
NASTY_COLUMNS: dict[str, Any] = {
    "constant": np.full(500, 3.7),
    "constant of nothing": np.zeros(500),
    "0 and 1": RANDOM.integers(2, size=500).astype(float),
    "mostly 0": (RANDOM.random(500) < 0.02).astype(float),
    "normal": RANDOM.normal(size=2_000),
    "far off": RANDOM.normal(1e9, 1e-3, size=2_000),
    "tight clusters": np.concatenate([c + RANDOM.normal(0, 1e-9, 300) for c in (-1e6, 0.0, 1.0, 1e6)]),
    "lognormal": RANDOM.lognormal(0, 4, 3_000),
    "counts": RANDOM.poisson(3, 2_000).astype(float),
    "denormals": RANDOM.integers(-50, 50, 500) * 5e-324,
    "1e300": RANDOM.normal(size=500) * 1e300,
    "greatest numbers": RANDOM.uniform(-1, 1, 500) * np.finfo(float).max,
    "all sizes": RANDOM.choice([-1, 1], 2_000) * 2.0 ** RANDOM.uniform(-1_070, 1_020, 2_000),
    "one value": np.array([2.5]),
    "two values": np.array([-1e-3, 1e7]),
    "no value": np.zeros(0),
    "powers of two": 2.0 ** np.arange(-20, 20),
    "multiples of 0.01": np.round(RANDOM.random(2_000), 2),
}


def _counted(part: Any, array: Any, name: str = "x") -> Counted:
    array = array if isinstance(array, pa.Array) else pa.array(array)
    batch = pa.RecordBatch.from_arrays([array], names=[name])
    found: Counted = part.count(batch, Runs(np.array([0]), len(array)))
    return found


def _expected_cells(part: numeric.Numeric, values: Any) -> Any:
    cells = np.searchsorted(np.array(part.edges), values, side="right") + numeric.BELOW
    cells[np.isnan(values)] = numeric.NAN
    cells[values == -np.inf] = numeric.LOW_INFINITY
    cells[values == np.inf] = part.cells - 1
    return cells


def _around(part: numeric.Numeric, values: Any) -> Any:
    """The values, the edges, their neighbours, and whatever else numbers can be."""
    edges = np.array(part.edges)
    with np.errstate(over="ignore"):
        beside = [np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf), edges * (1 + 1e-7), edges + part.spread]
    others = [0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e38, -1e39, 1e300, -1e300, np.inf, -np.inf, np.nan, -np.nan]
    others += [part.centre, np.finfo(float).max, np.finfo(float).min]
    return np.concatenate([values, edges, *beside, others])


# Short pieces are searched, long ones looked up in a table.
@pytest.mark.parametrize("rows", [1, 10_000], ids=["short", "long"])
@pytest.mark.parametrize("column", NASTY_COLUMNS)
def test_each_number_is_in_the_cell_between_its_edges(column: str, rows: int) -> None:
    values = NASTY_COLUMNS[column]
    part = numeric.learn("x", values)
    assert (np.diff(part.edges) > 0).all()
    assert len(part.edges) <= numeric.BINS + 2
    asked = _around(part, values)
    asked = np.resize(asked, max(rows, len(asked)))
    expected = _expected_cells(part, asked)
    assert part.cells_of(pa.array(asked)).tolist() == expected.tolist()
    found = _counted(part, asked)
    assert found.counts[0].tolist() == np.bincount(expected, minlength=part.cells).tolist()
    if len(values) and np.abs(values).max() < 1e300:
        assert expected[: len(values)].min() > numeric.BELOW  # the reference lies between its own edges
        assert expected[: len(values)].max() < part.above


@settings(max_examples=60)
@given(
    learnt=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30),
    asked=st.lists(st.one_of(st.floats(), st.none()), min_size=1, max_size=30),
    rows=st.sampled_from([1, 8_192]),
)
def test_numbers_of_any_size_are_in_the_cell_between_their_edges(
    learnt: list[float], asked: list[float | None], rows: int
) -> None:
    part = numeric.learn("x", np.array(learnt, dtype=float))
    asked = asked * -(-rows // len(asked))
    found = part.cells_of(pa.array(asked, pa.float64()))
    numbers = np.array([0.0 if value is None else value for value in asked])
    expected = np.where([value is None for value in asked], numeric.NULL, _expected_cells(part, numbers))
    assert found.tolist() == expected.tolist()


def test_quantile_bins_hold_equal_shares_of_a_smooth_column() -> None:
    values = RANDOM.normal(size=64_000)
    part = numeric.learn("x", values)
    share = statistics.shares(_counted(part, values).counts[0][part.bins])
    assert len(share) == numeric.BINS
    assert share.max() < 1.1 / numeric.BINS  # edges snap to 1/128 of a value, no further


def test_a_value_that_repeats_has_a_bin_that_begins_with_it() -> None:
    values = np.concatenate([np.zeros(800), RANDOM.uniform(1, 2, 200)])
    part = numeric.learn("x", values)
    counts = _counted(part, values).counts[0]
    assert 800 <= counts[part.cells_of(pa.array([0.0]))[0]] <= 800 + 1_000 / numeric.BINS


@pytest.mark.parametrize(
    "column", [c for c in NASTY_COLUMNS if c not in {"no value", "one value", "1e300", "greatest numbers"}]
)
def test_sums_give_mean_and_deviation_within_their_grid_and_extremes_exactly(column: str) -> None:
    values = NASTY_COLUMNS[column]
    part = numeric.learn("x", values)
    now = np.concatenate([values, [values.mean()]])
    found = _counted(part, pa.array([*now, None, np.nan, np.inf, -np.inf]))
    assert (found.lows[0, 0], found.highs[0, 0]) == (now.min(), now.max())
    with np.errstate(over="ignore"):
        away = np.clip(now - part.centre, -(2.0**14) * part.spread, 2.0**14 * part.spread)
    mean, sd = statistics.mean_and_sd(part, found.counts[0], found.sums[0])
    tiny = 1e-12 * abs(part.centre)  # what the mean itself can be written with
    assert mean == pytest.approx(part.centre + away.mean(), abs=part.spread * 2.0**-20 + tiny)
    scale = away / part.spread
    off = np.abs(scale).max() * 2.0**-8 * (np.abs(scale) > 0).mean() + 2.0**-16
    assert (sd / part.spread) ** 2 == pytest.approx(scale.var(ddof=1), abs=off, rel=1e-9)


def test_mean_and_deviation_of_an_everyday_column_are_those_of_numpy() -> None:
    then, now = RANDOM.normal(50, 7, 20_000), RANDOM.normal(54, 9, 20_000)
    part = numeric.learn("x", then)
    found = _counted(part, now)
    mean, sd = statistics.mean_and_sd(part, found.counts[0], found.sums[0])
    assert mean == pytest.approx(now.mean(), abs=1e-6)
    assert sd == pytest.approx(now.std(ddof=1), abs=1e-3)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1, 2, None, 300], pa.int16()),
        pa.array([1.5, -2.25, None, float("nan")], pa.float32()),
        pa.array([1.5, None, -2.0], pa.float16()),
        pa.array([True, None, False]),
        pa.array(["1.5", None, "-2.25"]).cast(pa.decimal128(10, 4)),
        pa.array([dt.timedelta(seconds=3), None]),
        pa.array([dt.time(1, 2, 3), None]),
        pa.nulls(3),
        pa.array([2**63 - 1, -(2**63), None]),
        pa.array([2**64 - 1, 0], pa.uint64()),
    ],
    ids=lambda array: str(array.type),
)
def test_numbers_of_every_type_are_counted_as_64_bit_floats(array: pa.Array) -> None:
    values, missing = numeric.to_floats(array)
    part = numeric.learn("x", values if missing is None else values[~missing & np.isfinite(values)])
    counts = _counted(part, array).counts[0]
    assert counts[numeric.NULL] == array.null_count
    assert counts.sum() == len(array)
    assert counts[part.bins].sum() == len(array) - array.null_count - counts[numeric.NAN]


WORDS = RANDOM.choice(["pro", "free", "team", "", "Größe"], 300, p=[0.5, 0.3, 0.1, 0.05, 0.05])
NAMED = {
    "text": pa.array(WORDS),
    "missing": pa.array([None if i % 7 == 0 else word for i, word in enumerate(WORDS)]),
    "dictionary": pa.array(WORDS).dictionary_encode(),
    "large": pa.array(WORDS, pa.large_string()),
    "view": pa.array(WORDS).cast(pa.string_view()),
    "whole": pa.array(RANDOM.integers(-3, 9, 300)),
    "boolean": pa.array(RANDOM.random(300) < 0.3),
    "whole floats": pa.array(np.where(RANDOM.random(300) < 0.1, np.nan, RANDOM.integers(-3, 9, 300).astype(float))),
    "dates": pa.array([dt.date(2026, 1, 1 + i % 5) for i in range(300)]),
}


@pytest.mark.parametrize("kind", NAMED)
def test_counts_of_names_are_those_of_pandas(kind: str) -> None:
    array = NAMED[kind]
    part = category.learn("x", category.tallied(pa.chunked_array([array])))
    counts = _counted(part, array).counts[0]
    plain = array.cast(pa.string()) if "view" in kind else array
    expected = plain.to_pandas().dropna().map(lambda v: str(int(v)) if isinstance(v, float | bool) else str(v))
    tally = expected.value_counts()
    assert dict(zip(part.values, counts[1:].tolist(), strict=False)) == tally.to_dict()
    assert [tally[word] for word in part.values] == sorted(tally, reverse=True)
    assert counts[0] == len(array) - len(expected)
    assert counts[-2:].tolist() == [0, 0]
    assert part.novelty == (len(expected), int((tally == 1).sum()))


def test_one_name_is_one_however_it_is_written() -> None:
    part = category.learn("x", category.tallied(pa.chunked_array([[1, 0, 1, 2]])))
    for array in (
        pa.array([1, 0], pa.int8()), pa.array([1.0, -0.0]), pa.array([True, False]), pa.array(["1", "0"]),
        pa.array(["1.0", "0"]).cast(pa.decimal128(3, 1)), pa.array(["1", "0"]).dictionary_encode(),
        pa.array([1.0, 0.0], pa.float16()), pa.array([1.0, 0.0, 2.5]).slice(0, 2),
    ):  # fmt: skip
        assert part.cells_of(array).tolist() == [1 + part.values.index("1"), 1 + part.values.index("0")]
    assert part.cells_of(pa.array([2.5, 1.0, None, np.nan])).tolist() == [part.cells - 1, 1, 0, 0]


def test_dictionaries_may_repeat_a_value_hold_none_and_be_full() -> None:
    words = pa.array([*(str(i) for i in range(126)), "5", None])
    array = pa.DictionaryArray.from_arrays(pa.array([5, 126, 127, None, 0], pa.int8()), words)
    part = category.learn("x", category.tallied(pa.chunked_array([array])))
    assert part.values == ("5", "0")
    assert part.cells_of(array).tolist() == [1, 1, 0, 0, 2]


def test_values_beyond_the_commonest_are_others_and_the_rest_never_seen() -> None:
    values = [f"v{i}" for i in range(100) for _ in range(200 - i)]
    part = category.learn("x", category.tallied(pa.chunked_array([values])), top=10)
    assert part.values == tuple(f"v{i}" for i in range(10))
    assert not part.open
    found = _counted(part, ["v0", "v9", "v10", "v99", "new", None]).counts[0]
    assert (found[1], found[10], found[-2], found[-1], found[0]) == (1, 1, 2, 1, 1)
    assert statistics.unseen_share(part, found) == 0.2


def test_a_column_that_names_things_has_no_news_in_new_names() -> None:
    part = category.learn("x", category.tallied(pa.chunked_array([[f"id{i}" for i in range(500)]])))
    assert part.open
    assert part.novelty == (500, 500)
    found = _counted(part, ["id0", "new", "newer"]).counts[0]
    assert found[-1] == 0
    assert statistics.unseen_share(part, found) is None


def test_a_million_different_names_are_tallied_in_bounded_memory() -> None:
    tally = category.Tally()
    tally.add(pa.array(["common"] * 1_000))
    tracemalloc.start()
    for start in range(0, 1_000_000, 50_000):
        tally.add(pa.array(np.arange(start, start + 50_000)))
        assert len(tally.counts) <= 100_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6
    part = category.learn("x", tally)
    assert part.open
    assert part.values[0] == "common"
    assert part.novelty == (1_001_000, 1_000_000)


@pytest.mark.parametrize("known", [(True, False, True), (True,), ()])
def test_a_boolean_column_has_both_values_whatever_the_reference_held(known: tuple[bool, ...]) -> None:
    part = category.learn("x", category.tallied(pa.chunked_array([known], pa.bool_())), kind="boolean")
    assert _counted(part, [True, True, False, None]).counts[0].tolist() == [1, 1, 2, 0, 0]


ASCII = st.lists(
    st.one_of(st.none(), st.text("abAB12 .,-_'\n\t", max_size=30), st.sampled_from(["a b", "B-1 b", " ", ""])),
    min_size=1,
    max_size=12,
)


def _words(document: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", document.lower())


@given(learnt=ASCII, asked=ASCII)
def test_documents_are_counted_as_a_simple_tokenizer_counts_them(
    learnt: list[str | None], asked: list[str | None]
) -> None:
    part = text.learn("x", pa.chunked_array([pa.array(learnt, pa.string())]))
    documents = [_words(document) for document in learnt if document is not None]
    tally = Counter(word for words in documents for word in set(words))
    ranked = sorted(tally, key=lambda word: (-tally[word], word))
    assert [*part.terms, *part.others] == ranked
    shares = [np.mean([tally[word] == 1 for word in words]) for words in documents if words]
    assert part.novelty == (len(shares), pytest.approx(sum(shares)))

    found = _counted(part, pa.array(asked, pa.string())).counts[0]
    now = [_words(document) for document in asked if document is not None]
    full = [words for words in now if words]
    assert found[:3].tolist() == [asked.count(None), len(now) - len(full), len(full)]
    unseen = [np.mean([word not in tally for word in words]) for words in full]
    assert found[text.UNSEEN] == sum(round(share * text.PARTS) for share in unseen)
    limits = np.searchsorted(text.LENGTHS, [len(words) for words in full])
    assert found[part.lengths].tolist() == np.bincount(limits, minlength=len(text.LENGTHS) + 1).tolist()
    with_term = [sum(term in words for words in full) for term in part.terms]
    assert found[part.first_term :].tolist() == with_term


def test_words_are_letters_digits_and_marks_of_any_script_in_lower_case() -> None:
    rows, words = text.tokens(pa.array(["¿DÓNDE está?", "Страна №1", "ที่นี่ 東京", "naïve—co\u0301te", "🙂!", None]))
    assert words.to_pylist() == ["dónde", "está", "страна", "1", "ที่นี่", "東京", "naïve", "co\u0301te"]
    assert rows.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_words_never_seen_are_told_by_their_share_of_each_document() -> None:
    part = text.learn("x", pa.chunked_array([["the card is lost", "the pin is lost"]]))
    found = _counted(part, ["the card was stolen", "lost", "", None]).counts[0]
    assert found[text.UNSEEN] == text.PARTS / 2
    assert found[:3].tolist() == [1, 1, 2]


def _timed(column: Any, clock: Any, other: pa.DataType, kind: pa.DataType) -> pa.Table:
    return pa.table({"seen": pa.array(column, other), "ts": pa.array(clock, kind), "x": pa.array([1] * len(clock))})


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns")])
def test_lags_are_seconds_before_the_time_of_the_row(kind: pa.DataType) -> None:
    clock = [dt.datetime(2026, 1, 10, 12)] * 4
    seen = [dt.date(2026, 1, 10), dt.date(2026, 1, 1), dt.date(2026, 1, 11), None]
    table = _timed(seen, clock, pa.date32(), kind)
    reference = Reference.learn(table, time="ts")
    part = reference.layout.parts[0]
    assert (part.kind, part.columns) == ("time", ("seen", "ts"))
    low, high = reference.profile.extremes_of(part)
    assert (low[0, 0], high[0, 0]) == (-12 * 3_600, (9 * 24 + 12) * 3_600)
    assert reference.profile.of(part)[0, numeric.NULL] == 1


def test_a_vector_of_another_size_counts_as_missing_and_a_hole_in_one_as_no_number() -> None:
    rows = [[float(i), 1.0, -1.0] for i in range(40)]
    part = vector.learn("x", pa.array(rows))
    assert part.size == 3
    odd = [*rows, None, [], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0], [1.0, None, 2.0], [np.inf, 0.0, 0.0], [1e308] * 3]
    found = _counted(part, odd)
    lengths = found.counts[0, : part.along[0].cells]
    assert lengths[numeric.NULL] == 4
    assert lengths[numeric.NAN] == 1
    assert lengths.sum() == len(odd)
    assert found.highs[0, 0] == pytest.approx(np.linalg.norm(rows[-1]))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(rows)), 3)
    assert (_counted(part, fixed).counts == _counted(part, rows).counts).all()
    whole = _counted(part, pa.array([[int(n) for n in row] for row in rows]))
    assert (whole.counts == _counted(part, rows).counts).all()


def test_directions_depend_on_the_size_alone() -> None:
    first, again = (vector.learn("x", pa.array(RANDOM.normal(size=(30, 5)).tolist())) for _ in range(2))
    assert (first._directions == again._directions).all()
    values = RANDOM.normal(size=(7, 5))
    projected, _ = vector.projections(pa.array(values.tolist()), first._directions)
    assert projected[:, 0] == pytest.approx(np.linalg.norm(values, axis=1))
    assert projected[:, 1:] == pytest.approx(values @ first._directions)


def _buckets(times: Any, bucket: str, kind: pa.DataType | None = None) -> list[dt.datetime]:
    table = pa.table({"ts": pa.array(times, kind or pa.timestamp("us")), "x": list(range(len(times)))})
    found = Reference.learn(table, time="ts", bucket=bucket).profile.buckets
    return [dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(start)) for start in found]


def test_weeks_begin_on_monday() -> None:
    times = [
        dt.datetime(2026, 1, 4, 23, 59),
        dt.datetime(2026, 1, 5),
        dt.datetime(1969, 12, 28),
        dt.datetime(1970, 1, 1),
    ]
    found = _buckets(times, "1w")
    assert found == [
        dt.datetime(1969, 12, 22),
        dt.datetime(1969, 12, 29),
        dt.datetime(2025, 12, 29),
        dt.datetime(2026, 1, 5),
    ]
    assert {start.weekday() for start in found} == {0}
    assert {start.weekday() for start in _buckets(times, "4w")} == {0}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_buckets_before_1970_begin_before_their_rows(unit: str) -> None:
    times = [dt.datetime(1969, 12, 31, 23, 59, 59), dt.datetime(1969, 12, 31), dt.datetime(1970, 1, 1)]
    assert _buckets(times, "1d", pa.timestamp(unit)) == [dt.datetime(1969, 12, 31), dt.datetime(1970, 1, 1)]
    assert _buckets(times, "1h", pa.timestamp(unit))[1] == dt.datetime(1969, 12, 31, 23)


def test_the_last_nanosecond_of_a_day_is_of_that_day() -> None:
    midnight = int(pd.Timestamp("2026-01-01").as_unit("ns").value)
    assert _buckets([midnight - 1, midnight], "1d", pa.timestamp("ns")) == [
        dt.datetime(2025, 12, 31),
        dt.datetime(2026, 1, 1),
    ]
    assert _buckets([-1, 0], "1d", pa.timestamp("ns")) == [dt.datetime(1969, 12, 31), dt.datetime(1970, 1, 1)]


@pytest.mark.parametrize("bucket", ["1m", "90m", "1h", "1d", "1w", "1y"])
def test_each_row_is_in_the_bucket_that_its_time_falls_in(bucket: str) -> None:
    from shelflife import durations

    ticks = RANDOM.integers(-(10**15), 10**15, 300)
    length = durations.parse(bucket, option="")
    found = Reference.learn(pa.table({"ts": pa.array(ticks, pa.timestamp("us"))}), time="ts", bucket=bucket).profile
    starts = np.searchsorted(found.buckets, ticks, side="right") - 1
    assert (ticks - found.buckets[starts] >= 0).all()
    assert (ticks - found.buckets[starts] < length).all()
    assert np.bincount(starts).tolist() == found.rows.tolist()
    assert np.unique(found.buckets % length).size == 1


def test_segments_count_the_rows_of_their_value_apart() -> None:
    table = pa.table({"plan": ["pro", "free", None, "pro", "new"], "seats": [1.0, 2.0, 3.0, 4.0, 5.0]})
    reference = Reference.learn(table.slice(0, 4), segments=["plan"])
    assert [(s.column, s.value) for s in reference.layout.segments] == [("plan", "pro"), ("plan", "free")]
    profile = reference.count(table)
    assert profile.rows.tolist() == [5, 2, 1]
    for place, value in enumerate(["pro", "free"]):
        alone = reference.count(table.filter(pa.array([word == value for word in table["plan"].to_pylist()])))
        assert (profile.segment(place).counts == alone.whole().counts).all()
        assert (profile.segment(place).sums == alone.whole().sums).all()
