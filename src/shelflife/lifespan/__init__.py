"""How long does a model last? Decay, survival, best before.

``shelflife.lifespan(data, time=..., target=...)`` measures it: the package itself can be called (`measure.lifespan`).
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect

    from shelflife.lifespan.measure import lifespan
    from shelflife.lifespan.result import Lifespan

__all__ = ["Lifespan", "lifespan"]

_HOMES = {"Lifespan": "shelflife.lifespan.result", "lifespan": "shelflife.lifespan.measure"}


def __getattr__(name: str) -> Any:
    # Workers import `ageing` alone; what reads, plots and reports loads when it is first used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


class _Callable(types.ModuleType):
    # Importing any submodule binds the package's name in `shelflife`, which would hide a function of the same name.
    def __call__(self, *args: Any, **kwargs: Any) -> Lifespan:
        found: Lifespan = self.lifespan(*args, **kwargs)
        return found

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return importlib.import_module, (self.__name__,)  # pickled by name, as any module is

    @property
    def __signature__(self) -> inspect.Signature:
        import inspect

        return inspect.signature(self.lifespan)


sys.modules[__name__].__class__ = _Callable
