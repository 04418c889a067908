"""Whether one model is wrong more often than another on the same rows: an exact test for a number of rows fixed before.

Of all chances with which the two could differ by the margin, that is taken under which the rows at hand say least. So
the level holds exactly for independent rows, however few and however seldom the two differ.

Betting holds its level at any moment at which one looks, and pays for that with evidence; gates look once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, gammaln, xlog1py, xlogy

Floats = NDArray[np.float64]

_CHANCES = 256  # that are tried
_NOTHING = 1e-12
_FAR = 9.0  # standard deviations beyond which counts are left out


def not_worse(worse: int, better: int, rows: int, margin: float) -> float:
    """How likely rows speak so much against *wrong more often by the margin at least* while it is so: a p-value.

    Ordered by the score statistic of Tango (1998) for differences of paired shares, with the unconditional p-value of
    Barnard (1945).

    Parameters
    ----------
    worse, better
        Of how many rows the one is wrong and the other right, and the reverse.
    rows
        All, also those on which they agree.
    margin
        In (-1, 1). *Worse by more than m* is tested by exchanging the two, with -m.

    Examples
    --------
    >>> not_worse(0, 0, 200, 0.05) < 0.001 < not_worse(0, 0, 30, 0.05)
    True
    """
    counts = np.arange(rows + 1)
    most = _most(float(_score(np.array(worse), np.array(better), rows, margin)), counts, rows, margin)
    choices = gammaln(rows + 1) - gammaln(counts + 1) - gammaln(rows - counts + 1)
    found = 0.0
    for chance in _chances(margin):
        spread = _FAR * np.sqrt(rows * chance * (1 - chance)) + _FAR
        some = slice(max(0, int(rows * chance - spread)), int(rows * chance + spread) + 1)
        those = counts[some]
        likely = np.exp(choices[some] + xlogy(those, chance) + xlog1py(rows - those, -chance))
        of_rest = np.clip((chance + margin) / max(1 - chance, _NOTHING), 0.0, 1.0)
        found = max(found, float(likely @ np.where(most[some] < 0, 0.0, bdtr(most[some], rows - those, of_rest))))
    return min(1.0, found)


def _chances(margin: float) -> Floats:
    """Chances of being better that are possible where those of being worse are larger by the margin; denser at ends."""
    low, high = max(0.0, -margin), (1 - margin) / 2
    return low + (high - low) * np.sin(np.linspace(0, np.pi / 2, _CHANCES)) ** 2


def _score(worse: NDArray[np.int64], better: NDArray[np.int64], rows: int, margin: float) -> Floats:
    """By how many standard deviations it is worse than the margin, with the likeliest chances at the margin."""
    equal = rows - worse - better
    b = (worse + better) * (1 - margin) - 2 * margin * (better + equal)
    chance = (b + np.sqrt(np.maximum(b * b + 8 * rows * better * margin * (1 - margin), 0))) / (4 * rows)
    chance = np.clip(chance, max(0.0, -margin), (1 - margin) / 2)
    variance = rows * (2 * chance + margin - margin * margin)
    off = np.asarray(worse - better - rows * margin, dtype=np.float64)
    # Where they never differ at a margin of nothing, nothing is known.
    return np.asarray(np.divide(off, np.sqrt(variance), out=np.zeros(off.shape), where=variance > _NOTHING))


def _most(seen: float, better: NDArray[np.int64], rows: int, margin: float) -> NDArray[np.int64]:
    """For each number of rows that are better, of how many that are worse the score is no more than was seen; or -1."""
    low, high = np.full(len(better), -1), rows - better
    while (open_ := low < high).any():  # the score grows with those that are worse
        middle = np.where(open_, (low + high + 1) // 2, low)
        inside = _score(middle, better, rows, margin) <= seen + 1e-9
        low, high = np.where(open_ & inside, middle, low), np.where(open_ & ~inside, middle - 1, high)
    return low
