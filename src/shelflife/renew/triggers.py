"""What starts a renewal, and what speaks against one: pure, from what is known of a system at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shelflife.plan import Plan
from shelflife.plan.spec import Age, Outcomes, Schedule
from shelflife.plan.words import written
from shelflife.renew.run import Reason

# Which kinds of findings each word of a plan means.
_KINDS = {
    "performance": {"performance"}, "drift": {"drift"}, "quality": {"integrity"}, "kpi": {"kpi"},
    "relation": {"relation"}, "knowledge": {"knowledge"},
}  # fmt: skip
# What a model cannot be taught away: the feed is to be repaired.
_REPAIRS = {"integrity", "freshness"}


@dataclass(frozen=True)
class Known:
    """What is known of a system.

    Attributes
    ----------
    findings
        Those that live: objects with ``number``, ``kind``, ``says`` and ``opened``.
    champion
        Since when the champion serves; None where nothing does.
    learnt
        Until when it may have learnt; None likewise.
    best_before
        Until when it was expected to keep its promise.
    renewed
        When the last renewal was started, whatever became of it.
    asked
        When the last one was started that came as far as people.
    answered
        For which findings one was.
    challenged
        When challengers were last trained on the plan's cadence.
    outcomes
        How many outcomes are known that were not when the last renewal was started.
    changes
        Those in the business that stand: objects with ``number``, ``what`` and ``effective``.
    begun
        For which of them a renewal was started.
    """

    findings: Sequence[Any]
    champion: datetime | None
    learnt: datetime | None
    best_before: datetime | None
    renewed: datetime | None
    asked: datetime | None
    answered: frozenset[int]
    challenged: datetime | None
    outcomes: int
    changes: Sequence[Any] = ()
    begun: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Due:
    """Whether a renewal is to be started.

    Attributes
    ----------
    reasons
        Why; none where it is not.
    holds
        What speaks against one that would be, for people.
    """

    reasons: tuple[Reason, ...] = ()
    holds: tuple[str, ...] = ()


def due(plan: Plan, known: Known, now: datetime) -> Due:
    """Whether a system is to be renewed now, by its plan.

    A finding starts one renewal. Where a feed or its values are at fault nothing that is learnt from them helps, and
    the cause is said instead.
    """
    renew = plan.renew
    if renew is None:
        return Due()
    reasons = _found(plan, known)
    reasons += _changed(plan, known, now)
    reasons += _timed(plan, known, now)
    cadence = renew.challenger.every if renew.challenger is not None else None
    if cadence is not None and (known.challenged is None or now - known.challenged >= cadence):
        reasons.append(Reason("challenger", f"challengers are trained every {written(cadence)}"))
    if not reasons:
        return Due()
    broken = _broken(plan, known)
    if broken:
        return Due(holds=broken)
    # Training is cheap, and people are not to be asked again and again.
    if renew.cooldown is not None and known.asked is not None and now - known.asked < renew.cooldown:
        until = known.asked + renew.cooldown
        return Due(holds=(f"The last renewal began at {known.asked:%Y-%m-%d %H:%M}; the next one not before"
                          f" {until:%Y-%m-%d %H:%M}",))  # fmt: skip
    return Due(tuple(reasons))


def causes(plan: Plan, known: Known) -> tuple[str, ...]:
    """What findings say of why a system got worse, and so of what helps."""
    changed = [one for one in known.findings if one.kind == "relation"]
    return _broken(plan, known) + tuple(
        f"The relation has changed (finding {one.number}: {one.says}): what was before teaches the wrong thing, and"
        " rows since then the right one"
        for one in changed[:3]
    )


def _broken(plan: Plan, known: Known) -> tuple[str, ...]:
    if plan.renew is None or "quality" in plan.renew.when:
        return ()
    broken = [one for one in known.findings if one.kind in _REPAIRS]
    said = "; ".join(f"finding {one.number}: {one.says}" for one in broken[:3])
    return (f"A renewal would not help before the feed is repaired ({said})",) if broken else ()


def _found(plan: Plan, known: Known) -> list[Reason]:
    assert plan.renew is not None
    words = [one for one in plan.renew.when if isinstance(one, str)]
    reasons = []
    for one in known.findings:
        if one.number in known.answered or one.state == "muted":
            continue
        word = next((word for word in words if one.kind in _KINDS.get(word, ())), None)
        # A relation that has changed is a broken promise of performance too.
        if word is None and one.kind == "relation" and "performance" in words:
            word = "relation"
        if word is not None:
            reasons.append(Reason("relation" if one.kind == "relation" else word, one.says, one.number))
    return reasons


def _changed(plan: Plan, known: Known, now: datetime) -> list[Reason]:
    """Changes that have taken effect since the champion learnt: it knows nothing of them."""
    assert plan.renew is not None
    if "change" not in plan.renew.when:
        return []
    return [
        Reason("change", f"{one.what} (since {one.effective:%Y-%m-%d})", change=one.number)
        for one in known.changes
        if one.effective <= now
        and one.number not in known.begun
        and (known.learnt is None or one.effective > known.learnt)
    ]


def _timed(plan: Plan, known: Known, now: datetime) -> list[Reason]:
    assert plan.renew is not None
    reasons = []
    for one in plan.renew.when:
        if isinstance(one, Age) and known.champion is not None:
            limit, asked = _limit(one.age, known, known.champion)
            # Asked once of each champion, and not each minute after a renewal that kept it.
            if limit is not None and limit <= now and not _renewed_since(known, max(limit, known.champion)):
                reasons.append(Reason("age", f"the champion was {asked} {limit:%Y-%m-%d}"))
        elif isinstance(one, Schedule):
            last = known.renewed if known.renewed is not None else known.champion
            if last is None or now - last >= one.every:
                reasons.append(Reason("every", f"a renewal is due every {written(one.every)}"))
        elif isinstance(one, Outcomes) and known.outcomes >= one.outcomes:
            reasons.append(Reason("outcomes", f"{known.outcomes:,} new outcomes are known"))
    return reasons


def _renewed_since(known: Known, moment: datetime) -> bool:
    return known.renewed is not None and known.renewed >= moment


def _limit(age: Any, known: Known, champion: datetime) -> tuple[datetime | None, str]:
    """Until when a champion may serve, and what that is called."""
    if isinstance(age, timedelta):
        return champion + age, f"{written(age)} old at"
    return known.best_before, "best before"
