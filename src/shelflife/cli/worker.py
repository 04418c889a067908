"""A worker of the gateway: ``python -m shelflife.cli.worker SOCKET OPTIONS``, as `shelflife up` starts it."""

from __future__ import annotations

import json
import socket
import sys

from shelflife.cli import logs
from shelflife.gateway.worker import Options, run


def main() -> None:
    """Answer at a socket, by its number, with options as JSON."""
    options = Options(**json.loads(sys.argv[2]))
    logs.configure(options.log, options.log_level)
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        run(listening, options)


if __name__ == "__main__":
    main()
