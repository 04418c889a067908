"""A process that is the loop of a workspace whose days go by, until it is killed or all are over.

`living.py SETTINGS LAST EPOCH [GATE]`: which day it is follows from how far the workspace was watched: a day is over
when every system was. So whoever comes after one that was killed goes on where that one was, and of two both have the
same day. Within a day a minute goes by in a second since EPOCH, the same for all. Days begin up to that in the file
GATE.
"""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from shelflife.clock import Clock
from shelflife.loop import Loop
from shelflife.store.schema import watches
from shelflife.system import System
from shelflife.workspace import Settings

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
REFERENCE = 14  # days
SYSTEMS = ("card", "shop")


class Days(Clock):
    """A clock that goes a minute a second, and jumps from day to day."""

    def __init__(self, epoch: float) -> None:
        self.epoch, self.day = epoch, REFERENCE

    def now(self) -> datetime:
        return START + (self.day + 1) * DAY + timedelta(minutes=time.time() - self.epoch)


def watched(system: System) -> int:
    """How many days were watched by every system."""
    with system.database.reading() as connection:
        count, end = connection.execute(select(func.count(), func.min(watches.c.end))).one()
    return REFERENCE if count < len(SYSTEMS) else (end - round(START.timestamp() * 1_000_000)) // 86_400_000_000


def live(system: System, clock: Days, last: int, gate: Path | None = None) -> None:
    """Tick until the last day is over."""
    loop, pause = Loop(system), threading.Event()
    while (day := watched(system)) < last:
        may = gate is None or day < int(gate.read_text())
        clock.day = day if may else clock.day
        if not loop.tick():
            pause.wait(0.01)  # another one leads, or nothing is due


def main(settings: str, last: str, epoch: str, gate: str | None = None) -> None:
    clock = Days(float(epoch))
    system = System(Settings.model_validate_json(settings), clock)
    print("ready", flush=True)
    live(system, clock, int(last), Path(gate) if gate else None)
    print("over", flush=True)
    system.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
