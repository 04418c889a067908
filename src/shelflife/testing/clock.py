"""A clock that stands still until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock for tests and rehearsals.

    Examples
    --------
    >>> clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=2))
    >>> clock.now().hour
    2
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """The moment at which it stands."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move it on."""
        self._now += by
