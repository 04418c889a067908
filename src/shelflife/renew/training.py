"""Training in a process of its own, within limits of time and memory, with all that it prints in a log."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shelflife.errors import BadInput, TrainerFailed
from shelflife.plan import Plan
from shelflife.renew import apprentice, ingredients

if TYPE_CHECKING:
    import pyarrow as pa

LOG = "training.log"
_LOGGED = 8 << 20  # bytes of a log that are kept from its beginning, and as many blocks from its end
_LAST = 64
_LINES = 12  # of the log, in an error
_GOES = 10.0  # seconds for a process that was killed to be gone
# What takes seconds to import is there when a training starts.
_PRELOADED = ["shelflife.renew.apprentice", "skrub", "sklearn.ensemble", "skops.io", "mlflow.sklearn", "pandas"]


@dataclass(frozen=True)
class Ask:
    """Another artifact, which answers some rows beside the new one in the same process; the plan they are asked by."""

    artifact: Path
    rows: pa.Table
    plan: str


@dataclass(frozen=True)
class Job:
    """A training.

    Attributes
    ----------
    plan
        Says what trains, on which inputs, for which task.
    rows
        An Arrow table with the plan's inputs and ``outcome``.
    folder
        A folder of its own, for the order, the log and the model; what is in it is removed.
    seed
        What the trainer is given.
    at
        The folder where the trainer lives: it is the working directory, and first on the path.
    seconds, memory_mb
        How long it may take, and how much memory beyond what its libraries take.
    python
        Another Python to train with; the running one, preloaded, without.
    path
        Where that one finds what it has not installed.
    ask
        What the new model is compared with.
    lasts
        Options of `shelflife.lifespan`, and ``target``, the name of what is predicted, where no model is to be kept
        but measured is how long such models last.
    """

    plan: Plan
    rows: pa.Table
    folder: Path
    seed: int = 0
    at: Path = field(default_factory=Path.cwd)
    seconds: float = 3600.0
    memory_mb: int = 8192
    python: Path | None = None
    path: Path | None = None
    ask: Ask | None = None
    lasts: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Trained:
    """A model.

    Attributes
    ----------
    artifact
        An MLflow model directory.
    record
        What made it: trainer, parameters, seed, rows, duration, peak memory, libraries, environment, code, machine.
    log
        What was printed.
    """

    artifact: Path
    record: dict[str, Any]
    log: Path


def train(job: Job) -> Trained:
    """Train a model; it blocks until that is done, or its time is over.

    Raises
    ------
    TrainerFailed
        Where the trainer raises, ends its process, takes too long or too much, or returns what cannot be kept; the
        message ends with the last lines of the log.
    """
    code = ingredients.code(job.at)  # before the trainer can write there
    record = _done(job)
    environment = record.pop("environment", None) or ingredients.environment()
    record |= {"environment": environment, "code": code, "machine": ingredients.machine()}
    return Trained(job.folder / apprentice.MODEL, record, job.folder / LOG)


def lasting(job: Job) -> dict[str, Any]:
    """Measure how long models like that of a job last, which `lasts` says how; within the same limits.

    Returns
    -------
    dict
        ``says``, the answer in words, and ``days``, the lower quartile of survival; None where too few expire.

    Raises
    ------
    TrainerFailed
        As `train`; also where the rows are too few or reach back too little.
    """
    return _done(job)


def _done(job: Job) -> dict[str, Any]:
    """What is written down of a job that a process of its own carries out."""
    _prepare(job)
    log = _Log(job.folder / LOG)
    run = _forked if job.python is None else _started
    ended = run(job, log)
    log.close()
    record = _read(job.folder / apprentice.RECORD)
    if ended != 0 or record is None:
        raise TrainerFailed(_said(job, ended, _read(job.folder / apprentice.FAILED), log.last()))
    return record


def _prepare(job: Job) -> None:
    """Write the rows and the order where the process finds them."""
    import pyarrow as pa

    model, here = job.plan.model, job.folder
    # Of what is private digests are kept, from which nothing is learnt.
    kinds = {name: kind for name, kind in model.inputs.items() if name not in model.private}
    if "outcome" not in job.rows.column_names:
        raise BadInput(f"Rows to train on have an outcome; found {', '.join(job.rows.column_names)}.")
    rows = job.rows.filter(job.rows["outcome"].is_valid())
    if not len(rows):
        raise BadInput("There are no rows to train on: none has an outcome.")
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    for name, table in ((apprentice.ROWS, rows), *([(apprentice.ASKED, job.ask.rows)] if job.ask else [])):
        with pa.ipc.new_file(here / name, table.schema) as writer:
            writer.write_table(table.combine_chunks())
    order = {
        "name": model.name, "train": model.train, "task": model.task, "kinds": kinds,
        "pickle": model.name in model.pickle, "seed": job.seed, "at": str(job.at.absolute()),
        "memory": job.memory_mb, "elsewhere": job.python is not None,
        "ask": str(job.ask.artifact) if job.ask else None, "plan": job.ask.plan if job.ask else None,
        "lasts": job.lasts,
    }  # fmt: skip
    (here / apprentice.ORDER).write_text(json.dumps(order), encoding="utf-8")


# ----------------------------------------------------------------------------------------------------------------------
# Processes


@cache
def _context() -> Any:
    """Processes that are forked from one in which what is heavy is loaded; started anew where there is no fork."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _forked(job: Job, log: _Log) -> int | None:
    """How the process ended; None where its time was over."""
    context = _context()
    read, write = context.Pipe(duplex=False)
    process = context.Process(target=apprentice.work, args=(str(job.folder), write), daemon=False)
    process.start()
    write.close()
    log.drain(read.fileno())
    process.join(job.seconds)
    late = process.is_alive()
    _kill(process.pid)
    if late:
        process.kill()
    process.join(_GOES)
    log.join()
    read.close()
    return None if late else process.exitcode


def _started(job: Job, log: _Log) -> int | None:
    """The same in another Python, which is started for it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    if job.path is not None:
        environment["PYTHONPATH"] = str(job.path)
    command = [str(job.python), "-m", "shelflife.renew.apprentice", str(job.folder.absolute())]
    process = subprocess.Popen(  # noqa: S603 - our own words
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    log.drain(process.stdout.fileno())
    try:
        ended: int | None = process.wait(job.seconds)
    except subprocess.TimeoutExpired:
        ended = None
    _kill(process.pid)
    if ended is None:
        process.kill()
    process.wait()
    log.join()
    process.stdout.close()
    return ended


def _kill(group: int | None) -> None:
    """End a process and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        if group:
            os.killpg(group, signal.SIGKILL)


class _Log:
    """A file that takes what a process prints: the beginning and the end of it, however much it is."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, path.open("wb")
        self._kept, self._left = 0, 0
        self._end: deque[bytes] = deque(maxlen=_LAST)
        self._thread: threading.Thread | None = None

    def drain(self, pipe: int) -> None:
        """Read a pipe until its other end is closed, in a thread."""
        self._thread = threading.Thread(target=self._drain, args=(os.dup(pipe),), daemon=True)
        self._thread.start()

    def _drain(self, pipe: int) -> None:
        with os.fdopen(pipe, "rb", buffering=0) as source, suppress(OSError):
            while block := source.read(1 << 16):
                self._take(block)

    def _take(self, block: bytes) -> None:
        if self._kept < _LOGGED:
            self._file.write(block)
            self._file.flush()
            self._kept += len(block)
            return
        if len(self._end) == _LAST:
            self._left += len(self._end[0])
        self._end.append(block)

    def join(self) -> None:
        """Wait for the rest; what a process left behind may hold the pipe for ever."""
        if self._thread is not None:
            self._thread.join(_GOES)

    def close(self) -> None:
        """Write what was kept of the end."""
        if self._left:
            self._file.write(f"\n… {self._left:,} bytes are left out …\n".encode())
        for block in list(self._end):
            self._file.write(block)
        self._file.close()

    def last(self) -> str:
        """Its last lines."""
        with self._path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(line[:300] for line in lines[-_LINES:])


# ----------------------------------------------------------------------------------------------------------------------
# Words


def _said(job: Job, ended: int | None, failed: Mapping[str, Any] | None, last: str) -> str:
    """Why there is no model."""
    name = job.plan.model.train or "default"
    memory = f"It may take {job.memory_mb:,} MB beyond its libraries."
    if ended is None:
        says = f"The trainer {name} was ended after {job.seconds:,g} seconds: that is all the time it has."
    elif failed is not None:
        says = str(failed["says"]) + (f" {memory}" if failed["memory"] else "")
    elif ended < 0:
        says = f"The trainer {name} was ended by signal {signal.Signals(-ended).name}. {memory}"
    else:
        says = f"The trainer {name} ended its process with status {ended}, and returned no model."
    return f"{says}\nThe last lines of its log:\n{last}" if last.strip() else says


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found
