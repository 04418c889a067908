"""The small types of a plan: names, shares, durations, dates; each says what it asks for and what it found."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from shelflife import durations
from shelflife.errors import BadInput

Place = tuple[str | int, ...]  # in a plan: names, and positions in lists

_MICROSECOND = timedelta(microseconds=1)
_UNITS = (
    ("y", durations.YEAR), ("w", durations.WEEK), ("d", durations.DAY), ("h", durations.HOUR), ("m", durations.MINUTE),
    ("s", 1_000_000), ("ms", 1_000),
)  # fmt: skip


def written(span: timedelta) -> str:
    """A duration as a plan writes it, in the largest unit that keeps it whole.

    Examples
    --------
    >>> written(timedelta(days=14)), written(timedelta(days=90)), written(timedelta(milliseconds=50))
    ('2w', '90d', '50ms')
    """
    microseconds = span // _MICROSECOND
    for unit, size in _UNITS:
        if microseconds % size == 0 and microseconds >= size:
            return f"{microseconds // size}{unit}"
    return "0s" if microseconds == 0 else f"{microseconds / 1_000_000:g}s"


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("duration", "is to be a number and a unit, such as 90m, 2h, 1d or 4w")
    try:
        span = timedelta(microseconds=durations.parse(value, option="duration"))
    except BadInput as error:
        raise PydanticCustomError("duration", "is to be a number and a unit, such as 90m, 2h, 1d or 4w") from error
    if span <= timedelta(0):
        raise PydanticCustomError("duration", "is to be longer than nothing, such as 90m, 2h, 1d or 4w")
    return span


def _or_duration(word: str) -> Any:
    def check(value: Any) -> timedelta | str:
        if value == word:
            return word
        try:
            return _duration(value)
        except PydanticCustomError as error:
            raise PydanticCustomError(
                "duration", "is to be {word}, or a number and a unit, such as 4w", {"word": word}
            ) from error

    return check


def _matching(pattern: str, what: str, example: str) -> Any:
    shape = re.compile(pattern)

    def check(value: Any) -> str:
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise PydanticCustomError("text", "is to be {what}, such as {example}", {"what": what, "example": example})
        return value

    return check


_JSON_DURATION = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d|w|y)\s*$", "examples": ["1d"]}

Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(written, return_type=str),
    WithJsonSchema(_JSON_DURATION),
]
"""A length of time: a number and a unit (``ms s m h d w y``), longer than nothing."""


def _word_or_duration(word: str) -> Any:
    return Annotated[
        Any,
        BeforeValidator(_or_duration(word)),
        PlainSerializer(lambda value: value if isinstance(value, str) else written(value), return_type=str),
        WithJsonSchema({"anyOf": [{"const": word}, _JSON_DURATION]}),
    ]


if TYPE_CHECKING:
    Window = timedelta | Literal["all"]
    BestBefore = timedelta | Literal["best_before"]
else:
    Window = _word_or_duration("all")
    BestBefore = _word_or_duration("best_before")

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A share of rows, 0 to 1."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A number of at least 0."""

Count = Annotated[int, Field(ge=1)]
"""A whole number of at least 1."""

Number = Annotated[float, Field(allow_inf_nan=False)]
"""Any number that is one."""

_NAME = r"[a-z0-9][a-z0-9_-]{0,62}"
_name = _matching(_NAME, "a name of small letters, digits, - and _, at most 63", "support-desk")

Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"})]
"""What is referred to, stands in addresses and names folders."""

_LINE = Field(min_length=1, max_length=2000, pattern=r"\S")

Line = Annotated[str, _LINE]
"""Words for people."""

Column = Annotated[str, Field(min_length=1, max_length=500)]
"""The name of a column or an input, as the data spells it."""


def _columns(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise PydanticCustomError("columns", "is to be a name or a list of names")
    return names


Columns = Annotated[
    tuple[str, ...],
    BeforeValidator(_columns),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
"""One column, or several."""

_FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"
_function = _matching(_FUNCTION, "a function as module:name", "support_desk.training:train")
Function = Annotated[str, BeforeValidator(_function), WithJsonSchema({"type": "string", "pattern": f"^{_FUNCTION}$"})]
"""A function of the user's, ``module:name``."""

_EMAIL = r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+"
_email = _matching(_EMAIL, "an e-mail address", "support-lead@example.com")
Email = Annotated[str, BeforeValidator(_email), WithJsonSchema({"type": "string", "format": "email"})]
"""An e-mail address."""

_URL = r"[a-z][a-z0-9+.-]*://\S*"
_url = _matching(_URL, "an address with its scheme", "slack://token/channel")
Url = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "pattern": f"^{_URL}$"})]
"""An address with its scheme."""

_DATABASE = rf"(?:{_URL}|\$\{{\w+\}})"
_database = _matching(_DATABASE, "an SQLAlchemy URL, or ${NAME} of the environment", "postgresql://${USER}@host/name")
DatabaseUrl = Annotated[
    str, BeforeValidator(_database), WithJsonSchema({"type": "string", "pattern": f"^{_DATABASE}$"})
]
"""The address of a database, or where in the environment it stands."""

_CURRENCY = r"[A-Z]{3}"
_currency = _matching(_CURRENCY, "a currency of three letters", "EUR")
Currency = Annotated[str, BeforeValidator(_currency), WithJsonSchema({"type": "string", "pattern": f"^{_CURRENCY}$"})]
"""A currency, ISO 4217."""


def dotted(place: Place) -> str:
    """A place in a plan as people write it: ``renew.gates[2].metric``, items counted from 1."""
    said = ""
    for part in place:
        said += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if said else part
    return said
