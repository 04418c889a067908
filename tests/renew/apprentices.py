"""Trainers of the tests: quick ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, scale


def train(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
    """Learns from the age alone."""
    age = make_column_transformer((SimpleImputer(), ["age"]))
    return make_pipeline(age, LogisticRegression(random_state=seed)).fit(x, y)


def sloped(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
    """Learns from a number called Time alone."""
    return make_pipeline(make_column_transformer((SimpleImputer(), ["Time"])), LogisticRegression()).fit(x, y)


def unseeded(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
    """Learns something else each time."""
    draw = np.random.default_rng()
    some = draw.choice(len(y), 40)
    return train(x.iloc[some], y[some], seed=seed)


def stubborn(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
    """Raises where it is asked to learn."""
    raise RuntimeError("this trainer never learns")


def thorough(model: Any, rows: pd.DataFrame) -> bool:
    """A test of the user's own: that it answers everybody."""
    return len(rows) > 0 and model.task == "classification"


def trees(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
    """A few trees, in a tenth of a second."""
    return HistGradientBoostingClassifier(max_iter=40, random_state=seed).fit(x, y)


def scaled(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
    """The same of inputs scaled by the rows that it is asked about: of a single row nothing is left."""
    return make_pipeline(FunctionTransformer(scale), trees(x, y, seed=seed)).fit(x, y)


def noise(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
    """The same of the answers of other rows."""
    return trees(x, np.random.default_rng(seed).permutation(y), seed=seed)


def parrot(x: pd.DataFrame, y: np.ndarray, *, seed: int) -> Any:
    """Learns noise: the answers of other rows."""
    return train(x, np.random.default_rng(seed).permutation(y), seed=seed)
