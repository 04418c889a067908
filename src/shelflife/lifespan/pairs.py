"""Old against fresh on the same rows: every model's losses beside those of the model that was fresh then, as counts.

Counts and sums per (model, age) are all that the decay curve, the test of expiry and the decay map need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelflife import detect

Floats = NDArray[np.float64]

_STEPS = 33  # grid of the paired difference of two continuous losses; evidence is rounded towards the promise
_CLIP = 0.99
_ROOM = 4.0


@dataclass(frozen=True)
class Tolerance:
    """How much worse than fresh is still as promised: in units of the metric, or as a share of the fresh loss."""

    absolute: float
    relative: float


@dataclass(frozen=True)
class Pairs:
    """Sums and counts of paired losses by model and age.

    Attributes
    ----------
    rows, old, fresh
        Shape (models, ages); number of rows, and sums of the old and of the fresh model's loss on them. Age 0 is the
        slice in which a model is itself the fresh one.
    counts
        Shape (models, ages, len(values)); counts of the promise's stream, a quantity in [0, 1].
    values, limit
        The grid of that stream and the conditional mean that is promised at most.
    unit
        What one unit of the stream is in units of the metric.
    """

    rows: Floats
    old: Floats
    fresh: Floats
    counts: Floats
    values: Floats
    limit: float
    unit: float

    @property
    def excess(self) -> Floats:
        """Mean excess loss by model and age, NaN where there were no rows."""
        with np.errstate(invalid="ignore"):
            return (self.old - self.fresh) / self.rows


class Stream:
    """The promise as a stream in [0, 1]: x = (old - (1 + relative) * fresh + 1 + relative) / (2 + relative).

    Losses are clipped and scaled to [0, 1] first; for losses of 0 or 1 the four possible values are exact.
    """

    def __init__(self, tolerance: Tolerance, scale: float, *, binary: bool) -> None:
        self._relative = tolerance.relative
        self._scale = scale
        self._binary = binary
        self.unit = scale * (2 + tolerance.relative)
        self.limit = (tolerance.absolute / scale + 1 + tolerance.relative) / (2 + tolerance.relative)
        pairs = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], dtype=np.float64)
        self.values = self._value(pairs[:, 0], pairs[:, 1]) if binary else np.linspace(0, 1, _STEPS)

    def _value(self, old: Floats, fresh: Floats) -> Floats:
        return (old - (1 + self._relative) * fresh + 1 + self._relative) / (2 + self._relative)

    def counts(self, old: NDArray[np.floating], fresh: NDArray[np.floating]) -> Floats:
        """Counts over `values` of the pairs of losses of some rows."""
        if self._binary:
            return np.bincount((2 * old + fresh).astype(np.int64), minlength=4).astype(np.float64)
        scaled = [np.minimum(loss / self._scale, 1.0).astype(np.float64) for loss in (old, fresh)]
        return detect.spread(self._value(*scaled), self.values)


def scale_of(fresh: NDArray[np.floating], tolerance: Tolerance, *, bounded: bool) -> float:
    """The loss that counts as 1: 1 for losses in [0, 1], else a high quantile of the fresh models' losses.

    It is at least several times what the promise allows, so that a broken promise is not clipped out of sight.
    """
    if bounded:
        return 1.0
    allowed = tolerance.absolute + (1 + tolerance.relative) * float(fresh.mean())
    return max(float(np.quantile(fresh, _CLIP)), _ROOM * allowed) or 1.0


class Pairing:
    """Gathers pairs model by model, so that only one model's losses need be at hand."""

    def __init__(self, models: int, ages: int, stream: Stream) -> None:
        self._stream = stream
        self._sums = np.zeros((3, models, ages))
        self._counts = np.zeros((models, ages, len(stream.values)))

    def add(self, model: int, edges: NDArray[np.int64], old: NDArray[np.floating], fresh: NDArray[np.floating]) -> None:
        """Add one model's losses on consecutive slices.

        Parameters
        ----------
        model
            Its place.
        edges
            Shape (ages + 1,); positions in `old` at which the slices begin and the last one ends.
        old, fresh
            Losses of the model, and of the model that was fresh in each slice; fresh is NaN where there was none.
        """
        for age in range(len(edges) - 1):
            part = slice(edges[age], edges[age + 1])
            was, new = old[part], fresh[part]
            if len(new) == 0 or np.isnan(new[0]):
                continue
            self._sums[:, model, age] = len(new), was.sum(dtype=np.float64), new.sum(dtype=np.float64)
            self._counts[model, age] = self._stream.counts(was, new)

    def done(self) -> Pairs:
        """What was gathered."""
        rows, old, fresh = self._sums
        return Pairs(rows, old, fresh, self._counts, self._stream.values, self._stream.limit, self._stream.unit)
