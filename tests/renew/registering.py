"""A process that registers a version, and is killed when a function has done its work, or before it.

`registering.py SETTINGS ARTIFACT KEY MODULE:NAME before|after`
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shelflife.renew import registry
from shelflife.system import System
from shelflife.workspace import Settings


def killing(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    """The same function, in a process that ends there."""

    def run(*given: Any, **named: Any) -> Any:
        if when == "after":
            function(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return run


def main(settings: str, artifact: str, key: str, place: str, when: str) -> None:
    system = System(Settings.model_validate_json(settings))
    owner: Any = registry if "." not in place else getattr(registry, place.split(".", maxsplit=1)[0])
    name = place.rsplit(".", maxsplit=1)[-1]
    setattr(owner, name, killing(getattr(owner, name), when))
    registry.register(
        system.database, system.settings, system.plan("support-desk").plan, 1, artifact=Path(artifact), key=key,
        snapshot=None, record={}, by="lead", because="killed", now=datetime(2026, 5, 1, tzinfo=UTC),
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
