"""What data looks like: Arrow batches in, additive counts out; one file per kind of column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelflife.callables import at_home

if TYPE_CHECKING:
    from shelflife.profile.counts import Profile
    from shelflife.profile.reference import Reference

__all__ = ["Profile", "Reference"]

_HOMES = {"Profile": "shelflife.profile.counts", "Reference": "shelflife.profile.reference"}


def __getattr__(name: str) -> Any:
    return at_home(__name__, _HOMES, name)
