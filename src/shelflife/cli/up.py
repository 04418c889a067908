"""``shelflife up``: the running service."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from shelflife.cli.frame import complaining, panel
from shelflife.cli.workspace import Home, opened
from shelflife.errors import BadInput, nearest

if TYPE_CHECKING:
    from shelflife.system import System

_where = panel("Where")

ROLES = ("all", "api", "loop")


@complaining
def up(
    role: Annotated[str, _where("What runs here: all, api (takes rows in) or loop (does what is due).")] = "all",
    host: Annotated[str, _where("The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, _where("The port; 0 takes a free one.")] = 8700,
    home: Home = None,
) -> None:
    """Run the service: rows come in over HTTP, and what the plans ask for again and again is done.

    Ctrl-C stops it; what was accepted is kept.
    """
    if role not in ROLES:
        raise BadInput(f"--role asks for {', '.join(ROLES)}; found {role!r}. {nearest(role, ROLES)}")
    with opened(home, make=True) as workspace:
        if role == "loop":
            _beat(workspace)
            return
        with _beating(workspace) if role == "all" else contextlib.nullcontext():
            _serve(workspace, host, port)


def _beat(workspace: System) -> None:
    """Do what is due until the process is told to stop."""
    from shelflife.loop import Loop

    stop = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: stop.set())
    typer.echo("Shelflife does what is due. Ctrl-C stops it.", err=True)
    Loop(workspace).run(stop)


@contextlib.contextmanager
def _beating(workspace: System) -> Iterator[None]:
    """Do what is due beside what else is done."""
    from shelflife.loop import Loop

    stop = threading.Event()
    thread = threading.Thread(target=Loop(workspace).run, args=(stop,), name="shelflife-loop")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _serve(workspace: System, host: str, port: int) -> None:
    """Answer HTTP until the process is told to stop."""
    try:
        import uvicorn

        from shelflife.api.app import create
    except ImportError as error:
        raise BadInput(f"The service needs {error.name}: pip install 'shelflife[server]'.") from error
    if host not in {"127.0.0.1", "localhost", "::1"}:
        raise BadInput(
            f"--host asks for this machine (127.0.0.1 or ::1) for now; found {host!r}. Put a proxy before it."
        )
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        said = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise BadInput(f"Cannot listen at {host}:{port}: {said}. --port names another port.") from error
    # Answers wait for the thread that commits to get its turn; the default turn of 5 ms is longer than a commit.
    sys.setswitchinterval(0.0005)
    # Once it has stopped listening the server raises the signal again; what is open is to be closed then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        create(workspace), access_log=False, log_level="warning", server_header=False, timeout_graceful_shutdown=10
    )
    at = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    typer.echo(f"Shelflife listens at {at} (API: {at}/api/v1/openapi.json). Ctrl-C stops it.", err=True)
    with listening:
        uvicorn.Server(config).run(sockets=[listening])
