"""Metrics by the plan's names agree with scikit-learn's and with those of a profile."""

from __future__ import annotations

import typing

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from shelflife.models import Answers
from shelflife.plan.spec import REGRESSION, Metric
from shelflife.profile import Reference
from shelflife.profile.metrics import of_joint
from shelflife.renew.measures import figure, measure, statistic

NAMES = typing.get_args(Metric)


def said(classes, count=3000, seed=0):
    """Answers that are right more often than not, and what was true."""
    draw = np.random.default_rng(seed)
    true = draw.integers(0, len(classes), count)
    scores = draw.dirichlet(np.ones(len(classes)), count) + np.eye(len(classes))[true] * draw.random((count, 1))
    scores /= scores.sum(axis=1, keepdims=True)
    words = np.array(classes, dtype=object)
    return Answers(words[scores.argmax(axis=1)], scores, tuple(classes)), words[true]


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_they_are_those_of_a_profile(classes):
    answers, true = said(classes)
    found = measure(answers, true, task="classification", names=NAMES).overall
    assert found.keys() == set(NAMES) - REGRESSION
    score = ["yes"] if len(classes) == 2 else list(classes)
    table = pa.table({
        "said": list(answers.predictions), "true": list(true),
        **{name: answers.scores[:, classes.index(name)] for name in score},
    })  # fmt: skip
    reference = Reference.learn(table, prediction="said", outcome="true", score=score)
    part, profile = reference.layout.outcome, reference.profile
    theirs = of_joint(part, profile.of(part)[0], profile.sums_of(part)[0])
    for name, value in found.items():
        # A profile takes scores of one of a hundred bins for equal.
        near = 5e-3 if name in {"roc_auc", "average_precision"} else 1e-6
        assert value == pytest.approx(theirs[name], abs=near), name


def test_they_are_those_of_scikit_learn():
    answers, true = said(("no", "yes"))
    found = measure(answers, true, task="classification", names=NAMES).overall
    is_yes, chance = true == "yes", answers.scores[:, 1]
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(is_yes, chance))
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(is_yes, chance))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(is_yes, chance))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(is_yes, chance))


def test_a_regression():
    draw = np.random.default_rng(0)
    true = draw.normal(size=500)
    answers = Answers(true + draw.normal(scale=0.1, size=500))
    found = measure(answers, true, task="regression", names=NAMES).overall
    assert found == pytest.approx({
        "mae": metrics.mean_absolute_error(true, answers.predictions),
        "rmse": metrics.root_mean_squared_error(true, answers.predictions),
        "r2": metrics.r2_score(true, answers.predictions),
    })  # fmt: skip


def test_segments_are_measured_apart():
    answers, true = said(("no", "yes"), 200)
    channel = ["web" if place % 2 else "mail" for place in range(195)] + [None] * 3 + ["fax"] * 2
    found = measure(answers, true, task="classification", names=["accuracy"], segments={"channel": channel})
    assert list(found.segments["channel"]) == ["mail", "web"]
    web = np.array(channel) == "web"
    assert found.segments["channel"]["web"]["accuracy"] == np.mean(answers.predictions[web] == true[web])


def test_what_is_not_known_is_left_out():
    answers = Answers(np.array(["a", "b", "b"], dtype=object))
    found = measure(answers, ["a", None, "a"], task="classification", names=["accuracy", "log_loss"])
    assert (found.rows, found.overall) == (2, {"accuracy": 0.5})
    assert measure(answers, [None] * 3, task="classification", names=["accuracy"]).overall == {}


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c"), ()])
def test_how_often_a_row_counts_is_as_if_it_were_there_so_often(classes):
    draw = np.random.default_rng(1)
    answers, true = said(classes or ("no", "yes"), 300)
    if not classes:
        true = draw.normal(size=300)
        answers = Answers(true + draw.normal(scale=0.1, size=300))
    times = draw.integers(0, 3, 300)
    rows = np.repeat(np.arange(300), times)
    scores = None if answers.scores is None else answers.scores[rows]
    repeated = Answers(answers.predictions[rows], scores, answers.classes)
    asked = [name for name in NAMES if (name in REGRESSION) != bool(classes)]
    for name in asked:
        found = statistic(name, true, answers)
        assert found(times * 1.0) == pytest.approx(figure(name, true[rows], repeated)), name
        assert found(None) == pytest.approx(found(np.ones(300))), name
    for name in set(NAMES) - set(asked):
        assert statistic(name, true, answers)(None) is None
    one_class = (true == true[0]) * 1.0
    if classes:
        assert [statistic(name, true, answers)(one_class) for name in ("roc_auc", "average_precision")] == [None] * 2


def test_chances_that_are_missing_and_classes_that_do_not_occur_rank_nothing():
    answers, true = said(("no", "yes"), 300)
    ranked = ("roc_auc", "average_precision")
    assert None not in [figure(name, true, answers) for name in ranked]
    holed = answers.scores.copy()
    holed[:5] = np.nan
    missing = Answers(answers.predictions, holed, answers.classes)
    names = (*ranked, "calibration_error", "log_loss", "brier")
    assert [figure(name, true, missing) for name in names] == [None] * 5
    other = np.where(true == "no", "another", true).astype(object)
    assert [figure(name, other, answers) for name in ranked] == [None] * 2


def test_outcomes_that_do_not_vary_have_no_r2():
    draw = np.random.default_rng(0)
    true = np.full(100, 0.1)
    assert figure("r2", true, Answers(true + draw.normal(size=100))) is None
    assert figure("rmse", true, Answers(true + 1.0)) == pytest.approx(1.0)
