"""In what two versions differ: who made them, of which rows, code and environment, and how good they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shelflife.renew import ingredients
from shelflife.renew.registry import Version

_APART = {"environment", "metrics", "machine", "libraries", "requirements"}  # told in words of their own, or of others


@dataclass(frozen=True)
class Difference:
    """One thing that two versions do not have in common; None where a version lacks it."""

    what: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Compared:
    """Two versions side by side.

    Attributes
    ----------
    made
        By whom, why, by which plan, of which rows, with which trainer, parameters and code they were made.
    metrics
        Every metric that either has, overall and by segment.
    environment
        Which packages differ, in words.
    """

    system: str
    first: int
    second: int
    made: tuple[Difference, ...]
    metrics: tuple[Difference, ...]
    environment: tuple[str, ...]


def compare(first: Version, second: Version) -> Compared:
    """Put two versions of a system side by side."""
    facts = [dict(_facts(one)) for one in (first, second)]
    metrics = [dict(_flat(one.record.get("metrics") or {})) for one in (first, second)]
    environments = [one.record.get("environment") or {} for one in (first, second)]
    changed = ingredients.differences(*environments) if all(environments) else []
    words = tuple(one.replace(" then,", ",").removesuffix(" now") for one in changed)
    return Compared(
        first.system, first.number, second.number, _apart(*facts), _apart(*metrics, all_of_them=True), words
    )


def _facts(version: Version) -> Iterator[tuple[str, Any]]:
    yield from (("by", version.by), ("because", version.because), ("at", version.at.isoformat()))
    yield from (("plan", version.plan), ("snapshot", version.snapshot), ("digest", version.digest))
    yield from _flat({name: value for name, value in version.record.items() if name not in _APART})


def _flat(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Values by their dotted place."""
    for name, value in found.items():
        place = f"{before}.{name}" if before else str(name)
        if isinstance(value, Mapping):
            yield from _flat(value, place)
        else:
            yield place, value


def _apart(first: Mapping[str, Any], second: Mapping[str, Any], *, all_of_them: bool = False) -> tuple[Difference, ...]:
    names = [*first, *(name for name in second if name not in first)]
    both = (Difference(name, first.get(name), second.get(name)) for name in names)
    return tuple(one for one in both if all_of_them or not _same(one.first, one.second))


def _same(first: Any, second: Any) -> bool:
    return bool(first == second or (first != first and second != second))  # noqa: PLR0124 - NaN is what differs from itself
