"""Numbers, durations and dates as people read them: the same words in the terminal, on pages and in charts."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

UNKNOWN = "unknown"

# Written out, since the locale's names depend on the machine.
_MONTHS = ["January", "February", "March", "April", "May", "June"]
_MONTHS += ["July", "August", "September", "October", "November", "December"]
_YEAR = 365.25


def number(value: float | None, digits: int = 3) -> str:
    """A number with thousands set apart, rounded to `digits` significant figures but never to less than a tenth.

    >>> number(1234.5), number(1234567), number(0.023456), number(-2.0), number(None)
    ('1,234.5', '1,234,567', '0.0235', '−2', 'unknown')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    text = f"{abs(value):,.{min(12, max(1, digits - 1 - magnitude))}f}"
    text = text.rstrip("0").rstrip(".")
    return f"−{text}" if value < 0 and text != "0" else text


def signed(value: float | None) -> str:
    """A number with its sign, for differences.

    >>> signed(2.34), signed(-0.5), signed(0)
    ('+2.34', '−0.5', '0')
    """
    text = number(value)
    return f"+{text}" if value is not None and value > 0 and text not in ("0", UNKNOWN) else text


def evidence(log10: float) -> str:
    """How many times 1 a bet would have become, in words.

    >>> evidence(1.3), evidence(4.02), evidence(12.6)
    ('20 to 1', '10,000 to 1', '10¹³ to 1')
    """
    if log10 < 6:
        return f"{number(float(f'{10**log10:.1g}'))} to 1"
    raised = str(round(log10)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised} to 1"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> plural(1, "model"), plural(1200, "row"), plural(0, "loss", "losses")
    ('1 model', '1,200 rows', '0 losses')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def share(value: float | None) -> str:
    """A share of a whole in percent, to a tenth.

    >>> share(0.0234), share(0.5), share(0.0004), share(1)
    ('2.3 %', '50 %', 'under 0.1 %', '100 %')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if 0 < value < 0.0005:
        return "under 0.1 %"
    return f"{number(round(value * 100, 1))} %"


def points(value: float | None, *, sign: bool = False) -> str:
    """A difference of two shares in percentage points, to a tenth (two figures below one point).

    >>> points(0.02), points(0.01), points(-0.0234), points(0.0234, sign=True), points(0.00123)
    ('2 points', '1 point', '−2.3 points', '+2.3 points', '0.12 points')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    rounded = round(value * 100, 1 if abs(value) >= 0.01 else 2)
    text = signed(rounded) if sign else number(rounded)
    return f"{text} {'point' if abs(rounded) == 1 else 'points'}"


def loss(value: float | None, task: str) -> str:
    """A mean loss: percent of rows wrong for classification, units of the target otherwise.

    >>> loss(0.234, "classification"), loss(0.234, "regression")
    ('23.4 %', '0.234')
    """
    return share(value) if task == "classification" else number(value)


def excess(value: float | None, task: str, *, sign: bool = False) -> str:
    """A difference of two losses: points for classification, units of the target otherwise.

    >>> excess(0.02, "classification", sign=True), excess(1.5, "regression")
    ('+2 points', '1.5')
    """
    if task == "classification":
        return points(value, sign=sign)
    return signed(value) if sign else number(value)


def days(value: float | None) -> str:
    """A duration given in days, in the unit a person would use.

    >>> days(63), days(10), days(1), days(0.5), days(1.5), days(1 / 1440), days(1461)
    ('9 weeks', '10 days', '1 day', '12 hours', '36 hours', '1 minute', '4 years')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size, unit = _unit(value)
    return plural(int(size), unit) if size == int(size) else f"{number(size)} {unit}s"


def every(value: float) -> str:
    """How often, for a step given in days.

    >>> every(7), every(28), every(1 / 24)
    ('every week', 'every 4 weeks', 'every hour')
    """
    return f"every {days(value).removeprefix('1 ')}"


def between(low: float | None, high: float | None) -> str:
    """An interval of durations, the unit said once where it is the same.

    >>> between(56, 84), between(6, 21), between(56, None), between(63, 63), between(0, 14)
    ('8 to 12 weeks', '6 days to 3 weeks', 'at least 8 weeks', '9 weeks', 'at most 2 weeks')
    """
    low = low or None  # a length of at least nothing is no bound
    if low is None or high is None:
        return f"at least {days(low)}" if low is not None else f"at most {days(high)}" if high is not None else UNKNOWN
    first, last = days(low), days(high)
    if first == last:
        return last
    return f"{first.split()[0]} to {last}" if _unit(low)[1] == _unit(high)[1] else f"{first} to {last}"


def unit(every: float) -> tuple[float, str]:
    """The unit in which ages measured in slices of `every` days are counted: its size in days, and its name.

    >>> unit(7.0), unit(30.4), unit(1 / 24)
    ((7.0, 'week'), (1.0, 'day'), (0.041666666666666664, 'hour'))
    """
    if every >= 7 and abs(every / 7 - round(every / 7)) < 0.01:
        return 7.0, "week"
    return next(((size, name) for size, name in _UNITS if every >= size * 0.99), _UNITS[-1])


def age(value: float, every: float) -> str:
    """An age in the unit of the slices it was measured in, so that a column of ages reads in one unit.

    >>> age(70, 7), age(10, 1), age(0.25, 1 / 24), age(75.0, 30.4)
    ('10 weeks', '10 days', '6 hours', '75 days')
    """
    size, name = unit(every)
    count = round(value / size, 1)
    return plural(int(count), name) if count == int(count) else f"{number(count)} {name}s"


def date(when: datetime | None, *, short: bool = False) -> str:
    """A day as people read it.

    >>> date(datetime(1997, 5, 5)), date(datetime(2027, 3, 12), short=True)
    ('5 May 1997', '12 Mar 2027')
    """
    if when is None:
        return UNKNOWN
    month = _MONTHS[when.month - 1]
    return f"{when.day} {month[:3] if short else month} {when.year}"


def moment(when: datetime | None, every: float = 1.0, *, short: bool = False) -> str:
    """A moment as exact as slices of `every` days make it: the day, or the day and the time of day.

    >>> moment(datetime(1997, 5, 5, 14), 1 / 24), moment(datetime(1997, 5, 5), 7)
    ('5 May 1997, 14:00', '5 May 1997')
    """
    day = date(when, short=short)
    return day if when is None or every >= 1 else f"{day}, {when:%H:%M}"


def exact(when: datetime | None) -> str:
    """A moment to the second with its zone, for hovering and for machines.

    >>> exact(datetime(1997, 5, 5))
    '1997-05-05T00:00:00'
    """
    return "" if when is None else when.isoformat(timespec="seconds")


def seconds(value: float) -> str:
    """How long something took.

    >>> seconds(0.21), seconds(12.34), seconds(75), seconds(7260)
    ('0.2 seconds', '12 seconds', '1 minute 15 seconds', '2 hours 1 minute')
    """
    if value < 59.5:
        size = round(value, 1) if value < 10 else round(value)
        return f"{number(size)} {'second' if size == 1 else 'seconds'}"
    total = timedelta(seconds=round(value))
    hours, minutes, rest = int(total.total_seconds()) // 3600, total.seconds // 60 % 60, total.seconds % 60
    parts = [(hours, "hour"), (minutes, "minute"), (0 if hours else rest, "second")]
    return " ".join(plural(size, unit) for size, unit in parts if size)


_UNITS = ((1.0, "day"), (1 / 24, "hour"), (1 / 1440, "minute"))


def _unit(value: float) -> tuple[float, str]:
    """The size and unit in which `days` speaks of a duration: weeks only where they come out even or days get many."""
    magnitude = abs(value)
    if magnitude >= 3 * _YEAR:
        return round(value / _YEAR, 1), "year"
    if magnitude > 100 or (magnitude >= 7 and abs(magnitude / 7 - round(magnitude / 7)) < 0.01):
        return float(round(value / 7)), "week"
    if magnitude >= 3 or abs(magnitude - round(magnitude)) < 0.01 <= magnitude:
        return float(round(value)), "day"
    if magnitude * 24 >= 0.99:
        return round(value * 24, 1 if magnitude < 0.5 else None), "hour"
    return float(round(value * 1440, 1 if magnitude * 1440 < 10 else None)), "minute"
