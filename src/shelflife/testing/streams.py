"""Generated tables in which nothing changes, or a known thing does from a known day on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

START = datetime(2026, 1, 5)  # a Monday


def steady(*, days: int = 60, rows: int = 200, seed: int = 0, start: datetime = START) -> pa.Table:
    """Orders of a shop whose payments a model judges; nothing changes.

    Columns: ``ts``, ``amount``, ``items`` (numbers), ``channel``, ``country`` (categories), ``gift`` (boolean),
    ``note`` (text), ``score``, ``fraud`` (what the model says) and ``charged_back`` (what turned out).

    Parameters
    ----------
    days, rows
        How many days, and rows on each.
    seed
        Same seed, same table.
    start
        The first day.

    Examples
    --------
    >>> steady(days=2, rows=3).num_rows
    6
    """
    return pa.table(_columns(np.random.default_rng(seed), days * rows) | {"ts": _times(days, rows, start)})


def shifted(
    *, days: int = 60, rows: int = 200, seed: int = 0, start: datetime = START, after: int = 0, change: str = "mean"
) -> pa.Table:
    """As `steady`, with one change from day `after` on.

    Parameters
    ----------
    after
        The first day of the change, counted from 0.
    change
        ``mean`` and ``variance`` of amount, ``new`` (a country never seen), ``mix`` of channels, ``concept`` (who
        charges back, with all inputs as before), ``nulls`` in country, ``words`` in notes.
    """
    rng = np.random.default_rng(seed)
    total = days * rows
    columns = _columns(rng, total)
    late = np.arange(total) >= after * rows
    if change == "mean":
        columns["amount"] = columns["amount"] * np.where(late, 1.6, 1.0)
    elif change == "variance":
        middle = np.median(columns["amount"])
        columns["amount"] = middle + (columns["amount"] - middle) * np.where(late, 2.0, 1.0)
    elif change == "new":
        columns["country"] = np.where(late & (rng.random(total) < 0.2), "Aurora", columns["country"])
    elif change == "mix":
        columns["channel"] = np.where(late & (rng.random(total) < 0.3), "app", columns["channel"])
    elif change == "nulls":
        gone = late & (rng.random(total) < 0.2)
        columns["country"] = pa.array(columns["country"], mask=gone)
    elif change == "words":
        said = np.array(["where is my parcel from aurora", "the aurora card was declined"])
        columns["note"] = np.where(late & (rng.random(total) < 0.3), rng.choice(said, total), columns["note"])
    elif change == "concept":
        flipped = late & (rng.random(total) < 0.2)
        columns["charged_back"] = np.where(flipped, 1 - columns["charged_back"], columns["charged_back"])
    else:
        raise ValueError(f"change is mean, variance, new, mix, nulls, words or concept; found {change!r}")
    return pa.table(columns | {"ts": _times(days, rows, start)})


_WORDS = np.array(["where", "is", "my", "parcel", "card", "was", "declined", "please", "send", "thank", "you", "help"])


def _columns(rng: np.random.Generator, total: int) -> dict[str, Any]:
    score = rng.beta(0.6, 3.0, total)
    return {
        "amount": np.exp(rng.normal(3.5, 0.8, total)),
        "items": rng.poisson(2.0, total) + 1,
        "channel": rng.choice(["web", "shop", "app", "phone"], total, p=[0.5, 0.25, 0.2, 0.05]),
        "country": rng.choice(["NO", "SE", "DK", "FI", "IS"], total, p=[0.4, 0.3, 0.15, 0.1, 0.05]),
        "gift": rng.random(total) < 0.15,
        "note": _notes(rng, total),
        "score": score,
        "fraud": (score >= 0.5).astype(np.int64),
        "charged_back": (rng.random(total) < score).astype(np.int64),
    }


def _notes(rng: np.random.Generator, total: int) -> NDArray[np.str_]:
    made = rng.choice(_WORDS, (total, 6))
    return np.array([" ".join(row) for row in made])


def _times(days: int, rows: int, start: datetime) -> pa.Array:
    first = np.datetime64(start, "us")
    moments = first + np.arange(days * rows) * np.timedelta64(86_400_000_000 // rows, "us")
    return pa.array(moments)
