"""``shelflife up``: the running service."""

from __future__ import annotations

import contextlib
import functools
import gc
import ipaddress
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelflife.cli import logs
from shelflife.cli.frame import complaining, panel
from shelflife.cli.workspace import Home, opened, settings_of
from shelflife.errors import Away, BadInput, nearest

if TYPE_CHECKING:
    from shelflife.system import System
    from shelflife.workspace import Settings

_where = panel("Where")
_seen = panel("Beyond this machine")
_said = panel("Log")
_served = panel("Gateway")

ROLES = ("all", "api", "loop", "gateway")
_GATEWAY_PORT = 8701
_AGAIN = 5.0  # seconds after which a database that is away is asked again
_log = logging.getLogger("shelflife.gateway")


@complaining
def up(
    role: Annotated[
        str, _where("What runs here: all, api (takes rows in), loop (does what is due) or gateway (models answer).")
    ] = "all",
    host: Annotated[str, _where("The address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int | None, _where("The port; 0 takes a free one. 8700 unless told otherwise, of --role gateway 8701.")
    ] = None,
    gateway_port: Annotated[
        int | None, _served("The gateway's port beside the API (--role all): 8701 unless told otherwise, 0 a free one.")
    ] = None,
    workers: Annotated[int, _served("How many processes answer.")] = 1,
    gateway_tokens: Annotated[
        bool, _served("Ask for a token that may observe the system, also on this machine; beyond it one always is.")
    ] = False,
    most_waiting: Annotated[
        int, _served("How many rows may wait for a model before requests are told to come again (503).")
    ] = 2_000,
    most_log: Annotated[
        int, _served("How many bytes of answers a worker may have in its log, likewise.")
    ] = 2_000_000_000,
    tls_cert: Annotated[Path | None, _seen("The certificate chain, as PEM.")] = None,
    tls_key: Annotated[Path | None, _seen("Its private key, as PEM.")] = None,
    behind_proxy: Annotated[
        bool, _seen("Every request comes through a proxy that encrypts; it says where from (X-Forwarded-For, -Proto).")
    ] = False,
    log: Annotated[str, _said("text or json: how what happens is told on standard error.")] = "text",
    log_level: Annotated[str, _said("From which level on: debug, info, warning or error.")] = "info",
    home: Home = None,
) -> None:
    """Run the service: rows come in, people see pages, models answer, and what the plans ask for is done.

    Ctrl-C stops it; what was accepted is kept. Beyond this machine it listens only with a certificate, or behind a
    proxy that has one.
    """
    if role not in ROLES:
        raise BadInput(f"--role asks for {', '.join(ROLES)}; found {role!r}. {nearest(role, ROLES)}")
    for option, value, allowed in (("--log", log, logs.FORMS), ("--log-level", log_level, logs.LEVELS)):
        if value not in allowed:
            raise BadInput(f"{option} asks for {', '.join(allowed)}; found {value!r}. {nearest(value, allowed)}")
    if role == "gateway" and gateway_port is not None:
        raise BadInput("With --role gateway its port is --port; --gateway-port is that of a gateway beside the API.")
    for option, number in (("--workers", workers), ("--most-waiting", most_waiting), ("--most-log", most_log)):
        if number < 1:
            raise BadInput(f"{option} asks for at least 1; found {number}.")
    logs.configure(log, log_level)
    told: dict[str, Any] = {"log": log, "log_level": log_level}
    told |= {"most_waiting": most_waiting, "most_bytes": most_log, "guarded": gateway_tokens or not _is_here(host)}
    if role == "gateway":
        with _taking(home) as settings:
            signed = _signed()
            at, tls = _GATEWAY_PORT if port is None else port, _tls(host, tls_cert, tls_key, behind_proxy)
            with _answering(settings, host, at, workers, tls=tls, **told):
                signed.wait()
        return
    with opened(home) as workspace, contextlib.ExitStack() as beside:
        tls = _tls(host, tls_cert, tls_key, behind_proxy)
        beside.enter_context(_beside(workspace.served().run, "served"))
        if role == "loop":
            _beat(workspace)
            return
        if role == "all":
            at = _GATEWAY_PORT if gateway_port is None else gateway_port
            beside.enter_context(
                _answering(workspace.settings, host, at, workers, option="--gateway-port", tls=tls, **told)
            )
            from shelflife.loop import Loop

            beside.enter_context(_beside(Loop(workspace).run, "loop"))
        _serve(workspace, host, 8700 if port is None else port, tls=tls, behind_proxy=behind_proxy)


def _signed() -> threading.Event:
    """Set once the process is told to stop."""
    stop = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: stop.set())
    return stop


@contextlib.contextmanager
def _beside(run: Callable[[threading.Event], None], name: str) -> Iterator[None]:
    """Have something run beside what else is done, until that is over."""
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(stop,), name=f"shelflife-{name}")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def _taking(home: Path | None) -> Iterator[Settings]:
    """Have what is answered taken into the tables: later on, where the database is away and the disk has routes."""
    with contextlib.ExitStack() as beside:
        try:
            workspace = beside.enter_context(opened(home))
        except Away as error:
            settings = settings_of(home)
            if not _has_routes(settings):
                raise
            _log.error("%s The routes of the disk are answered by until it does.", error)
            run: Callable[[threading.Event], None] = functools.partial(_take_later, home)
        else:
            settings, run = workspace.settings, workspace.served().run
        beside.enter_context(_beside(run, "served"))
        yield settings


def _has_routes(settings: Settings) -> bool:
    from shelflife.gateway import last

    with contextlib.suppress(BadInput):  # damaged
        found = last.read(settings.served_folder / last.NAME, of=last.identity(settings.database_url))
        return found is not None and bool(found[0].routes)
    return False


def _take_later(home: Path | None, stop: threading.Event) -> None:
    """Take what is answered into the tables as soon as the database answers."""
    while not stop.wait(_AGAIN):
        try:
            with opened(home) as workspace:
                _log.info("the database answers again")
                workspace.served().run(stop)
        except Away as error:
            _log.debug("%s", error)
        except BadInput as error:
            _log.error("what was answered is not taken into the tables: %s", error)


@contextlib.contextmanager
def _answering(
    settings: Settings, host: str, port: int, workers: int, *, tls: dict[str, Any], option: str = "--port", **told: Any
) -> Iterator[None]:
    """Have models answer beside what else is done."""
    try:
        from shelflife.gateway.worker import Options, config
        from shelflife.gateway.workers import Workers
    except ImportError as error:
        raise BadInput(f"The gateway needs {error.name}: pip install 'shelflife[server]'.") from error
    options = Options(settings.model_dump_json(), server=tls, **told)
    with _listening(host, port, option) as listening:
        _usable(config(options))
        at = _url(host, listening.getsockname()[1], bool(tls))
        typer.echo(f"Shelflife answers at {at} (Open Inference Protocol: {at}/v2).", err=True)
        running = Workers(listening, workers, options)
        running.start()
        try:
            yield
        finally:
            running.stop()


def _listening(host: str, port: int, option: str) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        said = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise BadInput(f"Cannot listen at {host}:{port}: {said}. {option} names another port.") from error


def _usable(config: Any) -> None:
    """Read what a server is told; raises `BadInput` where its certificate cannot be used."""
    try:
        config.load()
    except (OSError, ValueError) as error:  # of ssl
        raise BadInput(f"The certificate and key cannot be used: {error}.") from error


def _beat(workspace: System) -> None:
    """Do what is due until the process is told to stop."""
    from shelflife.loop import Loop

    stop = _signed()
    typer.echo("Shelflife does what is due. Ctrl-C stops it.", err=True)
    Loop(workspace).run(stop)


def _tls(host: str, cert: Path | None, key: Path | None, behind_proxy: bool) -> dict[str, Any]:
    """The options of the server for what it encrypts with; raises `BadInput` where passwords would go in the clear."""
    if (cert is None) != (key is None):
        raise BadInput("--tls-cert and --tls-key go together.")
    if cert is not None and key is not None:
        for option, path in (("--tls-cert", cert), ("--tls-key", key)):
            if not path.is_file():
                raise BadInput(f"{option} asks for a file; there is no {str(path)!r}.")
        return {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
    if not _is_here(host) and not behind_proxy:
        raise BadInput(
            f"--host {host} is beyond this machine, where passwords and tokens would go in the clear: give --tls-cert"
            " and --tls-key, or --behind-proxy where a proxy encrypts."
        )
    return {}


def _url(host: str, port: int, encrypted: bool) -> str:
    """The address to go to; of all addresses of this machine its name."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            host = socket.gethostname()
    return f"{'https' if encrypted else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _serve(workspace: System, host: str, port: int, *, tls: dict[str, Any], behind_proxy: bool) -> None:
    """Answer HTTP until the process is told to stop."""
    try:
        import uvicorn

        from shelflife.server import create
        from shelflife.web import picture
    except ImportError as error:
        raise BadInput(f"The service needs {error.name}: pip install 'shelflife[server]'.") from error
    listening = _listening(host, port, "--port")
    # Answers wait for the thread that commits to get its turn; the default turn of 5 ms is longer than a commit.
    sys.setswitchinterval(0.0005)
    # Once it has stopped listening the server raises the signal again; what is open is to be closed then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        create(workspace, behind_proxy=behind_proxy), access_log=False, log_config=None, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=10, **tls,
    )  # fmt: skip
    _usable(config)
    at = _url(host, listening.getsockname()[1], bool(tls))
    typer.echo(f"Shelflife listens at {at} (API: {at}/api). Ctrl-C stops it.", err=True)
    first = workspace.accounts.first()
    if first is not None:
        seen = "" if behind_proxy else at  # only the proxy knows the rest of its address
        typer.echo(
            f"Nobody can sign in yet. Within an hour, once: {seen}/link/{first} makes the first account.", err=True
        )
    # What is there by now stays: going through it with what comes and goes would hold up each tenth page by 0.1 s.
    workspace.current_plans()
    picture.warm()
    gc.collect()
    gc.freeze()
    try:
        with listening:
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        gc.unfreeze()  # else it is never let go of, and libraries complain of it as the process ends
