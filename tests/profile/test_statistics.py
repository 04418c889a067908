from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from shelflife.profile import category, numeric, statistics
from shelflife.profile.runs import Counted, Runs

COUNTS = st.integers(1, 12).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(0, 10_000), min_size=size, max_size=size) for _ in range(2)])
)
RANDOM = np.random.default_rng(0)
BEFORE = RANDOM.normal(10, 3, 5_000)
PAIRS: dict[str, tuple[Any, Any]] = {
    "same": (BEFORE, RANDOM.normal(10, 3, 3_000)),
    "shifted": (BEFORE, RANDOM.normal(12, 3, 3_000)),
    "far off": (BEFORE, RANDOM.normal(1_000, 3, 3_000)),
    "wider": (BEFORE, RANDOM.normal(10, 9, 3_000)),
    "skewed": (RANDOM.lognormal(0, 2, 5_000), RANDOM.lognormal(0.3, 2, 3_000)),
    "few values": (RANDOM.poisson(2, 5_000).astype(float), RANDOM.poisson(3, 3_000).astype(float)),
    "one row": (BEFORE, np.array([11.0])),
    "constant": (np.full(300, 4.0), np.full(100, 5.0)),
}


def _counted(part: Any, values: Any) -> Counted:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    found: Counted = part.count(pa.RecordBatch.from_arrays([array], names=["x"]), Runs(np.array([0]), len(array)))
    return found


def _both(name: str) -> tuple[numeric.Numeric, Counted, Counted]:
    before, after = PAIRS[name]
    part = numeric.learn("x", before)
    return part, _counted(part, before), _counted(part, after)


def _edges(part: numeric.Numeric, *sides: Any) -> Any:
    """Edges of the cells of finite numbers, as far as the rows go."""
    low, high = min(side.min() for side in sides), max(side.max() for side in sides)
    return np.array([min(low, part.edges[0]), *part.edges, max(high, part.edges[-1])])


@given(COUNTS)
def test_distances_of_counts_are_those_of_scipy_and_of_their_formulas(counts: tuple[list[int], list[int]]) -> None:
    before, after = (np.array(side) for side in counts)
    found = [f(before, after) for f in (statistics.psi, statistics.jensen_shannon, statistics.total_variation)]
    found.append(statistics.kolmogorov_smirnov(before, after))
    if not before.sum() or not after.sum():
        assert all(math.isnan(value) for value in found)
        return
    p, q = before / before.sum(), after / after.sum()
    index = sum(
        (max(b, 1e-4) - max(a, 1e-4)) * math.log(max(b, 1e-4) / max(a, 1e-4))
        for a, b in zip(p, q, strict=True)
        if a + b
    )
    places = np.arange(len(p))
    steps = [stats.rv_discrete(values=(places, side)).cdf(places) for side in (p, q)]
    assert found[0] == pytest.approx(index, abs=1e-12)
    assert found[1] == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)
    assert found[2] == pytest.approx(np.abs(p - q).sum() / 2, abs=1e-12)
    assert found[3] == pytest.approx(np.abs(steps[0] - steps[1]).max(), abs=1e-9)
    assert (np.array(found) >= 0).all()
    assert max(found[1:]) <= 1 + 1e-9
    assert statistics.total_variation(before, before) == statistics.psi(after, after) == 0.0


@given(COUNTS)
def test_chi_square_is_the_contingency_test_of_scipy(counts: tuple[list[int], list[int]]) -> None:
    before, after = (np.array(side) for side in counts)
    found = statistics.chi_square(before, after)
    used = before + after > 0
    if not before.sum() or not after.sum() or used.sum() < 2:
        assert np.isnan(found).all()
        return
    expected = stats.chi2_contingency(np.stack([before[used], after[used]]), correction=False)
    assert found == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("name", PAIRS)
def test_kolmogorov_smirnov_is_that_of_the_rows_within_the_largest_share_of_a_bin(name: str) -> None:
    _, before, after = _both(name)
    found = statistics.kolmogorov_smirnov(before.counts[0], after.counts[0])
    expected = stats.ks_2samp(*PAIRS[name]).statistic
    largest = max(statistics.shares(side.counts[0]).max() for side in (before, after))
    assert expected - largest - 1e-9 <= found <= expected + 1e-9


@pytest.mark.parametrize("name", PAIRS)
def test_the_earth_movers_distance_is_that_of_the_rows_within_the_mean_width_of_a_bin(name: str) -> None:
    part, before, after = _both(name)
    low = min(before.lows[0, 0], after.lows[0, 0])
    high = max(before.highs[0, 0], after.highs[0, 0])
    found = statistics.wasserstein(part, before.counts[0], after.counts[0], low, high)
    widths = np.diff(_edges(part, *PAIRS[name]))
    inner = slice(numeric.BELOW, part.above + 1)
    masses = sum(statistics.shares(side.counts[0][inner]) for side in (before, after))
    expected = stats.wasserstein_distance(*PAIRS[name])
    assert found == pytest.approx(expected, abs=float((widths * masses).sum() / 2) + 1e-9)


def test_the_earth_movers_distance_of_an_everyday_shift_is_the_shift() -> None:
    part = numeric.learn("x", BEFORE)
    before, after = _counted(part, BEFORE), _counted(part, BEFORE + 1.5)
    low, high = before.lows[0, 0], after.highs[0, 0]
    assert statistics.wasserstein(part, before.counts[0], after.counts[0], low, high) == pytest.approx(1.5, abs=0.06)
    assert statistics.wasserstein(part, before.counts[0], before.counts[0], low, high) == 0.0


@pytest.mark.parametrize("name", PAIRS)
def test_quantiles_lie_in_the_bin_of_the_true_ones(name: str) -> None:
    part, before, after = _both(name)
    at = np.array([0.0013, 0.01007, 0.25003, 0.50009, 0.75001, 0.99007, 0.99987])
    for side, values in zip((before, after), PAIRS[name], strict=True):
        low, high = side.lows[0, 0], side.highs[0, 0]
        found = statistics.quantiles(part, side.counts[0], low, high, at)
        edges = _edges(part, values)
        for value, true in zip(found, np.quantile(values, at, method="inverted_cdf"), strict=True):
            cell = min(int(np.searchsorted(edges, true, side="right")), len(edges) - 1) - 1
            least, greatest = edges[cell], edges[cell + 1]
            assert max(least, low) - 1e-9 <= value <= min(greatest, high) + 1e-9
        ends = statistics.quantiles(part, side.counts[0], low, high, np.array([0.0, 1.0]))
        assert (low <= ends).all()
        assert (ends <= high).all()
        assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "far off"])
def test_mean_and_deviation_are_those_of_the_rows(name: str) -> None:
    part, before, after = _both(name)
    for side, values in zip((before, after), PAIRS[name], strict=True):
        mean, sd = statistics.mean_and_sd(part, side.counts[0], side.sums[0])
        assert mean == pytest.approx(values.mean(), abs=part.spread * 2.0**-20)
        if len(values) == 1:
            assert math.isnan(sd)
        else:
            assert sd == pytest.approx(values.std(ddof=1), rel=2e-3, abs=1e-9)


def test_a_mean_far_off_is_as_fine_as_its_grid_and_its_deviation_as_fine_as_the_grid_of_squares() -> None:
    part, _, after = _both("far off")
    mean, sd = statistics.mean_and_sd(part, after.counts[0], after.sums[0])
    values = PAIRS["far off"][1]
    assert mean == pytest.approx(values.mean(), abs=part.spread * 2.0**-12)
    assert sd == pytest.approx(values.std(ddof=1), rel=0.05)


def test_nothing_on_a_side_is_not_a_number() -> None:
    part, before, _ = _both("same")
    none = np.zeros_like(before.counts[0])
    full = before.counts[0]
    for first, second in ((none, full), (full, none), (none, none)):
        found = [
            statistics.psi(first, second), statistics.jensen_shannon(first, second),
            statistics.total_variation(first, second), statistics.kolmogorov_smirnov(first, second),
            *statistics.chi_square(first, second), statistics.wasserstein(part, first, second, 0.0, 1.0),
        ]  # fmt: skip
        assert np.isnan(found).all()
    assert math.isnan(statistics.wasserstein(part, none, full, math.inf, -math.inf))
    assert np.isnan(statistics.mean_and_sd(part, none, np.zeros(2))).all()
    assert np.isnan(statistics.quantiles(part, none, math.inf, -math.inf, np.array([0.1, 0.5]))).all()
    assert math.isnan(statistics.null_share(part, none))
    assert np.isnan(statistics.shares(none)).all()


def test_missing_values_are_a_share_of_all_rows() -> None:
    part = numeric.learn("x", BEFORE)
    found = _counted(part, pa.array([1.0, None, float("nan"), float("inf")])).counts[0]
    assert statistics.null_share(part, found) == 0.5
    named = category.learn("x", category.tallied(pa.chunked_array([["a", "b", "a", "b"]])))
    assert statistics.null_share(named, _counted(named, ["a", None, "c", "b"]).counts[0]) == 0.25


def test_never_seen_values_are_a_share_of_the_rows_with_a_value() -> None:
    named = category.learn("x", category.tallied(pa.chunked_array([["a", "b", "a", "b"]])))
    assert statistics.unseen_share(named, _counted(named, ["a", None, "c", "c", "b"]).counts[0]) == 0.5
    assert statistics.unseen_share(named, _counted(named, pa.nulls(2)).counts[0]) is None
