"""``POST /api/v1/systems/{system}/{predictions|outcomes|feedback|kpis}``: rows in, durable before the answer."""

from __future__ import annotations

import asyncio
import struct
from concurrent.futures import Future
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from shelflife.api.access import Known
from shelflife.api.problems import Problem, problem
from shelflife.api.problems import kind as what
from shelflife.errors import BadInput, first_line
from shelflife.observe.intake import Broken, Full, Intake, Receipt
from shelflife.observe.rows import LONGEST_ID, from_arrow
from shelflife.observe.shapes import FEEDBACK, SentKind, Shape

router = APIRouter(prefix="/api/v1", tags=["observe"])

MOST_BYTES = 32_000_000
MOST_ROWS = 200_000
_ARROW = "application/vnd.apache.arrow.stream"
_LARGE = 50_000  # bytes from which a body is read in a thread, so that small ones need not wait for it
_TOLD = 1_000  # reasons that are told


class Rejected(BaseModel):
    """A row that was not taken."""

    row: int = Field(description="Its place among those sent, from 0.")
    reason: str = Field(description="Why.")


class Accepted(BaseModel):
    """What became of the rows that were sent."""

    accepted: int = Field(description="Rows that are on the disk now.")
    duplicate: int = Field(description="Rows whose id was there before; they were not taken again.")
    rejected: list[Rejected] = Field(description="Rows that cannot be used, each with its reason; at most 1,000.")
    ignored: list[str] = Field(description="Names that are not known by the plan; their values were not kept.")


_ANSWER = ["string", "number", "boolean", "null"]
_ROW = {
    "type": "object",
    "description": "A row; what of these its kind needs is told where it is missing.",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "description": "Each is kept once."},
        "time": {"type": "string", "format": "date-time", "description": "When it happened, with its zone."},
        "version": {"type": "string", "description": "The model's version, of a prediction."},
        "prediction": {"type": _ANSWER, "description": "What was predicted."},
        "score": {"type": ["number", "object", "null"], "description": "Its score, or one by each name."},
        "key": {"type": "string", "description": "By which a prediction was routed."},
        "route": {"type": "string", "description": "Which route answered: champion or canary, for one."},
        "revision": {"type": "number", "description": "The number of the routes, of a prediction."},
        "latency": {"type": "number", "description": "How long a prediction took, in milliseconds."},
        "inputs": {"type": "object", "description": "What it was predicted from, by the names of the plan."},
        "outcome": {"type": _ANSWER, "description": "What turned out true, of an outcome."},
        "prediction_id": {"type": "string", "description": "What feedback is about."},
        "what": {"enum": list(FEEDBACK), "description": "What kind of feedback."},
        "kpi": {"type": "string", "description": "The KPI's name in the plan."},
        "value": {"type": ["string", "number", "null"], "description": "Of feedback or a KPI."},
        "rows": {"type": "number", "description": "Of how many cases a KPI is the figure."},
    },
}

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "items": _ROW,
                    "description": "Rows; an object with `rows`, or a single row, does as well.",
                }
            },
            _ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "/systems/{system}/{kind}",
    response_model=Accepted,
    responses=Problem.of(400, 401, 403, 404, 413, 415, 422, 503),
    openapi_extra={**_BODY, "security": [{"token": []}]},
    summary="Take in rows.",
)
async def observe(request: Request, system: str, kind: SentKind) -> Response:
    """Rows are accepted, known already, or rejected with a reason; those accepted are on the disk before the answer.

    Sending the same rows again is safe: each id is kept once.
    """
    known = Known.of(request)
    await known.allowed(request, "observe", system)
    try:
        shape = await known.shape(system, kind)
    except BadInput as error:
        return problem(404, "unknown_system", str(error))
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in {"", "identity"}:
        return problem(
            415, "media_type", f"Send the body as it is; Content-Encoding {packed[:60]!r} is not understood."
        )
    body = await _body(request)
    if body is None:
        return problem(413, "too_large", f"A body has at most {MOST_BYTES:,} bytes; send fewer rows at once.")
    arrow = _is_arrow(request)
    if arrow is None:
        return problem(415, "media_type", f"Send application/json or {_ARROW}.")
    try:
        intake = request.app.state.intake
        if arrow or len(body) >= _LARGE:
            done = await run_in_threadpool(_handed_in, intake, system, shape, body, arrow)
        else:
            done = intake.send(system, shape, _rows(body), len(body))
        receipt = await asyncio.wrap_future(done)
        request.app.state.metrics.rows(
            system, kind, accepted=receipt.accepted, duplicate=len(receipt.duplicates), rejected=len(receipt.rejected)
        )
        return _answer(receipt)
    except BadInput as error:
        return problem(400, "unreadable", str(error))
    except Full:
        return problem(503, "full", "Too much waits to be written; come again.", {"Retry-After": "1"})
    except Broken as error:
        return problem(503, "broken", f"The log cannot be written: {error}. Nothing was taken; come again.",
                       {"Retry-After": "10"})  # fmt: skip


def _answer(receipt: Receipt) -> Response:
    rejected = [{"row": place, "reason": why} for place, why in list(receipt.rejected.items())[:_TOLD]]
    told: dict[str, Any] = {"rejected": rejected, "ignored": receipt.ignored}
    if rejected and not receipt.accepted and not receipt.duplicates:
        first = rejected[0]
        says = f"No row can be used; row {first['row']}: {first['reason']}."
        return Response(
            orjson.dumps({"error": {"code": "rejected", "says": says}, **told}), status_code=422,
            media_type="application/json",
        )  # fmt: skip
    counts = {"accepted": receipt.accepted, "duplicate": len(receipt.duplicates)}
    return Response(orjson.dumps({**counts, **told}), media_type="application/json")


def _is_arrow(request: Request) -> bool | None:
    found = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return {"application/json": False, _ARROW: True, "": False}.get(found)


async def _body(request: Request) -> bytes | None:
    """The body, or None where it is too large; it is not read to the end then."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _handed_in(intake: Intake, system: str, shape: Shape, body: bytes, arrow: bool) -> Future[Receipt]:
    """Read a large body and hand its rows in."""
    if not arrow:
        return intake.send(system, shape, _rows(body), len(body))
    read = from_arrow(_table(body), shape, now=intake.now())
    return intake.submit(system, shape.kind, read.table, rejected=read.rejected, ignored=read.ignored)


def _table(body: bytes) -> pa.Table:
    try:
        _check_plain(body)
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        table.validate(full=True)
        _few(len(table))
        size = sum(_written_out(chunk) for column in table.columns for chunk in column.chunks)
    except (pa.ArrowException, OSError, ValueError, struct.error) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"The body is no Arrow stream: {first_line(error)}.") from error
    if size > MOST_BYTES:
        raise BadInput(
            f"Written out, the texts of the table have {size:,} bytes; at most {MOST_BYTES:,} can be sent at once."
            " Send them in parts."
        )
    if len(set(table.column_names)) < len(table.column_names):
        raise BadInput("The table has two columns of one name; rename one of them.")
    return table


def _check_plain(body: bytes) -> None:
    """Raise `BadInput` where a part of a stream is compressed: few bytes can stand for any number of them."""
    for message in pa.ipc.MessageReader.open_stream(body):
        if message.type not in ("record batch", "dictionary"):
            continue
        data = message.metadata.to_pybytes()
        header = _field(data, struct.unpack_from("<I", data)[0], 2)
        if header is not None and message.type == "dictionary":
            header = _field(data, _pointed(data, header), 1)
        if header is not None and _field(data, _pointed(data, header), 3) is not None:
            raise BadInput("The body is compressed inside. Send the stream without compression.")


def _pointed(data: bytes, place: int) -> int:
    return place + int(struct.unpack_from("<I", data, place)[0])


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a field of a FlatBuffers table stands, None where it has none."""
    names = table - struct.unpack_from("<i", data, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", data, names)[0]:
        return None
    found = struct.unpack_from("<H", data, names + 4 + 2 * number)[0]
    return table + found if found else None


def _written_out(column: pa.Array) -> int:
    """How many bytes texts have that a column names rather than holds, each as often as it does."""
    kind = column.type
    if pa.types.is_struct(kind):
        return sum(_written_out(column.field(place)) for place in range(kind.num_fields))
    if pa.types.is_dictionary(kind) and (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    ):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)
    if pa.types.is_string_view(kind):
        views = np.frombuffer(column.buffers()[1], np.int32, count=4 * len(column), offset=16 * column.offset)
        return int(views[::4].astype(np.int64).sum())
    if _plain(kind):
        return 0
    raise BadInput(
        f"Columns of {kind} cannot be sent; send numbers, texts, times, lists of numbers or dictionaries of texts."
    )


def _plain(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _plain(kind.value_type)
    return bool(
        types.is_primitive(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_null(kind)
        or types.is_decimal(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def _rows(body: bytes) -> list[Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"The body is no JSON: {error}.") from error
    if isinstance(found, dict):
        found = found["rows"] if isinstance(found.get("rows"), list) and "id" not in found else [found]
    if not isinstance(found, list):
        raise BadInput(f"The body is to be a list of rows; found {what(found)}.")
    _few(len(found))
    return found


def _few(rows: int) -> None:
    if rows > MOST_ROWS:
        raise BadInput(f"At most {MOST_ROWS:,} rows can be sent at once; found {rows:,}. Send them in parts.")
