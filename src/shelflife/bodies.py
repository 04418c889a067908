"""Rows of programs as JSON that can be read, whatever they hold."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
from collections.abc import Mapping
from typing import Any

_log = logging.getLogger("shelflife.client")

_LARGE = 8_000_000  # bytes that go out at once at most, unless one row alone has more
_HALF = re.compile("[\ud800-\udfff]")  # of a character: text that was cut in the middle of one


def written(rows: list[Any]) -> list[tuple[bytes, int]]:
    """Rows in bodies that are not too large, and how many in each; a row that cannot be written costs no other."""
    with contextlib.suppress(Exception):  # whatever their values raise
        whole = _said(rows)
        if len(whole) <= _LARGE:
            return [(whole, len(rows))]
    bodies: list[list[bytes]] = []
    size = _LARGE
    for one in filter(None, map(_cleaned, rows)):
        if size + len(one) >= _LARGE:
            bodies.append([])
            size = 0
        bodies[-1].append(one)
        size += len(one) + 1
    return [(b"[" + b",".join(some) + b"]", len(some)) for some in bodies]


def halves(body: bytes) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """The same rows in two bodies, each with how many it has."""
    rows = json.loads(body)
    first, second = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    return (_said(first), len(first)), (_said(second), len(second))


def _said(value: Any) -> bytes:
    return json.dumps(value, default=_plain, allow_nan=False, ensure_ascii=False).encode()


def _cleaned(row: Any) -> bytes | None:
    """A row as JSON that can be read, whatever it holds; None where there is no way."""
    try:
        return _said(_clean(row))
    except Exception as error:  # noqa: BLE001 - whatever its values raise
        _log.error("a row is lost: %s", error)
        return None


def _clean(value: Any) -> Any:
    """The same with nothing where a number is none and no half characters: JSON knows no way to say them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _HALF.search(value) else value
    if isinstance(value, Mapping):
        return {_clean(str(name)): _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value if value is None or isinstance(value, int) else _clean(_plain(value))


def _plain(value: Any) -> Any:
    """Values of NumPy and times as JSON knows them; what else it does not know as text."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)
