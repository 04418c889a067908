from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelflife.errors import BadInput
from shelflife.profile import Profile, Reference
from shelflife.tables.rows import open_rows

ROWS = 400
NOON = dt.datetime(2026, 1, 1, 12)


def _table(seed: int = 0, rows: int = ROWS) -> pa.Table:
    random = np.random.default_rng(seed)
    score = np.round(random.random(rows), 3)
    return pa.table(
        {
            "ts": [NOON + dt.timedelta(hours=int(h)) for h in random.permutation(rows)],
            "seats": random.integers(1, 500, rows),
            "spend": np.round(random.lognormal(3, 1, rows), 2),
            "plan": random.choice(["pro", "free", "team"], rows),
            "active": random.random(rows) < 0.5,
            "joined": [dt.date(2025, 1, 1) + dt.timedelta(days=int(d)) for d in random.integers(300, size=rows)],
            "said": [" ".join(random.choice(["where", "is", "my", "card", "pin", "lost"], 6)) for _ in range(rows)],
            "score": score,
            "guess": (score > 0.5).astype(int),
            "churned": (random.random(rows) < score).astype(int),
        }
    )


ROLES: dict[str, Any] = {"time": "ts", "prediction": "guess", "score": "score", "outcome": "churned"}


def _kinds(reference: Reference) -> dict[str, str]:
    return {part.name: part.kind for part in reference.layout.parts}


def test_kinds_are_inferred_from_types_and_values() -> None:
    table = _table().append_column("embedding", pa.array(np.random.default_rng(0).normal(size=(ROWS, 4)).tolist()))
    table = table.append_column("coded", table["plan"].dictionary_encode()).append_column("none", pa.nulls(ROWS))
    reference = Reference.learn(table, **ROLES)
    assert _kinds(reference) == {
        "seats": "numeric", "spend": "numeric", "plan": "category", "active": "boolean", "joined": "time",
        "said": "text", "score": "numeric", "guess": "numeric", "embedding": "vector", "coded": "category",
        "none": "category", "churned": "outcome",
    }  # fmt: skip


def test_kinds_that_are_said_are_taken() -> None:
    kinds = {"seats": "category", "plan": "text", "said": "category", "guess": "boolean", "active": "numeric"}
    found = _kinds(Reference.learn(_table(), kinds=kinds, **ROLES))
    assert {name: found[name] for name in kinds} == kinds


def test_a_column_of_text_that_hardly_varies_is_one_of_names() -> None:
    table = pa.table({"said": ["where is my lost card"] * 50 + ["my pin does not work"] * 50})
    assert _kinds(Reference.learn(table)) == {"said": "category"}


def test_without_a_time_column_times_cannot_be_compared_and_that_is_said() -> None:
    reference = Reference.learn(_table().drop_columns(["ts"]))
    assert "joined" not in _kinds(reference)
    assert any("'joined' holds times" in note for note in reference.notes)
    assert reference.profile.buckets.tolist() == [0]


def test_types_that_cannot_be_counted_are_left_out_and_said() -> None:
    table = pa.table({"x": [1, 2], "raw": pa.array([b"a", b"b"]), "pairs": pa.array([{"a": 1}, {"a": 2}])})
    reference = Reference.learn(table)
    assert _kinds(reference) == {"x": "numeric"}
    assert reference.notes == (
        "Columns of types that cannot be counted were left out: raw (binary), pairs (struct<a: int64>).",
    )


def test_rows_without_a_time_are_left_out_and_said() -> None:
    table = pa.table({"ts": [NOON, None, NOON], "x": [1, 2, 3]})
    reference = Reference.learn(table, time="ts")
    assert reference.profile.rows.tolist() == [2]
    assert reference.notes == ("1 rows without a time were left out of the pyarrow Table.",)


def _scored(score: Any, said: Any, true: Any = None, **roles: Any) -> Reference:
    table = pa.table({"p": score, "said": said, "y": said if true is None else true})
    return Reference.learn(table, score="p", prediction="said", outcome="y", **roles)


def test_what_a_score_means_is_inferred_and_said() -> None:
    random = np.random.default_rng(1)
    chance = random.random(500)
    yes = (chance > 0.5).astype(int)
    for score, said, form, positive, words in (
        (chance, yes, "positive", "1", "is read as the chance of '1'"),
        (1 - chance, yes, "positive", "0", "is read as the chance of '0'"),
        (np.maximum(chance, 1 - chance), yes, "confidence", None, "read as the chance of what was predicted"),
        (chance, random.choice(["a", "b", "c"], 500), "confidence", None, "read as the chance of the predicted class"),
        (chance, np.where(yes, "won", "lost"), "positive", "won", "is read as the chance of 'won'"),
    ):
        reference = _scored(score, said)
        outcome: Any = reference.layout.outcome
        assert (outcome.form, outcome.positive) == (form, positive)
        assert any(words in note for note in reference.notes)


def test_classification_and_regression_are_told_apart_and_said() -> None:
    random = np.random.default_rng(2)
    whole, many = random.integers(3, size=300), random.normal(size=300)
    for said, kind, words in (
        (whole, "Joint", "holds 3 different whole numbers, so this is a classification. Say --task regression"),
        (np.where(whole > 1, "a", "b"), "Joint", "holds names, so this is a classification"),
        (many, "Residual", "holds numbers, so this is a regression"),
    ):
        reference = Reference.learn(pa.table({"said": said, "y": said}), prediction="said", outcome="y")
        assert type(reference.layout.outcome).__name__ == kind
        assert any(words in note for note in reference.notes)
    asked = Reference.learn(pa.table({"said": whole, "y": whole}), prediction="said", outcome="y", task="regression")
    assert type(asked.layout.outcome).__name__ == "Residual"


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"time": "tz"}, r"--time names a column 'tz' that is not in the pyarrow Table. Did you mean 'ts'\?"),
        ({"prediction": "gues"}, r"--prediction names a column 'gues' .* Did you mean 'guess'\?"),
        ({"score": ["score", "scor"]}, r"--score names a column 'scor' .* Did you mean 'score'\?"),
        ({"segments": ["plam"]}, r"--segments names a column 'plam' .* Did you mean 'plan'\?"),
        ({"exclude": ["Plan"]}, r"--exclude names a column 'Plan' .* Did you mean 'plan'\?"),
        ({"kinds": {"seat": "numeric"}}, r"--kinds names a column 'seat' .* Did you mean 'seats'\?"),
        ({"prediction": "guess", "outcome": "guess"}, r"Column 'guess' plays two parts"),
        ({"time": "ts", "prediction": "ts"}, r"Column 'ts' plays two parts"),
        ({"score": ["score", "score"]}, r"Column 'score' plays two parts"),
        ({"prediction": "guess", "exclude": ["guess"]}, r"'guess' cannot be left out .* and play a part as well"),
        ({"outcome": "churned"}, r"--outcome needs --prediction or --score"),
        ({"kinds": {"seats": "number"}}, r"The kind of 'seats' is one of numeric, category, .*; found 'number'"),
        ({"kinds": {"plan": "numeric"}}, r"Column 'plan' holds string, which cannot be counted as numeric"),
        ({"kinds": {"spend": "vector"}}, r"Column 'spend' holds double, which cannot be counted as vector"),
        ({"time": "ts", "bucket": "30s"}, r"--bucket asks for at least a minute; found '30s'"),
        ({"time": "ts", "bucket": "often"}, r"--bucket asks for a duration; found 'often'"),
        ({"task": "guessing"}, r"--task asks for classification or regression; found 'guessing'"),
        ({"score": "spend", "outcome": "churned"}, r"Score 'spend' goes from .* asked for are probabilities"),
        ({"score": "plan", "outcome": "churned"}, r"Score 'plan' holds string; asked for are probabilities"),
        ({"score": ["score", "spend"], "outcome": "churned"}, r"Score 'spend' goes from .* probabilities from 0 to 1"),
        ({"score": ["score", "p0", "p1"], "outcome": "churned"}, r"'score' ends in none of the classes '0', '1'"),
        ({"score": ["p1", "q1"], "outcome": "churned"}, r"two columns of class '1'; one per class"),
        ({"prediction": "raw", "outcome": "churned"}, r"Column 'raw' holds binary, which cannot be a prediction"),
        ({"prediction": "guess", "outcome": "raw"}, r"Column 'raw' holds binary, which cannot be .* outcome"),
        ({"segments": ["raw"]}, r"Column 'raw' holds binary, which cannot be .* segment"),
        ({"segments": ["many"]}, r"--segments names 'many', which has 1,200 different values; choose one with few"),
        ({"prediction": "plan", "outcome": "spend", "task": "regression"}, r"compares numbers; column 'plan' holds"),
        ({"score": "score", "outcome": "spend", "task": "regression"}, r"A regression needs --prediction"),
        ({"time": "plan"}, r"The time column 'plan' holds string; asked for are timestamps or dates"),
    ],
)
def test_bad_input_gives_one_clear_error(roles: dict[str, Any], message: str) -> None:
    table = _table(rows=1_200)
    for name, values in (
        ("raw", pa.array([b"x"] * 1_200)), ("many", pa.array([f"m{i}" for i in range(1_200)])),
        ("p0", pa.array(np.full(1_200, 0.5))), ("p1", pa.array(np.full(1_200, 0.5))), ("q1", pa.array([0.1] * 1_200)),
    ):  # fmt: skip
        table = table.append_column(name, values)
    with pytest.raises(BadInput, match=message):
        Reference.learn(table, **roles)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_table().slice(0, 0), r"The reference \(the pyarrow Table\) has no rows"),
        (pa.table({}), r"The reference \(the pyarrow Table\) has no rows"),
        (pl.DataFrame(), r"The reference \(the polars DataFrame\) has no rows"),
        ([1, 2], r"A table is asked for.*found builtins.list"),
        (pd.DataFrame({"a": [1, "x"]}), r"Cannot read the pandas DataFrame"),
        (pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), r"more than one column 'a'"),
    ],
    ids=["no rows", "no columns", "nothing", "a list", "mixed", "twice"],
)
def test_what_cannot_be_a_reference_gives_one_clear_error(data: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Reference.learn(data)


def test_no_rows_and_none_with_a_value_can_be_counted() -> None:
    reference = Reference.learn(_table(), **ROLES)
    assert len(reference.count(_table().slice(0, 0)).rows) == 0
    assert len(reference.count(iter([])).rows) == 0
    nothing = pa.table({"ts": [NOON]})
    found = reference.count(nothing)
    for part in reference.layout.parts:
        if part.kind != "outcome":
            assert found.of(part)[0].tolist() == [1] + [0] * (part.cells - 1)


def test_a_reference_of_missing_values_alone_counts_what_comes_later() -> None:
    kinds = {"x": pa.float64(), "c": pa.string(), "v": pa.list_(pa.float64()), "n": pa.null(), "b": pa.bool_()}
    empty = pa.table({name: pa.nulls(5, kind) for name, kind in kinds.items()})
    reference = Reference.learn(empty)
    later = {"x": [1.5], "c": ["a"], "v": [[1.0, 2.0]], "n": ["b"], "b": [True]}
    assert reference.count(pa.table(later)).rows.tolist() == [1]


@pytest.mark.parametrize("column", ["seats", "plan", "said", "active", "joined", "guess", "score", "churned"])
def test_rows_that_lack_a_column_count_it_as_missing(column: str) -> None:
    table = _table()
    reference = Reference.learn(table, **ROLES)
    field = table.schema.field(column)
    missing = table.set_column(table.schema.get_field_index(column), field, pa.nulls(ROWS, field.type))
    assert reference.count(table.drop_columns([column])) == reference.count(missing)


def test_a_vector_column_that_is_not_there_counts_as_missing() -> None:
    reference = Reference.learn(pa.table({"v": [[1.0, 2.0]] * 5, "x": [1] * 5}))
    missing = pa.table({"v": pa.nulls(3, pa.list_(pa.float64())), "x": [1] * 3})
    assert reference.count(pa.table({"x": [1] * 3})) == reference.count(missing)


def test_rows_without_the_time_column_cannot_be_counted() -> None:
    with pytest.raises(BadInput, match=r"counts by the time column 'ts', which these rows do not have"):
        Reference.learn(_table(), **ROLES).count(_table().drop_columns(["ts"]))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("seats", ["many"] * ROWS),
        ("seats", [NOON] * ROWS),
        ("seats", [[1]] * ROWS),
        ("plan", [["pro"]] * ROWS),
        ("said", [{"a": 1}] * ROWS),
        ("joined", ["yesterday"] * ROWS),
        ("joined", [1.5] * ROWS),
        ("score", ["high"] * ROWS),
    ],
)
def test_a_column_of_the_wrong_type_is_named(column: str, values: Any) -> None:
    table = _table()
    other = table.set_column(table.schema.get_field_index(column), column, pa.array(values))
    with pytest.raises(
        BadInput, match=rf"The reference counts '{column}' as .*found '{column}' .* cannot be read as that"
    ):
        Reference.learn(table, **ROLES).count(other)


def test_two_thousand_columns_of_few_rows_work() -> None:
    random = np.random.default_rng(3)
    table = pa.table(
        {f"c{i}": random.normal(size=30) if i % 2 else random.choice(["a", "b"], 30) for i in range(2_000)}
    )
    reference = Reference.learn(table)
    assert reference.count(table.slice(0, 9)) + reference.count(table.slice(9)) == reference.profile
    assert len(reference.layout.parts) == 2_000


@pytest.mark.parametrize("name", ['x"; DROP TABLE source; --', "a.b", "Größe", "\n", "segment", "rows", "'"])
def test_hostile_column_names_are_only_names(name: str, tmp_path: Path) -> None:
    table = pa.table({name: [1.0, 2.0, 3.0], "a": ["x", "y", "x"], "ts": [NOON] * 3})
    expected = Reference.learn(table, time="ts", segments=["a"])
    pq.write_table(table, tmp_path / "t.parquet")
    for data in (tmp_path / "t.parquet", table.to_reader()):
        with open_rows(data, time="ts", folder=tmp_path) as rows:
            assert Reference.learn(rows, time="ts", segments=["a"]) == expected


def test_segments_may_be_columns_that_are_not_counted_and_named_twice() -> None:
    reference = Reference.learn(_table(), segments=["plan", "plan", "active"], exclude=["plan"])
    assert "plan" not in _kinds(reference)
    assert [(s.column, s.value) for s in reference.layout.segments[-2:]] in (
        [("active", "0"), ("active", "1")],
        [("active", "1"), ("active", "0")],
    )
    assert len(reference.layout.segments) == 5
    assert reference.profile.segment(0).rows.sum() > 0


Doors = dict[str, Callable[[pa.Table, Path], Any]]


def _csv(table: pa.Table, folder: Path) -> Path:
    table.to_pandas().to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def _parquet(table: pa.Table, folder: Path, **options: Any) -> Path:
    pq.write_table(table, folder / "t.parquet", **options)
    return folder / "t.parquet"


def _folder(table: pa.Table, folder: Path) -> Path:
    (folder / "many" / "deep").mkdir(parents=True)
    pq.write_table(table.slice(0, 150), folder / "many" / "1.parquet", row_group_size=70)
    pq.write_table(table.slice(150), folder / "many" / "deep" / "2.parquet", use_dictionary=False)
    return folder / "many"


def _arrow(table: pa.Table, folder: Path) -> Path:
    with pa.ipc.new_file(str(folder / "t.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=99)
    return folder / "t.arrow"


def _coded(table: pa.Table, _: Path) -> pa.Table:
    return table.set_column(table.schema.get_field_index("plan"), "plan", table["plan"].dictionary_encode())


DOORS: Doors = {
    "csv": _csv,
    "parquet": _parquet,
    "parquet row groups": lambda table, folder: _parquet(table, folder, row_group_size=37),
    "parquet dictionary": lambda table, folder: _parquet(_coded(table, folder), folder),
    "folder": _folder,
    "arrow": _arrow,
    "pandas": lambda table, _: table.to_pandas(),
    "pandas category": lambda table, _: table.to_pandas().astype({"plan": "category"}),
    "polars": lambda table, _: pl.from_arrow(table),
    "polars category": lambda table, _: pl.from_arrow(table).with_columns(pl.col("plan").cast(pl.Categorical)),
    "pyarrow": lambda table, _: table,
    "chunked": lambda table, _: pa.Table.from_batches(table.to_batches(max_chunksize=33)),
    "dictionary": _coded,
    "reader": lambda table, _: table.to_reader(),
    "text times": lambda table, _: table.set_column(0, "ts", table["ts"].cast(pa.string())),
    "seconds": lambda table, _: table.set_column(0, "ts", table["ts"].cast(pa.timestamp("s")).cast(pa.int64())),
    "nanoseconds": lambda table, _: table.set_column(0, "ts", table["ts"].cast(pa.timestamp("ns")).cast(pa.int64())),
    "nanosecond times": lambda table, _: table.set_column(0, "ts", table["ts"].cast(pa.timestamp("ns"))),
    "zoned": lambda table, _: table.set_column(0, "ts", table["ts"].cast(pa.timestamp("us", "UTC"))),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_gives_the_same_profile(door: str, tmp_path: Path) -> None:
    table, expected = _table(), Reference.learn(_table(), segments=["plan"], **ROLES)
    data = DOORS[door](table, tmp_path)
    if door == "reader":
        with open_rows(data, time="ts", folder=tmp_path) as rows:
            assert expected.count(rows) == expected.profile
        return
    with open_rows(data, time="ts", folder=tmp_path) as rows:
        assert rows.rows == ROWS
        learnt = Reference.learn(rows, segments=["plan"], **ROLES)
        assert learnt.profile == expected.profile
        assert learnt.layout == expected.layout
        assert expected.count(rows) == expected.profile


@pytest.mark.parametrize(
    "door", ["pandas", "polars", "polars category", "pandas category", "chunked", "dictionary", "zoned"]
)
def test_tables_in_memory_need_no_opening(door: str, tmp_path: Path) -> None:
    expected = Reference.learn(_table(), segments=["plan"], **ROLES)
    data = DOORS[door](_table(), tmp_path)
    assert expected.count(data) == expected.profile
    assert Reference.learn(data, segments=["plan"], **ROLES).profile == expected.profile


def test_rows_from_a_query_can_be_read_again_and_again(tmp_path: Path) -> None:
    with open_rows(_csv(_table(), tmp_path), time="ts", folder=tmp_path) as rows:
        first = list(rows.batches(["seats"], 64))
        again = list(rows.batches(["seats"], 64))
    assert sum(batch.num_rows for batch in first) == ROWS
    assert pa.Table.from_batches(first) == pa.Table.from_batches(again)


def test_a_reference_samples_more_rows_than_it_looks_at_and_counts_all() -> None:
    random = np.random.default_rng(4)
    rows = 150_000
    table = pa.table({"x": random.normal(size=rows), "c": random.choice(["a", "b"], rows)})
    reference = Reference.learn(table)
    assert reference.profile.rows.tolist() == [rows]
    assert Reference.learn(table) == reference  # drawn with one seed
    numbers, names = reference.layout.parts
    assert reference.profile.of(names)[0, 1:3].sum() == rows
    share = reference.profile.of(numbers)[0, numbers.bins] / rows  # type: ignore[attr-defined]
    assert share.max() < 0.02


def test_a_profile_can_stand_in_for_a_reference(tmp_path: Path) -> None:
    reference = Reference.learn(_table(), **ROLES)
    reference.count(_table(1)).save(tmp_path / "later.profile")
    later = Reference.open(tmp_path / "later.profile")
    assert later.profile == reference.count(_table(1))
    assert later.notes == ()
    assert later.profile + reference.profile == reference.count(pa.concat_tables([_table(), _table(1)]))


def _regression(rows: int, hard: float, seed: int) -> pa.Table:
    """Predictions that are far off where ``kind`` is hard, and further the greater ``size``."""
    random = np.random.default_rng(seed)
    difficult = random.random(rows) < hard
    size = random.uniform(0, 2, rows)
    guess = random.normal(size=rows)
    noise = random.normal(size=rows) * np.where(difficult, 2.0, 0.4) * size
    kind = np.where(difficult, "hard", "easy")
    return pa.table({"kind": kind, "size": size, "guess": guess, "price": guess + noise})


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_to_be_expected_of_harder_rows_is_nearer_than_the_mean_of_the_reference(seed: int) -> None:
    reference = Reference.learn(_regression(5_000, 0.2, seed), prediction="guess", outcome="price")
    outcome: Any = reference.layout.outcome
    assert {name for name, _ in outcome.model} == {"kind", "size", "guess"}

    def mean_loss(profile: Profile) -> float:
        counts = profile.of(outcome)[0, outcome.losses]
        return float(counts @ np.arange(len(counts)) / (len(counts) - 1) / counts.sum())

    def expected(profile: Profile) -> float:
        parts = {part.name: part for part in reference.layout.parts if part is not outcome}
        each = [profile.of(parts[name])[0] @ np.array(weights) for name, weights in outcome.model]
        return float(outcome.base + sum(each) / profile.rows[0])

    own = mean_loss(reference.profile)
    assert expected(reference.profile) == pytest.approx(own, abs=0.005)
    shifted = reference.count(_regression(5_000, 0.7, seed + 100))
    true = mean_loss(shifted)
    assert abs(expected(shifted) - true) < 0.25 * abs(own - true)
    # The outcomes are not looked at.
    unknown = reference.count(_regression(5_000, 0.7, seed + 100).drop_columns(["price"]))
    assert expected(unknown) == expected(shifted)


def test_a_regression_of_few_rows_or_of_no_other_columns_has_a_model_or_none() -> None:
    few: Any = Reference.learn(_regression(50, 0.5, 0), prediction="guess", outcome="price").layout.outcome
    assert few.model == ()
    alone: Any = Reference.learn(
        _regression(500, 0.5, 0), prediction="guess", outcome="price", exclude=["kind", "size"]
    ).layout.outcome
    assert [name for name, _ in alone.model] == ["guess"]


@pytest.mark.parametrize("factor", [1e300, 1e308, 1e-300, 0.0])
def test_a_regression_of_any_scale_can_be_learnt(factor: float) -> None:
    random = np.random.default_rng(5)
    said, true = random.uniform(-1, 1, (2, 200)) * factor
    table = pa.table({"said": said, "y": true})
    reference = Reference.learn(table, prediction="said", outcome="y", task="regression")
    assert reference.count(table.slice(0, 50)) + reference.count(table.slice(50)) == reference.profile
    assert np.isfinite(reference.profile.sums).all()
