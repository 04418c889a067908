"""Single values of what programs send, each as its type or with what was asked for instead."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

# What has the form of a time, and what is asked for where it is none.
_FORM = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_THERE = "a date, a time of day and an offset that there are, as 2026-05-01T13:00:00+02:00"


def family(kind: pa.DataType) -> str:
    """What Arrow types of one meaning have in common, by which a reader is found."""
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    if types.is_boolean(kind):
        return "boolean"
    if types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind):
        return "number"
    if types.is_timestamp(kind) or types.is_date(kind):
        return "time"
    return "vector" if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) else "other"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    raise TypeError("text")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number")
    try:
        return float(value)
    except OverflowError as error:
        raise OverflowError("a number of 64 bits") from error


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise TypeError("true or false")


def _time(value: Any) -> datetime:
    wanted = "a time with its zone, as 2026-05-01T13:00:00Z"
    if not isinstance(value, str):
        raise TypeError(wanted)
    try:
        moment = datetime.fromisoformat(value)
        found = None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        # 30 February, or an offset of 99 hours, has the form of a time.
        raise ValueError(_THERE if _FORM.match(value) else wanted) from error
    if found is None:
        raise ValueError(wanted)
    return found


def _vector(value: Any) -> list[float]:
    if not isinstance(value, list | tuple):
        raise TypeError("a list of numbers")
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
        raise TypeError("a list of numbers")
    return [float(one) for one in value]


READERS = {"text": _text, "number": _number, "boolean": _boolean, "time": _time, "vector": _vector}


def shown(value: Any) -> str:
    """A value as a reason tells it."""
    if value is None:
        return "nothing"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        said = json.dumps(value, ensure_ascii=True, default=str)
    except (TypeError, ValueError, RecursionError):
        said = type(value).__name__
    return said if len(said) <= 60 else f"{said[:57]}..."
