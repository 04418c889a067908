"""The time, handed in: whoever needs to know it is given a clock, and a test gives one that it sets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """The moment, with UTC as its zone."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The moment, with UTC as its zone."""
        return datetime.now(UTC)
