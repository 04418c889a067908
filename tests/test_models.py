"""What a loaded model says counts where it is one finite answer a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from shelflife.models import Model, Unloadable


class Says:
    """A model that says what it is told to."""

    classes_ = np.array([0.0, 1.0])

    def __init__(self, says: Any) -> None:
        self._says = says

    def predict(self, rows: pd.DataFrame) -> Any:
        return self._says


class SaysChances(Says):
    def predict_proba(self, rows: pd.DataFrame) -> Any:
        return self._says


@pytest.mark.parametrize(
    ("task", "given", "says"),
    [
        ("regression", Says([1.0, np.nan]), "The model answered NaN or infinity"),
        ("regression", Says([1.0]), r"asked for 2 answers and gave shape \(1,\)"),
        ("classification", SaysChances([[0.4, 0.6], [np.nan, 0.5]]), "chances that are NaN or infinity"),
        ("classification", SaysChances([[0.4, 0.6]]), r"asked for 2 answers and gave shape \(1,\)"),
    ],
)
def test_what_is_no_finite_answer_a_row_is_refused(task: str, given: Any, says: str) -> None:
    with pytest.raises(Unloadable, match=says):
        Model({"x": "numeric"}, task, given).answer(pd.DataFrame({"x": [1.0, 2.0]}))


def test_classes_are_words_as_outcomes_are_kept() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0]})
    found = Model({"x": "numeric"}, "classification", SaysChances([[0.4, 0.6], [0.9, 0.1]])).answer(rows)
    assert (found.predictions.tolist(), found.classes) == (["1", "0"], ("0", "1"))
