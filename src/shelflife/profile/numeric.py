"""Numeric columns: counts over the reference's quantile edges, and sums that add without rounding."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shelflife.profile.runs import Counted, Floats, Ints, Runs, parts_on_grid, squares_on_grid

BINS = 64
_MOST_BINS = 120  # a bin and its mark fit in a byte

# Cells of a column: these three, below the least edge, the bins, above the greatest, and +infinity.
NULL, NAN, LOW_INFINITY, BELOW = range(4)
_FIRST = 4

_MARK, _MANY = 128, 255
_LIMIT = 2.0**14
# For shorter pieces the table would take longer to make than it saves; tables of thousands of columns come in such.
_MANY_ROWS = 8_192


@dataclass(frozen=True)
class Numeric:
    """Counts of one numeric column over edges that the reference fixed.

    Attributes
    ----------
    name
        The column.
    edges
        Ascending, from the reference's least value to just above its greatest; bin i is ``[edges[i], edges[i + 1])``.
    centre, spread
        What sums are taken about, and a power of two near the reference's spread: sums are of ``value - centre`` and
        of its square, within ``2**14`` spreads, each in two parts that add exactly (`parts_on_grid`,
        `squares_on_grid`).
    """

    name: str
    edges: tuple[float, ...]
    centre: float
    spread: float

    kind: ClassVar[str] = "numeric"
    sums: ClassVar[int] = 4
    extremes: ClassVar[int] = 1

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def bins(self) -> slice:
        """The cells of the bins between the reference's least and greatest value."""
        return slice(_FIRST, _FIRST + len(self.edges) - 1)

    @property
    def above(self) -> int:
        """The cell of finite values above the reference's greatest."""
        return _FIRST + len(self.edges) - 1

    @property
    def cells(self) -> int:
        return self.above + 2

    def count(self, batch: pa.RecordBatch, runs: Runs) -> Counted:
        """Counts, sums and extremes of the column in each run."""
        return self.count_array(batch.column(self.name), runs)

    def count_array(self, array: pa.Array, runs: Runs) -> Counted:
        """As `count`, of an array that need not be the column as it stands (a lag, a projection)."""
        values, missing = to_floats(array)
        if missing is not None:
            values = np.where(missing, self.centre, values)
        away = _away(values, self.centre)
        cells = self._cells(values, away)
        if missing is not None:
            cells[missing] = NULL
        lows, highs = _extremes(values, runs, missing)
        if not (np.isfinite(lows).all() and np.isfinite(highs).all()):
            finite = np.isfinite(values)
            away = np.where(finite, away, 0.0)
            lows, highs = _extremes(values, runs, ~finite if missing is None else ~finite | missing)
        reach = _LIMIT * self.spread
        if lows.min() < self.centre - reach or highs.max() > self.centre + reach:
            away = np.clip(away, -reach, reach)
        with np.errstate(over="ignore"):
            farthest = max(self.centre - lows.min(), highs.max() - self.centre, 0.0)
        near, far = parts_on_grid(away, self.spread, farthest)
        large, small = squares_on_grid(away, self.spread)
        none = np.zeros(len(runs.starts))
        totals = [none if one is None else runs.total(one) for one in (near, large, small, far)]
        return Counted(
            runs.tally(cells, self.cells),
            np.stack(totals, axis=1),
            lows[:, None],
            highs[:, None],
        )

    def mean(self, counts: Any, sums: Any) -> Any:
        """Means of the finite values from counts and sums whose last axis holds this part's; NaN where there are none.

        What lies beyond ``2**14`` spreads counts as lying there: see `within_reach`.
        """
        rows = counts[..., BELOW : self.above + 1].sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.centre + (sums[..., 0] + sums[..., 3]) / rows

    def within_reach(self, low: float, high: float) -> bool:
        """Whether sums of values from `low` to `high` hold all of them as they are."""
        return self.centre - _LIMIT * self.spread <= low and high <= self.centre + _LIMIT * self.spread

    def cells_of(self, array: pa.Array) -> Ints:
        """The cell of each value, shape (rows,)."""
        values, missing = to_floats(array)
        values = values if missing is None else np.where(missing, self.centre, values)
        cells = self._cells(values, _away(values, self.centre)).astype(np.int64)
        if missing is not None:
            cells[missing] = NULL
        return cells

    def _cells(self, values: Floats, away: Floats) -> NDArray[np.uint8]:
        """The cell of each value by a table of the leading bits of its distance from the centre.

        The distance as a 32-bit float rises with the value, so all values with one pattern of its 16 leading bits lie
        together: the table says their bin. Only a pattern that an edge cuts is compared with that edge.
        """
        if len(values) < _MANY_ROWS:
            return self._exact(values).astype(np.uint8)
        cells = np.take(self._table, _patterns(away), mode="clip")
        if cells.max(initial=0) >= _MARK:
            marked = np.flatnonzero(cells >= _MARK)
            found, cut = cells[marked], values[marked]
            many = found == _MANY
            lower = np.where(many, 0, found - _MARK).astype(np.intp)
            edges = self._edges
            with np.errstate(invalid="ignore"):
                bins = lower + (cut >= edges[np.minimum(lower, len(edges) - 1)])
            bins = bins + BELOW
            if many.any():
                bins[many] = self._exact(cut[many])
            cells[marked] = bins
        return cells

    def _exact(self, values: Floats) -> Ints:
        cells = np.searchsorted(self._edges, values, side="right") + BELOW
        cells[np.isnan(values)] = NAN
        cells[values == -np.inf] = LOW_INFINITY
        cells[values == np.inf] = self.cells - 1
        return cells

    @cached_property
    def _edges(self) -> Floats:
        return np.array(self.edges)

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        rank = _ranks()
        order = np.arange(len(rank))
        cut = rank[_patterns(_away(self._edges, self.centre))]
        below = np.searchsorted(cut, rank, side="left")
        upto = np.searchsorted(cut, rank, side="right")
        # An edge at the very start of its pattern cuts nothing.
        whole = np.isin(rank, cut[_starts_pattern(self._edges, self.centre)]) & (upto - below == 1)
        below = np.where(whole, upto, below)
        table = below + BELOW
        table = np.where(upto - below == 1, below + _MARK, np.where(upto > below, _MANY, table))
        # Infinities and what is too large for 32 bits share a pattern, as do not-a-numbers of either sign.
        special = (order & 0x7F80) == 0x7F80
        table = np.where(special, np.where(order & 0x7F, NAN, _MANY), table)
        table[len(rank) // 2] = _MANY  # -0.0, which no edge at 0.0 lies above
        return table.astype(np.uint8)


def _away(values: Floats, centre: float | Floats) -> Floats:
    """How far each value lies from the centre; infinite where that is no number of 64 bits."""
    with np.errstate(over="ignore"):
        found: Floats = values - centre
    return found


def _patterns(away: Floats) -> NDArray[np.uint16]:
    """The leading 16 bits of each distance as a 32-bit float."""
    with np.errstate(over="ignore", invalid="ignore"):
        return away.astype(np.float32).view(np.uint16)[1::2]


@functools.cache
def _ranks() -> Ints:
    """The order of the patterns, which rises with the distance: negative ones (sign bit set) run backwards."""
    order = np.arange(1 << 16)
    half = len(order) // 2
    return np.where(order < half, order, half - 1 - order)


def _starts_pattern(edges: Floats, centre: float) -> NDArray[np.bool_]:
    """Which edges are the least number of their pattern."""
    ranks = _ranks()
    with np.errstate(over="ignore"):
        below = np.nextafter(edges, -np.inf)
    before = ranks[_patterns(_away(below, centre))]
    return np.asarray(before < ranks[_patterns(_away(edges, centre))])


def _snapped(edges: Floats, values: Floats, centre: float) -> Floats:
    """Edges moved down to the least number of their pattern, where few of the values lie in that pattern.

    An edge at the start of a pattern cuts none, so that no value has to be compared with it. Where it lies within so
    little is of no matter to a bin of many patterns; where many values share a pattern it stays what it is.
    """
    ranks = _ranks()
    of_values = ranks[_patterns(_away(values, centre))]  # as sorted as the values
    of_edges = ranks[_patterns(_away(edges, centre))]
    inside = np.searchsorted(of_values, of_edges, side="right") - np.searchsorted(of_values, of_edges, side="left")
    same = np.searchsorted(values, edges, side="right") - np.searchsorted(values, edges, side="left")
    # What repeats moves with its edge; the others in its pattern change bins.
    rare = (inside - same) * 4 * BINS < len(values)
    low, high = np.full(len(edges), values[0]), edges.copy()
    for _ in range(1100):  # halves the interval between the numbers themselves: at most 64 steps where it is short
        gap = _away(high, low)
        middle = np.where(np.isfinite(gap), low + gap / 2, low / 2 + high / 2)
        open_ = (middle > low) & (middle < high)
        if not open_.any():
            break
        reached = ranks[_patterns(_away(middle, centre))] >= of_edges
        high = np.where(open_ & reached, middle, high)
        low = np.where(open_ & ~reached, middle, low)
    at_start = ranks[_patterns(_away(low, centre))] < of_edges
    return np.where(rare & at_start, high, edges)


def learn(name: str, values: Floats, *, bins: int = BINS) -> Numeric:
    """Edges at the quantiles of a sample of finite values; of equal values one edge is kept.

    Parameters
    ----------
    name
        The column.
    values
        Shape (n,), finite; may be empty.
    bins
        At most so many bins, fewer where values repeat.

    Examples
    --------
    >>> np.round(learn("x", np.arange(101.0), bins=4).edges).tolist()
    [0.0, 25.0, 50.0, 75.0, 100.0, 100.0]
    """
    if len(values) == 0:
        return Numeric(name, (0.0, math.nextafter(0.0, 1.0)), 0.0, 1.0)
    values = np.sort(values)
    last = len(values) - 1
    # Values of the sample themselves, so that a value that repeats has an edge at it.
    at = np.linspace(0.0, last, min(bins, _MOST_BINS) + 1)
    quantiles = np.unique(values[np.ceil(at - 1e-6).astype(np.int64)])
    greatest = float(quantiles[-1])
    above = math.nextafter(greatest, math.inf)
    edges = [*map(float, quantiles[:-1]), *([greatest] if len(quantiles) == 1 or _repeats(values, greatest) else [])]
    edges.append(above if math.isfinite(above) else greatest)
    centre = float(values[len(values) // 2])
    inner = np.array(edges[1:-1])
    if len(inner) and len(values) >= _MANY_ROWS:
        inner = _snapped(inner, values, centre)
        edges = [edges[0], *map(float, inner[inner > edges[0]]), edges[-1]]
    with np.errstate(over="ignore", invalid="ignore"):
        width = float(values[int(0.99 * last)] - values[int(0.01 * last)]) / 4.0
        if not width > 0:
            width = float(values[-1] - values[0]) / 4.0
    if not width > 0:
        width = max(abs(centre), 2.0**-20)
    spread = 2.0 ** math.ceil(math.log2(min(max(width, 2.0**-450), 2.0**450)))
    return Numeric(name, tuple(np.unique(edges).tolist()), centre, spread)


def _repeats(values: Floats, greatest: float) -> bool:
    # A greatest value that is common deserves a bin of its own; a lone one does not.
    return bool((len(values) - np.searchsorted(values, greatest)) * 2 * BINS >= len(values))


def _extremes(values: Floats, runs: Runs, left_out: NDArray[np.bool_] | None) -> tuple[Floats, Floats]:
    if left_out is None:
        return np.minimum.reduceat(values, runs.starts), np.maximum.reduceat(values, runs.starts)
    lows = np.minimum.reduceat(np.where(left_out, np.inf, values), runs.starts)
    highs = np.maximum.reduceat(np.where(left_out, -np.inf, values), runs.starts)
    return lows, highs


def to_floats(array: pa.Array) -> tuple[Floats, NDArray[np.bool_] | None]:
    """Values as 64-bit floats, and which are missing (None where none is); what stands there is not defined."""
    missing = None
    if array.null_count:
        missing = array.is_null().to_numpy(zero_copy_only=False)
    kind = array.type
    if pa.types.is_null(kind):
        return np.zeros(len(array)), np.ones(len(array), dtype=bool)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        raise TypeError("a time is no number")
    if pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_duration(kind) or pa.types.is_time(kind):
        array = array.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64())
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    if missing is not None:
        array = pc.fill_null(array, pa.scalar(0, array.type))
    found: Floats = array.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return found, missing


def part(plain: dict[str, Any]) -> Numeric:
    """The part that a layout's plain form names."""
    return Numeric(plain["name"], tuple(plain["edges"]), plain["centre"], plain["spread"])
