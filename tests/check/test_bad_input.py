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
        ({"time": "ts", "season": "day"}, "needs buckets of at most 0.5 days"),
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
