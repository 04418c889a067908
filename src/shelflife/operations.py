"""What is done with versions, changes and renewals, by its name; methods are short, as those of `System`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from shelflife import brief
from shelflife.brief import Brief, Happened
from shelflife.errors import BadInput
from shelflife.observe import changes, snapshots
from shelflife.observe.changes import Change
from shelflife.plan import Plan
from shelflife.profile.joint import Joint
from shelflife.renew import registry, run
from shelflife.renew.registry import Pointer, Version
from shelflife.renew.run import Done, Renewal
from shelflife.renew.steps import Step, steps
from shelflife.renew.triggers import Due
from shelflife.watch import reference
from shelflife.watch.state import reference_number, reference_profile

if TYPE_CHECKING:
    from shelflife.renew.adopt import Adopted
    from shelflife.renew.reproduce import Reproduced
    from shelflife.renew.stuck import Stuck
    from shelflife.renew.tending import Renewer
    from shelflife.system import System


class Versions:
    """The versions of systems, and which one counted when."""

    def __init__(self, system: System) -> None:
        self._system = system

    def every(self, system: str) -> list[Version]:
        """All versions of a system."""
        self._system.check_known(system)
        with self._system.database.reading() as connection:
            return registry.every(connection, system)

    def one(self, system: str, number: int) -> Version:
        """One version."""
        self._system.check_known(system)
        with self._system.database.reading() as connection:
            return registry.one(connection, system, number)

    def pointers(self, system: str, at: datetime | None = None) -> list[Pointer]:
        """What was champion or challenger ever, or at a moment."""
        self._system.check_known(system)
        with self._system.database.reading() as connection:
            return [
                one for one in registry.history(connection, system)
                if at is None or (one.since <= at and (one.until is None or one.until > at))
            ]  # fmt: skip

    def adopt(self, system: str, source: str, *, champion: bool, by: str, because: str) -> Adopted:
        """Bring a model that is there already under a plan."""
        from shelflife.renew.adopt import adopt

        _check_said(because)
        here = self._system
        number, _, written = here.newest(system)
        rows = snapshots.some(here.tables, written.plan)
        made = adopt(
            here.database, here.settings, written.plan, number, source, rows=rows, champion=champion, by=by,
            because=because, now=here.clock.now(), brief=_told,
        )  # fmt: skip
        note = self._scores_of_another_meaning(written.plan)
        return made if note is None else replace(made, notes=(*made.notes, note))

    def _scores_of_another_meaning(self, plan: Plan) -> str | None:
        """That live scores are not those of the reference, where it was learnt from rows that no gateway answered."""
        with self._system.database.reading() as connection:
            known = reference_number(connection, plan.system)
            part = None if known is None else reference_profile(connection, known).layout.outcome
        if not isinstance(part, Joint) or part.form != "positive" or len(plan.model.score) != 1:
            return None
        score = plan.model.score[0]
        return (
            f"The reference reads {score!r} as the chance of {part.positive!r}, and a gateway tells the chance of what"
            f" it predicts: what is found of {score!r}, and what is estimated by it, is not to be trusted until a"
            f" reference is taken of rows that it has answered (`shelflife reference {plan.system}`)."
        )

    def reproduce(self, system: str, number: int, *, at: Path, **options: Any) -> Reproduced:
        """Make a version again from what was recorded."""
        from shelflife.renew.reproduce import reproduce

        here, version = self._system, self.one(system, number)
        rows = here.training_rows(version.snapshot) if version.snapshot is not None else None
        artifact = registry.artifact(here.settings, version)
        return reproduce(version, here.plan(system, version.plan), rows, artifact=artifact, at=at, **options)


class Changes:
    """What changes in the business."""

    def __init__(self, system: System) -> None:
        self._system = system

    def record(self, system: str, what: str, effective: datetime, *, because: str = "", by: str) -> Change:
        """Record a change, and tell whom the plan names for it."""
        here = self._system
        _, _, written = here.newest(system)
        now, renews = here.clock.now(), self.renews(system, effective)
        with here.database.writing() as connection:
            made = changes.record(connection, system, what, effective, because=because, now=now, by=by)
            said = Happened("change", what=made.what, at=made.effective, because=[because], renews=renews)
            brief.write(connection, written.plan, said, now=now, by=by)
        return made

    def withdraw(self, number: int, *, reason: str, by: str) -> Change:
        """Take a change back, and tell those who were told of it."""
        _check_said(reason)
        here = self._system
        with here.database.reading() as connection:
            system = changes.one(connection, number).system
        (_, _, written), now = here.newest(system), here.clock.now()
        with here.database.writing() as connection:
            found = changes.withdraw(connection, number, reason=reason, now=now, by=by)
            said = Happened("change", what=found.what, at=found.effective, because=[reason], withdrawn=True)
            brief.write(connection, written.plan, said, now=now, by=by)
        return found

    def every(self, system: str | None = None) -> list[Change]:
        """All changes, the one that takes effect last first."""
        if system is not None:
            self._system.check_known(system)
        with self._system.database.reading() as connection:
            return changes.every(connection, system)

    def renews(self, system: str, effective: datetime) -> bool:
        """Whether a renewal is due with a change, by the newest plan: the champion must not have learnt after it."""
        from shelflife.renew.tending import known_of

        plan = self._system.plan(system).plan
        if plan.renew is None or "change" not in plan.renew.when:
            return False
        with self._system.database.reading() as connection:
            learnt = known_of(connection, self._system.tables, plan).learnt
        return learnt is None or effective > learnt


class Renewing:
    """Making systems good again: renewals, decisions, and going back."""

    def __init__(self, system: System) -> None:
        self._system = system

    @functools.cached_property
    def _renewer(self) -> Renewer:
        # What learns and registers takes seconds to load; who only takes rows in never does.
        from shelflife.renew.tending import Renewer

        here = self._system
        return Renewer(
            run.Rooms(here.database, here.tables, here.settings, here.clock, here.plan, here.snapshot,
                  here.training_rows, self._compared_with, _told)
        )  # fmt: skip

    def close(self) -> None:
        """Stop what renews, if anything does."""
        if "_renewer" in self.__dict__:
            self._renewer.close()

    def tend(self, system: str) -> Due:
        """Start what is due of a system, go on with what can, and let MLflow's aliases follow."""
        here = self._system
        number, _, written = here.newest(system)
        with here.database.reading() as connection:
            idle = written.plan.renew is None and run.living(connection, system) is None
        found = Due() if idle else self._renewer.tend(number, written)
        here.watching.tell_moved(system, registry.follow(here.database, here.settings, system, now=here.clock.now()))
        return found

    def join(self) -> None:
        """Wait until what was begun here waits for somebody, or is over."""
        self._renewer.join()

    def start(self, system: str, *, because: str, by: str) -> Renewal:
        """Start a renewal by hand."""
        _check_said(because)
        number, _, _ = self._system.newest(system)
        return self._renewer.start(system, number, run.Reason("hand", because), by=by)

    def decide(
        self, number: int, *, approve: bool, person: str, reason: str, known_as: str | None = None
    ) -> None:  # fmt: skip
        """Approve or reject, as one of the plan's people; `known_as` is their account, or their login."""
        self._renewer.decide(number, approve=approve, person=person, reason=reason, known_as=known_as)

    def cancel(self, number: int, *, reason: str, by: str) -> None:
        """End a renewal; what it let answer goes back."""
        _check_said(reason)
        self._renewer.cancel(number, reason=reason, by=by)

    def roll_back(self, system: str, version: int | None = None, *, reason: str, by: str) -> int:
        """Let an earlier version answer at once."""
        _check_said(reason)
        _, _, written = self._system.newest(system)
        return self._renewer.roll_back(written.plan, version, reason=reason, by=by)

    def explain(self, system: str) -> list[Step]:
        """What a renewal would do."""
        return steps(self._system.plan(system).plan)

    def causes(self, system: str) -> tuple[str, ...]:
        """What is known of why it got worse, before rows are looked at."""
        from shelflife.renew.tending import known_of
        from shelflife.renew.triggers import causes

        plan = self._system.plan(system).plan
        with self._system.database.reading() as connection:
            return causes(plan, known_of(connection, self._system.tables, plan))

    def planned(self, number: int) -> list[Step]:
        """What a renewal does."""
        found, _ = self.renewal(number)
        return run.steps_of(found, self._system.plan(found.system, found.plan))

    def renewals(self, system: str | None = None) -> list[Renewal]:
        """All renewals, the newest first."""
        if system is not None:
            self._system.check_known(system)
        with self._system.database.reading() as connection:
            return run.every(connection, system)

    def renewal(self, number: int) -> tuple[Renewal, list[Done]]:
        """One renewal, and its steps so far."""
        with self._system.database.reading() as connection:
            return run.one(connection, number), run.done(connection, number)

    def briefs(self, number: int) -> list[Brief]:
        """What was told in the course of a renewal."""
        found, _ = self.renewal(number)
        with self._system.database.reading() as connection:
            return brief.of(connection, found.system, number)

    def stuck(self) -> list[Stuck]:
        """What waits for whom, and what was stopped by an error."""
        from shelflife.renew.stuck import stuck

        return stuck(self._system.database, self._system.settings, self._system.clock.now())

    def _compared_with(self, system: str, rows: Any, now: datetime) -> Callable[[Connection], object]:
        learnt = reference.learn(self._system.plan(system).plan, rows)
        return lambda connection: reference.keep(
            connection, system, learnt, source="a renewal", start=None, end=now, now=now, by="renew"
        )


def _told(connection: Connection, plan: Plan, *, now: datetime, by: str, **said: Any) -> None:
    brief.write(connection, plan, Happened(**said), now=now, by=by)


def _check_said(because: str) -> None:
    if not because.strip():
        raise BadInput("Say why, in a few words: the ledger keeps it, and those concerned read it.")
