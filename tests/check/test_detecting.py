from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shelflife.detect import betting, estimate, limits
from shelflife.detect.detector import Detector, Seen, bets_of, share_logs


def _evidence(hits, rows, limit):
    rising, falling = share_logs(limit)
    return hits[:, None] * rising + (rows - hits)[:, None] * falling


def _bucket(hits: np.ndarray, rows: float, limit: np.ndarray) -> Seen:
    of = np.full(len(hits), rows)
    return Seen(_evidence(hits, of, limit), of, hits, limit)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_detector_goes_on_from_where_it_was_written(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    limit = rng.uniform(0.1, 0.9, size)
    buckets = [_bucket(rng.binomial(50, np.minimum(limit * 1.2, 1)).astype(float), 50.0, limit) for _ in range(12)]
    whole = halves = Detector.start(np.ones(size), 20.0)
    rung, rung_halves = [], []
    for place, bucket in enumerate(buckets):
        whole, alarms = whole.step(bucket)
        rung += alarms
        if place == 6:
            halves = Detector.from_bytes(halves.to_bytes())
        halves, alarms = halves.step(bucket)
        rung_halves += alarms
    assert [a.bucket for a in rung] == [a.bucket for a in rung_halves]
    assert [a.streams.tolist() for a in rung] == [a.streams.tolist() for a in rung_halves]
    assert np.array_equal(whole.log_s, halves.log_s)


def test_the_evidence_of_shares_is_that_of_yes_and_no() -> None:
    limit = np.array([0.3, 0.7])
    hits, rows = np.array([4.0, 9.0]), np.array([10.0, 10.0])
    expected = [
        betting.log_e(np.array([[n - k, k]]), np.array([0.0, 1.0]), m)[0]
        for k, n, m in zip(hits, rows, limit, strict=True)
    ]
    assert _evidence(hits, rows, limit) == pytest.approx(np.array(expected))
    assert bets_of(limit)[0] == pytest.approx(betting.bets(0.3))


def test_an_alarm_uses_up_its_evidence_and_names_its_streams_only() -> None:
    limit = np.full(50, 0.2)
    detector = Detector.start(np.ones(50), 100.0)
    for bucket in range(40):
        hits = np.full(50, 15.0)
        if bucket >= 20:
            hits[7] = 60.0
        detector, alarms = detector.step(_bucket(hits, 100.0, limit))
        if alarms:
            break
    assert bucket in (20, 21)
    assert alarms[0].streams.tolist() == [7]
    assert alarms[0].onset.tolist() == [20]
    assert alarms[0].hits[0] / alarms[0].rows[0] == pytest.approx(0.6)
    assert np.isneginf(detector.log_s[7]).all()


def test_while_promises_hold_the_mean_time_between_alarms_is_kept() -> None:
    # At the very limit, where the bound is nearest: many streams, few rows.
    rng = np.random.default_rng(4)
    limit, alarms, buckets = np.full(20, 0.3), 0, 0
    detector = Detector.start(np.ones(20), 50.0)
    for _ in range(5_000):
        detector, rung = detector.step(_bucket(rng.binomial(20, 0.3, 20).astype(float), 20.0, limit))
        alarms += len(rung)
        buckets += 1
    assert alarms <= buckets / 50.0


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(5, 2_000), st.integers(0, 2**32 - 1))
@example(1, 5, 82)  # by chance every row of one
def test_limits_lie_above_the_mean_and_fall_with_rows(buckets: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits = rng.binomial(rows, 0.3, (buckets, 4)).astype(float)
    found = limits.limits(hits, np.full(hits.shape, float(rows)), tolerance=np.full(4, 0.05))
    assert (found.upper > found.mean + 0.05)[found.mean < 1].all()
    assert found.upper[found.mean == 1] == pytest.approx(1.05)  # no share is above 1
    assert (found.effect >= 1).all()
    more = limits.limits(np.tile(hits, (4, 1)), np.full((4 * buckets, 4), float(rows)), tolerance=np.full(4, 0.05))
    if buckets == 1:
        assert more.effect.shape == found.effect.shape
    single = limits.limits(hits.sum(axis=0)[None], np.full((1, 4), float(rows * buckets)), tolerance=np.full(4, 0.05))
    many = limits.limits(
        100 * hits.sum(axis=0)[None], np.full((1, 4), 100.0 * rows * buckets), tolerance=np.full(4, 0.05)
    )
    assert (many.upper <= single.upper).all()


def test_buckets_that_vary_more_than_rows_would_have_a_design_effect() -> None:
    rng = np.random.default_rng(0)
    rows = np.full((200, 2), 500.0)
    levels = np.stack([np.full(200, 0.4), rng.beta(4, 6, 200)], axis=1)
    found = limits.limits(rng.binomial(500, levels).astype(float), rows, tolerance=np.full(2, 0.05))
    assert found.effect[0] < 3
    assert found.effect[1] == pytest.approx(1 + 499 / 11, rel=0.6)
    assert found.varied.tolist() == [False, True]


def test_calibrated_chances_are_monotone_and_right_on_average() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 200, 100).astype(float)
    truth = np.linspace(0.02, 0.98, 100)
    hits = rng.binomial(rows.astype(int), truth).astype(float)
    found = estimate.calibrated(hits, rows)
    assert (np.diff(found) >= 0).all()
    assert (rows * found).sum() / rows.sum() == pytest.approx((rows * truth).sum() / rows.sum(), abs=0.02)
    falling = estimate.calibrated(hits[::-1], rows[::-1])
    assert (np.diff(falling) <= 0).all()


def test_a_few_outcomes_give_an_interval_that_holds() -> None:
    rng = np.random.default_rng(0)
    proxy = np.linspace(0.05, 0.6, 20)
    truth = np.clip(proxy + 0.1, 0, 1)  # the proxy is off
    held = narrower = 0
    for _ in range(400):
        known = rng.multinomial(150, np.full(20, 0.05)).astype(float)
        unknown = rng.multinomial(5_000, np.full(20, 0.05)).astype(float)
        wrong = rng.binomial(known.astype(int), truth).astype(float)
        found, _ = estimate.corrected(known, wrong, proxy, unknown, confidence=0.9)
        target = ((known + unknown) * truth).sum() / (known + unknown).sum()
        held += found.low <= target <= found.high
        alone = 1.645 * np.sqrt(wrong.sum() / 150 * (1 - wrong.sum() / 150) / 150)
        narrower += (found.high - found.low) / 2 < alone
    assert held >= 0.86 * 400
    assert narrower >= 0.9 * 400
