"""What HTTP needs below the answers: bodies, headers, traces."""

from __future__ import annotations

import os
import re
import zlib
from typing import Any

import orjson

from shelflife.errors import BadInput

MOST_BYTES = 32_000_000
_TRACE = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?", re.DOTALL)
JSON, BINARY = b"application/json", b"application/octet-stream"


class Refused(Exception):
    """A request that is not answered as it asks.

    Parameters
    ----------
    code
        One word for it.
    says
        What whoever asked is told.
    """

    def __init__(self, status: int, code: str, says: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(says)
        self.status, self.code, self.says, self.headers = status, code, says, headers


def header(scope: Any, name: bytes) -> bytes | None:
    """A header of a request."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def body(scope: Any, receive: Any) -> bytes:
    """The body of a request; raises `Refused` where it is too large, and does not read it to the end then."""
    told = header(scope, b"content-length")
    if told is not None and told.isdigit() and int(told) > MOST_BYTES:
        raise _too_large()
    message = await receive()
    found: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [found], len(found)
        while message.get("more_body"):
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MOST_BYTES:
                raise _too_large()
        found = b"".join(parts)
    packed = header(scope, b"content-encoding")
    return found if packed in (None, b"", b"identity") else _inflated(found, packed)


def _too_large() -> Refused:
    return Refused(413, "too_large", f"A body has at most {MOST_BYTES:,} bytes; send fewer rows at once.")


def _inflated(packed: bytes, how: bytes | None) -> bytes:
    windows = {b"gzip": 31, b"deflate": 15}
    if how not in windows:
        raise Refused(415, "media_type", "A body is packed with gzip or deflate, or not at all.")
    found, left = b"", packed
    while True:
        unpacking = zlib.decompressobj(windows[how])
        try:
            found += unpacking.decompress(left, MOST_BYTES + 1 - len(found))
        except zlib.error as error:
            raise BadInput(f"The body cannot be unpacked: {error}.") from error
        if len(found) > MOST_BYTES:
            raise _too_large()
        if not unpacking.eof:
            raise BadInput("The body cannot be unpacked: it ends too early.")
        left = unpacking.unused_data  # of gzip another member may follow
        if not left:
            return found


async def answer(send: Any, status: int, said: bytes, *headers: tuple[bytes, bytes], kind: bytes = JSON) -> None:
    """Send an answer."""
    own = [(b"content-type", kind), (b"content-length", b"%d" % len(said)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": said})


def told(refused: Refused, protocol: bool) -> bytes:
    """An error as whoever asked reads it: a text in the Open Inference Protocol, else as the API has it."""
    error: Any = refused.says if protocol else {"code": refused.code, "says": refused.says}
    return orjson.dumps({"error": error})


def traced(scope: Any) -> tuple[str | None, list[tuple[bytes, bytes]]]:
    """The trace that a request belongs to, and the header that says which part of it we are."""
    given = header(scope, b"traceparent")
    found = None if given is None else _TRACE.fullmatch(given)
    if found is None or given is None or given.startswith(b"ff"):
        return None, []
    part = b"-".join([b"00", found[1], os.urandom(8).hex().encode(), found[2]])
    return found[1].decode(), [(b"traceparent", part)]
