"""What is asked of a model: its inputs as columns of the plan's kinds, and by which ids, key and time it is kept."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

import numpy as np

from shelflife.errors import BadInput, nearest
from shelflife.gateway.tensors import Tensor
from shelflife.models import label

LONGEST = 200  # characters of an id or a key
MOST_ROWS = 100_000
OURS = ("id", "ids", "key", "time")  # what a request says beside its inputs
_ANCIENT, _AHEAD = datetime(1900, 1, 1, tzinfo=UTC), timedelta(days=1)
_OTHER = object()  # no name of an input
_NUMBERS = {int, float, type(None)}

Columns = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes
    ----------
    columns
        Gives its inputs by their kinds; may raise `BadInput`.
    ids
        One a row.
    key
        By which it is routed.
    time
        When it happened, in microseconds since 1970.
    """

    columns: Callable[[Mapping[str, str]], Columns]
    ids: list[str]
    key: str
    time: int


def named(
    given: Callable[[Mapping[str, str]], Columns], rows: int, *, id: Any, ids: Any, key: Any, time: Any, now: datetime  # noqa: A002
) -> Asked:  # fmt: skip
    """A request with its names: those that were given, and made up where none were."""
    if rows == 0:
        raise BadInput("There is no row to answer.")
    if rows > MOST_ROWS:
        raise BadInput(f"At most {MOST_ROWS:,} rows can be asked about at once; found {rows:,}. Ask in parts.")
    if id is not None:
        _check_name("id", id)
    if ids is None:
        first = os.urandom(12).hex() if id is None else id
        ids = [first] if rows == 1 else [f"{first}/{row}" for row in range(rows)]
        _check_name("id", ids[-1])  # the longest
    else:
        _check_ids(ids, rows)
    if key is not None:
        _check_name("key", key)
    return Asked(given, ids, (id or ids[0]) if key is None else key, _moment(time, now))


def _check_ids(ids: Any, rows: int) -> None:
    if not isinstance(ids, list) or len(ids) != rows:
        raise BadInput(f"`ids` is to be a list of one text a row, {rows} in all.")
    for one in ids:
        _check_name("ids", one)
    if len(set(ids)) < rows:
        raise BadInput("`ids` holds one of them twice; each row has its own.")


def _check_name(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST or "\0" in value:
        raise BadInput(f"`{name}` is to be a text of 1 to {LONGEST} characters; found {_shown(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"`{name}` holds half a character.") from None


def _moment(given: Any, now: datetime) -> int:
    if given is None:
        return _micros(now)
    moment = _time(given, "time")
    if moment > now + _AHEAD or moment < _ANCIENT:
        raise BadInput(f"`time` is to lie between 1900 and now; found {_shown(given)}.")
    return _micros(moment)


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


# ---- inputs by name --------------------------------------------------------------------------------------------------


def of_rows(rows: Sequence[Any], kinds: Mapping[str, str]) -> Columns:
    """The columns of rows that are objects of named inputs; an input that is not known is null, and is not left out."""
    count = len(kinds)
    take = itemgetter(*kinds)
    try:
        # As long as the inputs and with each of them: with no other.
        values = [take(row) if len(row) == count else row[_OTHER] for row in rows]
    except (KeyError, TypeError, AttributeError):
        raise _wrong(rows, kinds) from None
    each = zip(*values, strict=True) if count > 1 else [tuple(values)]
    return {name: column(list(some), kind, name) for some, (name, kind) in zip(each, kinds.items(), strict=True)}


def _wrong(rows: Sequence[Any], kinds: Mapping[str, str]) -> BadInput:
    """What is wrong with the first row that does not have the inputs."""
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            return BadInput(f"Row {place} is to be an object of inputs and their values; found {_shown(row)}.")
        for name in row:
            if name not in kinds:
                where = f" (row {place})" if len(rows) > 1 else ""
                return BadInput(f"There is no input {name[:100]!r}{where}. {nearest(name, kinds)}")
        for name in kinds:
            if name not in row:
                return BadInput(f"Input {name!r} is missing in row {place}; null says that it is not known.")
    return BadInput("A row is to be an object of inputs and their values.")


def of_tensors(tensors: Sequence[Tensor], kinds: Mapping[str, str]) -> Columns:
    """The columns of tensors: one an input, or one for all where all are numeric."""
    if len(tensors) == 1 and tensors[0].name not in kinds and len(kinds) > 1:
        return _of_matrix(tensors[0], kinds)
    given = {one.name: one for one in tensors}
    for name in given:
        if name not in kinds:
            raise BadInput(f"There is no input {name[:100]!r}. {nearest(name, kinds)}")
    for name in kinds:
        if name not in given:
            raise BadInput(f"Input {name!r} is missing.")
    rows = tensors[0].shape[0]
    for one in tensors:
        if one.shape[0] != rows:
            raise BadInput(f"Input {one.name!r} has {one.shape[0]} rows, and {tensors[0].name!r} has {rows}.")
    return {name: _of_tensor(given[name], kind) for name, kind in kinds.items()}


def _of_matrix(tensor: Tensor, kinds: Mapping[str, str]) -> Columns:
    if tensor.shape[1:] != (len(kinds),) or set(kinds.values()) != {"numeric"}:
        names = ", ".join(kinds)
        raise BadInput(
            f"There is no input {tensor.name[:100]!r}. One tensor for all inputs is to have the shape"
            f" [rows, {len(kinds)}], where all are numeric; the inputs are {names}."
        )
    found = _of_tensor(tensor, "numeric", width=len(kinds)).reshape(tensor.shape)
    return {name: found[:, place] for place, name in enumerate(kinds)}


def _of_tensor(tensor: Tensor, kind: str, *, width: int = 1) -> Any:
    name, values = tensor.name, tensor.values
    if kind == "vector":
        if len(tensor.shape) != 2 or not isinstance(values, np.ndarray) or values.dtype == bool:
            raise BadInput(f"Input {name!r} is a vector: its tensor is to be numbers of the shape [rows, length].")
        return column(values.reshape(tensor.shape).astype(np.float64).tolist(), kind, name)
    if math.prod(tensor.shape[1:]) != width:
        raise BadInput(f"The shape of input {name!r} is to be [rows] or [rows, 1]; found {list(tensor.shape)}.")
    if kind == "numeric":
        if not isinstance(values, np.ndarray) or values.dtype == bool:
            raise BadInput(f"Input {name!r} is numeric: its datatype is to be FP64, or another of numbers.")
        return _finite(values.astype(np.float64), name)
    return column(values.tolist() if isinstance(values, np.ndarray) else values, kind, name)


def column(values: list[Any], kind: str, name: str) -> Any:
    """Values of one input as its kind; raises `BadInput`, which names it and the row."""
    if kind == "numeric":
        if set(map(type, values)) <= _NUMBERS:
            try:
                return _finite(np.asarray(values, dtype=np.float64), name)
            except OverflowError as error:
                raise BadInput(f"Input {name!r} holds a number that has no 64 bits.") from error
        _complain(values, name, "a number", lambda value: type(value) in _NUMBERS)
    if kind == "boolean":
        _complain(values, name, "true or false", lambda value: value is None or isinstance(value, bool))
        return values
    if kind == "vector":
        _complain(values, name, "a list of numbers", _is_vector)
        return [None if value is None else [float(one) for one in value] for value in values]
    if kind == "time":
        return [None if value is None else _calendar(value, name) for value in values]
    if set(map(type, values)) <= {str, type(None)}:
        return values
    _complain(values, name, "a text", lambda value: value is None or isinstance(value, str | int | float))
    return [value if value is None or isinstance(value, str) else label(value) for value in values]


def _finite(found: Any, name: str) -> Any:
    infinite = np.isinf(found)
    if infinite.any():
        raise BadInput(f"Input {name!r} is infinite in row {int(np.flatnonzero(infinite.reshape(-1))[0])}.")
    return found


def _is_vector(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and all(type(one) in (int, float) and abs(one) < 1e300 for one in value)


def _complain(values: list[Any], name: str, words: str, fits: Callable[[Any], bool]) -> None:
    for place, value in enumerate(values):
        if not fits(value):
            raise BadInput(f"Input {name!r} is to be {words} in row {place}; found {_shown(value)}.")


def _time(value: Any, name: str) -> datetime:
    wanted = f"{name!r} is to be a time with its zone, as 2026-05-01T13:00:00Z; found {_shown(value)}."
    if not isinstance(value, str):
        raise BadInput(wanted)
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput(wanted) from error
    raise BadInput(wanted)


def _calendar(value: Any, name: str) -> str:
    found = _time(value, name)
    if not 1700 <= found.year <= 2200:  # beyond these no frame has it in nanoseconds
        raise BadInput(f"Input {name!r} is to lie between 1700 and 2200; found {_shown(value)}.")
    return found.isoformat()


def hidden(values: Any) -> list[str | None]:
    """Digests in place of values, as rows that are sent to us have them: what is equal stays equal."""
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    # A number that is not known is unlike itself.
    known = [None if value is None or value != value else str(value).encode() for value in plain]  # noqa: PLR0124
    return [None if value is None else hashlib.sha256(value).hexdigest()[:32] for value in known]


def _shown(value: Any) -> str:
    said = "nothing" if value is None else repr(value)
    return said if len(said) <= 60 else f"{said[:57]}..."
