"""A canary goes back on evidence, and hardly ever without reason, however often it is looked at."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from shelflife.plan.spec import AbortIf, WorseBy
from shelflife.renew.live import LEVEL, Live, abort, differences, evidence

TRIALS = 200


def stream(draw: np.random.Generator, share: float, ours: float, theirs: float, rows: int) -> np.ndarray:
    own = draw.random(rows) < share
    wrong = draw.random(rows) < np.where(own, ours, theirs)
    return differences(zip(own.tolist(), wrong.astype(float).tolist(), strict=True))


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_one_that_is_worse_by_what_is_allowed_is_aborted_at_most_at_the_level(share: float) -> None:
    draw = np.random.default_rng(int(share * 100))
    # The most that was ever held against it: as if one had looked after each outcome.
    rung = sum(evidence(stream(draw, share, 0.22, 0.20, 3000), 0.02) >= np.log(1 / LEVEL) for _ in range(TRIALS))
    assert rung / TRIALS <= LEVEL + 2 * np.sqrt(LEVEL / TRIALS)


def test_one_that_is_much_worse_is_found_within_some_hundred_answers() -> None:
    draw = np.random.default_rng(0)
    found = [evidence(stream(draw, 0.25, 0.5, 0.2, 1200), 0.02) >= np.log(1 / LEVEL) for _ in range(100)]
    assert np.mean(found) >= 0.95


def test_what_it_could_not_answer_and_what_took_too_long_send_it_back() -> None:
    none = np.empty(0)
    asked = AbortIf(error=WorseBy(worse_by=0.02), latency_p95=timedelta(milliseconds=50))
    assert abort(Live(100, 900, 0, none, none, np.full(100, 10.0)), asked) is None
    slow = np.where(np.arange(200) % 4 == 0, 90.0, 10.0)
    assert abort(Live(200, 900, 0, none, none, slow), asked) == "50 of 200 answers took longer than 50 ms"
    assert abort(Live(5, 9, 1, none, none, none), None) == "it could not answer 1 of 6 requests"
    worse = np.ones(60)
    said = abort(Live(60, 60, 0, worse, none, none), asked)
    assert said == "its error is 100.0 points worse on 60 rows; at most 2 were allowed"
