"""What a new plan changes, in words: stricter, looser, newly watched, no longer watched, or simply otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from pydantic import BaseModel

from shelflife.plan.spec import Plan
from shelflife.plan.words import written

Effect = Literal["stricter", "looser", "newly watched", "no longer watched", "added", "removed", "changed"]
EFFECTS: tuple[Effect, ...] = (
    "no longer watched", "looser", "newly watched", "stricter", "added", "removed", "changed",
)  # fmt: skip

# A smaller one of these is the stricter promise; of those in `_MORE` the larger one is.
_LESS = {
    "at_most", "within", "tolerance", "fresh_within", "every", "review_every", "check_every", "not_worse_by",
    "latency_p95", "size_mb", "gap", "worse_by", "age", "cooldown",
}  # fmt: skip
_MORE = {"at_least", "share", "rows", "time"}
# `within` is a promise in these places; elsewhere it is how long somebody may take, and less is stricter as well.
_WATCHED = ("watch", "feeds", "knowledge", "objective.kpis")
# Lists whose items have a name of their own, and what it is; words are their own.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "objective.kpis": ("name",), "renew.when": (), "renew.gates": ("metric", "segment"), "brief": ("to",),
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One difference between two plans."""

    effect: Effect
    place: str
    before: str | None
    after: str | None

    @property
    def says(self) -> str:
        """The difference as a sentence."""
        if self.before is None:
            return f"{self.place} is {self.effect}: {self.after}."
        if self.after is None:
            return f"{self.place} is {self.effect}; it was {self.before}."
        return f"{self.place} is {self.effect}: {self.after}, was {self.before}."


def differences(old: Plan, new: Plan) -> list[Change]:
    """Every difference between two plans, what is given up first.

    Examples
    --------
    >>> from shelflife.testing import plans
    >>> old, new = plans.minimal(), plans.minimal(**{"watch.drift.tolerance": 0.02})
    >>> [change.says for change in differences(old, new)]
    ['watch.drift.tolerance is stricter: 0.02, was 0.05.']
    """
    before, after = dict(_leaves(old, "")), dict(_leaves(new, ""))
    found = [_change(place, before.get(place), after.get(place)) for place in {**before, **after}]
    told = [change for change in found if change is not None]
    return sorted(told, key=lambda change: EFFECTS.index(change.effect))


def _change(place: str, before: Any, after: Any) -> Change | None:
    if before == after:
        return None
    said = [None if value is None else _said(value) for value in (before, after)]
    return Change(_effect(place, before, after), place, said[0], said[1])


def _effect(place: str, before: Any, after: Any) -> Effect:
    word = place.rsplit(".", 1)[-1]
    # Every input is watched by being one; elsewhere a limit is what is watched.
    watched = place.startswith("model.inputs.") or (place.startswith(_WATCHED) and word in _LESS | _MORE)
    if before is None:
        return "newly watched" if watched else "added"
    if after is None:
        return "no longer watched" if watched else "removed"
    if place == "watch.false_alarms.per":
        return "looser" if after < before else "stricter"
    if place == "watch.false_alarms.at_most":
        return "looser" if after > before else "stricter"
    if type(before) is not type(after) and not {type(before), type(after)} <= {int, float}:
        return "changed"
    if word in _LESS and isinstance(after, int | float | timedelta):
        return "stricter" if after < before else "looser"
    if word in _MORE and isinstance(after, int | float | timedelta):
        return "stricter" if after > before else "looser"
    return "changed"


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Everything that a plan says, by a place that stays the same when items of a list change their order."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            inner = getattr(value, name)
            if inner is not None:
                yield from _leaves(inner, f"{place}.{field.alias or name}".lstrip("."))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}")
    elif isinstance(value, tuple) and (place in _KEYS or any(isinstance(item, BaseModel) for item in value)):
        for position, item in enumerate(value):
            yield from _leaves(item, f"{place}[{_key(place, item, position)}]")
    elif value != ():
        yield place, value


def _key(place: str, item: Any, position: int) -> str:
    if isinstance(item, str):
        return item
    names = [_said(getattr(item, key)) for key in _KEYS.get(place, ()) if getattr(item, key, None) is not None]
    return " ".join(names) or next(iter(type(item).model_fields), str(position + 1))


def _said(value: Any) -> str:
    if isinstance(value, timedelta):
        return written(value)
    if isinstance(value, tuple):
        return ", ".join(_said(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
