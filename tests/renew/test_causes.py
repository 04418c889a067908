"""A prior shift is told where there is one, and hardly ever where something else has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.renew.living import DESK, Desk

from shelflife.models import Answers
from shelflife.renew.causes import Prior, prior_shift, weighing

TRIALS = 200


def rows(draw: np.random.Generator, count: int, share: float, *, apart: float = 2.0) -> tuple[Any, Answers]:
    """Rows whose outcome moves a number, and what a model says of them that has learnt half of each, 2 apart."""
    yes = draw.random(count) < share
    number = draw.normal(size=count) + apart * (yes - 0.5)
    chance = 1 / (1 + np.exp(-2.0 * number))
    scores = np.column_stack([1 - chance, chance])
    said = np.array(["no", "yes"], dtype=object)[scores.argmax(axis=1)]
    return np.where(yes, "yes", "no").astype(object), Answers(said, scores, ("no", "yes"))


def found(draw: np.random.Generator, share: float, apart: float = 2.0, count: int = 1500, **given: Any) -> Prior | None:
    before, now = rows(draw, count, 0.5), rows(draw, count, share, apart=apart)
    return prior_shift(before, now, **{"metric": "accuracy", "rival": None, "tolerance": 0.05, **given})


def test_other_shares_of_the_same_are_found_and_the_threshold_is_that_of_bayes() -> None:
    draw = np.random.default_rng(0)
    every = [found(draw, 0.85) for _ in range(TRIALS)]
    told = [one for one in every if one is not None]
    assert len(told) >= 0.85 * TRIALS
    assert np.mean([one.weights["yes"] for one in told]) == pytest.approx(0.85 / 0.15, rel=0.1)
    assert np.mean([one.weighed - one.champion for one in told]) > 0.03
    assert "yes came true in 8" in told[0].says
    assert "recalibrate the threshold (say yes from a chance of 0.1" in told[0].says


@pytest.mark.parametrize(("share", "apart"), [(0.5, 2.0), (0.5, 0.5), (0.85, 1.0), (0.52, 2.0)])
def test_nothing_is_told_where_nothing_or_the_relation_or_both_have_changed(share: float, apart: float) -> None:
    draw = np.random.default_rng(1)
    assert sum(found(draw, share, apart) is not None for _ in range(TRIALS)) <= 0.02 * TRIALS


def test_nothing_is_told_of_too_few_rows_or_of_a_model_without_chances() -> None:
    draw = np.random.default_rng(2)
    assert all(found(draw, 0.85, count=100) is None for _ in range(20))  # 15 are of the one outcome
    before, (truth, answers) = rows(draw, 1500, 0.5), rows(draw, 1500, 0.85)
    without = Answers(answers.predictions)
    assert prior_shift(before, (truth, without), metric="accuracy", rival=None, tolerance=0.05) is None
    other = np.where(draw.random(1500) < 0.1, "other", truth)  # which it does not know
    assert prior_shift(before, (other, answers), metric="accuracy", rival=None, tolerance=0.05) is None


def test_the_rival_is_measured_on_the_same_rows() -> None:
    draw = np.random.default_rng(3)
    before, now = rows(draw, 1500, 0.5), rows(draw, 1500, 0.85)
    always = Answers(np.full(1500, "yes", dtype=object))
    told = prior_shift(before, now, metric="accuracy", rival=always, tolerance=0.05)
    assert told is not None
    assert told.rows == 750
    assert told.challenger == pytest.approx((now[0][750:] == "yes").mean())
    assert f"the challenger {told.challenger:.4g}" in told.says


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_weighed_chances_are_the_shares_on_average(classes: int) -> None:
    draw = np.random.default_rng(classes)
    chances = draw.dirichlet(np.full(classes, 0.3), size=500)
    shares = draw.dirichlet(np.full(classes, 5.0))
    weighed = chances * weighing(chances, shares)
    assert (weighed / weighed.sum(axis=1, keepdims=True)).mean(axis=0) == pytest.approx(shares, abs=1e-3)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_who_decides_reads_that_it_is_a_prior_shift(desk: Callable[..., Desk]) -> None:
    here = desk(challenger={"every": "50w"}, gates=["beats_baseline"], data={"windows": ["5d"], "validate": "4d"})
    here.noise = 1.0
    here.first()
    here.billing = 0.9
    here.live(11, tend=False)
    here.system.renewing.start(DESK, because="it errs more", by="analyst")
    here.tend()
    _, done = here.system.renewing.renewal(here.newest.number)
    evidence = next(one.evidence for one in done if one.name == "choose")
    assert ". Cause: prior shift: billing came true in " in evidence["says"]
    shift = evidence["shift"]
    assert shift["now"]["billing"] == pytest.approx(0.9, abs=0.03)
    assert shift["before"]["billing"] == pytest.approx(0.5, abs=0.05)
    assert shift["weighed"] > shift["champion"]
    assert abs(shift["weighed"] - shift["challenger"]) < 0.02  # learning anew does no better
