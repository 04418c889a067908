"""Grid, pairs, expiry, survival, curve, cadence and baselines on values small enough to reckon by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelflife import durations
from shelflife.errors import BadInput, NotEnoughHistory
from shelflife.lifespan import baselines, cadence, curve, expiry, grid, survival
from shelflife.lifespan.pairs import Pairing, Pairs, Stream, Tolerance, scale_of


def _cut(times: np.ndarray, **changed: object) -> grid.Grid:
    asked: dict[str, object] = {"every": durations.DAY, "window": durations.WEEK, "everything": False, "delay": 0}
    asked |= {"origins": 5, "max_age": None}
    return grid.cut(times, **{**asked, **changed})  # type: ignore[arg-type]


def _hourly(days: int) -> np.ndarray:
    return np.arange(days * 24, dtype=np.int64) * durations.HOUR


@given(st.integers(15, 60), st.integers(0, 3), st.booleans())
def test_a_model_never_learns_from_rows_it_is_scored_on_or_cannot_know(days: int, delay: int, everything: bool) -> None:
    times = _hourly(days)
    cuts = _cut(times, delay=delay * durations.DAY, everything=everything)
    for birth, trained, scored in zip(cuts.births, cuts.training, cuts.scoring, strict=True):
        assert (times[slice(*trained)] < birth - delay * durations.DAY).all()
        assert (times[slice(*scored)] >= birth).all()
        assert (times[slice(*scored)] < birth + durations.DAY).all()
        if not everything:
            assert (times[slice(*trained)] >= birth - delay * durations.DAY - durations.WEEK).all()
    assert np.diff(cuts.scoring[:, 0]).min() > 0
    assert (cuts.scoring[1:, 0] == cuts.scoring[:-1, 1]).all()


def test_origins_are_spread_from_the_first_birth_and_end_before_the_last() -> None:
    cuts = _cut(_hourly(40), origins=4)
    assert cuts.origins[0] == 0
    assert cuts.origins[-1] == len(cuts.births) - 2
    assert np.ptp(np.diff(cuts.origins)) <= 1


def test_a_gap_in_the_history_leaves_its_slices_out() -> None:
    times = _hourly(60)
    times = times[(times < 30 * durations.DAY) | (times >= 40 * durations.DAY)]
    cuts = _cut(times)
    assert not cuts.usable[(cuts.births >= 30 * durations.DAY) & (cuts.births < 40 * durations.DAY)].any()
    assert cuts.usable[cuts.births >= 42 * durations.DAY].all()


def test_too_short_a_history_says_how_much_would_do() -> None:
    with pytest.raises(NotEnoughHistory, match=r"spans 9 days.*asks for 11 days"):
        _cut(_hourly(9) + 1)


def test_too_many_slices_are_refused() -> None:
    with pytest.raises(BadInput, match=r"Choose a longer --every"):
        _cut(_hourly(60), every=durations.MINUTE)


@pytest.mark.parametrize("days", [40, 365, 730, 3650, 18_000])
def test_chosen_slices_suit_the_length_of_the_history(days: int) -> None:
    cuts = _cut(_hourly(days), every=None, window=None)
    assert 8 <= len(cuts.births) <= 150


def _pairs(excess: np.ndarray, rows: int = 400) -> Pairs:
    """Models whose old-against-fresh errors differ exactly as `excess` (models, ages) says; NaN: not seen."""
    stream = Stream(Tolerance(0.02, 0.0), 1.0, binary=True)
    gathered = Pairing(len(excess), excess.shape[1], stream)
    for model, wanted in enumerate(excess):
        seen = wanted[~np.isnan(wanted)]
        old, fresh = [], []
        for share in seen:
            worse = round(abs(share) * rows)
            more = np.concatenate([np.ones(worse), np.zeros(rows - worse)])
            none = np.zeros(rows)
            old.append(more if share > 0 else none)
            fresh.append(none if share > 0 else more)
        edges = np.arange(len(seen) + 1) * rows
        gathered.add(model, edges, np.concatenate(old), np.concatenate(fresh))
    return gathered.done()


def test_pairs_keep_the_excess_exactly() -> None:
    wanted = np.array([[0.0, 0.1, np.nan], [0.0, -0.05, 0.2]])
    assert _pairs(wanted).excess == pytest.approx(wanted, nan_ok=True)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 5)
)
def test_the_stream_of_clipped_losses_has_their_mean(
    losses: list[tuple[float, float]], relative: float, absolute: float
) -> None:
    old, fresh = np.array(losses).T
    scale = 50.0
    stream = Stream(Tolerance(absolute, relative), scale, binary=False)
    counts = stream.counts(old, fresh)
    over = (counts @ stream.values / counts.sum() - stream.limit) * stream.unit
    assert over == pytest.approx((old - (1 + relative) * fresh).mean() - absolute, abs=1e-6)


def test_the_scale_of_losses_is_never_zero() -> None:
    tenth = Tolerance(0.0, 0.1)
    assert scale_of(np.zeros(5), tenth, bounded=False) == 1.0
    assert scale_of(np.array([0.0] * 999 + [7.0]), tenth, bounded=False) > 0
    assert scale_of(np.ones(5), Tolerance(20.0, 0.0), bounded=False) > 40.0  # twice what is allowed is still seen


def _triangle(models: int, ages: int, excess: object) -> tuple[Pairs, np.ndarray, np.ndarray]:
    births = np.arange(models) * 3
    last = births[-1] + ages
    watched = last - births
    values = np.full((models, int(watched.max()) + 1), np.nan)
    for model, birth in enumerate(births):
        for age in range(watched[model] + 1):
            values[model, age] = 0.0 if age == 0 else excess(birth, age)  # type: ignore[operator]
    return _pairs(values), births, watched


def test_models_that_age_end_at_an_age_and_nothing_is_said_to_have_happened() -> None:
    pairs, births, watched = _triangle(10, 30, lambda birth, age: 0.0 if age < 8 else 0.1)
    found = expiry.expire(pairs, births, watched, 0.1)
    assert found.verdict == "expires"
    assert (found.ended == 8).all()
    assert expiry.common_ends(pairs, births, watched, found.ended, 0.02) == []


def test_a_regime_change_is_one_moment_for_all_models_whatever_their_age() -> None:
    pairs, births, watched = _triangle(10, 30, lambda birth, age: 0.1 if birth < 20 <= birth + age else 0.0)
    found = expiry.expire(pairs, births, watched, 0.1)
    assert expiry.common_ends(pairs, births, watched, found.ended, 0.02) == [(20, 7)]
    assert (found.ended[births >= 20] == 0).all()


def test_few_rows_are_unknown_and_never_good() -> None:
    births, watched = np.arange(3), np.array([3, 2, 1])
    few = _pairs(np.where(np.tri(3, 4, 3) > 0, 0.0, np.nan)[:, ::-1] * 0, rows=2)
    assert expiry.expire(few, births, watched, 0.1).verdict == "unknown"
    many = _pairs(np.zeros((3, 4)), rows=2_000)
    assert expiry.expire(many, births, watched, 0.1).verdict == "no expiry seen"


def test_survival_counts_ends_and_stops_at_its_last_age() -> None:
    found = survival.survive(np.array([2.0, 4.0, 4.0, 6.0]), np.array([True, True, False, False]), 0.9)
    assert found.age.tolist() == [0, 2, 4, 6]
    assert found.share == pytest.approx([1, 0.75, 0.5, 0.5])
    assert found.at_risk.tolist() == [4, 4, 3, 1]
    assert found.first_below(0.5) == 4
    assert found.first_below(0.25) is None
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=3, max_size=40))
def test_survival_intervals_are_nested_in_confidence(lives: list[tuple[int, bool]]) -> None:
    until, ended = np.array([a for a, _ in lives], float), np.array([e for _, e in lives])
    narrow, wide = (survival.survive(until, ended, c) for c in (0.5, 0.95))
    assert (wide.low <= narrow.low + 1e-12).all()
    assert (narrow.high <= wide.high + 1e-12).all()


def test_young_models_count_only_as_long_as_an_end_would_be_known() -> None:
    until, known = survival.good_until(np.array([5, 7, 0, 0]), np.array([9, 11, 0, 0]), np.array([20, 10, 12, 3]))
    assert until.tolist() == [5, 6, 8, 0]  # verdicts come four slices after the end
    assert known.tolist() == [True, False, False, False]


def test_the_curve_is_the_mean_by_age_and_its_band_holds_it() -> None:
    pairs = _pairs(np.array([[0.0, 0.1], [0.0, 0.2], [0.0, 0.3], [0.0, 0.2]]))
    found = curve.decay(pairs, 0.9, seed=0)
    assert found.excess == pytest.approx([0.0, 0.2])
    assert found.low[1] < 0.2 < found.high[1]
    wider = curve.decay(pairs, 0.99, seed=0)
    assert wider.low[1] <= found.low[1]


def test_ages_of_fewer_than_three_models_are_left_out() -> None:
    pairs = _pairs(np.array([[0.0, 0.1, 0.1], [0.0, 0.1, 0.1], [0.0, 0.1, np.nan]]))
    assert curve.decay(pairs, 0.9, seed=0).age.tolist() == [0, 1]


def test_a_cadence_costs_the_mean_excess_of_the_ages_it_serves_at() -> None:
    costs = cadence.Costs(per_error=10.0, per_renewal=100.0, rows_per_day=50.0)
    found = cadence.compare(np.arange(4), np.array([0.0, 0.02, 0.04, 0.06]), 7.0, costs)
    assert [c.slices for c in found] == [1, 2, 3, 4]
    assert [c.expected_excess for c in found] == pytest.approx([0.0, 0.01, 0.02, 0.03])
    assert found[1].renewals_per_year == pytest.approx(365.25 / 14)
    assert found[1].cost_per_year == pytest.approx(10 * 0.01 * 50 * 365.25 + 100 * 365.25 / 14)
    best = cadence.cheapest(found)
    assert best is not None
    assert best.cost_per_year == min(c.cost_per_year or 0 for c in found)
    assert cadence.cheapest(cadence.compare(np.arange(4), np.zeros(4), 7.0, None)) is None


def test_ages_that_were_not_seen_lie_between_their_neighbours() -> None:
    found = cadence.compare(np.array([0, 1, 3]), np.array([0.0, 0.1, 0.3]), 1.0, None)
    assert found[-1].expected_excess == pytest.approx(0.15)


def test_baselines_use_nothing_that_is_not_yet_known() -> None:
    times = _hourly(30)
    outcomes = np.random.default_rng(0).integers(2, size=len(times)).astype(float)
    delay = 3 * durations.HOUR
    cuts = _cut(times, delay=delay)
    losses = {r.name: r.loss for r in baselines.rivals(times, outcomes, cuts, delay, "error")}
    rows = np.concatenate([np.arange(*s) for s in cuts.scoring])
    known = rows - 4  # the newest outcome older than three hours, with rows on the hour
    assert losses["last known outcome"] == pytest.approx((outcomes[rows] != outcomes[known]).mean())
    assert losses["same time a day before"] == pytest.approx((outcomes[rows] != outcomes[rows - 24]).mean())


def test_a_season_shorter_than_the_delay_is_no_baseline() -> None:
    times = _hourly(40)
    cuts = _cut(times, delay=2 * durations.DAY)
    names = {r.name for r in baselines.rivals(times, np.sin(times / 1e9), cuts, 2 * durations.DAY, "absolute_error")}
    assert names == {"mean", "last known outcome", "same time a week before"}


def test_the_median_interval_holds_the_median_and_reaches_a_slice_further_down() -> None:
    random = np.random.default_rng(0)
    until = random.integers(5, 15, size=30).astype(float)
    ended = random.random(30) < 0.8
    lasting = survival.survive(until, ended, 0.9)
    low, high = survival.median_interval(lasting, until, ended, 0.9, seed=0)
    median = lasting.first_below(0.5)
    assert low is not None
    assert median is not None
    assert high is not None
    assert low <= median - 1
    assert median <= high


def test_where_half_never_end_the_interval_is_open() -> None:
    until, ended = np.full(12, 9.0), np.zeros(12, dtype=bool)
    ended[:2] = True
    lasting = survival.survive(until, ended, 0.9)
    assert survival.median_interval(lasting, until, ended, 0.9, seed=0) == (None, None)
