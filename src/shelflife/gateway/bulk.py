"""Many rows in one body: read at once into what the plan says they hold, without an object for each on the way.

Only what fits entirely is read so. Whatever does not (another spelling of a class, an input too many, a plain mistake)
is read row by row instead, which knows every form that may be sent and tells what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from shelflife.gateway.asked import OURS, Columns, column

LARGE = 10_000  # bytes from which it is worth the attempt
_HELD = {"numeric": float, "boolean": bool, "vector": list[float]}  # a text otherwise


def read(body: bytes, kinds: Mapping[str, str]) -> tuple[Columns, dict[str, Any]] | None:
    """The columns of the rows in a body and what it says beside them; None where it does not fit entirely.

    Raises
    ------
    BadInput
        Where a value cannot be what its input is.
    """
    decoder = None if "rows" in kinds else _decoder(tuple(kinds.items()))
    if decoder is None:
        return None
    try:
        said = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not said.rows:
        return None
    names = {name: value for name in OURS if (value := getattr(said, name)) is not msgspec.UNSET}
    if set(kinds.values()) == {"numeric"}:
        return _numbers(said.rows, kinds), names
    each = zip(*map(astuple, said.rows), strict=True)
    return {
        name: column(list(some), kind, name) for some, (name, kind) in zip(each, kinds.items(), strict=True)
    }, names  # fmt: skip


def _numbers(rows: list[Any], kinds: Mapping[str, str]) -> Columns:
    shape = len(rows), len(kinds)
    try:
        found = np.fromiter(chain.from_iterable(map(astuple, rows)), np.float64, shape[0] * shape[1]).reshape(shape)
    except TypeError:  # some are not known
        found = np.array([astuple(row) for row in rows], dtype=np.float64)
    return dict(zip(kinds, np.ascontiguousarray(found.T), strict=True))


@lru_cache(maxsize=64)
def _decoder(kinds: tuple[tuple[str, str], ...]) -> msgspec.json.Decoder[Any] | None:
    """Reads rows of inputs of these kinds; None where one is called what the library cannot look for."""
    # Inputs may be called anything, and fields only what Python has names for. What has no cycles is not collected.
    fields = [f"input{place}" for place in range(len(kinds))]
    try:
        row = msgspec.defstruct(
            "Row",
            [(field, _HELD.get(kind, str) | None) for field, (_, kind) in zip(fields, kinds, strict=True)],
            rename={field: name for field, (name, _) in zip(fields, kinds, strict=True)},
            forbid_unknown_fields=True, gc=False,
        )  # fmt: skip
    except ValueError:  # of quotes and control characters in a name
        return None
    beside = [(name, list[str] | None if name == "ids" else str | None, msgspec.UNSET) for name in OURS]
    return msgspec.json.Decoder(
        msgspec.defstruct("Body", [("rows", list[row]), *beside], forbid_unknown_fields=True)  # type: ignore[valid-type]
    )  # fmt: skip
