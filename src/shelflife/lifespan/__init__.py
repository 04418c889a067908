"""How long does a model last? Decay, survival, best before.

``shelflife.lifespan`` is both this package and the function in it, so the module can be called.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

from shelflife.lifespan.measure import lifespan
from shelflife.lifespan.result import Lifespan

__all__ = ["Lifespan", "lifespan"]


class _Callable(types.ModuleType):
    # Importing any submodule binds the package's name in `shelflife`, which would hide a function of the same name.
    def __call__(self, *args: Any, **kwargs: Any) -> Lifespan:
        return lifespan(*args, **kwargs)


_module = sys.modules[__name__]
_module.__class__ = _Callable
_module.__doc__ = lifespan.__doc__
_module.__signature__ = inspect.signature(lifespan)  # type: ignore[attr-defined]
