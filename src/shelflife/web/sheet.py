"""The one style sheet of all pages, under an address that changes with it."""

from __future__ import annotations

import functools
import hashlib

from fastapi import APIRouter
from fastapi.responses import Response

from shelflife.look import page

router = APIRouter(include_in_schema=False)


@functools.cache
def text() -> str:
    """The sheet: the frame's inks and rules, and what only these pages have."""
    return page.render("web.css", "shelflife.web")


@functools.cache
def address() -> str:
    """Where it lies."""
    return f"/static/style.css?v={hashlib.sha256(text().encode()).hexdigest()[:12]}"


@router.get("/static/style.css")
async def style() -> Response:
    """The sheet."""
    return Response(text(), media_type="text/css", headers={"Cache-Control": "public, max-age=31536000, immutable"})
