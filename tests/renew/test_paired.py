"""The exact test of pairs: against every outcome counted one by one, and its level, which holds without simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shelflife.renew.evidence import log_evidence
from shelflife.renew.paired import not_worse


def outcomes(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of counts, of those that are worse and of those that are better."""
    worse, better = np.indices((rows + 1, rows + 1)).reshape(2, -1)
    possible = worse + better <= rows
    return worse[possible], better[possible]


@pytest.mark.parametrize("margin", [-0.1, 0.0, 0.02, 0.1, 0.4])
@pytest.mark.parametrize("rows", [8, 20])
def test_the_level_holds_whatever_the_chances(rows: int, margin: float) -> None:
    worse, better = outcomes(rows)
    p = np.array([not_worse(int(one), int(other), rows, margin) for one, other in zip(worse, better, strict=True)])
    counts = np.column_stack([worse, better, rows - worse - better])
    # Worse by the margin and by more, seldom and often different: chances that are not those that the test tries.
    for by in (margin, margin + 0.05, margin + 0.2):
        for chance in np.linspace(max(0.0, -by), (1 - by) / 2, 37):
            likely = stats.multinomial.pmf(counts, rows, [chance + by, chance, max(0.0, 1 - by - 2 * chance)])
            for level in (0.2, 0.05, 0.0125):
                assert likely[p <= level].sum() <= level * 1.01 + 1e-9


def test_more_that_are_worse_is_less_evidence_and_more_that_are_better_is_more() -> None:
    for rows, margin in ((20, 0.05), (20, 0.0), (15, -0.2)):
        p = {
            (w, b): not_worse(w, b, rows, margin) for w, b in zip(*map(np.ndarray.tolist, outcomes(rows)), strict=True)
        }
        assert all(p[w, b] <= p[w + 1, b] + 1e-12 for w, b in p if (w + 1, b) in p)
        assert all(p[w, b] >= p[w, b + 1] - 1e-12 for w, b in p if (w, b + 1) in p)


def test_of_many_rows_it_is_what_the_normal_distribution_says() -> None:
    rows, worse, better, margin = 20_000, 3_000, 3_100, 0.005
    mean = (worse - better) / rows
    spread = np.sqrt(((worse + better) / rows - mean**2) / rows)
    assert not_worse(worse, better, rows, margin) == pytest.approx(stats.norm.cdf((mean - margin) / spread), rel=0.1)


def test_it_says_more_of_the_same_rows_than_what_may_be_asked_at_any_time() -> None:
    rows, worse, better = 336, 24, 54
    off = np.repeat([1.0, -1.0, 0.0], [worse, better, rows - worse - better])
    bet = log_evidence(1 - (off + 1) / 2, 1 - (0.02 + 1) / 2)
    assert not_worse(worse, better, rows, 0.02) < np.exp(-bet)
