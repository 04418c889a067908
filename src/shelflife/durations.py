"""Durations as people write them: ``50ms 90m 2h 1d 4w`` and ``2y``, kept as whole microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from shelflife.errors import BadInput

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
YEAR = 365 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS = {"ms": 1_000, "s": 1_000_000, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK, "y": YEAR}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")

# Steps that people plan in; a history is cut into the first of these that suits its length.
ROUND = (
    tuple(minutes * MINUTE for minutes in (1, 5, 15, 30))
    + tuple(hours * HOUR for hours in (1, 2, 4, 8, 12))
    + tuple(days * DAY for days in (1, 2, 3, 7, 14, 28, 91, 182, 365, 730, 1825, 3650, 7300))
)


def parse(written: str | timedelta, *, option: str) -> int:
    """Microseconds of a duration such as ``"7d"`` or a `timedelta`.

    Raises `BadInput`, naming `option`, for anything that is not a duration.

    Examples
    --------
    >>> parse("2h", option="--every") == 2 * HOUR
    True
    >>> parse("1.5d", option="--every") / HOUR
    36.0
    """
    if isinstance(written, timedelta):
        found = round(written / timedelta(microseconds=1))
    else:
        match = _WRITTEN.fullmatch(str(written).strip().lower())
        if match is None or match[2] not in _UNITS:
            raise BadInput(
                f"{option} asks for a duration; found {written!r}. Write a number and a unit: 90m, 2h, 1d, 4w or 2y."
            )
        found = round(float(match[1]) * _UNITS[match[2]])
    if found < 0 or found > 1000 * YEAR:
        raise BadInput(f"{option} asks for a duration from 0 to 1000 years; found {written!r}.")
    return found


def days(microseconds: int) -> float:
    """A duration in days.

    Examples
    --------
    >>> days(36 * HOUR)
    1.5
    """
    return microseconds / DAY


def moment(microseconds: int) -> datetime:
    """The moment so many microseconds after the beginning of 1970.

    Examples
    --------
    >>> moment(DAY).isoformat()
    '1970-01-02T00:00:00+00:00'
    """
    return _EPOCH + int(microseconds) * _MICROSECOND


def micros(moment: datetime) -> int:
    """Whole microseconds from the beginning of 1970 to a moment."""
    return (moment - _EPOCH) // _MICROSECOND
