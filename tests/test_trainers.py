from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from shelflife import trainers
from shelflife.errors import BadInput, TrainerFailed

X = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40.0)[::-1]})
Y = (np.arange(40) > 20).astype(int)


def _resolve(model: object, task: str = "classification") -> trainers.Trainer:
    return trainers.resolve(model, task, texts_only=False)


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), LogisticRegression, lambda: LogisticRegression(), lambda x, y, *, seed: Ridge().fit(x, y)],
    ids=["estimator", "class", "factory", "function"],
)
def test_every_form_of_trainer_predicts_row_by_row(model: object) -> None:
    trainer = _resolve(model)
    assert trainer.predict(trainer.fit(X, Y, seed=1), X).shape == (40,)


def test_the_default_learns_from_mixed_columns_with_gaps() -> None:
    mixed = X.assign(
        kind=["a", "b", None, "d"] * 10,
        flag=[True, False] * 20,
        when=pd.date_range("2026-01-01", periods=40).where(np.arange(40) % 7 > 0),
        note=[f"a longer note, number {i}, about nothing" for i in range(40)],
        empty=[None] * 40,
    )
    trainer = _resolve(None)
    assert (trainer.predict(trainer.fit(mixed, Y, seed=0), mixed) == Y).mean() > 0.9


def test_texts_alone_get_a_learner_of_words() -> None:
    texts = pd.DataFrame({"text": ["please refund my order now", "where is my new card", None, "refund me"] * 10})
    y = np.array(["refund", "card", "card", "refund"] * 10, dtype=object)
    trainer = trainers.resolve(None, "classification", texts_only=True)
    assert (trainer.predict(trainer.fit(texts, y, seed=0), texts) == y).all()


def test_an_estimator_for_numbers_gets_its_columns_made_numbers() -> None:
    trainer = _resolve(LogisticRegression())
    words = X.assign(kind=["u", "v"] * 20)
    assert (trainer.predict(trainer.fit(words, Y, seed=0), words) == Y).mean() > 0.9


def test_the_seed_reaches_the_estimator_and_the_given_one_is_left_alone() -> None:
    forest = RandomForestClassifier(n_estimators=2)
    fitted = _resolve(forest).fit(X, Y, seed=5)
    assert fitted.random_state == 5
    assert forest.random_state is None


def test_a_window_with_one_class_teaches_that_class() -> None:
    trainer = _resolve(LogisticRegression())
    model = trainer.fit(X, np.repeat("only", 40), seed=0)
    assert set(trainer.predict(model, X)) == {"only"}
    shares, classes = trainer.predict_proba(model, X)
    assert shares.shape == (40, 1)
    assert classes.tolist() == ["only"]


def _broken(x: object, y: object, *, seed: int) -> None:
    raise RuntimeError("no disk\nsecond line")


class _Nonsense:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def predict(self, x: object) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_trainer_that_raises_is_named_with_its_message() -> None:
    with pytest.raises(TrainerFailed, match=r"_broken raised RuntimeError: no disk on 40 rows"):
        _resolve(_broken).fit(X, Y, seed=0)


def test_a_trainer_that_returns_no_model_is_told_what_to_return() -> None:
    with pytest.raises(TrainerFailed, match=r"returned int, which has no predict"):
        _resolve(lambda x, y, *, seed: 7).fit(X, Y, seed=0)


@pytest.mark.parametrize(
    ("answer", "task", "message"),
    [
        (np.zeros(3), "regression", r"asked for 40 predictions and returned shape \(3,\)"),
        (np.zeros((40, 2)), "regression", r"returned shape \(40, 2\)"),
        (np.full(40, np.nan), "regression", r"predicted NaN or infinity for 40 of 40"),
        (np.repeat("x", 40), "regression", r"does not predict numbers"),
        (ValueError("bad x"), "classification", r"raised ValueError: bad x on predicting"),
    ],
)
def test_nonsense_predictions_are_named(answer: object, task: str, message: str) -> None:
    trainer = _resolve(lambda x, y, *, seed: _Nonsense(answer), task)
    with pytest.raises(TrainerFailed, match=message):
        trainer.predict(trainer.fit(X, Y, seed=0), X)


def test_probabilities_are_asked_only_of_models_that_have_them() -> None:
    trainer = _resolve(lambda x, y, *, seed: _Nonsense(Y))
    with pytest.raises(TrainerFailed, match=r"has no predict_proba and classes_; use --metric error"):
        trainer.predict_proba(trainer.fit(X, Y, seed=0), X)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "my_models_here.py").write_text("number = 3\n\ndef train(X, y, *, seed):\n    return None\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_models_here"


def test_a_name_is_imported_from_the_folder_one_is_in(module: str) -> None:
    assert _resolve(f"{module}:train").form == "function"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("train", r"asks for module:name"),
        ("no_such_module:train", r"importing 'no_such_module' raised ModuleNotFoundError"),
        ("my_models_here:trian", r"has no 'trian'. Did you mean 'train'"),
        ("my_models_here:number", r"is int, not a trainer; give an estimator"),
        ("pathlib:Path", r"is a class without fit"),
    ],
)
def test_a_name_that_is_no_trainer_is_explained(written: str, message: str, module: str) -> None:
    with pytest.raises(BadInput, match=message):
        _resolve(written)


def test_a_trainer_of_ones_own_travels_by_value_to_workers_without_its_module(module: str, tmp_path: Path) -> None:
    payload = _resolve(f"{module}:train").pickled(by_value=True)
    (tmp_path / "payload").write_bytes(payload)
    program = "import sys, pathlib, pickle; print(pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()).name)"
    for where, loads in ((payload, 0), (_resolve(f"{module}:train").pickled(by_value=False), 1)):
        (tmp_path / "payload").write_bytes(where)
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "payload")], cwd="/", capture_output=True, check=False
        )
        assert (done.returncode != 0) == bool(loads)


def test_a_worker_that_lacks_the_trainer_says_so(module: str) -> None:
    payload = _resolve(f"{module}:train").pickled(by_value=False)
    with pytest.raises(TrainerFailed, match=r"A worker cannot load the trainer: ModuleNotFoundError"):
        trainers.unpickled(payload.replace(b"my_models_here", b"my_models_gone"))


def test_a_trainer_that_cannot_be_sent_is_told(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file, pytest.raises(BadInput, match=r"cannot be sent to workers"):
        _resolve(lambda x, y, *, seed: file).pickled(by_value=False)
