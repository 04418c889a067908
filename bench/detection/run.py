"""Drift detectors at the same measured false-alarm rate: how late each is, and what it misses.

Usage: python bench/detection/run.py [--full] [--tools evidently nannyml river shelflife] [--help]

Tools differ first in how often they cry wolf at their defaults, so defaults cannot be compared for delay. Here each
method's threshold is set, on runs in which nothing changes, to one false alarm in 180 buckets; then come the changes.
No user can do that without such runs: it is done in the peers' favour. Results at the defaults are told besides.

The tools run in environments of their own, made on first use under .bench/ (or $SHELFLIFE_BENCH). Their answers are
kept there and asked for again only if the job or the code behind it has changed. The report goes to stdout.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import environments  # noqa: E402
from streams import BACKGROUNDS, CHANGE, HORIZON, QUIET, REFERENCE, SIZES, SPREADS  # noqa: E402

TARGET = 180  # buckets to a false alarm
TOOLS = ("evidently", "nannyml", "river", "shelflife")
Alarms = Callable[[dict[str, Any]], Iterable[int]]
Setting = tuple[int, str]  # rows a bucket, background
Courses = dict[tuple[str, int, str, tuple[str, ...]], list[dict[str, Any]]]  # by method, setting and change


@dataclass(frozen=True)
class Part:
    """Histories to run: `changed` of them with every change, `quiet` ones without besides."""

    rows: int
    background: str
    changed: int
    quiet: int
    cells: tuple[tuple[str, str], ...] = ()  # (spread, size)

    def jobs(self) -> list[dict[str, Any]]:
        """What the workers are asked; the branch without a change is part of every history."""
        changes = [None, *([kind, *cell] for cell in self.cells for kind in SIZES)]
        return [
            {
                "seed": seed,
                "rows": self.rows,
                "background": self.background,
                "changes": changes if seed < self.changed else [None],
            }
            for seed in range(self.changed + self.quiet)
        ]


QUICK = [Part(200, "independent", changed=2, quiet=4, cells=(("one", "medium"),))]
FULL = [
    Part(
        200,
        "independent",
        changed=5,
        quiet=15,
        cells=(("one", "medium"), ("many", "medium"), ("one", "small"), ("one", "large")),
    ),
    Part(50, "independent", changed=5, quiet=10, cells=(("one", "medium"),)),
    Part(200, "overdispersed", changed=3, quiet=9, cells=(("one", "medium"),)),
    Part(200, "weekly", changed=0, quiet=6),
]


def answers(tool: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tool's answers to the jobs: kept ones where nothing behind them has changed, else from its process."""
    adapter = HERE / "adapters" / f"{tool}.py"
    version = environments.version(tool)
    sources = [adapter, HERE / "streams.py", HERE / "worker.py"]
    if tool == "shelflife":  # its code changes under the same version
        sources += sorted((environments.ROOT / "src").rglob("*.py"))
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + version.encode()).hexdigest()[:16]
    store = environments.CACHE / "detection" / f"{tool}-{code}.jsonl"
    store.parent.mkdir(parents=True, exist_ok=True)
    kept = {}
    if store.is_file():
        for line in store.read_text().splitlines():
            answer = json.loads(line)
            kept[_key(answer)] = answer
    asked = [job for job in jobs if _key(job) not in kept]
    if asked:
        command = [environments.python(tool), HERE / "worker.py", tool]
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environments.surroundings()
        )
        with process, store.open("a") as file:
            for done, job in enumerate(asked, 1):
                process.stdin.write(json.dumps(job) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    raise SystemExit(f"{tool}: its process ended on {job}; what it said is above")
                file.write(line)
                kept[_key(job)] = json.loads(line)
                print(f"{tool} {done}/{len(asked)}, {time.perf_counter() - begun:.0f} s", file=sys.stderr)
            process.stdin.close()
    return [kept[_key(job)] for job in jobs]


def _key(job: dict[str, Any]) -> str:
    return json.dumps([job["seed"], job["rows"], job["background"], job["changes"], job.get("options", {})])


# ----------------------------------------------------------------------------------------------------------------------
def over(limit: float) -> Alarms:
    """Alarms of a course where its score is over the limit."""
    return lambda course: (place for place, score in enumerate(course["scores"]) if score > limit)


def own(course: dict[str, Any]) -> Iterable[int]:
    """Alarms of a course at the tool's defaults."""
    return course["alarms"]


def hazard(courses: list[dict[str, Any]], alarms: Alarms) -> float:
    """First alarms per `TARGET` buckets watched until them.

    Counting first alarms only treats alike the tools that reset, those that stay alarmed and those without memory.
    """
    firsts = [next(iter(alarms(course)), None) for course in courses]
    watched = sum(
        len(course["scores"]) if first is None else first + 1 for course, first in zip(courses, firsts, strict=True)
    )
    return TARGET * sum(first is not None for first in firsts) / watched


def equalised(courses: list[dict[str, Any]]) -> float:
    """The lowest limit at which quiet courses give at most one false alarm in `TARGET` buckets."""
    limits = sorted({score for course in courses for score in course["scores"]})
    low, high = 0, len(limits) - 1  # at the highest score there is no alarm at all
    while low < high:
        middle = (low + high) // 2
        if hazard(courses, over(limits[middle])) <= 1:
            high = middle
        else:
            low = middle + 1
    return limits[low]


def delays(courses: list[dict[str, Any]], alarms: Alarms) -> list[float]:
    """Buckets from the change to the first alarm after it, infinite if missed; 1 is the first changed bucket.

    Runs that alarmed before the change are left out: what they would say afterwards depends on who looked.
    """
    found = []
    for course in courses:
        places = list(alarms(course))
        if not any(place < CHANGE for place in places):
            found.append(min((place - CHANGE + 1 for place in places), default=math.inf))
    return found


def _cell(found: list[float], runs: int) -> str:
    """Median delay and the share missed, if any; a dash if most runs are left out."""
    if len(found) * 2 < runs:
        return "–"
    median = statistics.median_high(found)
    missed = sum(math.isinf(delay) for delay in found) / len(found)
    return (f">{HORIZON}" if math.isinf(median) else f"{median:.0f}") + (f" ({missed:.0%})" if missed else "")


# ----------------------------------------------------------------------------------------------------------------------
def _table(head: list[str], rows: Iterable[list[str]]) -> None:
    print("\n| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def report(found: dict[str, list[dict[str, Any]]]) -> None:
    """The tables, from every tool's answers."""
    courses: Courses = {}
    for tool, replies in found.items():
        for answer in replies:
            for run in answer["runs"]:
                for method, course in run["methods"].items():
                    key = (f"{tool}: {method}", answer["rows"], answer["background"], tuple(run["change"] or ()))
                    courses.setdefault(key, []).append(course)
    methods = list(dict.fromkeys(key[0] for key in courses))
    settings = list(dict.fromkeys(key[1:3] for key in courses))
    changed = list(dict.fromkeys(key[1:3] for key in courses if key[3]))
    some = {setting: len(courses[methods[0], *setting, ()]) for setting in settings}

    print(f"\n## Nothing changes: buckets alarmed at the defaults, per {TARGET}")

    def alarmed(method: str, setting: Setting) -> str:
        quiet = courses[method, *setting, ()]
        return f"{TARGET * sum(len(c['alarms']) for c in quiet) / sum(len(c['scores']) for c in quiet):.1f}"

    _table(
        ["method", *(f"{_told(setting)} ({some[setting]} runs)" for setting in settings)],
        ([method, *(alarmed(method, setting) for setting in settings)] for method in methods),
    )

    print(f"\n## At one false alarm in {TARGET} buckets: the limit that gives it, and what that limit gives elsewhere")
    print(f"\nFirst alarms per {TARGET} buckets watched until them. A run is {QUIET} buckets long.")
    limits = {key: equalised(courses[*key, ()]) for key in ((m, *setting) for m, setting in product(methods, settings))}
    for rows in dict.fromkeys(rows for rows, _ in settings):
        here = [setting for setting in settings if setting[0] == rows]
        base = (rows, "independent")
        _table(
            ["method", f"limit, {_told(base)}", *(_told(setting) for setting in here)],
            (
                [
                    method,
                    f"{limits[method, *base]:.3g}",
                    *(f"{hazard(courses[method, *s, ()], over(limits[method, *base])):.2f}" for s in here),
                ]
                for method in methods
            ),
        )

    chance = 1 - math.exp(-HORIZON / TARGET)
    print(f"\n## Delay at that rate: median buckets to the alarm, and in parentheses the share not found in {HORIZON}")
    print(
        "\nThe limit is set on the quiet runs of the same rows and background. A method that sees nothing of a change"
    )
    print(f"still alarms by chance within {HORIZON} buckets in {chance:.0%} of the runs.")
    _delays(courses, methods, changed, lambda method, setting: over(limits[method, *setting]))
    print("\n## Delay at the defaults, whatever the false alarms (–: most runs had alarmed before the change)")
    _delays(courses, methods, changed, lambda *_: own)


def _told(setting: Setting) -> str:
    return f"{setting[0]} rows, {setting[1]}"


def _delays(
    courses: Courses, methods: list[str], settings: list[Setting], alarms: Callable[[str, Setting], Alarms]
) -> None:
    """A table for each setting, spread and size: methods by kinds of change."""
    for setting in settings:
        changes = [key[3] for key in courses if key[0] == methods[0] and key[1:3] == setting and key[3]]
        for spread, size in dict.fromkeys(change[1:] for change in changes):
            here = [change for change in changes if change[1:] == (spread, size)]
            runs = len(courses[methods[0], *setting, here[0]])
            columns = "one column" if spread == "one" else "many columns"
            print(f"\n{_told(setting)}; {size} changes, on {columns}; {runs} runs")
            lines = []
            for method in methods:
                found = [delays(courses[method, *setting, change], alarms(method, setting)) for change in here]
                lines.append([method, *(_cell(each, runs) for each in found)])
            _table(["method", *(f"{kind} {SIZES[kind][size]}" for kind, *_ in here)], lines)


def main() -> None:
    """Read the options, ask the tools one after the other, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--full", action="store_true", help="some 25 minutes instead of some 2 or 3 for the three peers"
    )
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--rows", nargs="+", type=int, help="rows a bucket, instead of the plan's (1,000 takes long)")
    parser.add_argument("--sizes", nargs="+", choices=("small", "medium", "large"))
    parser.add_argument("--spreads", nargs="+", choices=SPREADS)
    parser.add_argument("--backgrounds", nargs="+", choices=BACKGROUNDS, help="besides independent")
    parser.add_argument("--repetitions", type=int, help="histories with changes")
    parser.add_argument("--quiet", type=int, help="histories without, besides")
    parser.add_argument("--kswin", action="store_true", help="river's KSWIN too: many minutes a history")
    asked = parser.parse_args()

    plan = FULL if asked.full else QUICK
    if asked.rows or asked.sizes or asked.spreads or asked.backgrounds:
        first = plan[0]
        cells = tuple(product(asked.spreads or ["one"], asked.sizes or ["medium"]))
        plan = [Part(rows, "independent", first.changed, first.quiet, cells) for rows in asked.rows or [first.rows]]
        others = [b for b in asked.backgrounds or () if b != "independent"]
        plan += [Part(part.rows, b, part.changed, part.quiet, cells) for part, b in product(list(plan), others)]
    jobs = []
    for part in plan:
        changed = asked.repetitions if asked.repetitions is not None and part.cells else part.changed
        quiet = part.quiet if asked.quiet is None else asked.quiet
        jobs += Part(part.rows, part.background, changed, quiet, part.cells).jobs()

    found = {}
    for tool in asked.tools:
        options = {"options": {"kswin": True}} if tool == "river" and asked.kswin else {}
        found[tool] = answers(tool, [{**job, **options} for job in jobs])
    print("# Detectors at the same false-alarm rate\n")
    print(f"References of {REFERENCE} buckets, a change at bucket {CHANGE} of the current part, quiet runs of {QUIET}.")
    for tool, replies in found.items():
        seconds = sum(answer["seconds"] for answer in replies)
        print(f"{tool} {environments.version(tool)}: {seconds:.0f} s for {len(replies)} histories.")
    report(found)
    print(f"\nload average at the end: {os.getloadavg()[0]:.1f}", file=sys.stderr)


if __name__ == "__main__":
    main()
