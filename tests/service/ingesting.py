"""A process that takes rows in and says which were accepted, until it is killed: `ingesting.py SETTINGS FIRST`."""

from __future__ import annotations

import sys

from shelflife.observe.rows import from_json
from shelflife.system import System
from shelflife.workspace import Settings


def main(settings: str, first: str) -> None:
    system = System(Settings.model_validate_json(settings))
    shape = system.shape("parcel-delay", "predictions")
    number = int(first)
    with system.intake(drain_every=0.01) as intake:
        while True:
            rows = [{"id": str(one), "time": "2026-04-30T10:00:00Z"} for one in range(number, number + 20)]
            table = from_json(rows, shape, now=system.clock.now()).table
            intake.submit("parcel-delay", "predictions", table).result()
            number += 20
            print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
