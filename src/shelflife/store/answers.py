"""One record of a gateway's log: what stands beside the inputs as JSON, and columns of numbers as they lie in memory.

Numbers are most of what is asked about, and writing them as text would take longer than answering.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

_HEAD = struct.Struct("<I")


def packed(said: Mapping[str, Any], inputs: Mapping[str, Any]) -> bytes:
    """A record: what is said of some rows, and their inputs, each an array of numbers or a list."""
    numbers = [name for name, values in inputs.items() if isinstance(values, np.ndarray)]
    lists = {name: values for name, values in inputs.items() if name not in numbers}
    head = orjson.dumps({**said, "numbers": numbers, "inputs": lists})
    return b"".join([_HEAD.pack(len(head)), head, *(inputs[name].astype("<f8").tobytes() for name in numbers)])


def unpacked(record: bytes) -> dict[str, Any]:
    """What was said of some rows, with their `inputs`."""
    (length,) = _HEAD.unpack_from(record)
    place = _HEAD.size + length
    said: dict[str, Any] = orjson.loads(record[_HEAD.size : place])
    for name in said.pop("numbers"):
        said["inputs"][name] = np.frombuffer(record, "<f8", count=len(said["id"]), offset=place)
        place += 8 * len(said["id"])
    return said
