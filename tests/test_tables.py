from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelflife import tables
from shelflife.errors import BadInput

YES_NO = "id,o,b,t\n1,yes,True,t\n2,no,False,f\n3,,true,t\n"
Sorting = Callable[..., tables.SortedTable]


@pytest.fixture
def sorting(tmp_path: Path) -> Sorting:
    def sort(data: Any, *, time: str = "ts", target: str = "y", features: Any = None, drop: Any = ()) -> Any:
        return tables.sort_by_time(data, time=time, target=target, features=features, drop=drop, folder=tmp_path)

    return sort


@pytest.fixture
def table() -> pa.Table:
    """Ten rows, out of order, two of them at one time."""
    order = [3, 1, 2, 0, 9, 8, 4, 5, 5, 7]
    return pa.table(
        {
            "ts": [dt.datetime(2026, 1, 1) + dt.timedelta(hours=h) for h in order],
            "y": list(range(10)),
            "x": [float(h) for h in order],
            "kind": [f"k{h % 3}" for h in order],
        }
    )


def _sources(table: pa.Table, folder: Path) -> dict[str, Any]:
    frame = table.to_pandas()
    frame.to_csv(folder / "t.csv", index=False)
    (folder / "t.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))
    pq.write_table(table, folder / "t.parquet")
    (folder / "many").mkdir()
    pq.write_table(table.slice(0, 4), folder / "many" / "1.parquet")
    pq.write_table(table.slice(4), folder / "many" / "2.parquet")
    with pa.ipc.new_file(str(folder / "t.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(str(folder / "t.arrows"), table.schema) as writer:
        writer.write_table(table)
    return {
        "csv": folder / "t.csv",
        "csv.gz": str(folder / "t.csv.gz"),
        "parquet": folder / "t.parquet",
        "folder": folder / "many",
        "glob": str(folder / "many" / "*.parquet"),
        "ipc file": folder / "t.arrow",
        "ipc stream": folder / "t.arrows",
        "pandas": frame,
        "pandas index": frame.set_index("ts"),
        "polars": pl.from_pandas(frame),
        "pyarrow": table,
        "reader": table.to_reader(),
        "duckdb": duckdb.sql("SELECT * FROM frame"),
    }


DOORS = [
    "csv", "csv.gz", "parquet", "folder", "glob", "ipc file", "ipc stream", "pandas", "pandas index", "polars",
    "pyarrow", "reader", "duckdb",
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_every_door_gives_the_same_rows_in_order_of_time(
    door: str, table: pa.Table, sorting: Sorting, tmp_path: Path
) -> None:
    found = sorting(_sources(table, tmp_path)[door]).open()
    expected = table.to_pandas().sort_values("ts", kind="stable")
    assert found["y"].to_pylist() == expected["y"].tolist()
    assert found["kind"].to_pylist() == expected["kind"].tolist()
    assert (
        found[tables.TIME].to_numpy().tolist()
        == (
            expected["ts"].astype("int64") // expected["ts"].dt.unit_factor
            if hasattr(expected["ts"].dt, "unit_factor")
            else expected["ts"].astype("datetime64[us]").astype("int64")
        ).tolist()
    )


def test_a_delta_table_is_a_folder(table: pa.Table, sorting: Sorting, tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake", reason="needs the extra: shelflife[delta]")
    folder = str(tmp_path / "delta")
    deltalake.write_deltalake(folder, table.slice(0, 5))
    deltalake.write_deltalake(folder, table.slice(5), mode="append")
    assert sorted(sorting(folder).open()["y"].to_pylist()) == list(range(10))


def test_only_the_columns_in_use_are_kept(table: pa.Table, sorting: Sorting) -> None:
    assert set(sorting(table, features=["x"]).open().column_names) == {tables.TIME, tables.ROW, "y", "x"}
    assert set(sorting(table, drop=["x"]).open().column_names) == {tables.TIME, tables.ROW, "y", "kind"}


def test_the_time_can_be_a_feature_when_asked_for(table: pa.Table, sorting: Sorting) -> None:
    assert "ts" in sorting(table, features=["ts", "x"]).open().column_names


def test_rows_without_time_or_target_are_left_out_and_counted(sorting: Sorting) -> None:
    times = [None, dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 3)]
    found = sorting(pa.table({"ts": times, "y": [1.0, float("nan"), 3.0, None], "x": [1, 2, 3, 4]}))
    assert (found.untimed, found.unlabelled) == (1, 2)
    assert found.open()["x"].to_pylist() == [3]


def test_kinds_that_cannot_be_learnt_from_are_left_out_and_named(sorting: Sorting) -> None:
    found = sorting(pa.table({"ts": [dt.date(2026, 1, 1)], "y": [1], "tags": [["a"]], "raw": [b"x"], "ok": [1]}))
    assert set(found.left_out) == {"tags", "raw"}


@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1), ("milliseconds", 10**3), ("nanoseconds", 10**9)])
def test_numbers_since_1970_are_read_and_said(unit: str, factor: int, sorting: Sorting) -> None:
    found = sorting(pa.table({"ts": [1_767_225_600 * factor], "y": [1], "x": [1]}))
    assert found.moment(found.open()[tables.TIME][0].as_py()) == dt.datetime(2026, 1, 1)
    assert unit in found.notes[0]


def test_an_offset_is_kept_as_an_instant(sorting: Sorting) -> None:
    found = sorting(pa.table({"ts": ["2026-01-01T02:00:00+02:00", "2026-07-01T03:00:00+03:00"], "y": [1, 2]}))
    assert found.moment(found.open()[tables.TIME][0].as_py()) == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("door", ["parquet", "ipc file"])
def test_times_with_a_zone_that_are_finer_than_microseconds_are_instants(
    door: str, sorting: Sorting, tmp_path: Path
) -> None:
    # What pandas and polars write of times in UTC.
    times = pa.array(["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", None]).cast(pa.timestamp("ns", tz="UTC"))
    path = _sources(pa.table({"ts": times, "y": [1, 2, 3], "made": times}), tmp_path)[door]
    found = sorting(path)
    assert found.untimed == 1
    assert found.open()["y"].to_pylist() == [1, 2]
    assert found.zoned
    assert found.moment(found.open()[tables.TIME][1].as_py()) == dt.datetime(2026, 1, 1, 0, 0, 1, tzinfo=dt.UTC)


def _csv(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is empty"),
        ("ts,y\n", r"has no rows"),
        ("when,y\n2026-01-01,1\n", r"no column 'ts'.*There is 'when', 'y'"),
        ("Ts,y\n2026-01-01,1\n", r"Did you mean 'Ts'"),
        ("ts,y\n2026-01-01,1\n2026-13-41,2\n", r"row 2 holds '2026-13-41'"),
        ("ts,y\n5,1\n6,2\n", r"time column 'ts' .* holds BIGINT that is no time"),
        ("ts,y\n,1\n,2\n", r"time column 'ts'"),
        ("ts,y\n2026-01-01T00:00Z,1\n2026-01-02T00:00,2\n", r"mixes time zones: Z from row 1, no zone from row 2"),
        ("ts,y\n2026-01-01T00:00+00:00,1\n2026-01-02T00:00+05:30,2\n", r"mixes time zones"),
        ("ts,y\n2026-01-01,1\n2026-01-02,1,2,3\n2026-01-03\n", r"Cannot (split|read)"),
        ("ts,y\n2026-01-01,\xe9\n".encode("latin-1"), r"not UTF-8"),
    ],
)
def test_one_clear_error_for_files_that_cannot_be_used(
    text: str | bytes, message: str, sorting: Sorting, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=message):
        sorting(_csv(tmp_path, text))


def test_a_missing_file_offers_the_nearest(table: pa.Table, sorting: Sorting, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "history.parquet")
    with pytest.raises(BadInput, match=r"no file .*Did you mean 'history.parquet'"):
        sorting(tmp_path / "hystory.parquet")
    with pytest.raises(BadInput, match=r"No file matches"):
        sorting(str(tmp_path / "*.csv"))
    (tmp_path / "bare").mkdir()
    with pytest.raises(BadInput, match=r"holds no Parquet files"):
        sorting(tmp_path / "bare")


def test_unreadable_formats_say_what_is_readable(sorting: Sorting, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"Readable are CSV"):
        sorting(_csv(tmp_path, "{}", "t.json"))
    with pytest.raises(BadInput, match=r"Cannot read .*broken.parquet"):
        sorting(_csv(tmp_path, "PAR1 no", "broken.parquet"))
    with pytest.raises(BadInput, match=r"Cannot read"):
        sorting(_csv(tmp_path, "no arrow at all", "broken.arrow"))


def test_objects_that_are_no_tables_say_what_is_asked_for(sorting: Sorting) -> None:
    with pytest.raises(BadInput, match=r"found builtins.list"):
        sorting([1, 2])
    with pytest.raises(BadInput, match=r"lazy frame must be collected"):
        sorting(pl.LazyFrame({"ts": [1]}))
    with pytest.raises(BadInput, match=r"Cannot read the pandas DataFrame"):
        sorting(pd.DataFrame({"ts": pd.to_datetime(["2026-01-01"] * 2), "y": [1, 2], "x": [1, "a"]}))


def test_naive_and_aware_objects_do_not_mix(sorting: Sorting) -> None:
    times = [dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)]
    with pytest.raises(BadInput, match=r"mixes time zones"):
        sorting(pd.DataFrame({"ts": pd.Series(times, dtype=object), "y": [1, 2]}))


def test_the_digest_tells_rows_apart_and_not_their_order_in_the_file(table: pa.Table, sorting: Sorting) -> None:
    plain = table.filter(pa.array([True] * 8 + [False] + [True]))  # without the tie, whose order counts
    first = sorting(plain).sha256
    assert sorting(plain).sha256 == first
    changed = plain.set_column(2, "x", pa.array(np.arange(9.0)))
    assert sorting(changed).sha256 != first


@pytest.mark.parametrize("name", [tables.TIME, tables.ROW, "shelflife:other"])
def test_names_that_are_ours_are_refused(name: str, table: pa.Table, sorting: Sorting) -> None:
    with pytest.raises(BadInput, match=rf"must not begin with 'shelflife:'; found '{name}'"):
        sorting(table.append_column(name, table["x"]))


def test_the_digest_does_not_see_what_lies_behind_missing_values(sorting: Sorting, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    gaps = random.random(5_000) < 0.3
    frame = pd.DataFrame(
        {"ts": pd.date_range("2026-01-01", periods=5_000, freq="min"), "y": random.integers(2, size=5_000)}
    )
    frame["number"] = np.where(gaps, np.nan, random.normal(size=5_000))
    frame["text"] = pd.Series(random.choice(["a", "bb"], size=5_000)).where(~gaps)
    frame["flag"] = pd.Series(random.random(5_000) < 0.5, dtype="boolean").mask(gaps)
    frame.to_parquet(tmp_path / "gaps.parquet")
    digests = {sorting(source).sha256 for source in (frame, tmp_path / "gaps.parquet", tmp_path / "gaps.parquet")}
    assert len(digests) == 1


def test_hostile_column_names_are_only_names(sorting: Sorting) -> None:
    name = 'x"; DROP TABLE source; --'
    found = sorting(pa.table({"ts": [dt.date(2026, 1, 1)], "y": [1], name: [7]})).open()
    assert found[name].to_pylist() == [7]


def test_words_of_a_csv_are_kept_and_what_is_true_or_false_is_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(YES_NO)
    with tables.open_rows(tmp_path / "a.csv", time=None, folder=tmp_path) as rows:
        found = pa.Table.from_batches(rows.batches(rows.schema.names))
    assert found.to_pydict() == {
        "id": [1, 2, 3], "o": ["yes", "no", None], "b": [True, False, True], "t": ["t", "f", "t"],
    }  # fmt: skip
