"""A gateway in a process of its own, which its test kills."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from shelflife.workspace import Settings

# Loading what a worker needs takes seconds; a process is made of one that has, and knows nothing else.
_LOADED = ("shelflife.gateway.worker", "mlflow.pyfunc", "mlflow.sklearn", "skops.io", "sklearn.pipeline", "psycopg")
_starting = multiprocessing.get_context("forkserver")
_starting.set_forkserver_preload(list(_LOADED))


class Running:
    """A process that runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self._pid, number)


@contextmanager
def process(settings: Settings, *words: str) -> Iterator[tuple[Running, str]]:
    """A gateway in a process of its own, which ends with this one; and its address."""
    here, there = _starting.Pipe()
    running = _starting.Process(target=_answer, args=(settings.model_dump_json(), words, there))
    running.start()
    there.close()
    try:
        assert running.pid is not None
        yield Running(running.pid), f"http://127.0.0.1:{here.recv()}"
    finally:
        running.kill()
        running.join()
        here.close()


def _answer(settings: str, words: tuple[str, ...], there: Connection) -> None:
    """Say at which port it answers, and do so until the test is gone."""
    from shelflife.gateway.worker import Options, run

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        there.send(listening.getsockname()[1])
        # As one that `shelflife up` starts it ends where nobody holds the other end any more.
        sys.stdin = os.fdopen(os.dup(there.fileno()))
        run(listening, Options(settings, guarded="guarded" in words))
