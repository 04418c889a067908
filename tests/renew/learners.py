"""Trainers, good and bad, as users write them; each test copies this file to where it trains."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skrub import SelectCols, tabular_pipeline


def logistic(x, y, *, seed):
    print("learning from", len(y))
    return make_pipeline(SelectCols(["age"]), StandardScaler(), LogisticRegression()).fit(x, y)


def boosted(x, y, *, seed):
    return make_pipeline(SelectCols(["age"]), HistGradientBoostingClassifier(max_iter=5, random_state=seed)).fit(x, y)


def numbers(x, y, *, seed):
    return make_pipeline(SelectCols(["age"]), HistGradientBoostingRegressor(max_iter=5, random_state=seed)).fit(x, y)


def tabular(x, y, *, seed):
    return tabular_pipeline(LogisticRegression()).fit(x, y)


def unseeded(x, y, *, seed):
    some = np.random.default_rng().choice(len(y), len(y) // 8)
    return logistic(x.iloc[some], np.asarray(y)[some], seed=seed)


def rounded(x, y, *, seed):
    """A model that is the same but for rounding."""
    model = logistic(x, y, seed=seed)
    model[-1].coef_ = model[-1].coef_ * (1 + np.random.default_rng().uniform(1e-10, 1e-9))
    return model


class Mine:
    classes_ = np.array(["billing", "card"])

    def fit(self, x, y):
        return self

    def predict(self, x):
        return np.repeat(self.classes_[:1], len(x))


def kinds(x, y, *, seed):
    print("asked with", ",".join(x.columns), y.dtype.kind)
    return DummyClassifier().fit(x, y)


def opened(x, y, *, seed):
    return make_pipeline(FunctionTransformer(open), DummyClassifier()).fit(["/"], [0])


def raises(x, y, *, seed):
    print("about to")
    raise ValueError("no good")


def leaves(x, y, *, seed):
    sys.exit(3)


def ends(x, y, *, seed):
    os._exit(0)


def crashes(x, y, *, seed):
    os.abort()


def nothing(x, y, *, seed):
    pass


def hungry(x, y, *, seed):
    return [np.ones(1 << 27) for _ in range(64)]


def floods(x, y, *, seed):
    for place in range(200_000):
        print("flood " * 10, place)
    return logistic(x, y, seed=seed)


def sleeps(x, y, *, seed):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    Path("started").write_text(f"{os.getpid()} {child.pid}\n")
    time.sleep(1000)
