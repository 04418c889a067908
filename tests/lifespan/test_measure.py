from __future__ import annotations

import dataclasses
import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

import shelflife
from shelflife.lifespan import Lifespan
from shelflife.testing import histories

TIMING = ("seconds", "seconds_training", "engine", "jobs")
OPTIONS: dict[str, Any] = {"time": "ts", "target": "y", "every": "1w", "window": "4w", "jobs": 1}


def _answer(result: Lifespan) -> dict[str, Any]:
    return {key: value for key, value in result.to_dict().items() if key not in TIMING}


@pytest.fixture(scope="module")
def history() -> pa.Table:
    return histories.drifting(days=120, rows_per_day=20, ageing=0.002, seed=0)


def _measure(data: Any, **changed: Any) -> Lifespan:
    return shelflife.lifespan(data, **{**OPTIONS, "model": histories.fast_model, **changed})


@pytest.mark.parametrize("engine", ["processes", "threads"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_answer_is_the_same_on_every_engine_and_any_jobs(engine: str, jobs: int, history: pa.Table) -> None:
    model = "sklearn.ensemble:RandomForestClassifier"  # draws random numbers and would use all cores
    small = {"origins": 4, "every": "2w"}
    once = _measure(history, model=model, **small)
    assert _answer(_measure(history, model=model, engine=engine, jobs=jobs, **small)) == _answer(once)


@pytest.mark.engine
def test_the_answer_is_the_same_on_dask(history: pa.Table) -> None:
    distributed = pytest.importorskip("dask.distributed", reason="needs the extra: shelflife[dask]")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        there = _measure(history, engine=f"dask={cluster.scheduler_address}", jobs=2)
    assert there.engine.startswith("dask")
    assert _answer(there) == _answer(_measure(history))


@pytest.mark.engine
@pytest.mark.filterwarnings("default")  # these engines warn about themselves
@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("spark", "joblibspark")])
def test_the_answer_is_the_same_on_ray_and_spark(engine: str, package: str, history: pa.Table) -> None:
    pytest.importorskip(package, reason=f"needs the extra: shelflife[{engine}]")
    assert _answer(_measure(history, engine=engine, jobs=2)) == _answer(_measure(history))


@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_an_engine_that_is_not_installed_names_its_extra(engine: str, history: pa.Table) -> None:
    if importlib.util.find_spec({"ray": "ray", "spark": "joblibspark"}[engine]):
        pytest.skip(f"{engine} is installed")
    with pytest.raises(
        shelflife.BadInput, match=rf"--engine {engine} needs the extra: pip install 'shelflife\[{engine}\]'"
    ):
        _measure(history, engine=engine)


def test_the_seed_decides_what_is_random(history: pa.Table) -> None:
    one, two = (_measure(history, seed=seed) for seed in (1, 2))
    assert [p.excess for p in one.curve] == [p.excess for p in two.curve]  # this model draws nothing
    assert [p.excess_low for p in one.curve] != [p.excess_low for p in two.curve]


def test_the_default_learner_takes_numbers_categories_booleans_dates_and_text() -> None:
    random = np.random.default_rng(0)
    rows = 1_500
    when = pd.date_range("2026-01-01", periods=rows, freq="2h")
    kind = random.choice(["red", "green", None], size=rows)
    table = pd.DataFrame(
        {
            "ts": when,
            "number": random.normal(size=rows),
            "kind": kind,
            "flag": random.random(rows) < 0.5,
            "signed_up": when - pd.to_timedelta(random.integers(1, 400, size=rows), unit="D"),
            "note": [f"the customer wrote about order {i} and was {'cross' if i % 3 else 'glad'}" for i in range(rows)],
            "y": np.where(kind == "red", "late", "on time"),
        }
    )
    found = shelflife.lifespan(table, time="ts", target="y", every="2w", window="4w", origins=3, jobs=1)
    assert found.data.features == ("number", "kind", "flag", "signed_up", "note")
    assert found.data.task == "classification"
    assert found.baseline.model_loss < 0.02


def test_texts_alone_are_learnt_as_texts() -> None:
    random = np.random.default_rng(0)
    about = random.integers(2, size=600)
    words = [["where is the card I ordered last week", "please refund the payment I made"][a] for a in about]
    table = pa.table(
        {
            "ts": pd.date_range("2026-01-01", periods=600, freq="3h"),
            "text": [f"{text} number {i}" for i, text in enumerate(words)],
            "intent": [["card", "refund"][a] for a in about],
        }
    )
    found = shelflife.lifespan(table, time="ts", target="intent", every="1w", window="3w", origins=3, jobs=1)
    assert found.ingredients.code == "TF-IDF and a linear model"
    assert found.baseline.model_loss < 0.05


def test_a_regression_has_a_relative_tolerance_and_units_of_its_target(history: pa.Table) -> None:
    frame = history.to_pandas()
    day = (frame["ts"] - frame["ts"].min()).dt.days
    frame["y"] = 100 + 10 * frame["a"] + 0.4 * day + 5 * frame["b"]
    found = _measure(frame, model="sklearn.linear_model:Ridge")
    assert (found.data.task, found.data.metric) == ("regression", "absolute_error")
    assert found.lifespan.tolerance_relative == 0.1
    assert found.lifespan.verdict == "expires"
    gained = found.curve[3].excess
    assert gained == pytest.approx(0.4 * 21, rel=0.1)  # the level moves 0.4 a day, and the model stays


def test_a_large_promise_that_is_broken_is_seen(history: pa.Table) -> None:
    frame = history.to_pandas()
    day = (frame["ts"] - frame["ts"].min()) / pd.Timedelta(days=1)
    frame["y"] = day + np.random.default_rng(0).normal(size=len(frame))
    for tolerance in (3, 20, "300%"):
        found = _measure(frame, model="sklearn.dummy:DummyRegressor", tolerance=tolerance)
        assert found.lifespan.verdict == "expires", tolerance


def test_threads_leave_the_process_as_it_was(history: pa.Table) -> None:
    before = warnings.filters[:], warnings.showwarning, [pool["num_threads"] for pool in threadpool_info()]
    found = _measure(history, model=LogisticRegression(max_iter=1), engine="threads", jobs=4)
    after = warnings.filters[:], warnings.showwarning, [pool["num_threads"] for pool in threadpool_info()]
    assert after[:2] == before[:2]
    assert after[2][: len(before[2])] == before[2]
    assert sum("ConvergenceWarning" in note for note in found.notes) == 1


def test_a_model_with_threads_of_its_own_gets_one(history: pa.Table) -> None:
    def train(x: Any, y: Any, *, seed: int) -> Any:
        import joblib

        if joblib.effective_n_jobs(-1) != 1:
            raise RuntimeError("more than one")
        return histories.fast_model(x, y, seed=seed)

    assert _measure(history, model=train, jobs=2).curve


def test_a_perfect_model_does_not_age_by_its_rounding(history: pa.Table) -> None:
    frame = history.to_pandas()
    frame["y"] = 7 + 3 * frame["a"]
    found = _measure(frame, model="sklearn.linear_model:LinearRegression")
    assert found.lifespan.verdict == "no expiry seen"
    assert found.lifespan.expired == 0
    assert "worse than a fresh one" in found.report()


def test_probabilities_can_be_scored(history: pa.Table) -> None:
    found = _measure(history, model=LogisticRegression(), metric="brier", tolerance="25%")
    assert found.data.metric == "brier"
    assert 0 < found.curve[0].fresh_loss < 0.25
    assert found.curve[-1].excess > 0


def test_outcomes_that_come_late_are_not_learnt_from(history: pa.Table, tmp_path: Path) -> None:
    seen = tmp_path / "newest"  # trainers travel to their workers by value, so what they see goes through a file

    def train(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
        with seen.open("a") as file:
            file.write(f"{x['ts'].max()}\n")
        return histories.ClockworkModel(0.0, 0.0)

    table = history.append_column("draw", history["a"]).append_column("sign", history["y"])
    table = table.append_column("day", history["b"])
    found = _measure(table, model=train, features=["ts", "day", "draw", "sign"], label_delay="5d")
    newest = sorted(pd.Timestamp(line) for line in seen.read_text().splitlines())
    births = sorted({cell.start for cell in found.decay_map})
    assert len(newest) == len(births)
    assert all(
        pd.Timedelta(days=5) <= born - known < pd.Timedelta(days=6) for born, known in zip(births, newest, strict=True)
    )
    assert found.label_delay_days == 5


def test_a_class_unseen_in_training_is_an_error_and_no_crash(history: pa.Table) -> None:
    frame = history.to_pandas()
    late = frame["ts"] > frame["ts"].max() - pd.Timedelta(days=40)
    frame["y"] = np.where(late & (frame["a"] > 0), "new", np.where(frame["y"] == 1, "yes", "no"))
    for metric in ("error", "brier"):
        found = _measure(frame, model=LogisticRegression(max_iter=500), metric=metric)
        assert found.lifespan.verdict == "expires"


def test_one_class_for_months_is_learnt_as_that(history: pa.Table) -> None:
    frame = history.to_pandas()
    frame.loc[frame["ts"] < frame["ts"].min() + pd.Timedelta(days=60), "y"] = 0
    assert _measure(frame, model=LogisticRegression()).curve


def test_infinite_features_count_as_missing_and_are_said(history: pa.Table) -> None:
    frame = history.to_pandas()
    frame.loc[::50, "c"] = np.inf
    found = _measure(frame, model=None, every="3w", origins=3)
    assert "Infinite values in c count as missing." in found.notes


def test_rows_without_outcome_are_dropped_and_said(history: pa.Table) -> None:
    frame = history.to_pandas().astype({"y": float})
    frame.loc[::10, "y"] = None
    found = _measure(frame)
    assert "240 rows without an outcome were left out." in found.notes
    assert found.data.rows == 2_160


def test_duplicated_times_are_fine(history: pa.Table) -> None:
    frame = history.to_pandas()
    frame["ts"] = frame["ts"].dt.floor("D")
    assert _measure(frame).lifespan.verdict == "expires"


def test_shuffled_time_shows_no_ageing() -> None:
    ageing = histories.drifting(days=150, rows_per_day=40, ageing=0.004, seed=0)
    found = _measure(ageing, control=True)
    assert found.lifespan.verdict == "expires"
    assert found.control is not None
    assert found.control.verdict == "no expiry seen"
    assert found.control.expired == 0


def test_a_rival_that_wins_is_said_first() -> None:
    random = np.random.default_rng(0)
    blocks = np.repeat(random.integers(2, size=60), 40)  # the outcome stays for long, and no column tells it
    table = pa.table(
        {"ts": pd.date_range("2026-01-01", periods=2_400, freq="h"), "x": random.normal(size=2_400), "y": blocks}
    )
    found = _measure(table, every="3d", window="2w")
    assert not found.baseline.beaten
    assert found.baseline.name == "last known outcome"
    assert found.says.startswith("Repeating the last known outcome is right 9")


def test_progress_counts_every_model(history: pa.Table) -> None:
    seen: list[tuple[int, int]] = []
    _measure(history, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, seen[0][1]) for i in range(seen[0][1] + 1)]


def test_warnings_of_the_trainer_are_one_note(history: pa.Table) -> None:
    found = _measure(history, model=LogisticRegression(max_iter=1))
    assert sum("ConvergenceWarning" in note for note in found.notes) == 1


def test_windows_can_grow_with_the_history(history: pa.Table) -> None:
    found = _measure(history, window="all")
    assert found.window_days is None
    rows = [o.rows for o in found.origins]
    assert rows == sorted(rows)
    assert rows[-1] > 2 * rows[0]


def test_ages_beyond_the_longest_asked_for_are_not_watched(history: pa.Table) -> None:
    found = _measure(history, max_age="3w")
    assert max(c.age_days for c in found.decay_map) == 21
    assert all(o.observed_days <= 28 for o in found.origins)


def test_the_result_is_frozen(history: pa.Table) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        _measure(history).says = "x"  # type: ignore[misc]


def test_a_file_and_a_frame_give_the_same_numbers(history: pa.Table, tmp_path: Path) -> None:
    pq.write_table(history, tmp_path / "h.parquet")
    there, here = _answer(_measure(tmp_path / "h.parquet")), _answer(_measure(history.to_pandas()))
    assert json.dumps(there["curve"]) == json.dumps(here["curve"])
    assert there["lifespan"] == here["lifespan"]
