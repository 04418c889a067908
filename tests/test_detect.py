from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelflife import detect

VALUES = np.array([0.0, 0.5, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(2, 40))
def test_spreading_keeps_rows_and_mean_and_never_adds_evidence(values: list[float], points: int) -> None:
    sample, grid = np.array(values), np.linspace(0, 1, points)
    counts = detect.spread(sample, grid)
    assert counts.min() >= 0
    assert counts.sum() == pytest.approx(len(sample))
    assert counts @ grid == pytest.approx(sample.sum(), abs=1e-9)
    exact = np.log1p(np.outer(sample - 0.4, detect.bets(0.4))).sum(axis=0)
    assert (detect.log_e(counts[None], grid, 0.4)[0] <= exact + 1e-9).all()


@given(st.integers(0, 30), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_evidence_is_the_same_from_any_split_of_a_bucket(rows: int, limit: float, seed: int) -> None:
    counts = np.random.default_rng(seed).multinomial(rows, [0.3, 0.3, 0.4], size=4).astype(float)
    together = detect.log_e(counts.sum(axis=0, keepdims=True), VALUES, limit)
    assert detect.log_e(counts, VALUES, limit).sum(axis=0) == pytest.approx(together[0])


def test_every_bet_is_allowed_for_any_limit() -> None:
    for limit in (0.001, 0.3, 0.51, 0.999):
        assert (1 + detect.bets(limit) * (0 - limit) > 0).all()


def test_evidence_grows_with_the_level_asked_for() -> None:
    random = np.random.default_rng(0)
    counts = random.multinomial(50, [0.2, 0.5, 0.3], size=100).astype(float)
    verdicts = [detect.onset_test(counts, VALUES, 0.5, alpha).detected for alpha in (0.2, 0.05, 0.01)]
    assert None not in verdicts
    assert verdicts == sorted(verdicts)  # nested: a stricter level is never told earlier


def test_the_onset_of_a_break_is_dated_at_the_break() -> None:
    random = np.random.default_rng(1)
    good = random.multinomial(200, [0.05, 0.9, 0.05], size=60)
    bad = random.multinomial(200, [0.02, 0.83, 0.15], size=20)
    test = detect.onset_test(np.concatenate([good, bad]).astype(float), VALUES, 0.51, 0.05)
    assert test.detected is not None
    assert abs(test.onset - 60) <= 1


def test_a_long_good_youth_hardly_delays_the_verdict() -> None:
    random = np.random.default_rng(2)
    good = random.multinomial(100, [0.1, 0.85, 0.05], size=200).astype(float)
    bad = random.multinomial(100, [0.02, 0.8, 0.18], size=30).astype(float)
    young = detect.onset_test(bad, VALUES, 0.51, 0.05).detected
    old = detect.onset_test(np.concatenate([good, bad]), VALUES, 0.51, 0.05).detected
    assert young is not None
    assert old is not None
    assert old - 200 <= young + 3


def test_without_rows_nothing_is_told() -> None:
    test = detect.onset_test(np.zeros((5, 3)), VALUES, 0.5, 0.05)
    assert test.detected is None
    assert test.onset == 5
    assert test.log_evidence == pytest.approx(np.zeros(5), abs=1e-12)
