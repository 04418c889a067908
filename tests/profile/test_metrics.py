from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sklearn

from shelflife.profile import Reference, metrics

ROWS = 4_000


def _found(table: pa.Table, reference: pa.Table | None = None, **roles: Any) -> dict[str, float]:
    """The metrics of one table, counted in two parts with the reference learnt from another (or itself)."""
    learnt = Reference.learn(table if reference is None else reference, **roles)
    profile = learnt.count(table.slice(0, 7)) + learnt.count(table.slice(7))
    part: Any = learnt.layout.outcome
    if part.__class__.__name__ == "Residual":
        return metrics.of_residual(profile.of(part)[0], profile.sums_of(part)[0])
    return metrics.of_joint(part, profile.of(part)[0], profile.sums_of(part)[0])


def _binary(seed: int, *, rate: float = 0.3, rows: int = ROWS) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(seed)
    true = (random.random(rows) < rate).astype(int)
    odds = random.normal(1.2 * true - 1.0, 1.0)
    score = 1 / (1 + np.exp(-odds))
    return score, (score >= 0.5).astype(int), true


def _check_confusion(found: dict[str, float], said: Any, true: Any, names: dict[Any, str]) -> None:
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(true, said), abs=1e-12)
    assert found["error"] == pytest.approx(1 - sklearn.accuracy_score(true, said), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(
        sklearn.recall_score(true, said, average="macro", labels=np.unique(true), zero_division=0), abs=1e-12
    )
    labels = sorted({*true, *said})
    each = sklearn.precision_recall_fscore_support(true, said, labels=labels, zero_division=0)
    macro = sklearn.precision_recall_fscore_support(true, said, average="macro", zero_division=0)
    for place, name in enumerate(("precision", "recall", "f1")):
        assert found[name] == pytest.approx(macro[place], abs=1e-12)
        for label, value in zip(labels, each[place], strict=True):
            assert found[f"{name}[{names[label]}]"] == pytest.approx(value, abs=1e-12)


def _calibration_error(score: Any, hit: Any) -> float:
    """Naeini et al.: ten equal bins of the score, the mean distance of hits from scores."""
    places = np.minimum((np.asarray(score) * 10 + 1e-9).astype(int), 9)
    inside = [places == place for place in range(10) if (places == place).any()]
    return float(sum(abs(hit[rows].mean() - score[rows].mean()) * rows.mean() for rows in inside))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [0.02, 0.3, 0.95])
def test_metrics_of_a_yes_or_no_are_those_of_scikit_learn(seed: int, rate: float) -> None:
    score, said, true = _binary(seed, rate=rate)
    found = _found(pa.table({"p": score, "said": said, "y": true}), prediction="said", score="p", outcome="y")
    _check_confusion(found, said, true, {0: "0", 1: "1"})
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(true, score), abs=1e-6)
    assert found["brier"] == pytest.approx(sklearn.brier_score_loss(true, score), abs=1e-6)
    assert found["calibration_error"] == pytest.approx(_calibration_error(score, true), abs=1e-6)
    # Scores of one bin count as ties: off by at most half of the pairs that a bin makes ties of.
    bins = (score * 100).astype(int)
    ones, zeros = np.bincount(bins[true == 1], minlength=100), np.bincount(bins[true == 0], minlength=100)
    tied = (ones * zeros).sum() / (ones.sum() * zeros.sum())
    assert found["roc_auc"] == pytest.approx(sklearn.roc_auc_score(true, score), abs=tied / 2)
    assert found["roc_auc"] == pytest.approx(sklearn.roc_auc_score(true, bins), abs=1e-9)
    assert found["average_precision"] == pytest.approx(sklearn.average_precision_score(true, bins), abs=1e-9)
    assert found["average_precision"] == pytest.approx(sklearn.average_precision_score(true, score), abs=0.03)


@pytest.mark.parametrize("offset", [0.0, 0.005], ids=["at the least of a bin", "at its centre"])
def test_ranking_is_exact_for_scores_of_two_decimals(offset: float) -> None:
    score, _, true = _binary(5)
    score = np.floor(score * 100) / 100 + offset
    found = _found(pa.table({"p": score, "y": true}), score="p", outcome="y")
    assert found["roc_auc"] == pytest.approx(sklearn.roc_auc_score(true, score), abs=1e-12)
    assert found["average_precision"] == pytest.approx(sklearn.average_precision_score(true, score), abs=1e-12)


def test_certain_scores_that_are_wrong_lose_as_much_as_in_scikit_learn() -> None:
    score = np.array([0.0, 1.0, 1.0, 0.0, 0.5] * 4)
    true = np.array([0, 1, 0, 1, 1] * 4)
    found = _found(pa.table({"p": score, "y": true}), score="p", outcome="y")
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(true, score), abs=1e-6)
    assert found["brier"] == pytest.approx(sklearn.brier_score_loss(true, score), abs=1e-6)


def test_without_a_prediction_the_score_says_it_at_one_half() -> None:
    score, said, true = _binary(6)
    found = _found(pa.table({"p": score, "y": true}), score="p", outcome="y")
    _check_confusion(found, said, true, {0: "0", 1: "1"})


def test_a_score_of_the_first_class_is_read_as_its_chance() -> None:
    score, said, true = _binary(7)
    words = np.array(["bad", "good"])
    table = pa.table({"p": 1 - score, "said": words[said], "y": words[true]})
    found = _found(table, prediction="said", score="p", outcome="y")
    _check_confusion(found, words[said], words[true], {"bad": "bad", "good": "good"})
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(true, score), abs=1e-6)
    assert found["roc_auc"] == pytest.approx(sklearn.roc_auc_score(true, score), abs=0.005)


def test_confidence_in_what_was_predicted_is_calibrated_against_being_right() -> None:
    random = np.random.default_rng(8)
    sure = random.uniform(0.34, 1, ROWS)
    said = random.choice(["a", "b", "c"], ROWS)
    true = np.where(random.random(ROWS) < sure**2, said, random.choice(["a", "b", "c"], ROWS))
    found = _found(pa.table({"p": sure, "said": said, "y": true}), prediction="said", score="p", outcome="y")
    _check_confusion(found, said, true, {c: c for c in "abc"})
    assert found["calibration_error"] == pytest.approx(_calibration_error(sure, said == true), abs=1e-6)
    assert not {"roc_auc", "log_loss", "brier"} & set(found)


@pytest.mark.parametrize("with_prediction", [True, False])
def test_one_score_per_class_is_macro_over_one_against_the_rest(with_prediction: bool) -> None:
    random = np.random.default_rng(9)
    true = random.integers(3, size=ROWS)
    odds = random.normal(size=(ROWS, 3)) + 1.5 * (true[:, None] == np.arange(3))
    chance = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    said, words = chance.argmax(axis=1), np.array(["card", "cash", "top up"])
    columns = {f"score_{word}": chance[:, place] for place, word in enumerate(words)}
    table = pa.table({**columns, "y": words[true], "said": words[said]})
    roles = {"prediction": "said"} if with_prediction else {"exclude": ["said"]}
    found = _found(table, score=list(columns), outcome="y", **roles)
    _check_confusion(found, words[said], words[true], {word: word for word in words})
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(true, chance), abs=1e-6)
    squares = ((chance - (true[:, None] == np.arange(3))) ** 2).sum(axis=1)
    assert found["brier"] == pytest.approx(squares.mean(), abs=1e-6)
    assert found["roc_auc"] == pytest.approx(sklearn.roc_auc_score(true, chance, multi_class="ovr"), abs=0.003)
    each = [sklearn.average_precision_score(true == place, chance[:, place]) for place in range(3)]
    assert found["average_precision"] == pytest.approx(np.mean(each), abs=0.01)
    top = chance.max(axis=1)
    assert found["calibration_error"] == pytest.approx(_calibration_error(top, said == true), abs=1e-6)


def test_scores_of_classes_are_matched_by_their_names_and_not_their_order() -> None:
    table = pa.table(
        {"p_b": [0.9, 0.2, 0.4], "p_ab": [0.05, 0.1, 0.5], "p(a)": [0.05, 0.7, 0.1], "y": ["b", "a", "ab"]}
    )
    reference = Reference.learn(table, score=["p_b", "p_ab", "p(a)"], outcome="y")
    assert reference.layout.outcome.classes == ("b", "ab", "a")  # type: ignore[union-attr]
    assert _found(table, score=["p_b", "p_ab", "p(a)"], outcome="y")["accuracy"] == 1.0


def test_rows_whose_outcome_is_not_known_are_left_out() -> None:
    score, said, true = _binary(10)
    gone = np.random.default_rng(0).random(ROWS) < 0.4
    table = pa.table({"p": score, "said": said, "y": pa.array(true, mask=gone)})
    found = _found(table, prediction="said", score="p", outcome="y")
    _check_confusion(found, said[~gone], true[~gone], {0: "0", 1: "1"})
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(true[~gone], score[~gone]), abs=1e-6)
    whole = Reference.learn(table, prediction="said", score="p", outcome="y")
    part: Any = whole.layout.outcome
    scored, confusion, _ = part.tables(whole.profile.of(part)[0])
    assert (confusion[:, -1].sum(), scored[:, :, 2].sum()) == (gone.sum(), gone.sum())
    assert metrics.of_joint(part, whole.count(table.filter(pa.array(gone))).of(part)[0], np.zeros(part.sums)) == {}


def test_rows_without_a_score_count_in_what_needs_none() -> None:
    score, said, true = _binary(11)
    odd = np.random.default_rng(0).random(ROWS) < 0.2
    clean = pa.table({"p": score, "said": said, "y": true})
    dirty = clean.set_column(0, "p", pa.array(np.where(odd, np.resize([np.nan, -1, 7, np.inf, -np.inf], ROWS), score)))
    found = _found(dirty, clean, prediction="said", score="p", outcome="y")
    assert found["accuracy"] == pytest.approx((said == true).mean())
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(true[~odd], score[~odd]), abs=1e-6)
    assert found["brier"] == pytest.approx(sklearn.brier_score_loss(true[~odd], score[~odd]), abs=1e-6)
    assert found["calibration_error"] == pytest.approx(_calibration_error(score[~odd], true[~odd]), abs=1e-6)


LABELS: dict[str, tuple[Any, Any]] = {
    "bool and int": (lambda x: pa.array(x.astype(bool)), pa.array),
    "text and float": (lambda x: pa.array(x.astype(str)), lambda x: pa.array(x.astype(float))),
    "int8 and dictionary": (lambda x: pa.array(x, pa.int8()), lambda x: pa.array(x.astype(str)).dictionary_encode()),
    "float32 and bool": (lambda x: pa.array(x, pa.float32()), lambda x: pa.array(x.astype(bool))),
    "decimal and int": (lambda x: pa.array(x).cast(pa.decimal128(20, 0)), pa.array),
}


@pytest.mark.parametrize("kinds", LABELS)
def test_labels_of_different_types_match(kinds: str) -> None:
    said, true = LABELS[kinds]
    score, guesses, truth = _binary(12)
    table = pa.table({"p": score, "said": said(guesses), "y": true(truth)})
    found = _found(table, prediction="said", score="p", outcome="y")
    _check_confusion(found, guesses, truth, {0: "0", 1: "1"})
    assert found["roc_auc"] == pytest.approx(sklearn.roc_auc_score(truth, score), abs=0.005)


def test_what_is_no_known_class_is_never_right() -> None:
    table = pa.table({"said": ["a", "b", "a"], "y": ["a", "b", "b"]})
    now = pa.table({"said": ["a", "z", None, "z", "b", "b", "a"], "y": ["a", "z", "a", "y", "b", None, "a"]})
    found = _found(now, table, prediction="said", outcome="y")
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["recall[a]"] == pytest.approx(2 / 3)
    assert found["precision[b]"] == 1.0


def test_one_class_alone_has_no_ranking() -> None:
    table = pa.table({"p": [0.1, 0.9, 0.4], "y": [0, 1, 0]})
    found = _found(pa.table({"p": [0.1, 0.9, 0.4] * 4, "y": [0] * 12}), table, score="p", outcome="y")
    assert not {"roc_auc", "average_precision"} & set(found)
    assert found["brier"] == pytest.approx((0.01 + 0.81 + 0.16) / 3, abs=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e9])
def test_metrics_of_a_regression_are_those_of_scikit_learn(factor: float) -> None:
    random = np.random.default_rng(13)
    said = random.normal(100, 20, ROWS) * factor
    true = said + random.standard_t(4, ROWS) * 5 * factor
    gone = random.random(ROWS) < 0.1
    table = pa.table({"said": said, "y": pa.array(true, mask=gone)})
    found = _found(table, prediction="said", outcome="y")
    assert found["mean_absolute_error"] == pytest.approx(
        sklearn.mean_absolute_error(true[~gone], said[~gone]), rel=1e-6
    )
    assert found["root_mean_squared_error"] == pytest.approx(
        sklearn.root_mean_squared_error(true[~gone], said[~gone]), rel=1e-3
    )
    assert found["r2"] == pytest.approx(sklearn.r2_score(true[~gone], said[~gone]), abs=1e-3)


def test_a_regression_without_outcomes_has_no_metrics_yet() -> None:
    table = pa.table({"said": [1.5, 2.5, 3.5], "y": pa.array([1.0, 2.0, 3.0])})
    later = pa.table({"said": [1.5, 2.5, float("nan"), 3.5]})
    assert _found(later, table, prediction="said", outcome="y", task="regression") == {}
    learnt = Reference.learn(table, prediction="said", outcome="y", task="regression")
    part: Any = learnt.layout.outcome
    assert learnt.count(later).of(part)[0, :3].tolist() == [1, 3, 0]


def test_the_bounded_loss_is_rounded_down_to_whole_steps() -> None:
    from shelflife.profile.residual import FIRST, STEPS

    random = np.random.default_rng(14)
    true, said = random.normal(size=1_000), random.normal(size=1_000)
    learnt = Reference.learn(pa.table({"said": said, "y": true}), prediction="said", outcome="y", task="regression")
    part: Any = learnt.layout.outcome
    assert part.scale == pytest.approx(np.quantile(np.abs(true - said), 0.99))
    steps = np.floor(np.minimum(np.abs(true - said) / part.scale, 1) * STEPS).astype(int)
    assert learnt.profile.of(part)[0, FIRST:].tolist() == np.bincount(steps, minlength=STEPS + 1).tolist()
