"""Who asks: the token of a request, what it may do, and what was looked up a moment ago."""

from __future__ import annotations

import time
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from shelflife.observe.shapes import RowKind, Shape
from shelflife.rights import ACTIONS, Denied, Unknown
from shelflife.tokens import Token

_TRUSTED = 1.0  # seconds for which a token or a plan that was looked up is taken as unchanged


class Known:
    """Tokens and shapes that were looked up a moment ago, so that each row does not cost a query."""

    def __init__(self, system: Any) -> None:
        self._system = system
        self._found: dict[Any, tuple[float, Any]] = {}

    @classmethod
    def of(cls, request: Request) -> Known:
        """That of the application."""
        state = request.app.state
        if not hasattr(state, "known"):
            state.known = cls(state.system)
        found: Known = state.known
        return found

    async def allowed(self, request: Request, action: str, system: str | None) -> Token:
        """The token of a request; raises `Denied` where there is none, or it may not do that."""
        token = await self._token(request)
        if token is None:
            raise _unknown(request, action, system)
        if not token.allows(action, system):
            of = f" of {system!r}" if system is not None else ""
            says = f"The token {token.name!r} may not {ACTIONS[action]}{of}."
            raise Denied(says, by=f"token {token.name}", action=action, system=system)
        return token

    async def shape(self, system: str, kind: RowKind) -> Shape:
        """The shape of a kind of row; raises `BadInput` for an unknown system."""
        found: Shape = await self._look((system, kind), lambda: self._system.shape(system, kind))
        return found

    async def _token(self, request: Request) -> Token | None:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret or len(secret) > 200:
            return None
        found: Token | None = await self._look(("token", secret), lambda: self._system.tokens.find(secret))
        return found

    async def _look(self, key: Any, look: Any) -> Any:
        now = time.monotonic()
        at, value = self._found.get(key, (-_TRUSTED, None))
        if now - at < _TRUSTED:
            return value
        value = await run_in_threadpool(look)
        if len(self._found) > 10_000:
            self._found.clear()
        if value is not None:  # what is not there is looked for again
            self._found[key] = (now, value)
        return value


def _unknown(request: Request, action: str, system: str | None) -> Unknown:
    sent = request.headers.get("authorization", "")
    if not sent:  # who shows nothing was only asked who they are
        says = "Send `Authorization: Bearer TOKEN`; `shelflife token create` makes one."
        return Unknown(says, by=None, action=action, system=system)
    if not sent.lower().startswith("bearer "):
        says = "The header `Authorization` is to be `Bearer` and a token; something else was sent."
    else:
        says = (
            "The token that was sent does not count: it is mistyped, was revoked, or has expired. `shelflife token"
            " list` shows those there are, `shelflife token create` makes a new one."
        )
    return Unknown(says, by="unknown token", action=action, system=system)
