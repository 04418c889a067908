"""Phases of a season: which buckets of a reference a bucket is to be compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shelflife import durations
from shelflife.errors import BadInput
from shelflife.look import words

SEASONS = ("none", "day", "week", "year")

_COUNTS = {"none": 1, "day": 24, "week": 7, "year": 12}
_LONGEST = {"day": durations.DAY // 2, "week": durations.DAY, "year": 31 * durations.DAY}


def check(season: str, bucket: int | None) -> None:
    """Raise `BadInput` for a season that is unknown, or too short for the buckets."""
    if season not in SEASONS:
        raise BadInput(f"--season asks for {', '.join(SEASONS)}; found {season!r}.")
    if season == "none":
        return
    if bucket is None:
        raise BadInput(f"--season {season} needs a time column: name it with --time.")
    if bucket > _LONGEST[season]:
        raise BadInput(
            f"--season {season} needs buckets of at most {words.days(durations.days(_LONGEST[season]))}; asked for is a"
            f" --bucket of {words.days(durations.days(bucket))}."
        )


def phases(buckets: NDArray[np.int64], season: str, bucket: int | None) -> tuple[NDArray[np.int64], int]:
    """The phase of each bucket, and how many phases there are.

    A day has its hours, a week its days, a year its twelve months (by the middle of the bucket).

    Parameters
    ----------
    buckets
        Shape (buckets,); starts in microseconds since 1970.
    season
        One of `SEASONS`.
    bucket
        Length of a bucket in microseconds.

    Examples
    --------
    >>> monday = 4 * durations.DAY
    >>> phases(np.array([monday, monday + durations.DAY]), "week", durations.DAY)[0].tolist()
    [0, 1]
    """
    count = _COUNTS[season]
    if season == "none":
        return np.zeros(len(buckets), dtype=np.int64), count
    middle = buckets + (bucket or 0) // 2
    if season == "day":
        return middle % durations.DAY // durations.HOUR, count
    if season == "week":
        return (middle - 4 * durations.DAY) % durations.WEEK // durations.DAY, count
    months = middle.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return months % 12, count
