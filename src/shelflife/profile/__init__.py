"""What data looks like: Arrow batches in, additive counts out; one file per kind of column."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shelflife.profile.counts import Profile
    from shelflife.profile.reference import Reference

__all__ = ["Profile", "Reference"]

_HOMES = {"Profile": "shelflife.profile.counts", "Reference": "shelflife.profile.reference"}


def __getattr__(name: str) -> Any:
    # Importing the package costs nothing until one of its names is used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
