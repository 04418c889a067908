"""The Open Inference Protocol V2: requests as columns, and answers as tensors, in JSON or in binary."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import orjson

from shelflife.errors import BadInput, nearest

_TYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16,
    "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
DATATYPES = (*_TYPES, "BYTES")
_LENGTH = struct.Struct("<I")
_SCALARS: dict[type, set[type]] = {bool: {bool}, int: {int}, float: {int, float}, str: {str}}


@dataclass(frozen=True)
class Tensor:
    """An input as it was sent.

    Attributes
    ----------
    values
        An array of numbers, or a list of texts; flat, in row-major order.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Any


@dataclass(frozen=True)
class Request:
    """A request for inference.

    Attributes
    ----------
    outputs
        Names that are asked for and whether each is to be binary; empty where all are.
    binary
        Whether outputs that are not named are to be binary.
    """

    id: str | None
    parameters: Mapping[str, Any]
    tensors: tuple[Tensor, ...]
    outputs: Mapping[str, bool] = field(default_factory=dict)
    binary: bool = False


def read(body: bytes, header: str | None) -> Request:
    """A request from its body, and the length of its JSON where binary tensors follow it.

    Raises
    ------
    BadInput
        Where it is none; the message names the tensor.
    """
    length = len(body) if header is None else _whole(header)
    if length is None or length > len(body):
        raise BadInput(f"Inference-Header-Content-Length is to be at most {len(body)}, as the body is; found {header}.")
    try:
        said = orjson.loads(body[:length])
    except orjson.JSONDecodeError as error:
        raise BadInput(f"The body is no JSON: {error}.") from error
    if not isinstance(said, dict):
        raise BadInput("The body is to be an object with `inputs`.")
    given = said.get("inputs")
    if not isinstance(given, list) or not given:
        raise BadInput("`inputs` is to be a list of tensors, at least one.")
    name, parameters = said.get("id"), _parameters(said, "the request")
    if name is not None and not isinstance(name, str):
        raise BadInput("`id` is to be a text.")
    tensors, place = [], length
    for one in given:
        tensor, place = _tensor(one, body, place)
        tensors.append(tensor)
    if place != len(body):
        raise BadInput(f"{len(body) - place} bytes follow the last binary tensor.")
    names = [one.name for one in tensors]
    for twice in {one for one in names if names.count(one) > 1}:
        raise BadInput(f"There are two inputs {twice!r}.")
    return Request(name, parameters, tuple(tensors), _outputs(said), parameters.get("binary_data_output") is True)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _parameters(said: Mapping[str, Any], of: str) -> Mapping[str, Any]:
    found = said.get("parameters")
    if found is not None and not isinstance(found, dict):
        raise BadInput(f"`parameters` of {of} is to be an object.")
    return found or {}


def _outputs(said: Mapping[str, Any]) -> dict[str, bool]:
    asked = said.get("outputs")
    if asked is None:
        return {}
    found = {}
    for one in asked if isinstance(asked, list) else [None]:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise BadInput("`outputs` is to be a list of objects, each with its `name`.")
        binary = _parameters(one, f"output {one['name']!r}").get("binary_data", said_binary(said))
        found[one["name"]] = binary is True
    return found


def said_binary(said: Mapping[str, Any]) -> bool:
    """Whether outputs are to be binary where they do not say it themselves."""
    return (said.get("parameters") or {}).get("binary_data_output") is True


def _tensor(one: Any, body: bytes, place: int) -> tuple[Tensor, int]:
    """A tensor, and where its binary data end."""
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        raise BadInput("An input is to be an object with its `name`.")
    name, datatype = one["name"], one.get("datatype")
    if datatype not in DATATYPES:
        raise BadInput(f"The datatype of input {name!r} is to be one of {', '.join(DATATYPES)}; found {datatype!r}.")
    shape = one.get("shape")
    if not isinstance(shape, list) or not shape or not all(type(side) is int and side >= 0 for side in shape):
        raise BadInput(f"The shape of input {name!r} is to be a list of whole numbers.")
    size = 1
    for side in shape:
        size *= side
    parameters = _parameters(one, f"input {name!r}")
    if "binary_data_size" in parameters:
        length = parameters["binary_data_size"]
        if type(length) is not int or length < 0 or place + length > len(body):
            left = len(body) - place
            raise BadInput(f"The binary data of input {name!r} are to have {length!r} bytes; {left} follow.")
        values = _of_bytes(name, datatype, size, body[place : place + length])
        return Tensor(name, datatype, tuple(shape), values), place + length
    return Tensor(name, datatype, tuple(shape), _of_json(name, datatype, size, one.get("data"))), place


def _of_json(name: str, datatype: str, size: int, data: Any) -> Any:
    flat = data
    depth = 0
    while isinstance(flat, list) and flat and isinstance(flat[0], list) and depth < 8:
        if not all(isinstance(one, list) for one in flat):
            raise BadInput(f"The data of input {name!r} are nested unevenly.")
        flat, depth = list(chain.from_iterable(flat)), depth + 1
    if not isinstance(flat, list) or len(flat) != size:
        found = f"{len(flat)}" if isinstance(flat, list) else "none"
        raise BadInput(f"The data of input {name!r} are to be {size} values, by its shape; found {found}.")
    kinds = set(map(type, flat))
    if datatype == "BYTES":
        return _only(name, flat, kinds - {type(None)}, str, "texts")
    wanted = _TYPES[datatype]
    if datatype == "BOOL":
        return np.array(_only(name, flat, kinds, bool, "true or false"), dtype=bool)
    if datatype.startswith("FP"):
        # null is a number that is not known
        flat = _only(name, flat, kinds - {type(None)}, float, "numbers")
        with np.errstate(over="ignore"):
            return np.asarray(flat, dtype=np.float64).astype(wanted)
    try:
        return np.array(_only(name, flat, kinds, int, "whole numbers"), dtype=wanted)
    except OverflowError as error:
        raise BadInput(f"The data of input {name!r} hold a number that is no {datatype}.") from error


def _only(name: str, flat: list[Any], kinds: set[type], kind: type, words: str) -> list[Any]:
    if not kinds <= _SCALARS[kind]:
        raise BadInput(f"The data of input {name!r} are to be {words}.")
    return flat


def _of_bytes(name: str, datatype: str, size: int, raw: bytes) -> Any:
    if datatype != "BYTES":
        wanted = np.dtype(_TYPES[datatype]).newbyteorder("<")
        if len(raw) != size * wanted.itemsize:
            raise BadInput(
                f"The binary data of input {name!r} are to have {size * wanted.itemsize} bytes, by its shape; found"
                f" {len(raw)}."
            )
        return np.frombuffer(raw, dtype=wanted).astype(_TYPES[datatype], copy=False)
    try:
        values = list(_texts(raw))
    except (struct.error, ValueError) as error:
        raise BadInput(f"The binary data of input {name!r} are no texts, each after its length.") from error
    if len(values) != size:
        raise BadInput(f"The binary data of input {name!r} are to be {size} texts, by its shape; found {len(values)}.")
    return values


def _texts(raw: bytes) -> Iterator[str]:
    place = 0
    while place < len(raw):
        (length,) = _LENGTH.unpack_from(raw, place)
        place += _LENGTH.size + length
        if place > len(raw):
            raise ValueError(length)
        yield raw[place - length : place].decode()


# ----------------------------------------------------------------------------------------------------------------------


def written(
    head: Mapping[str, Any], outputs: Sequence[tuple[str, str, Any]], asked: Request
) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON where binary tensors follow it.

    Parameters
    ----------
    head
        What is told beside the outputs.
    outputs
        Of each its name, its datatype and its values, one a row.

    Raises
    ------
    BadInput
        Where an output is asked for that there is not.
    """
    known = [name for name, _, _ in outputs]
    for name in asked.outputs:
        if name not in known:
            raise BadInput(f"There is no output {name!r}. {nearest(name, known)}")
    told, raw = [], []
    for name, datatype, values in outputs:
        if asked.outputs and name not in asked.outputs:
            continue
        one: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(values)]}
        if asked.outputs.get(name, asked.binary):
            raw.append(_packed(datatype, values))
            one["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            one["data"] = values.tolist() if isinstance(values, np.ndarray) else values
        told.append(one)
    body = orjson.dumps({**head, "outputs": told})
    return (b"".join([body, *raw]), len(body)) if raw else (body, None)


def _packed(datatype: str, values: Any) -> bytes:
    if datatype != "BYTES":
        return np.asarray(values, dtype=np.dtype(_TYPES[datatype]).newbyteorder("<")).tobytes()
    parts = [str(value).encode() for value in values]
    return b"".join(chain.from_iterable((_LENGTH.pack(len(part)), part) for part in parts))
