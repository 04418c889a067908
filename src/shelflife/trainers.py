"""What trains: the default learner, the user's estimator, or the user's ``train(X, y, *, seed)``.

A trainer turns a window of the past into something that predicts. `Trainer.fit` is the one door: it seeds, guards
against a window with a single class, and names the trainer in every error.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shelflife.errors import BadInput, TrainerFailed, nearest

if TYPE_CHECKING:
    import pandas as pd

Form = Literal["default", "text", "estimator", "factory", "function"]


@dataclass(frozen=True)
class Trainer:
    """How a model is made.

    Attributes
    ----------
    name
        What people call it.
    form
        ``default`` (skrub's tabular pipeline), ``text`` (TF-IDF and a linear model), or what the user gave.
    task
        ``classification`` or ``regression``.
    given
        The user's estimator, factory or function; None for the default learners.
    """

    name: str
    form: Form
    task: str
    given: Any = None

    def pickled(self, *, by_value: bool) -> bytes:
        """Bytes for workers; `by_value` takes the user's own module along to those that cannot import it."""
        import cloudpickle

        module = inspect.getmodule(self.given) or inspect.getmodule(type(self.given))
        along = [module] if by_value and module is not None and not _installed(module) else []
        try:
            for one in along:
                cloudpickle.register_pickle_by_value(one)
            return bytes(cloudpickle.dumps(self))
        except Exception as error:
            raise BadInput(f"The trainer {self.name} cannot be sent to workers: {_said(error)}.") from error
        finally:
            for one in along:
                cloudpickle.unregister_pickle_by_value(one)

    def fit(self, x: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
        """A fitted model: an object with ``predict`` (and ``predict_proba``, where probabilities are asked for).

        Raises `TrainerFailed` with the trainer's own message where it raises or returns what cannot predict.
        """
        if self.task == "classification" and len(np.unique(y)) == 1:
            return _Constant(y[0])
        try:
            if self.form == "function":
                model = self.given(x, y, seed=seed)
            else:
                model = _seeded(self._estimator(x), seed).fit(x, y)
        except (Exception, SystemExit) as error:
            raise TrainerFailed(f"The trainer {self.name} raised {_said(error)} on {len(y):,} rows.") from error
        if not callable(getattr(model, "predict", None)):
            raise TrainerFailed(
                f"The trainer {self.name} returned {type(model).__name__}, which has no predict. Return the fitted"
                " model."
            )
        return model

    def predict(self, model: Any, x: pd.DataFrame) -> np.ndarray:
        """One prediction a row; raises `TrainerFailed` where the model raises or does not answer row by row."""
        predicted = self._ask(model.predict, x)
        if predicted.shape != (len(x),):
            raise TrainerFailed(
                f"The model of trainer {self.name} was asked for {len(x):,} predictions and returned shape"
                f" {predicted.shape}; one value a row is needed."
            )
        if self.task == "regression":
            try:
                predicted = predicted.astype(np.float64)
            except (TypeError, ValueError) as error:
                raise TrainerFailed(
                    f"The model of trainer {self.name} does not predict numbers: {_said(error)}."
                ) from error
        if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
            wrong = int((~np.isfinite(predicted)).sum())
            raise TrainerFailed(
                f"The model of trainer {self.name} predicted NaN or infinity for {wrong:,} of {len(x):,} rows."
            )
        return predicted

    def predict_proba(self, model: Any, x: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities, shape (rows, classes), and the classes of their columns."""
        if not callable(getattr(model, "predict_proba", None)) or not hasattr(model, "classes_"):
            raise TrainerFailed(
                f"The model of trainer {self.name} has no predict_proba and classes_; use --metric error."
            )
        shares = self._ask(model.predict_proba, x)
        classes = np.asarray(model.classes_)
        if shares.shape != (len(x), len(classes)) or not np.isfinite(shares).all():
            raise TrainerFailed(
                f"The model of trainer {self.name} returned probabilities that are not one row per row."
            )
        return shares, classes

    def _ask(self, method: Callable[[Any], Any], x: pd.DataFrame) -> np.ndarray:
        try:
            return np.asarray(method(x))
        except (Exception, SystemExit) as error:
            raise TrainerFailed(f"The model of trainer {self.name} raised {_said(error)} on predicting.") from error

    def _estimator(self, x: pd.DataFrame) -> Any:
        if self.form == "text":
            return _text_pipeline(list(x.columns), self.task)
        if self.form == "default":
            from skrub import tabular_pipeline

            return tabular_pipeline("classification" if self.task == "classification" else "regression")
        from sklearn.base import BaseEstimator, clone
        from sklearn.pipeline import Pipeline

        estimator = self.given() if self.form == "factory" else clone(self.given, safe=False)
        plain = all(kind.kind in "biuf" for kind in x.dtypes)
        if plain or isinstance(estimator, Pipeline) or not isinstance(estimator, BaseEstimator):
            return estimator
        from skrub import tabular_pipeline

        return tabular_pipeline(estimator)


class _Constant:
    """All that a window with a single class teaches."""

    def __init__(self, value: Any) -> None:
        self.classes_ = np.array([value])

    def predict(self, x: pd.DataFrame) -> np.ndarray:
        return np.repeat(self.classes_, len(x))

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        return np.ones((len(x), 1))


def unpickled(payload: bytes) -> Trainer:
    """The trainer in `payload`; raises `TrainerFailed` where this worker lacks what it is made of."""
    try:
        trainer: Trainer = pickle.loads(payload)  # noqa: S301 - made by `Trainer.pickled` for this run
    except Exception as error:
        raise TrainerFailed(
            f"A worker cannot load the trainer: {_said(error)}. Install there what it imports."
        ) from error
    return trainer


def resolve(model: Any, task: str, *, texts_only: bool) -> Trainer:
    """The trainer that `model` means.

    Parameters
    ----------
    model
        A trainer; None for the default learner; ``module:name``; an estimator, an estimator class, a factory without
        arguments, or a function ``train(X, y, *, seed)``.
    task
        ``classification`` or ``regression``.
    texts_only
        Whether every feature is free text, which has a default learner of its own.
    """
    if isinstance(model, Trainer):
        return model
    if model is None:
        if texts_only:
            return Trainer("TF-IDF and a linear model", "text", task)
        return Trainer("skrub's tabular pipeline (gradient boosting)", "default", task)
    name = str(model) if isinstance(model, str) else getattr(model, "__qualname__", type(model).__name__)
    given = _imported(model) if isinstance(model, str) else model
    if inspect.isclass(given):
        if not hasattr(given, "fit"):
            raise BadInput(
                f"--model {name} is a class without fit; give an estimator or a function train(X, y, *, seed)."
            )
        return Trainer(name, "factory", task, given)
    if hasattr(given, "fit"):
        return Trainer(name, "estimator", task, given)
    if not callable(given):
        raise BadInput(
            f"--model {name} is {type(given).__name__}, not a trainer; give an estimator, a factory or a function"
            " train(X, y, *, seed)."
        )
    return Trainer(name, "function" if _takes_rows(given) else "factory", task, given)


def _installed(module: ModuleType) -> bool:
    """Whether a worker's own Python can be expected to have it: the standard library's and installed packages."""
    if module.__name__.partition(".")[0] in {*sys.stdlib_module_names, "shelflife"}:
        return module.__name__ != "__main__"
    return bool({"site-packages", "dist-packages"} & set(Path(getattr(module, "__file__", None) or "").parts))


def _takes_rows(given: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(given).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return sum(p.default is p.empty for p in positional) >= 2 or any(p.name == "seed" for p in parameters)


def _imported(written: str) -> Any:
    module_name, _, name = written.partition(":")
    if not module_name or not name:
        raise BadInput(f"--model asks for module:name, such as my_models:train; found {written!r}.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise BadInput(f"--model {written}: importing {module_name!r} raised {_said(error)}.") from error
    module = found
    for part in name.split("."):
        if not hasattr(found, part):
            public = [word for word in vars(module) if not word.startswith("_")]
            raise BadInput(f"--model {written}: module {module_name!r} has no {name!r}. {nearest(name, public)}")
        found = getattr(found, part)
    return found


def _seeded(estimator: Any, seed: int) -> Any:
    if hasattr(estimator, "get_params"):
        seeds = {key: seed for key in estimator.get_params() if key == "random_state" or key.endswith("__random_state")}
        estimator.set_params(**seeds)
    return estimator


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def _text_pipeline(columns: list[str], task: str) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge, SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    words = [
        (make_pipeline(FunctionTransformer(_filled), TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))), column)
        for column in columns
    ]
    learner = SGDClassifier(loss="log_loss", alpha=1e-5) if task == "classification" else Ridge()
    return make_pipeline(make_column_transformer(*words), learner)


def _filled(texts: Any) -> Any:
    return texts.fillna("").astype(str)


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Keep warnings off the screen; the list holds the distinct ones at the end."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    found = {f"{w.category.__name__}: {str(w.message).strip().splitlines()[0][:200]}" for w in caught if str(w.message)}
    said.extend(sorted(found))
