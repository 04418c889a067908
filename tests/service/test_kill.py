"""A process is killed at random moments: what it acknowledged is there, once, and the ledger is whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from shelflife.system import System

PROGRAM = Path(__file__).with_name("ingesting.py")
# `SHELFLIFE_KILLS=300 pytest tests/service/test_kill.py` is the whole trial.
KILLS = int(os.environ.get("SHELFLIFE_KILLS", "4"))


def test_what_was_acknowledged_is_kept_once_though_the_process_is_killed(system: System) -> None:
    rng = random.Random(os.environ.get("SHELFLIFE_SEED", "0"))
    acknowledged = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, PROGRAM, system.settings.model_dump_json(), str(acknowledged)], stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(rng.randint(1, 120)):
            acknowledged = int(process.stdout.readline())
        for _ in range(rng.randint(0, 200_000)):
            pass  # somewhere within a step
        process.kill()
        for line in process.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                acknowledged = int(line)
        process.stdout.close()
        process.wait()
    with system.intake(drain_every=3600):
        pass
    found = Counter(
        system.tables.open("parcel-delay", "predictions").to_pyarrow_table(columns=["id"])["id"].to_pylist()
    )
    assert {str(number) for number in range(acknowledged)} - found.keys() == set()
    assert [one for one, times in found.items() if times > 1] == []
    assert system.ledger.verify().broken is None
    assert list(system.settings.log_folder.iterdir()) == []
