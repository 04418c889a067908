"""Who may ask the gateway, where that is asked: whoever has a token that may send rows of the system."""

from __future__ import annotations

import asyncio
import time

from shelflife import tokens
from shelflife.clock import Clock
from shelflife.gateway.following import Following
from shelflife.gateway.http import Refused
from shelflife.tokens import Token

_LASTS = 10.0  # seconds for which a token is believed without another look
_MANY = 10_000


class Guard:
    """Knows the tokens that were shown lately; while the database is away all go on counting that counted last."""

    def __init__(self, following: Following, clock: Clock) -> None:
        self._following, self._clock = following, clock
        self._known: dict[str, tuple[Token | None, float]] = {}

    async def allows(self, authorization: bytes, system: str) -> bool:
        """Whether what stands in the header may ask about a system; raises `Refused` where nobody knows."""
        scheme, _, secret = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            return False
        found, at = self._known.get(secret, (None, 0.0))
        if not at or time.monotonic() - at > _LASTS:
            # A database that is known to be away is not waited for.
            found = self._last(secret, found) if self._following.away else await self._asked(secret, found)
        return found is not None and found.allows("observe", system)

    async def _asked(self, secret: str, before: Token | None) -> Token | None:
        return await asyncio.get_running_loop().run_in_executor(None, self._find, secret, before)

    def _find(self, secret: str, before: Token | None) -> Token | None:
        try:
            with self._following.database().reading() as connection:
                found = tokens.find(connection, secret, now=self._clock.now())
        except Exception:  # noqa: BLE001 - the database is away
            found = self._last(secret, before)  # and it is not asked about each time: that may take long
            if found is None:
                return None
        if len(self._known) > _MANY:
            self._known.clear()
        self._known[secret] = found, time.monotonic()
        return found

    def _last(self, secret: str, before: Token | None) -> Token | None:
        """The token of a secret by what the database said last, or None where it has ended since."""
        found = before or self._following.tokens.get(tokens.digest(secret))
        if found is None:
            says = "The database is away, and this token was not seen before. Come again."
            raise Refused(503, "not_ready", says, (b"retry-after", b"5"))
        return None if found.expires is not None and found.expires <= self._clock.now() else found
