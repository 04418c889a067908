"""Every model has a shelf life. Shelflife measures it, and makes it last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shelflife.errors import BadInput, NotEnoughHistory, ShelflifeError, TrainerFailed
    from shelflife.lifespan import Lifespan, lifespan

__version__ = "0.1.0"

_HOMES = {
    "BadInput": "shelflife.errors",
    "Lifespan": "shelflife.lifespan.result",
    "NotEnoughHistory": "shelflife.errors",
    "ShelflifeError": "shelflife.errors",
    "TrainerFailed": "shelflife.errors",
    "lifespan": "shelflife.lifespan",
}

__all__ = [
    "BadInput",
    "Lifespan",
    "NotEnoughHistory",
    "ShelflifeError",
    "TrainerFailed",
    "__version__",
    "lifespan",
]


def __getattr__(name: str) -> Any:
    # Heavy libraries load when a name is first used, so that importing the package costs nothing.
    if name not in _HOMES:
        raise AttributeError(f"module 'shelflife' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_HOMES[name])
    # The package `lifespan` can itself be called; importing it binds its name here, once and for all ways of import.
    return module if name == "lifespan" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
