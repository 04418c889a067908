"""Numeric columns: counts over the reference's quantile edges, and sums that add without rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shelflife.profile.runs import Counted, Floats, Ints, Runs, on_grid

BINS = 64
_MOST_BINS = 120  # a bin and its mark fit in a byte

# Cells of a column: these three, below the least edge, the bins, above the greatest, and +infinity.
NULL, NAN, LOW_INFINITY, BELOW = range(4)
_FIRST = 4

_MARK, _MANY = 128, 255
_LIMIT = 2.0**14


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
        What sums are taken about, and a power of two near the reference's spread: sums are of ``value - centre`` on a
        grid of ``2**-26`` spreads (squares: ``2**-8``), within ``2**14`` spreads.
    few
        Whether the counting table may take 64 KB, rather than 16 where columns are thousands.
    """

    name: str
    edges: tuple[float, ...]
    centre: float
    spread: float
    few: bool = True

    kind: ClassVar[str] = "numeric"
    sums: ClassVar[int] = 2
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
        away = values - self.centre
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
        total = runs.total(on_grid(away, self.spread * 2.0**-26))
        coarse = on_grid(away, self.spread * 2.0**-8)
        squares = runs.total(np.multiply(coarse, coarse, out=coarse))
        return Counted(runs.tally(cells, self.cells), np.stack([total, squares], axis=1), lows[:, None], highs[:, None])

    def cells_of(self, array: pa.Array) -> Ints:
        """The cell of each value, shape (rows,)."""
        values, missing = to_floats(array)
        values = values if missing is None else np.where(missing, self.centre, values)
        cells = self._cells(values, values - self.centre).astype(np.int64)
        if missing is not None:
            cells[missing] = NULL
        return cells

    def _cells(self, values: Floats, away: Floats) -> NDArray[np.uint8]:
        """The cell of each value by a table of the leading bits of its distance from the centre.

        The distance as a 32-bit float rises with the value, so all values with one pattern of its 16 leading bits lie
        together: the table says their bin. Only a pattern that an edge cuts is compared with that edge.
        """
        cells = np.take(self._table, _patterns(away, self.few), mode="clip")
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
        rank = _ranks(self.few)
        order = np.arange(len(rank))
        cut = rank[_patterns(self._edges - self.centre, self.few)]
        below = np.searchsorted(cut, rank, side="left")
        upto = np.searchsorted(cut, rank, side="right")
        # An edge at the very start of its pattern cuts nothing.
        whole = np.isin(rank, cut[_starts_pattern(self._edges, self.centre, self.few)]) & (upto - below == 1)
        below = np.where(whole, upto, below)
        table = below + BELOW
        table = np.where(upto - below == 1, below + _MARK, np.where(upto > below, _MANY, table))
        # Infinities and what is too large for 32 bits share a pattern, as do not-a-numbers of either sign.
        exponent, mantissa = (0x7F80, 0x7F) if self.few else (0x7F80 >> 2, 0x7F >> 2)
        special = (order & exponent) == exponent
        table = np.where(special, np.where(order & mantissa, NAN, _MANY), table)
        return table.astype(np.uint8)


def _patterns(away: Floats, few: bool) -> NDArray[np.uint16]:
    """The leading 16 (or 14) bits of each distance as a 32-bit float."""
    with np.errstate(over="ignore", invalid="ignore"):
        patterns = away.astype(np.float32).view(np.uint16)[1::2]
    return patterns if few else patterns >> 2


def _ranks(few: bool) -> Ints:
    """The order of the patterns, which rises with the distance: negative ones (sign bit set) run backwards."""
    order = np.arange(1 << (16 if few else 14))
    half = len(order) // 2
    return np.where(order < half, order, half - 1 - order)


def _starts_pattern(edges: Floats, centre: float, few: bool) -> NDArray[np.bool_]:
    """Which edges are the least number of their pattern."""
    ranks = _ranks(few)
    before = ranks[_patterns(np.nextafter(edges, -np.inf) - centre, few)]
    return np.asarray(before < ranks[_patterns(edges - centre, few)])


def _snapped(edges: Floats, values: Floats, centre: float, few: bool) -> Floats:
    """Edges moved down to the least number of their pattern, where few of the values lie in that pattern.

    An edge at the start of a pattern cuts none, so that no value has to be compared with it. Where it lies within so
    little is of no matter to a bin of many patterns; where many values share a pattern it stays what it is.
    """
    ranks = _ranks(few)
    of_values = np.sort(ranks[_patterns(values - centre, few)])
    of_edges = ranks[_patterns(edges - centre, few)]
    inside = np.searchsorted(of_values, of_edges, side="right") - np.searchsorted(of_values, of_edges, side="left")
    same = np.searchsorted(values, edges, side="right") - np.searchsorted(values, edges, side="left")
    # What repeats moves with its edge; the others in its pattern change bins.
    rare = (inside - same) * 4 * BINS < len(values)
    low, high = np.full(len(edges), values[0]), edges.copy()
    for _ in range(1100):  # halves the interval between the numbers themselves: at most 64 steps where it is short
        middle = low + (high - low) / 2
        open_ = (middle > low) & (middle < high)
        if not open_.any():
            break
        reached = ranks[_patterns(middle - centre, few)] >= of_edges
        high = np.where(open_ & reached, middle, high)
        low = np.where(open_ & ~reached, middle, low)
    at_start = ranks[_patterns(low - centre, few)] < of_edges
    return np.where(rare & at_start, high, edges)


def learn(name: str, values: Floats, *, bins: int = BINS, few: bool = True) -> Numeric:
    """Edges at the quantiles of a sample of finite values; of equal values one edge is kept.

    Parameters
    ----------
    name
        The column.
    values
        Shape (n,), finite; may be empty.
    bins
        At most so many bins, fewer where values repeat.
    few
        As for `Numeric`.

    Examples
    --------
    >>> np.round(learn("x", np.arange(101.0), bins=4).edges).tolist()
    [0.0, 25.0, 50.0, 75.0, 100.0, 100.0]
    """
    if len(values) == 0:
        return Numeric(name, (0.0, math.nextafter(0.0, 1.0)), 0.0, 1.0, few)
    at = np.linspace(0.0, 1.0, min(bins, _MOST_BINS) + 1)
    # Values of the sample themselves, so that a value that repeats has an edge at it.
    quantiles = np.unique(np.quantile(values, at, method="higher"))
    greatest = float(quantiles[-1])
    above = math.nextafter(greatest, math.inf)
    edges = [*map(float, quantiles[:-1]), *([greatest] if len(quantiles) == 1 or _repeats(values, greatest) else [])]
    edges.append(above if math.isfinite(above) else greatest)
    centre = float(np.median(values))
    inner = np.array(edges[1:-1])
    if len(inner):
        inner = _snapped(inner, np.sort(values), centre, few)
        edges = [edges[0], *map(float, inner[inner > edges[0]]), edges[-1]]
    width = float(np.quantile(values, 0.99) - np.quantile(values, 0.01)) / 4.0
    if not width > 0:
        width = float(np.ptp(values)) / 4.0
    if not width > 0 or not math.isfinite(width):
        width = max(abs(centre), 2.0**-20)
    spread = 2.0 ** math.ceil(math.log2(min(max(width, 2.0**-450), 2.0**450)))
    return Numeric(name, tuple(np.unique(edges).tolist()), centre, spread, few)


def _repeats(values: Floats, greatest: float) -> bool:
    # A greatest value that is common deserves a bin of its own; a lone one does not.
    return bool(np.count_nonzero(values == greatest) * 2 * BINS >= len(values))


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
    return Numeric(plain["name"], tuple(plain["edges"]), plain["centre"], plain["spread"], plain["few"])
