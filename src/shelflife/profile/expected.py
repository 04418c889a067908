"""The loss to be expected of a regression's rows before their outcomes are known, from counts alone.

On the reference the bounded loss is fitted as a sum of one weight for each cell that a row falls in (a ridge regression
on indicators). Summed over the rows of a bucket that is a weighted sum of the bucket's counts, so no row is read again.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shelflife.profile import residual
from shelflife.profile.category import Category
from shelflife.profile.layout import Part
from shelflife.profile.numeric import Numeric
from shelflife.profile.residual import Residual

_MOST_ROWS = 20_000
_MOST_PARTS = 100
_LEAST_ROWS = 100
_PENALTY = 10.0


def with_model(part: Residual, parts: Sequence[Part], sample: pa.Table) -> Residual:
    """`part` with the model of its loss, learnt from rows of the reference; as it is where those are too few.

    Parameters
    ----------
    part
        The residual part.
    parts
        The other parts; those of kind numeric, category and boolean are learnt from.
    sample
        Rows of the reference.
    """
    if part.outcome is None:
        return part
    rows = sample.slice(0, 0)
    if sample.num_rows:
        chosen = np.sort(np.random.default_rng(2).permutation(sample.num_rows)[: min(_MOST_ROWS, sample.num_rows)])
        rows = sample.take(pa.array(chosen)).combine_chunks()
    said, absent = residual.finite(_array(rows, part.prediction))
    true, unknown = residual.finite(_array(rows, part.outcome))
    known = ~(absent | unknown)
    used = [one for one in parts if isinstance(one, Numeric | Category)][:_MOST_PARTS]
    if known.sum() < _LEAST_ROWS or not used:
        return part
    lost = part.steps(residual.off(said, true)[known]) / residual.STEPS
    base, weights = _fitted([one.cells_of(_array(rows, one.name))[known] for one in used], used, lost)
    model = tuple((one.name, tuple(map(float, found))) for one, found in zip(used, weights, strict=True))
    return dataclasses.replace(part, base=base, model=model)


def _fitted(cells: list[np.ndarray], parts: Sequence[Part], lost: np.ndarray) -> tuple[float, list[np.ndarray]]:
    from scipy import sparse
    from scipy.sparse.linalg import lsqr

    starts = np.append(0, np.cumsum([part.cells for part in parts]))
    rows = np.arange(len(lost))
    columns = np.concatenate([found + start for found, start in zip(cells, starts, strict=False)])
    ones = np.ones(len(columns))
    places = (ones, (np.tile(rows, len(parts)), columns))
    indicators = sparse.csr_array(places, shape=(len(lost), int(starts[-1])))
    base = float(lost.mean())
    fitted = lsqr(indicators, lost - base, damp=np.sqrt(_PENALTY), atol=1e-6, btol=1e-6, iter_lim=200)[0]
    return base, [fitted[start:end] for start, end in itertools.pairwise(starts)]


def _array(rows: pa.Table, name: str) -> pa.Array:
    return rows[name].combine_chunks()
