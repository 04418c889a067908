"""A gateway that its test kills: `answering.py SETTINGS [guarded]` says at which port it answers."""

from __future__ import annotations

import socket
import sys

from shelflife.gateway.worker import Options, run


def main(settings: str, *words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        run(listening, Options(settings, guarded="guarded" in words))


if __name__ == "__main__":
    main(*sys.argv[1:])
