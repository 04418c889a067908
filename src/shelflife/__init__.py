"""Every model has a shelf life. Shelflife measures it, and makes it last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shelflife.check import Check, check
    from shelflife.client import Client
    from shelflife.errors import BadInput, NotEnoughHistory, ShelflifeError, TrainerFailed
    from shelflife.lifespan import Lifespan, lifespan
    from shelflife.profile import Profile, Reference

__version__ = "0.1.0"

_HOMES = {
    "BadInput": "shelflife.errors",
    "Check": "shelflife.check.result",
    "Client": "shelflife.client",
    "Lifespan": "shelflife.lifespan.result",
    "NotEnoughHistory": "shelflife.errors",
    "ShelflifeError": "shelflife.errors",
    "Profile": "shelflife.profile.counts",
    "Reference": "shelflife.profile.reference",
    "TrainerFailed": "shelflife.errors",
    "check": "shelflife.check",
    "lifespan": "shelflife.lifespan",
}

__all__ = [
    "BadInput",
    "Check",
    "Client",
    "Lifespan",
    "NotEnoughHistory",
    "Profile",
    "Reference",
    "ShelflifeError",
    "TrainerFailed",
    "__version__",
    "check",
    "lifespan",
]


def __getattr__(name: str) -> Any:
    # Heavy libraries load when a name is first used, so that importing the package costs nothing.
    if name not in _HOMES:
        raise AttributeError(f"module 'shelflife' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_HOMES[name])
    # These packages can themselves be called; importing one binds its name here, once and for all ways of import.
    return module if name in {"check", "lifespan"} else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
