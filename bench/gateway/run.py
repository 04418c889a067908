"""What it costs that every answer is logged before it is given: our gateway, a bare server, and MLServer.

Usage: python bench/gateway/run.py [--seconds 6] [--rounds 5] [--mlserver]

The same model of scikit-learn answers the same requests in processes of their own, one worker each; the client, one
process with 16 connections, is beside them on the same machine. Servers are asked in turn, round after round, and the
median of the rounds is told, so that what else the machine does meets all of them. The report goes to stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import environments  # noqa: E402

NAMES = [f"x{number:02d}" for number in range(16)] + [f"y{number}" for number in range(4)]
PLAN = {
    "shelflife": 1, "system": "bench", "title": "Bench", "objective": {"why": "Measure"},
    "model": {
        "name": "bench", "task": "classification", "prediction": "said", "score": ["score"],
        "inputs": dict.fromkeys(NAMES, "numeric"), "outcome": {"name": "true", "within": "7d"},
    },
    "watch": {"bucket": "1d", "false_alarms": {"at_most": 1, "per": "180d"}},
}  # fmt: skip


def learned() -> Any:
    """A usual pipeline: numbers scaled, a logistic regression."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(5_000, len(NAMES))), columns=NAMES)
    truth = np.where(rows.iloc[:, :5].sum(axis=1) > 0, "yes", "no")
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(rows, truth)


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def process(command: list[str], port: int, path: str, **more: Any) -> Iterator[None]:
    """A server, once it answers at a path."""
    import http.client

    with tempfile.TemporaryFile() as said:
        running = subprocess.Popen(command, stderr=said, stdout=said, env=environments.surroundings(), **more)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    link = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
                    link.request("GET", path)
                    if link.getresponse().status in (200, 405):
                        break
                time.sleep(0.1)
            else:
                said.seek(0)
                raise SystemExit(said.read().decode())
            yield
        finally:
            running.terminate()
            running.wait(60)


@contextlib.contextmanager
def ours(folder: Path, model: Any, port: int) -> Iterator[None]:
    """`shelflife up --role gateway`, as a user starts it, with a version and a route."""
    import mlflow.sklearn
    from sqlalchemy import insert

    from shelflife import models, plan
    from shelflife.store.schema import routes, versions
    from shelflife.system import System
    from shelflife.workspace import Settings

    mlflow.sklearn.save_model(
        model, folder / "model", serialization_format="skops", pip_requirements=[], skops_trusted_types=["numpy.dtype"]
    )
    system = System(Settings(home=folder / "workspace"))
    system.apply(plan.parse(json.dumps(PLAN)), by="bench", because="bench")
    now = system.clock.now()
    with system.database.writing() as connection:
        connection.execute(
            insert(versions).values(
                system="bench", number=1, key="1", model="bench", registered="1", source=str(folder / "model"),
                digest=models.digest(folder / "model"), plan=1, record={}, at=now, by="bench", because="bench",
            )
        )  # fmt: skip
        connection.execute(insert(routes).values(system="bench", revision=1, champion=1, share=0.0, at=now))
    system.close()
    command = [sys.executable, "-m", "shelflife", "up", "--role", "gateway", "--port", str(port), "--workspace",
               str(folder / "workspace")]  # fmt: skip
    with process(command, port, "/v2/health/ready"):
        yield


@contextlib.contextmanager
def bare(folder: Path, model: Any, port: int, form: str = "frames") -> Iterator[None]:
    import skops.io

    skops.io.dump(model, folder / "model.skops")
    command = [sys.executable, str(HERE / "bare.py"), str(folder / "model.skops"), str(port), form]
    with process(command, port, "/predict/bench"):
        yield


@contextlib.contextmanager
def mlserver(folder: Path, model: Any, port: int) -> Iterator[None]:
    """MLServer in an environment of its own, with its runtime for scikit-learn and its own settings otherwise."""
    import joblib

    home = folder / "mlserver"
    home.mkdir()
    joblib.dump(model, home / "model.joblib")
    settings = {"name": "bench", "implementation": "mlserver_sklearn.SKLearnModel",
                "parameters": {"uri": "./model.joblib"}}  # fmt: skip
    (home / "model-settings.json").write_text(json.dumps(settings))
    own = {"http_port": port, "grpc_port": free(), "metrics_port": free(), "parallel_workers": 0, "debug": False}
    (home / "settings.json").write_text(json.dumps(own))
    command = [str(environments.python("mlserver").with_name("mlserver")), "start", str(home)]
    with process(command, port, "/v2/health/ready"):
        yield


@dataclass(frozen=True)
class Load:
    """What is asked."""

    name: str
    rows: int
    connections: int


TENSORS = "the gateway, tensors"  # as MLServer is asked: all numbers in one
LOADS = (Load("one row a request, 16 connections", 1, 16), Load("1,000 rows a request, 2 connections", 1000, 2))


def bodies(rows: int, protocol: bool) -> list[bytes]:
    rng = np.random.default_rng(1)
    made = []
    for _ in range(64 if rows == 1 else 8):
        values = rng.normal(size=(rows, len(NAMES))).round(4)
        if protocol:
            said: Any = {"inputs": [{"name": "input", "datatype": "FP64", "shape": list(values.shape),
                                     "data": values.reshape(-1).tolist()}]}  # fmt: skip
        else:
            named = [dict(zip(NAMES, row, strict=True)) for row in values.tolist()]
            said = named[0] if rows == 1 else {"rows": named}
        made.append(orjson.dumps(said))
    return made


def asked(port: int, path: str, load: Load, given: list[bytes], seconds: float) -> tuple[float, list[float]]:
    """Requests a second, and how long each took: every connection asks again once it was answered."""
    taken: list[list[float]] = [[] for _ in range(load.connections)]
    until = time.perf_counter() + seconds

    def ask(place: int) -> None:
        requests = [
            b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (path.encode(), len(body), body) for body in given
        ]  # fmt: skip
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = place
            while (begun := time.perf_counter()) < until:
                link.sendall(requests[number % len(requests)])
                answered(link)
                taken[place].append(time.perf_counter() - begun)
                number += 1

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(load.connections)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [one for some in taken for one in some]
    return len(every) / (time.perf_counter() - begun), every


def answered(link: socket.socket) -> None:
    """Read one answer to its end."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += link.recv(1 << 18)
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), found[:400]
    lower = head.lower()
    start = lower.index(b"content-length:") + 15
    left = int(lower[start : lower.find(b"\r\n", start) if b"\r\n" in lower[start:] else len(lower)]) - len(body)
    while left > 0:
        left -= len(link.recv(1 << 18))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mlserver", action="store_true")
    told = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    model = learned()
    servers = {"bare": bare, "bare, arrays": functools.partial(bare, form="arrays"), "the gateway": ours}
    if told.mlserver:
        servers["MLServer"] = mlserver
    print("| load | server | requests/s | of bare | rows/s | median, ms | p99, ms | p99 of bare |\n" + "|---" * 8 + "|")
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as running:
        ports = {}
        for name, start in servers.items():
            ports[name] = free()
            folder = Path(made) / str(ports[name])
            folder.mkdir()
            running.enter_context(start(folder, model, ports[name]))
        for load in LOADS:
            names = (*servers, TENSORS)
            found: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in names}
            for number in range(told.rounds + 1):
                for name in names:
                    protocol = name in ("MLServer", TENSORS)
                    path = "/v2/models/bench/infer" if protocol else "/predict/bench"
                    port = ports["the gateway" if name == TENSORS else name]
                    one = asked(port, path, load, bodies(load.rows, protocol), told.seconds if number else 1.0)
                    if number:  # the first warms
                        found[name].append(one)
            report(load, found)


def report(load: Load, found: dict[str, list[tuple[float, list[float]]]]) -> None:
    rates = {name: float(np.median([rate for rate, _ in some])) for name, some in found.items()}
    late = {name: float(np.median([np.quantile(taken, 0.99) for _, taken in some])) for name, some in found.items()}
    first = next(iter(found))
    for name, some in found.items():
        middle = float(np.median([np.median(taken) for _, taken in some]))
        print(
            f"| {load.name} | {name} | {rates[name]:,.0f} | {rates[name] / rates[first]:.2f} |"
            f" {rates[name] * load.rows:,.0f} | {middle * 1000:.1f} | {late[name] * 1000:.1f} |"
            f" {late[name] / late[first]:.2f} |", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
