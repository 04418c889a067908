"""How long pages take with a thousand systems, measured from outside: ``python bench/pages/run.py [--systems N]``.

Every system has a plan, a reference and two years of daily buckets; every fifth a few findings. Each page is asked for
again and again, of another system each time, and once the answer is there the time counts.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from shelflife import plan
from shelflife.store.schema import lifelines, references
from shelflife.system import System
from shelflife.testing import plans
from shelflife.watch import findings
from shelflife.watch.findings import Found
from shelflife.watch.lifeline import Point
from shelflife.workspace import Settings

DAYS = 730
DAY = timedelta(days=1)


def filled(home: Path, systems: int) -> System:
    """A workspace with so many systems and all that pages read of them."""
    system = System(Settings(home=home))
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    raw = json.loads(plans.text())
    draw = np.random.default_rng(0)
    start = now - DAYS * DAY
    for number in range(systems):
        name = f"system-{number}"
        written = plan.parse(json.dumps({**raw, "system": name, "title": f"System {number}"}, indent=1))
        system.apply(written, by="lead", because="the first of them")
        with system.database.writing() as connection:
            values = {"system": name, "rows": 1000, "source": "bench", "sha256": "", "content": b"", "at": start,
                      "by": "lead"}  # fmt: skip
            connection.execute(references.insert().values(number=number + 1, **values))
            rows = [
                vars(Point(number + 1, round((start + day * DAY).timestamp() * 1e6), 100, float(wrong), 100, 10.0, 0.2))
                for day, wrong in enumerate(draw.binomial(100, 0.1, DAYS))
            ]
            connection.execute(lifelines.insert(), rows)
            told = [Found(code, code, f"Something of {name} is not as promised.", "at most 5 %", now - 9 * DAY, 7)
                    for code in ("SL301", "SL201", "SL104")]  # fmt: skip
            findings.tell(connection, name, told if number % 5 == 0 else [], plan=1, now=now)
    _, secret = system.accounts.make("mara", role="admin", by="lead")
    system.accounts.choose(secret, "a long enough one")
    return system


def asked(client: httpx.Client, path: str, systems: int, times: int, draw: random.Random) -> list[float]:
    """Seconds until the answer, of each time that a page was asked for."""
    took = []
    for _ in range(times):
        at = path.format(system=f"system-{draw.randrange(systems)}", finding=1 + draw.randrange(3 * systems // 5),
                         page=1 + draw.randrange(max(1, systems // 50)))  # fmt: skip
        began = time.perf_counter()
        client.get(at).raise_for_status()
        took.append(time.perf_counter() - began)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=1000)
    parser.add_argument("--times", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "workspace"
        filled(home, given.systems).close()
        command = [sys.executable, "-m", "shelflife", "up", "--role", "api", "--port", "0", "--workspace", str(home)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
            assert service.stderr is not None
            url = next(found[0] for line in service.stderr if (found := re.search(r"http://[\d.:]+", line)))
            try:
                measure(url, given.systems, given.times)
            finally:
                service.terminate()


def measure(url: str, systems: int, times: int) -> None:
    """Ask for every page so many times, and print how long each took."""
    draw = random.Random(0)
    print(f"{systems:,} systems, {DAYS} days each; {times} times each page\n")
    print("| page | median, ms | p95, ms | worst, ms |\n| --- | --- | --- | --- |")
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post("/sign-in", data={"name": "mara", "password": "a long enough one"})
        for path in ("/?page={page}", "/systems/{system}", "/systems/{system}/lifeline.svg", "/findings",
                     "/findings/{finding}", "/systems/{system}/plan", "/ledger", "/ledger?system={system}",
                     "/people", "/api"):  # fmt: skip
            asked(client, path, systems, 3, draw)
            took = np.array(asked(client, path, systems, times, draw)) * 1000
            print(f"| {path} | {np.median(took):.0f} | {np.quantile(took, 0.95):.0f} | {took.max():.0f} |")


if __name__ == "__main__":
    main()
