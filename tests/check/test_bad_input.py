"""Odd input gives one clear error or a fair answer, never a traceback of another library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import shelflife
from shelflife.errors import BadInput


@pytest.fixture
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "ts": pa.array(np.arange(600) * 7_200_000_000, pa.timestamp("us")),
            "x": rng.normal(size=600),
            "c": rng.choice(["a", "b"], 600),
            "said": rng.integers(0, 2, 600),
            "score": rng.random(600),
            "true": rng.integers(0, 2, 600),
        }
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": "tz"}, "There is no column 'tz'.*Did you mean 'ts'"),
        ({"prediction": "sad", "outcome": "true"}, "--prediction names a column 'sad'.*Did you mean 'said'"),
        ({"outcome": "true"}, "--outcome needs --prediction or --score"),
        ({"prediction": "said", "outcome": "said"}, "plays two parts"),
        ({"prediction": "said", "exclude": "said"}, "cannot be left out"),
        ({"score": "x", "outcome": "true"}, "Score 'x' goes from"),
        ({"season": "month"}, "--season asks for none, day, week, year; found 'month'"),
        ({"season": "week"}, "needs a time column"),
        ({"time": "ts", "season": "day"}, "needs buckets of at most 12 hours"),
        ({"time": "ts", "bucket": "1fortnight"}, "--bucket asks for a duration"),
        ({"time": "ts", "bucket": "10s"}, "--bucket asks for at least a minute"),
        ({"tolerance": 0}, "--tolerance asks for a share between 0 and 1"),
        ({"tolerance": "much"}, "--tolerance asks for a share between 0 and 1"),
        ({"false_alarms": "often"}, "--false-alarms asks for a number over a duration"),
        ({"false_alarms": "1/180d"}, "needs a time column"),
        ({"time": "ts", "false_alarms": 0.01}, "asks, with a time column, for a number over a duration"),
        ({"time": "ts", "false_alarms": "10/1d"}, "allows one in every bucket"),
        ({"kinds": {"x": "colour"}}, "The kind of 'x' is one of"),
        ({"kinds": {"c": "numeric"}}, "Column 'c' holds string, which cannot be counted as numeric"),
        ({"segments": "x"}, "--segments names 'x', which has"),
        ({"task": "clustering", "prediction": "said"}, "--task asks for"),
        ({"engine": "abacus"}, "--engine asks for"),
        ({"engine": 3}, "--engine asks for"),
        ({"jobs": "two"}, "--jobs asks for a number"),
        ({"time": ["ts"]}, "--time asks for text"),
        ({"exclude": [3]}, "--exclude asks for names of columns"),
        ({"audit": "maybe"}, "--audit asks for yes or no"),
        ({"tolerance": "120%"}, "--tolerance asks for a share"),
        ({"audit": True}, "--audit shuffles buckets of time"),
    ],
)
def test_one_clear_error_for_options_that_make_no_sense(table: pa.Table, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        shelflife.check(table, table, **options)


def test_an_empty_reference_is_refused_and_an_empty_current_side_unknown(table: pa.Table) -> None:
    with pytest.raises(BadInput, match="has no rows"):
        shelflife.check(table.slice(0, 0), table)
    assert shelflife.check(table, table.slice(0, 0), time="ts").verdict == "unknown"


def test_the_current_side_must_have_the_time_column(table: pa.Table) -> None:
    with pytest.raises(BadInput, match="There is no column 'ts'"):
        shelflife.check(table, table.drop_columns(["ts"]), time="ts")


def test_things_that_are_no_tables(table: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="A table is asked for"):
        shelflife.check([1, 2, 3], table)
    with pytest.raises(BadInput, match="There is no file"):
        shelflife.check(table, tmp_path / "none.parquet")
    (tmp_path / "odd.profile").write_bytes(b"no profile")
    with pytest.raises(BadInput, match="is no profile"):
        shelflife.check(tmp_path / "odd.profile", table)
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadInput, match=r"Cannot read .*cut\.parquet"):
        shelflife.check(tmp_path / "cut.parquet", table)


def test_a_profile_of_another_reference_is_refused(table: pa.Table) -> None:
    one, other = (shelflife.Reference.learn(table, time="ts", bucket=bucket) for bucket in ("1d", "2d"))
    with pytest.raises(BadInput, match="was counted with another reference"):
        shelflife.check(one, other.count(table))


def _odd(rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "null": pa.nulls(rows),
        "all null": pa.nulls(rows, pa.float64()),
        "null names": pa.nulls(rows, pa.string()),
        "constant": np.full(rows, 7.0),
        "infinite": np.where(rng.random(rows) < 0.1, np.inf, rng.normal(size=rows)),
        "nan": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
        "huge": rng.normal(size=rows) * 1e300,
        "tiny": rng.normal(size=rows) * 5e-324,
        "one value": ["same"] * rows,
        "id": [f"id{i}" for i in range(rows)],
        "whole": rng.integers(-(2**62), 2**62, rows),
        "small": rng.integers(0, 5, rows).astype(np.uint8),
        "decimal": pa.array(rng.integers(0, 100, rows).tolist(), pa.decimal128(10, 2)),
        "truth": pa.array([None if i % 3 == 0 else i % 2 == 0 for i in range(rows)]),
        "day": pa.array([i % 300 for i in range(rows)], pa.date32()),
        "length": pa.array([i % 50 for i in range(rows)], pa.duration("s")),
        "vector": pa.array([[float(i % 7), 1.0, 2.0] if i % 5 else None for i in range(rows)]),
        "ragged": pa.array([[1.0] * (i % 4) for i in range(rows)]),
        "struct": pa.array([{"a": i} for i in range(rows)]),
        "bytes": pa.array([b"x"] * rows),
        "words \u202e\n": ["naïve \U0001f600 日本語 text " + "é" * (i % 9) for i in range(rows)],
        "": rng.normal(size=rows),
        'sql "; DROP TABLE x; --': rng.normal(size=rows),
    }


@pytest.mark.parametrize("time", [None, "ts"])
def test_odd_columns_are_counted_or_left_out_and_said(time: str | None) -> None:
    rows = 1_200
    table = pa.table({"ts": pa.array(np.arange(rows) * 3_600_000_000, pa.timestamp("us")), **_odd(rows)})
    if time is None:
        table = table.drop_columns(["ts"])
    found = shelflife.check(table, table, time=time)
    assert found.verdict == "pass", found.findings
    left_out = next(note for note in found.notes if "cannot be counted" in note)
    assert "struct" in left_out
    assert "bytes" in left_out
    assert json_of(found)["verdict"] == "pass"
    assert "<html" in found.report()


def json_of(found: shelflife.Check) -> dict[str, Any]:
    return found.to_dict()


def test_all_rows_alike_or_none_with_a_value() -> None:
    table = pa.table({"a": np.full(500, 1.0), "b": ["x"] * 500, "c": pa.nulls(500, pa.float64())})
    changed = pa.table({"a": np.full(500, 2.0), "b": ["y"] * 500, "c": np.ones(500)})
    found = shelflife.check(table, changed)
    assert {(finding.code, finding.column) for finding in found.findings} >= {("SL201", "a"), ("SL104", "b")}


def test_a_column_of_a_million_names_stays_within_memory() -> None:
    names = pa.array([f"name {i}" for i in range(300_000)])
    table = pa.table({"name": names, "x": np.zeros(300_000)})
    found = shelflife.check(table, table)
    assert found.verdict == "pass"
    assert found.columns[0].unseen_share is None


def test_five_thousand_columns() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({f"x{i}": rng.normal(size=400) for i in range(5_000)})
    found = shelflife.check(table, table.slice(0, 300))
    assert len(found.columns) == 5_000
    assert found.verdict == "pass"


# ----------------------------------------------------------------------------------------------------------------------
# What looks well and is not


def days(count: int, start: int, rows: int = 100, **columns: Any) -> pa.Table:
    """`count` days of `rows` rows from day `start`; each column is a function of a generator and a size."""
    size = count * rows
    rng = np.random.default_rng(start + 1)
    made = {name: draw(rng, size) for name, draw in columns.items()}
    moments = (start + np.arange(size) // rows) * 86_400_000_000
    return pa.table({"ts": pa.array(moments, pa.timestamp("us")), **made})


def normal(rng: np.random.Generator, size: int) -> Any:
    return rng.normal(size=size)


def letters(rng: np.random.Generator, size: int) -> Any:
    return rng.choice(["a", "b"], size)


def digits(rng: np.random.Generator, size: int) -> Any:
    return rng.choice(["0", "1"], size)


def test_labels_that_share_no_value_are_refused_in_a_reference_and_pointed_at_in_current_data() -> None:
    with pytest.raises(BadInput, match=r"no value in common.*in the same words"):
        shelflife.check(
            days(60, 0, said=letters, true=digits), days(20, 60, said=letters, true=digits), prediction="said",
            outcome="true",
        )  # fmt: skip
    found = shelflife.check(
        days(60, 0, said=letters, true=letters), days(20, 60, said=letters, true=digits), time="ts",
        prediction="said", outcome="true",
    )  # fmt: skip
    assert found.findings[0].code == "SL301"
    assert "spelt alike" in found.findings[0].says


def test_a_prediction_column_that_is_gone_is_one_finding_and_no_error_rate() -> None:
    before = days(60, 0, x=normal, said=letters, true=letters)
    found = shelflife.check(before, days(20, 60, x=normal, true=letters), time="ts", prediction="said", outcome="true")
    assert [finding.code for finding in found.findings] == ["SL102"]
    assert all(row.observed is None for row in found.performance)


def test_outcomes_of_another_type_are_still_outcomes() -> None:
    def whole(rng: np.random.Generator, size: int) -> Any:
        return rng.integers(0, 2, size)

    def late(rng: np.random.Generator, size: int) -> Any:  # what pandas makes of whole numbers with one missing
        return pa.array(rng.integers(0, 2, size).astype(float), mask=np.arange(size) % 2 == 0)

    found = shelflife.check(
        days(60, 0, said=whole, true=whole), days(30, 60, said=whole, true=late), time="ts", prediction="said",
        outcome="true",
    )  # fmt: skip
    assert found.findings == ()
    assert found.performance[0].observed is not None


def test_a_score_that_is_no_chance_any_more_is_found() -> None:
    found = shelflife.check(
        days(60, 0, s=lambda rng, n: rng.random(n), y=digits),
        days(20, 60, s=lambda rng, n: 100 * rng.random(n), y=digits), time="ts", score="s", outcome="y",
    )  # fmt: skip
    assert found.findings[0].code == "SL103"
    assert "from 0 to 1" in found.findings[0].says


def test_the_mix_of_outcomes_is_watched_where_they_are_all_in() -> None:
    def rare(rng: np.random.Generator, size: int) -> Any:
        return rng.choice(["a", "b"], size, p=[0.9, 0.1])

    codes = {
        (finding.code, finding.column)
        for finding in shelflife.check(
            days(60, 0, said=letters, true=letters),
            days(30, 60, said=letters, true=rare),
            time="ts",
            prediction="said",
            outcome="true",
        ).findings
    }
    assert ("SL202", "true") in codes

    def late(rng: np.random.Generator, size: int) -> Any:  # known first where it is an "a"
        words = rng.choice(["a", "b"], size)
        return pa.array(words, mask=(words == "b") & (rng.random(size) < 0.8))

    codes = {
        (finding.code, finding.column)
        for finding in shelflife.check(
            days(60, 0, said=letters, true=letters),
            days(30, 60, said=letters, true=late),
            time="ts",
            prediction="said",
            outcome="true",
        ).findings
    }
    assert ("SL202", "true") not in codes


@pytest.mark.parametrize("before", [0.5, 1.0])
def test_missing_values_that_come_back_are_news_but_no_harm(before: float) -> None:
    def holes(rng: np.random.Generator, size: int) -> Any:
        return pa.array(rng.normal(size=size), mask=rng.random(size) < before)

    found = shelflife.check(days(60, 0, q=holes), days(20, 60, q=normal), time="ts")
    assert [(finding.code, finding.severity) for finding in found.findings] == [("SL101", "note")]


def test_a_column_of_nothing_is_missing_and_has_no_type() -> None:
    def nothing(_: np.random.Generator, size: int) -> Any:
        return pa.array([None] * size, pa.float64())

    found = shelflife.check(days(60, 0, c=letters, x=normal), days(20, 60, c=nothing, x=normal), time="ts")
    assert [(finding.code, finding.column) for finding in found.findings] == [("SL101", "c")]
    found = shelflife.check(days(60, 0, c=nothing, x=normal), days(20, 60, c=letters, x=normal), time="ts")
    assert "held nothing in the reference" in found.findings[0].says


def test_a_season_of_which_the_reference_has_other_phases_is_unknown() -> None:
    found = shelflife.check(days(31, 0, x=normal), days(28, 31, x=normal), time="ts", season="year")
    assert found.verdict == "unknown"
    assert "28 of 28 buckets lie in a phase" in found.notes[-1]


def test_without_a_known_outcome_in_the_reference_performance_is_unknown() -> None:
    def nothing(_: np.random.Generator, size: int) -> Any:
        return pa.array([None] * size, pa.string())

    found = shelflife.check(
        days(60, 0, said=letters, true=nothing), days(60, 60, said=letters, true=letters), time="ts",
        prediction="said", outcome="true",
    )  # fmt: skip
    assert found.verdict == "unknown"
    assert "no known outcome" in found.says


def test_a_pass_says_what_it_could_not_have_seen() -> None:
    found = shelflife.check(days(60, 0, x=normal), days(3, 60, x=normal), time="ts")
    assert found.verdict == "pass"
    assert found.says.startswith("No change was found; a share that had moved by ")


def test_options_that_contradict_a_counted_reference_are_refused() -> None:
    before, after = days(60, 0, x=normal, c=letters), days(20, 60, x=normal, c=letters)
    counted = shelflife.Reference.learn(before, time="ts")
    for options, message in (
        ({"prediction": "c"}, "with no prediction; found --prediction 'c'"),
        ({"segments": "c"}, "with no segments"),
        ({"time": "x"}, "with time 'ts'; found --time 'x'"),
        ({"exclude": "x"}, "with the column 'x', which --exclude"),
        ({"kinds": {"c": "text"}}, "with 'c' as category; found text"),
        ({"text": "letter"}, "with no column 'letter'"),
    ):
        with pytest.raises(BadInput, match=message):
            shelflife.check(counted, after, **options)
    assert shelflife.check(counted, after, time="ts").verdict == "pass"


def test_durations_of_pandas_are_numbers() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"p": pandas.to_timedelta(np.arange(500), unit="s")})
    found = shelflife.check(frame, frame)
    assert [(column.name, column.kind) for column in found.columns] == [("p", "numeric")]


def test_nothing_to_compare_is_refused() -> None:
    table = days(10, 0, x=normal)
    with pytest.raises(BadInput, match="no column left to compare"):
        shelflife.check(table, table, time="ts", exclude="x")
    pandas = pytest.importorskip("pandas")
    with pytest.raises(BadInput, match="There are no columns"):
        shelflife.check(pandas.DataFrame(), table)


def test_the_error_of_a_regression_is_told_in_full_though_it_is_watched_bounded() -> None:
    def table(start: int, count: int, scale: float) -> pa.Table:
        made = days(count, start, said=normal)
        true = np.asarray(made["said"]) * scale + 0.1 * np.random.default_rng(start).normal(size=len(made))
        return made.append_column("true", pa.array(true))

    found = shelflife.check(table(0, 60, 1.0), table(60, 20, 100.0), time="ts", prediction="said", outcome="true")
    after = table(60, 20, 100.0)
    exact = float(np.abs(np.asarray(after["said"]) - np.asarray(after["true"])).mean())
    assert found.findings[0].code == "SL301"
    assert found.findings[0].observed == pytest.approx(exact, rel=1e-3)
