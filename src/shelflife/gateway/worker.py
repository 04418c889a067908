"""One worker: a process that answers at a socket it was handed, until it is told to stop or is left alone."""

from __future__ import annotations

import gc
import json
import logging
import socket
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shelflife.gateway.app import MOST_WAITING, Gateway
from shelflife.gateway.dying import Dead, faults
from shelflife.workspace import Settings

_GRACE = 10  # seconds in which requests that are under way are finished
# Longer than balancers keep a connection: who asks over one is not to find it closed at that moment.
_IDLE = 75  # seconds


@dataclass(frozen=True)
class Options:
    """What a worker is told.

    Attributes
    ----------
    settings
        Where the workspace is, as JSON.
    guarded
        Whether requests need a token.
    most_waiting, most_bytes
        As of `Gateway`.
    server
        Options of the server: what it encrypts with.
    log, log_level
        How it tells what happens.
    marks
        The folder where it marks which model is at work.
    died
        The versions by which workers before it died, as `shelflife.gateway.dying.Dead`.
    """

    settings: str
    guarded: bool = False
    most_waiting: int = MOST_WAITING
    most_bytes: int | None = None
    server: dict[str, Any] | None = None
    log: str = "text"
    log_level: str = "info"
    marks: str | None = None
    died: list[dict[str, Any]] = field(default_factory=list)

    def json(self) -> str:
        """All of it as text."""
        return json.dumps(asdict(self))


def config(options: Options) -> Any:
    """The server's configuration; raises of ssl where a certificate cannot be used."""
    import uvicorn

    app = Gateway(
        Settings.model_validate_json(options.settings), guarded=options.guarded, most_waiting=options.most_waiting,
        most_bytes=options.most_bytes, marks=None if options.marks is None else Path(options.marks),
        died=[Dead(**one) for one in options.died],
    )  # fmt: skip
    return uvicorn.Config(
        app, access_log=False, log_config=None, server_header=False, proxy_headers=False, lifespan="on",
        timeout_graceful_shutdown=_GRACE, timeout_keep_alive=_IDLE, **(options.server or {}),
    )  # fmt: skip


def run(listening: socket.socket, options: Options) -> None:
    """Answer until told to stop, or until whoever started this process is gone."""
    import uvicorn

    # A model's thread waits for its turn while requests are read; the default turn of 5 ms is longer than an answer.
    sys.setswitchinterval(0.0005)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # Models and their libraries stay: to go through them again and again takes as long as some answers.
            gc.collect()
            gc.freeze()

    if options.marks is not None:
        faults(Path(options.marks))
    server = Server(config(options))

    def watch() -> None:
        sys.stdin.buffer.read()  # ends with the process that started this one
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # told of by whoever started this process
        logging.getLogger("shelflife.gateway").debug("stopped")
    finally:
        gc.unfreeze()
