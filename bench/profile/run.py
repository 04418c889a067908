"""Speed and memory of the peers on one generated table: 50 numeric columns, 10 of 20 categories, and a model's three.

Usage: python bench/profile/run.py [--rows 200000] [--large] [--repeat 1] [--only TASK ...]

Each task is a process of its own with its own peak memory, in its tool's own environment (see environments.py), with as
many threads as it likes. Reference and current file have the same number of rows. With --repeat the tasks are run in
turn so often, and the median is told: machines have moods. The report goes to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile

sys.path.append(str(Path(__file__).resolve().parents[1]))

import environments
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMERIC, CATEGORIES, VALUES, GROUP = 50, 10, 20, 100_000
LARGE = 2_000_000
YEAR = 365 * 86_400
ANSWERS = {0, 3}  # of a command: passed, or could not tell; that something changed would be a false alarm here
TASKS = {"duckdb_floor": "shelflife", "evidently_preset": "evidently", "nannyml_drift": "nannyml"}
TASKS |= {"nannyml_cbpe": "nannyml", "shelflife_count": "shelflife"}
COMMANDS = ("shelflife_profile", "shelflife_check")  # ours as commands, with all that a process costs
TASKS |= dict.fromkeys(COMMANDS, "shelflife")
FIT_FOR_LARGE = [task for task in TASKS if task != "evidently_preset"]  # its time grows with the rows: minutes


def generate(path: Path, rows: int, seed: int) -> None:
    """Write a table of that many rows over a year, a row group at a time; each seed's year follows that before."""
    random = np.random.default_rng(seed)
    words = pa.array([f"value-{code:02}" for code in range(VALUES)])
    writer = None
    for first in range(0, rows, GROUP):
        count = min(GROUP, rows - first)
        columns: dict[str, object] = {f"n{i:02}": random.normal(size=count) for i in range(NUMERIC)}
        for i in range(CATEGORIES):
            columns[f"c{i:02}"] = words.take(pa.array(random.integers(0, VALUES, count)))
        score = random.random(count)
        columns |= {"score": score, "prediction": (score > 0.5).astype(int)}
        columns["outcome"] = (random.random(count) < score).astype(int)
        seconds = seed * YEAR + np.arange(first, first + count) * YEAR // rows
        columns["ts"] = np.datetime64("2026-01-01T00:00:00", "s") + seconds
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def command(task: str, reference: Path, current: Path) -> list[str]:
    """What is run for a task."""
    if task in COMMANDS:
        roles = ["--time", "ts", "--score", "score", "--prediction", "prediction", "--outcome", "outcome"]
        files = {
            "shelflife_profile": ["profile", current, "--out", current.with_name("made.profile")],
            "shelflife_check": ["check", "--reference", reference, "--current", current],
        }
        return [str(word) for word in (sys.executable, "-m", "shelflife", *files[task], *roles)]
    tool = TASKS[task]
    return [
        str(environments.python(tool)),
        str(Path(__file__).with_name("tasks.py")),
        task,
        str(reference),
        str(current),
    ]


def measure(words: list[str]) -> dict[str, float] | None:
    """Seconds of each step, of the whole process, and its peak in megabytes; None if it failed."""
    with (
        TemporaryFile("w+") as said,
        TemporaryFile("w+") as wrong,
        TemporaryDirectory() as at,
    ):
        begun = time.perf_counter()
        child = subprocess.Popen(words, stdout=said, stderr=wrong, cwd=at, env={**os.environ, **environments.QUIET})
        _, status, usage = os.wait4(child.pid, 0)  # not RUSAGE_CHILDREN, whose peak is of all children so far
        child.returncode = os.waitstatus_to_exitcode(status)
        whole = time.perf_counter() - begun
        for file in (said, wrong):
            file.seek(0)
        if child.returncode not in ANSWERS:
            print(f"{' '.join(words[:4])}: failed\n{wrong.read()[-800:]}", file=sys.stderr)
            return None
        last = (said.read().splitlines() or [""])[-1]
        steps = json.loads(last) if last.startswith("{") else {}
        return {**steps, "whole": whole, "peak": usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)}


def main() -> None:
    """Generate the tables, run the tasks in turn, print a table of Markdown's form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--large", action="store_true", help=f"then {LARGE:,} rows too, without Evidently")
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    asked = parser.parse_args()

    print("| task | rows | import s | read s | fit s | work s | whole process s | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for rows in (asked.rows, *([LARGE] if asked.large else [])):
        with TemporaryDirectory(dir=_room()) as folder:
            reference, current = Path(folder) / "reference.parquet", Path(folder) / "current.parquet"
            generate(reference, rows, seed=0)
            generate(current, rows, seed=1)
            tasks = asked.only if rows == asked.rows else [t for t in asked.only if t in FIT_FOR_LARGE]
            rounds = [{task: measure(command(task, reference, current)) for task in tasks} for _ in range(asked.repeat)]
            for task in tasks:
                tool = "duckdb" if task == "duckdb_floor" else TASKS[task]
                found = _medians([one[task] for one in rounds])
                steps = [f"{found[s]:.1f}" if found and s in found else "" for s in ("import", "read", "fit", "work")]
                ends = [f"{found['whole']:.1f}", f"{found['peak']:,.0f}"] if found else ["failed", ""]
                print("|", " | ".join([f"{task} ({_version(tool)})", f"{rows:,}", *steps, *ends]), "|", flush=True)
    print(f"\nload average at the end: {os.getloadavg()[0]:.1f}", file=sys.stderr)


def _medians(found: list[dict[str, float] | None]) -> dict[str, float] | None:
    """Each step's median over the rounds; None if one failed."""
    rounds = [one for one in found if one is not None]
    if len(rounds) < len(found):
        return None
    return {step: median(one[step] for one in rounds) for step in rounds[0]}


def _version(tool: str) -> str:
    if tool == "duckdb":
        from importlib.metadata import version

        return version(tool)
    return environments.version(tool)


def _room() -> Path:
    folder = environments.CACHE / "speed"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
