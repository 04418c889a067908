"""Packages that can be called: ``shelflife.check(...)`` where `shelflife.check` is also the folder of that stage."""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect


class CallablePackage(types.ModuleType):
    """A package whose own name is that of the function it is for.

    Importing any submodule binds the package's name in `shelflife`, which would hide a function of the same name.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function()(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return importlib.import_module, (self.__name__,)  # pickled by name, as any module is

    @property
    def __signature__(self) -> inspect.Signature:
        import inspect

        return inspect.signature(self._function())

    def _function(self) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])


def callable_package(name: str) -> None:
    """Make the package `name` callable."""
    sys.modules[name].__class__ = CallablePackage


def at_home(package: str, homes: dict[str, str], name: str) -> Any:
    """A name of a package from the module that it lives in, which loads when the name is first used."""
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(importlib.import_module(homes[name]), name)
