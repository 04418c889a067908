"""One clear error each, before any model is trained where it can be known."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
import pytest

import shelflife
from shelflife import BadInput, NotEnoughHistory, TrainerFailed
from shelflife.testing import histories


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return histories.drifting(days=120, rows_per_day=20, seed=0).to_pandas()


def _measure(data: Any, **changed: Any) -> Any:
    options = {"time": "ts", "target": "y", "every": "1w", "window": "4w", "jobs": 1, "model": histories.fast_model}
    return shelflife.lifespan(data, **{**options, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"time": "tss"}, r"no column 'tss'.*Did you mean 'ts'"),
        ({"target": "z"}, r"no column 'z'"),
        ({"target": "ts"}, r"cannot be both the time and the target"),
        ({"features": ["a", "zz"]}, r"no column 'zz'"),
        ({"drop": ["q"]}, r"no column 'q'"),
        ({"drop": ["a", "b", "c", "d"]}, r"no column to learn from"),
        ({"features": []}, r"no column to learn from"),
        ({"features": ["a", "y"]}, r"'y' is the target; it cannot be learnt from"),
        ({"drop": "y"}, r"'y' is the target; it cannot be left out"),
        ({"seed": -1}, r"--seed asks for a whole number from 0"),
        ({"seed": 2**32}, r"--seed asks for a whole number from 0"),
        ({"origins": 4.5}, r"--origins asks for at least 3"),
        ({"task": "ranking"}, r"--task asks for classification or regression"),
        ({"metric": "mae"}, r"--metric for classification asks for error or brier"),
        ({"every": "soon"}, r"--every asks for a duration"),
        ({"every": "0d"}, r"--every asks for at least a minute"),
        ({"window": "x"}, r"--window asks for a duration"),
        ({"max_age": "0h"}, r"--max-age asks for at least a minute"),
        ({"label_delay": "-1d"}, r"--label-delay asks for a duration"),
        ({"origins": 2}, r"--origins asks for at least 3"),
        ({"tolerance": "lots"}, r"--tolerance asks for a number"),
        ({"tolerance": -0.1}, r"--tolerance asks for a number"),
        ({"tolerance": 1.0}, r"--tolerance 1.0 allows any loss"),
        ({"confidence": 1.0}, r"--confidence asks for a number"),
        ({"confidence": float("nan")}, r"--confidence asks for a number"),
        ({"engine": "sparc"}, r"--engine asks for .*Did you mean 'spark'"),
        ({"engine": "ray=x"}, r"--engine asks for"),
        ({"jobs": 0}, r"--jobs asks for a number of at least 1"),
        ({"cost_per_error": 1.0}, r"are needed together"),
        (
            {"cost_per_error": -1.0, "cost_per_renewal": 1.0},
            r"--cost-per-error asks for a number of at least 0; found -1.0",
        ),
        ({"rows_per_day": float("inf")}, r"--rows-per-day asks for a number of at least 0"),
        ({"model": "nowhere"}, r"--model asks for module:name"),
    ],
)
def test_options_name_themselves_and_what_is_allowed(
    changed: dict[str, Any], message: str, frame: pd.DataFrame
) -> None:
    with pytest.raises(BadInput, match=message):
        _measure(frame, **changed)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("y", None, r"too short: .* has 0 usable rows"),
        ("y", 1, r"always 1 where it is known"),
        ("y", np.inf, r"is infinite in 2,400 rows, first in row 1"),
        ("ts", pd.NaT, r"time column 'ts' .* has no values"),
        ("ts", "yesterday", r"row 1 holds 'yesterday'"),
    ],
)
def test_columns_that_cannot_be_used_are_named(column: str, values: Any, message: str, frame: pd.DataFrame) -> None:
    broken = frame.astype({"y": float})
    broken[column] = values
    if values == np.inf:
        broken.loc[5:9, "y"] = [1.5, 2.5, 3.5, 4.5, 5.5]
        message = r"is infinite in 2,395 rows, first in row 1"
    with pytest.raises((BadInput, NotEnoughHistory), match=message):
        _measure(broken, task="regression" if values == np.inf else None)


def test_an_identifier_is_no_target(frame: pd.DataFrame) -> None:
    with pytest.raises(BadInput, match=r"2,400 distinct values.*Is it an identifier"):
        _measure(frame.assign(y=[f"id{i}" for i in range(len(frame))]))
    with pytest.raises(BadInput, match=r"--task regression asks for a numeric target"):
        _measure(frame.assign(y=["a", "b"] * 1_200), task="regression")
    with pytest.raises(BadInput, match=r"target 'y' holds timestamp"):
        _measure(frame.assign(y=frame["ts"]))


@pytest.mark.parametrize("rows", [1, 10, 100, 600])
def test_too_little_history_is_not_bad_input(rows: int, frame: pd.DataFrame) -> None:
    with pytest.raises(NotEnoughHistory, match=r"too short"):
        _measure(frame.head(rows))


def test_thousands_of_columns_are_refused_by_the_default_learner_alone(frame: pd.DataFrame) -> None:
    wide = pd.concat(
        [frame, pd.DataFrame(np.zeros((len(frame), 1_200)), columns=[f"w{i}" for i in range(1_200)])], axis=1
    )
    with pytest.raises(BadInput, match=r"1,204 columns to learn from; the default learner takes at most 1,000"):
        _measure(wide, model=None)


def _raises(x: Any, y: Any, *, seed: int) -> Any:
    raise MemoryError("no room")


def _leaves(x: Any, y: Any, *, seed: int) -> Any:
    raise SystemExit(3)


def _dies(x: Any, y: Any, *, seed: int) -> Any:
    os._exit(1)


def test_a_worker_that_dies_is_told_and_no_traceback(frame: pd.DataFrame) -> None:
    with pytest.raises(TrainerFailed, match=r"A worker process died while it trained"):
        _measure(frame, model=_dies, jobs=2)


def _guesses_words(x: Any, y: Any, *, seed: int) -> Any:
    return type("Words", (), {"predict": lambda self, x: np.repeat("maybe", len(x))})()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_raises, r"_raises raised MemoryError: no room on \d+ rows. It was training or scoring the model born 2024-"),
        (_leaves, r"_leaves raised SystemExit: 3"),
        (_guesses_words, r"predicted .*'maybe'.*, which is no class of the target"),
    ],
)
def test_a_failing_trainer_is_named_with_its_message(jobs: int, model: Any, message: str, frame: pd.DataFrame) -> None:
    with pytest.raises(TrainerFailed, match=message):
        _measure(frame, model=model, jobs=jobs)
