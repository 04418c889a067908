from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import shelflife
from shelflife.check.codes import CODES
from shelflife.testing import streams

LATER = datetime(2026, 4, 6)
ROLES: dict[str, Any] = {"time": "ts", "prediction": "fraud", "score": "score", "outcome": "charged_back"}


@pytest.fixture(scope="session")
def before() -> pa.Table:
    return streams.steady(days=60, rows=200, seed=1)


def later(change: str, after: int = 10) -> pa.Table:
    return streams.shifted(days=30, rows=200, seed=2, after=after, change=change, start=LATER)


def test_nothing_is_found_where_nothing_changed(before: pa.Table) -> None:
    found = shelflife.check(before, streams.steady(days=30, rows=200, seed=2, start=LATER), **ROLES)
    assert (found.verdict, found.exit_code, found.findings) == ("pass", 0, ())
    assert found.sees is not None
    assert found.sees < 0.12
    assert found.says.startswith("No change was found; a share that had moved by ")


@pytest.mark.parametrize(
    ("change", "code", "column"),
    [
        ("mean", "SL201", "amount"),
        ("variance", "SL201", "amount"),
        ("new", "SL104", "country"),
        ("mix", "SL202", "channel"),
        ("nulls", "SL101", "country"),
        ("words", "SL203", "note"),
    ],
)
def test_one_change_is_one_finding_dated_to_its_day(before: pa.Table, change: str, code: str, column: str) -> None:
    found = shelflife.check(before, later(change), text="note", **ROLES)
    (finding,) = found.findings
    assert (finding.code, finding.column) == (code, column)
    assert finding.severity == CODES[code].severity
    assert finding.since is not None
    assert abs(finding.since - (LATER + timedelta(days=10))) <= timedelta(days=1)
    assert finding.at is not None
    assert finding.at >= finding.since
    assert found.verdict == "fail"
    assert found.says.startswith(finding.says)
    assert repr(column) in finding.says


def test_a_changed_relation_is_told_from_drift(before: pa.Table) -> None:
    found = shelflife.check(before, later("concept"), **ROLES)
    assert {finding.code for finding in found.findings} == {"SL301", "SL303"}
    accuracy = next(row for row in found.performance if row.metric == "accuracy")
    assert accuracy.observed is not None
    assert accuracy.estimated is not None
    assert accuracy.observed < accuracy.limit < accuracy.estimated
    assert accuracy.low < accuracy.observed < accuracy.high


def test_without_outcomes_performance_is_estimated_and_says_so(before: pa.Table) -> None:
    rng = np.random.default_rng(5)
    total = 30 * 200
    unsure = streams.steady(days=30, rows=200, seed=2, start=LATER)
    score = rng.uniform(0.35, 0.65, total)
    unsure = unsure.set_column(unsure.column_names.index("score"), "score", pa.array(score))
    unsure = unsure.set_column(unsure.column_names.index("fraud"), "fraud", pa.array((score >= 0.5).astype(int)))
    found = shelflife.check(before, unsure.drop_columns(["charged_back"]), **ROLES)
    estimated = [finding for finding in found.findings if finding.code == "SL302"]
    assert estimated
    assert estimated[0].estimated
    assert "estimated" in estimated[0].says
    accuracy = next(row for row in found.performance if row.metric == "accuracy")
    truth = np.where(score >= 0.5, score, 1 - score).mean()
    assert accuracy.observed is None
    assert accuracy.estimated == pytest.approx(truth, abs=0.04)
    assert accuracy.low <= accuracy.estimated <= accuracy.high


def test_a_few_outcomes_correct_the_estimate(before: pa.Table) -> None:
    changed = later("concept", after=0)
    known = pa.array(
        [value if place % 20 == 0 else None for place, value in enumerate(changed["charged_back"].to_pylist())]
    )
    few = changed.set_column(changed.column_names.index("charged_back"), "charged_back", known)
    accuracy = next(row for row in shelflife.check(before, few, **ROLES).performance if row.metric == "accuracy")
    truth = np.mean(np.asarray(changed["fraud"]) == np.asarray(changed["charged_back"]))
    blind = next(
        row
        for row in shelflife.check(before, changed.drop_columns(["charged_back"]), **ROLES).performance
        if row.metric == "accuracy"
    )
    assert abs(accuracy.estimated - truth) < abs(blind.estimated - truth)
    assert accuracy.low <= truth <= accuracy.high


def test_a_segment_that_fails_alone_is_named(before: pa.Table) -> None:
    changed = streams.steady(days=30, rows=200, seed=2, start=LATER)
    truth = np.asarray(changed["charged_back"]).copy()
    phone = np.asarray(changed["channel"]) == "shop"
    flip = phone & (np.random.default_rng(3).random(len(truth)) < 0.3)
    truth[flip] = 1 - truth[flip]
    changed = changed.set_column(changed.column_names.index("charged_back"), "charged_back", pa.array(truth))
    found = shelflife.check(before, changed, segments="channel", tolerance=0.1, **ROLES)
    assert {finding.segment for finding in found.findings if finding.code == "SL301"} == {"channel=shop"}
    assert any(row.segment == "channel=shop" for row in found.performance)


def test_regressions_are_watched_by_their_loss() -> None:
    rng = np.random.default_rng(0)

    def table(days: int, start: int, noise: float) -> pa.Table:
        total = days * 200
        x = rng.normal(size=total)
        times = (np.datetime64(datetime(2026, 1, 1), "us") + np.timedelta64(start, "D")) + np.repeat(
            np.arange(days), 200
        ).astype("timedelta64[D]")
        return pa.table({"ts": times, "x": x, "said": 10 * x, "true": 10 * x + rng.normal(0, noise, total)})

    roles: dict[str, Any] = {"time": "ts", "prediction": "said", "outcome": "true"}
    reference = table(60, 0, 1.0)
    assert shelflife.check(reference, table(30, 60, 1.0), **roles).verdict == "pass"
    worse = shelflife.check(reference, table(30, 60, 2.0), **roles)
    assert "SL301" in {finding.code for finding in worse.findings}
    error = next(row for row in worse.performance if row.metric == "mean_absolute_error")
    assert error.reference == pytest.approx(np.sqrt(2 / np.pi), rel=0.03)
    assert error.observed == pytest.approx(2 * np.sqrt(2 / np.pi), rel=0.05)


def test_the_expected_loss_of_a_regression_follows_its_inputs() -> None:
    rng = np.random.default_rng(0)

    def table(days: int, start: int, hard: float) -> pa.Table:
        total = days * 300
        group = rng.random(total) < hard
        times = (np.datetime64(datetime(2026, 1, 1), "us") + np.timedelta64(start, "D")) + np.repeat(
            np.arange(days), 300
        ).astype("timedelta64[D]")
        true = rng.normal(0, np.where(group, 4.0, 1.0))
        return pa.table({"ts": times, "kind": np.where(group, "hard", "easy"), "said": np.zeros(total), "true": true})

    reference, harder = table(60, 0, 0.2), table(30, 60, 0.7)
    roles: dict[str, Any] = {"time": "ts", "prediction": "said", "outcome": "true", "task": "regression"}
    found = shelflife.check(reference, harder.drop_columns(["true"]), **roles)
    error = next(row for row in found.performance if row.metric == "mean_absolute_error")
    truth = np.abs(np.asarray(harder["true"])).mean()
    assert error.observed is None
    assert error.estimated == pytest.approx(truth, rel=0.2)
    assert error.low <= error.estimated <= error.high
    assert "SL302" in {finding.code for finding in found.findings}


def test_columns_that_are_gone_or_of_another_type_are_findings(before: pa.Table) -> None:
    changed = streams.steady(days=30, rows=200, seed=2, start=LATER).drop_columns(["items"])
    changed = changed.set_column(changed.column_names.index("amount"), "amount", changed["amount"].cast(pa.string()))
    changed = changed.append_column("fresh", pa.nulls(changed.num_rows, pa.int64()))
    found = shelflife.check(before, changed, **ROLES)
    assert {(finding.code, finding.column) for finding in found.findings} == {("SL102", "items"), ("SL103", "amount")}
    assert any("'fresh'" in note for note in found.notes)
    assert {column.name for column in found.columns} & {"items", "amount"} == set()


def test_too_few_rows_are_unknown_and_never_pass(before: pa.Table) -> None:
    plain = before.drop_columns(["ts"])
    found = shelflife.check(plain, plain.slice(0, 5))
    assert (found.verdict, found.exit_code) == ("unknown", 3)
    assert "insufficient data" in found.says
    empty = shelflife.check(plain, plain.slice(0, 0))
    assert (empty.verdict, empty.rows) == ("unknown", 0)
    one = shelflife.check(plain.slice(0, 1), plain)
    assert one.verdict == "unknown"


def test_without_time_one_question_is_asked_at_a_level(before: pa.Table) -> None:
    plain = before.drop_columns(["ts"])
    found = shelflife.check(plain, later("mean", after=0).drop_columns(["ts"]), false_alarms=0.05)
    assert found.false_alarms.at_most == 0.05
    assert found.evidence.alarm == pytest.approx(np.log10(20))
    (finding,) = found.findings
    assert (finding.since, finding.at, found.bucket_days) == (None, None, None)


def test_a_season_compares_like_with_like() -> None:
    def table(days: int, start: int, seed: int) -> pa.Table:
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(start, start + days), 200)
        weekend = day % 7 >= 5
        times = np.datetime64(datetime(2026, 1, 5), "us") + day.astype("timedelta64[D]")
        busy = rng.random(len(day)) < np.where(weekend, 0.8, 0.2)
        return pa.table({"ts": times, "busy": busy})

    weekends = table(63, 0, 1)
    current = table(28, 63, 2)
    assert shelflife.check(weekends, current, time="ts", season="week").verdict == "pass"
    # Every day as weekends are: no news to the whole, but to working days.
    flat = pa.table({"ts": current["ts"], "busy": np.random.default_rng(3).random(current.num_rows) < 0.8})
    found = shelflife.check(weekends, flat, time="ts", season="week")
    assert [finding.column for finding in found.findings] == ["busy"]


def test_the_answer_is_the_same_from_tables_files_and_profiles(before: pa.Table, tmp_path: Path) -> None:
    after = later("mix")
    pq.write_table(before, tmp_path / "before.parquet")
    pq.write_table(after, tmp_path / "after.parquet", row_group_size=1_000)
    reference = shelflife.Reference.learn(before, **ROLES)
    reference.save(tmp_path / "before.profile")
    reference.count(after).save(tmp_path / "after.profile")
    plain = shelflife.check(before, after, **ROLES)
    for one, other, roles in (
        (str(tmp_path / "before.parquet"), tmp_path / "after.parquet", ROLES),
        (before.to_pandas(), after.to_pandas(), ROLES),
        (reference, after, {}),
        (tmp_path / "before.profile", tmp_path / "after.profile", {}),
    ):
        found = shelflife.check(one, other, **roles)
        assert found.findings == plain.findings
        assert found.columns == plain.columns
        assert found.performance == plain.performance


@pytest.mark.parametrize("engine", ["threads", "processes", pytest.param("dask", marks=pytest.mark.engine)])
def test_the_answer_is_the_same_on_every_engine(before: pa.Table, tmp_path: Path, engine: str) -> None:
    if engine == "dask":
        pytest.importorskip("dask.distributed")
    pq.write_table(before, tmp_path / "before.parquet", row_group_size=997)
    pq.write_table(later("mean"), tmp_path / "after.parquet", row_group_size=991)
    found = shelflife.check(
        tmp_path / "before.parquet", tmp_path / "after.parquet", engine=engine, jobs=2, segments="channel", **ROLES
    )
    plain = shelflife.check(before, later("mean"), segments="channel", **ROLES)
    assert dataclasses.replace(found, seconds=0, engine="", reference="", current="") == dataclasses.replace(
        plain, seconds=0, engine="", reference="", current=""
    )


def test_the_audit_counts_alarms_on_shuffled_buckets(before: pa.Table) -> None:
    found = shelflife.check(before, streams.steady(days=30, rows=200, seed=2, start=LATER), audit=10, **ROLES)
    assert found.audit is not None
    assert found.audit.alarms <= found.audit.expected
    assert found.audit.buckets == 10 * 30


def test_the_json_is_the_contract(before: pa.Table) -> None:
    found = shelflife.check(before, later("concept"), **ROLES)
    plain = json.loads(found.to_json())
    assert plain["schema"] == "shelflife.check/1"
    assert set(plain) >= {
        "schema", "verdict", "rows", "buckets", "findings", "columns", "performance", "false_alarms", "engine",
        "seconds",
    }  # fmt: skip
    assert set(plain["findings"][0]) == {
        "also", "code", "severity", "kind", "column", "segment", "observed", "reference", "limit", "log10_evidence",
        "since", "at", "rows", "estimated", "says",
    }  # fmt: skip
    assert set(plain["columns"][0]) == {
        "name", "kind", "rows", "null_share", "unseen_share", "psi", "js", "ks", "tv", "wasserstein",
    }  # fmt: skip
    assert set(plain["performance"][0]) == {
        "metric", "segment", "reference", "observed", "estimated", "low", "high", "limit",
    }  # fmt: skip
    assert plain["false_alarms"] == {"at_most": 1.0, "per_days": 180.0}
    assert found.table().num_rows == len(found.columns)


def test_times_with_zones_stay_aware(before: pa.Table) -> None:
    def zoned(table: pa.Table) -> pa.Table:
        place = table.column_names.index("ts")
        return table.set_column(place, "ts", table["ts"].cast(pa.timestamp("us", tz="UTC")))

    found = shelflife.check(zoned(before), zoned(later("mean")), time="ts")
    assert found.findings[0].since.tzinfo == UTC


def test_a_frame_of_a_notebook_shows_itself(before: pa.Table) -> None:
    found = shelflife.check(before.to_pandas(), later("mean").to_pandas(), time="ts")
    assert isinstance(before.to_pandas(), pd.DataFrame)
    assert found.findings[0].says in found._repr_html_().replace("&#39;", "'").replace("\u00a0", " ")
