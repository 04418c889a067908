"""What taking rows in costs: over HTTP in batches and one by one, and from Parquet files.

Usage: python bench/ingest/run.py [--rows 200000] [--single 3000] [--file 1000000] [--workspace FOLDER]

The service runs in a process of its own, the clients beside it on the same machine; every answer comes after the rows
were synced to the disk. Each prediction has 20 inputs. The disk's own rate of syncs is measured first. The report goes
to stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

INPUTS = [f"x{number:02d}" for number in range(16)] + [f"c{number}" for number in range(4)]
PLAN = {
    "shelflife": 1, "system": "bench", "title": "Bench", "objective": {"why": "Measure"},
    "model": {
        "name": "bench", "task": "classification", "prediction": "said", "score": "score",
        "inputs": {name: "numeric" if name.startswith("x") else "category" for name in INPUTS},
        "outcome": {"name": "true", "within": "7d"},
    },
    "watch": {"bucket": "1d", "false_alarms": {"at_most": 1, "per": "180d"}},
}  # fmt: skip


def syncs(folder: Path) -> float:
    """How often a second a small append reaches this disk."""
    with (folder / "syncs").open("wb") as file:
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < 2.0:
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - begun)


def rows(first: int, count: int) -> list[dict]:
    rng = np.random.default_rng(first)
    numbers, words = rng.normal(size=(count, 16)).round(4).tolist(), rng.choice(list("abcdef"), (count, 4)).tolist()
    return [
        {"id": f"r{first + n}", "time": "2026-05-01T10:00:00Z", "prediction": "yes", "score": 0.75, "version": "7",
         "inputs": dict(zip(INPUTS, [*numbers[n], *words[n]], strict=True))}
        for n in range(count)
    ]  # fmt: skip


@contextlib.contextmanager
def service(home: Path):
    """`shelflife up`, as a user starts it; its port and a token."""
    from shelflife import plan
    from shelflife.system import System
    from shelflife.workspace import Settings

    system = System(Settings(home=home))
    system.apply(plan.parse(json.dumps(PLAN)), by="bench", because="bench")
    token, _ = system.tokens.make("bench", ["observe"], by="bench")
    system.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "shelflife", "up", "--port", str(port), "--gateway-port", "0", "--workspace",
               str(home)]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.1):
                break
            time.sleep(0.05)
        yield port, token
    finally:
        process.terminate()
        process.wait(60)


def posts(port: int, token: str, bodies: list[bytes], connections: int) -> tuple[float, list[float]]:
    """Seconds for all bodies over so many connections, and for each answer."""
    import http.client

    taken, lock, waiting = [], threading.Lock(), list(reversed(bodies))

    def send() -> None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        while True:
            with lock:
                if not waiting:
                    return
                body = waiting.pop()
            begun = time.perf_counter()
            link.request("POST", "/api/v1/systems/bench/predictions", body, headers)
            answer = link.getresponse()
            told = answer.read()
            assert answer.status == 200, told
            with lock:
                taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    threads = [threading.Thread(target=send) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun, taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--single", type=int, default=3_000)
    parser.add_argument("--file", type=int, default=1_000_000)
    parser.add_argument("--workspace", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        home = asked.workspace or Path(made) / "workspace"
        print(f"The disk syncs {syncs(Path(made)):,.0f} times a second.\n")
        print("| rows in | rows | seconds | rows/s | median answer, ms | p99, ms |\n|---|---|---|---|---|---|")
        batches = [json.dumps(rows(start, 1000)).encode() for start in range(0, asked.rows, 1000)]
        single = [json.dumps(rows(10_000_000 + n, 1)).encode() for n in range(asked.single)]
        with service(home) as (port, token):
            for name, bodies, count, connections in (
                ("HTTP, batches of 1,000, 4 connections", batches, asked.rows, 4),
                ("HTTP, one row a request, 16 connections", single, asked.single, 16),
            ):
                seconds, taken = posts(port, token, bodies, connections)
                middle, late = np.quantile(taken, [0.5, 0.99]) * 1000
                print(
                    f"| {name} | {count:,} | {seconds:.1f} | {count / seconds:,.0f} | {middle:.1f} | {late:.1f} |",
                    flush=True,
                )
        rng = np.random.default_rng(0)
        columns = {
            name: rng.normal(size=asked.file) if name.startswith("x") else rng.choice(list("abcdef"), asked.file)
            for name in INPUTS
        }
        table = pa.table({
            "id": [f"f{n}" for n in range(asked.file)],
            "time": pa.array(np.full(asked.file, 1_777_000_000_000_000), pa.timestamp("us", "UTC")),
            "prediction": rng.choice(["yes", "no"], asked.file), "score": rng.random(asked.file), **columns,
        })  # fmt: skip
        pq.write_table(table, Path(made) / "rows.parquet")
        pq.write_table(pa.table({"id": table["id"], "outcome": table["prediction"]}), Path(made) / "true.parquet")
        for name, kind, file in (
            ("Parquet", "predictions", "rows"),
            ("their outcomes", "outcomes", "true"),
            ("the same again", "predictions", "rows"),
        ):  # fmt: skip
            command = [sys.executable, "-m", "shelflife", "observe", kind, str(Path(made) / f"{file}.parquet"),
                       "--system", "bench", "--workspace", str(home)]  # fmt: skip
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - begun
            rate = f"{asked.file / seconds:,.0f}"
            print(f"| `shelflife observe`, {name} | {asked.file:,} | {seconds:.1f} | {rate} | | |", flush=True)


if __name__ == "__main__":
    main()
