"""``shelflife up``: the running service."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from shelflife.cli.frame import complaining, panel
from shelflife.cli.workspace import Home, opened
from shelflife.errors import BadInput

_where = panel("Where")

ROLES = ("api",)


@complaining
def up(
    role: Annotated[str, _where("What runs here: api.")] = "api",
    host: Annotated[str, _where("The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, _where("The port; 0 takes a free one.")] = 8700,
    home: Home = None,
) -> None:
    """Run the service: rows come in over HTTP. Ctrl-C stops it; what was accepted is kept."""
    if role not in ROLES:
        raise BadInput(f"--role asks for {' or '.join(ROLES)}; found {role!r}.")
    try:
        import uvicorn

        from shelflife.api.app import create
    except ImportError as error:
        raise BadInput(f"The service needs {error.name}: pip install 'shelflife[server]'.") from error
    if host not in {"127.0.0.1", "localhost", "::1"}:
        raise BadInput(
            f"--host asks for this machine (127.0.0.1 or ::1) for now; found {host!r}. Put a proxy before it."
        )
    # Answers wait for the thread that commits to get its turn; the default turn of 5 ms is longer than a commit.
    sys.setswitchinterval(0.0005)
    with opened(home, make=True) as workspace:
        config = uvicorn.Config(
            create(workspace), host=host, port=port, access_log=False, log_level="warning", server_header=False,
            timeout_graceful_shutdown=10,
        )  # fmt: skip
        server = uvicorn.Server(config)
        typer.echo(f"Shelflife listens at http://{host}:{port} (API: /api/v1/openapi.json). Ctrl-C stops it.", err=True)
        server.run()
        if not server.started:
            raise BadInput(f"Cannot listen at {host}:{port}: is something else there? --port names another.")
