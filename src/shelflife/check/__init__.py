"""Is the current data still what the reference promises? Profiles and detectors into findings.

``shelflife.check(reference, current)`` answers it: the package itself can be called (`run.check`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelflife.callables import at_home, callable_package

if TYPE_CHECKING:
    from shelflife.check.result import Check, Finding
    from shelflife.check.run import check

__all__ = ["Check", "Finding", "check"]

_HOMES = {
    "Check": "shelflife.check.result",
    "Finding": "shelflife.check.result",
    "check": "shelflife.check.run",
}


def __getattr__(name: str) -> Any:
    return at_home(__name__, _HOMES, name)


callable_package(__name__)
