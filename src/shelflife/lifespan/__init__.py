"""How long does a model last? Decay, survival, best before.

``shelflife.lifespan(data, time=..., target=...)`` measures it: the package itself can be called (`measure.lifespan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelflife.callables import at_home, callable_package

if TYPE_CHECKING:
    from shelflife.lifespan.measure import lifespan
    from shelflife.lifespan.result import Lifespan

__all__ = ["Lifespan", "lifespan"]

_HOMES = {"Lifespan": "shelflife.lifespan.result", "lifespan": "shelflife.lifespan.measure"}


def __getattr__(name: str) -> Any:
    return at_home(__name__, _HOMES, name)


callable_package(__name__)
