"""Who may ask the gateway, where that is asked: whoever has a token that may send rows of the system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from shelflife import tokens
from shelflife.clock import Clock
from shelflife.store.database import Database
from shelflife.tokens import Token

_LASTS = 10.0  # seconds for which a token is believed without another look
_MANY = 10_000


class Guard:
    """Knows the tokens that were shown lately; while the database is away they go on counting.

    Parameters
    ----------
    database
        Gives the database, or raises.
    """

    def __init__(self, database: Callable[[], Database], clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._known: dict[str, tuple[Token | None, float]] = {}

    async def allows(self, authorization: bytes, system: str) -> bool:
        """Whether what stands in the header may ask about a system."""
        scheme, _, secret = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            return False
        found, at = self._known.get(secret, (None, 0.0))
        if not at or time.monotonic() - at > _LASTS:
            found = await asyncio.get_running_loop().run_in_executor(None, self._find, secret, found)
        return found is not None and found.allows("observe", system)

    def _find(self, secret: str, before: Token | None) -> Token | None:
        try:
            with self._database().reading() as connection:
                found = tokens.find(connection, secret, now=self._clock.now())
        except Exception:  # noqa: BLE001 - the database is away
            if before is None or (before.expires is not None and before.expires <= self._clock.now()):
                return None
            found = before  # and is not asked about each time: that may take long
        if len(self._known) > _MANY:
            self._known.clear()
        self._known[secret] = found, time.monotonic()
        return found
