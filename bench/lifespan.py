"""What `lifespan` costs beside training: overhead, memory and speed-up, on the real tables.

Usage: python bench/lifespan.py [NAME ...]

Each measurement is a process of its own, so that its peak memory is its own. Tables are looked for in $SHELFLIFE_DATA,
else in shared/data beside the checkout; `generated` needs none.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from shelflife.testing import histories

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SHELFLIFE_DATA", ROOT.parent / "shared" / "data"))
TABLES: dict[str, dict[str, Any]] = {
    "electricity": {"time": "ts", "target": "price_up", "window": "26w"},
    "electricity-3d": {"time": "ts", "target": "price_up", "window": "26w", "every": "3d"},
    "weather": {"time": "date", "target": "rain"},
    "bikes": {"time": "ts", "target": "cnt"},
    "generated": {"time": "shipped", "target": "late"},
}
_CHILD = """
import json, resource, sys
import shelflife
path, options = sys.argv[1], json.loads(sys.argv[2])
found = shelflife.lifespan(path, **options)
if found.jobs > 1:
    from joblib.externals.loky import get_reusable_executor
    get_reusable_executor().shutdown(wait=True)  # so that the workers' memory is accounted for
usage = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({"seconds": found.seconds, "training": found.seconds_training, "parent": usage[0], "worker": usage[1],
                  "models": len({c.start for c in found.decay_map})}))
"""


def measure(path: Path, options: dict[str, Any]) -> dict[str, float]:
    """One run in a process of its own."""
    command = [sys.executable, "-c", _CHILD, str(path), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(names: list[str]) -> None:
    """Measure each table with one and two processes, in turn, and print a table of Markdown's form."""
    table = Table("table", "jobs", "models", "seconds", "training", "overhead", "parent MB", "worker MB", "speed-up")
    with tempfile.TemporaryDirectory() as folder:
        generated = Path(folder) / "generated.parquet"
        pq.write_table(histories.deliveries(), generated)
        for name in names or TABLES:
            path = generated if name == "generated" else DATA / f"{name.partition('-')[0]}.parquet"
            if not path.is_file():
                print(f"{name}: skipped, there is no {path}; set SHELFLIFE_DATA")
                continue
            first = None
            for jobs in (1, 2):
                found = measure(path, {**TABLES[name], "jobs": jobs})
                first = first or found["seconds"]
                share = 1 - found["training"] / found["seconds"]
                table.add_row(
                    name,
                    str(jobs),
                    f"{found['models']:.0f}",
                    f"{found['seconds']:.1f}",
                    f"{found['training']:.1f}",
                    f"{share:.1%}",
                    f"{found['parent']:.0f}",
                    f"{found['worker']:.0f}",
                    f"{first / found['seconds']:.2f}",
                )
                print(f"{name}, {jobs} jobs: {found['seconds']:.1f} s, overhead {share:.1%}", file=sys.stderr)
    Console(width=110).print(table)
    print(f"load average at the end: {os.getloadavg()[0]:.1f}; peak of this process {_peak():.0f} MB")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1:])
