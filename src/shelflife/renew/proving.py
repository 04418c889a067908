"""Proving a challenger: the gates, with their evidence, and the people who decide on what they said."""

from __future__ import annotations

import importlib
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from shelflife import models
from shelflife.errors import first_line
from shelflife.models import Model
from shelflife.plan import Plan
from shelflife.plan.spec import FunctionGate
from shelflife.renew import approval, making, registry, run, training
from shelflife.renew.gates import Facts, differ, judge, together
from shelflife.renew.run import BY, Going, Outcome
from shelflife.store.database import finite

_ASKED = 200  # single rows by which an answer's time is measured
_CLOSE = 1e-9


def gates(going: Going) -> Outcome:
    """Ask every gate; all have to pass."""
    plan = going.written.plan
    chosen = going.before["choose"]
    with going.rooms.database.reading() as connection:
        version = registry.one(connection, plan.system, chosen["version"])
    folder = registry.artifact(going.rooms.settings, version)
    model = models.load(folder, plan, expected=version.digest)
    _, apart = going.parts
    answers = model.answer(models.of_table(apart, model.kinds))
    held = making.held(going, answers, chosen["rivals"])
    verdicts = judge(plan, held, _facts(going, model, folder, chosen["window"]))
    report = finite([one.plain() for one in verdicts])
    state = together(verdicts)
    evidence = {"state": state, "verdicts": report, "report": approval.digest_of(report)}
    if held.champion is not None and len(held.truth):
        evidence["differ"] = float(differ(held.challenger.predictions, held.champion.predictions).mean())
    if state == "pass":
        return Outcome(f"{len(verdicts)} of {len(verdicts)} verdicts pass", evidence)
    short = [f"{one.gate}: {one.state} ({one.says})" for one in verdicts if one.state != "pass"]

    def write(connection: Any) -> None:
        registry.close(connection, plan.system, "challenger", by=BY, because="the gates did not pass", now=going.now)

    verb = "does" if len(short) == 1 else "do"
    says = f"{len(short)} of {len(verdicts)} verdicts {verb} not pass: {'; '.join(short)}"
    return Outcome(says, evidence, ends="rejected", write=write)


def _facts(going: Going, model: Model, folder: Path, window: str) -> Facts:
    """What is known of a challenger beside its answers; only what a gate asks for is measured."""
    plan = going.written.plan
    asked = {getattr(gate, "function", gate if isinstance(gate, str) else type(gate).__name__) for gate in _of(plan)}
    return Facts(
        latency_p95=_latency(going, model) if "LatencyGate" in asked else None,
        size_mb=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6,
        reproducible=_again(going, model, window) if "reproducible" in asked else None,
        data=tuple(going.before["check"].get("wrong", ())),
        functions={gate.function: _own(going, gate.function, model) for gate in _of(plan)
                   if isinstance(gate, FunctionGate)},
    )  # fmt: skip


def _of(plan: Plan) -> Any:
    return () if plan.renew is None else plan.renew.gates


def _latency(going: Going, model: Model) -> float:
    """The 95th percentile of the milliseconds that one row takes."""
    _, apart = going.parts
    rows = apart.slice(0, _ASKED)
    took = []
    for place in range(len(rows)):
        began = time.perf_counter()
        model.answer(models.of_table(rows.slice(place, 1), model.kinds))
        took.append((time.perf_counter() - began) * 1000)
    return float(np.quantile(took, 0.95))


def _again(going: Going, model: Model, window: str) -> tuple[bool, str]:
    """Whether training once more gives the same answers."""
    again = training.train(making.job(going, making.window(going, window), "again"))
    other = models.load(again.artifact, going.written.plan, expected=models.digest(again.artifact))
    _, apart = going.parts
    rows = models.of_table(apart, model.kinds)
    ours, theirs = model.answer(rows), other.answer(rows)
    if ours.predictions.dtype.kind == "f":
        differ = ~np.isclose(ours.predictions, theirs.predictions, rtol=_CLOSE, atol=0)
    else:
        differ = ours.predictions != theirs.predictions
    if not differ.any():
        return True, f"Trained again, it gives the same answers to {len(differ):,} rows."
    return False, f"Trained again, it answers {int(differ.sum()):,} of {len(differ):,} rows otherwise: fix its seed."


def _own(going: Going, name: str, model: Model) -> tuple[bool | None, str]:
    """What a test of the user's own says: ``test(model, rows)``, with the rows kept apart and their outcomes."""
    module, _, function = name.partition(":")
    _, apart = going.parts
    try:
        found = getattr(importlib.import_module(module), function)
        said = found(model, apart.to_pandas())
    except Exception as error:  # noqa: BLE001 - whatever a test of theirs raises, it has not passed
        return None, f"it raised {type(error).__name__}: {first_line(error)}"
    if not isinstance(said, bool | np.bool_):
        return None, f"it answered {type(said).__name__}, and not whether it passes"
    return bool(said), "it says that it passes" if said else "it says that it does not pass"


def approve(going: Going) -> Outcome:
    """Ask people, and wait for them."""
    plan, number = going.written.plan, going.renewal.plan
    chosen, judged = going.before["choose"], going.before["gates"]
    if plan.renew is None or plan.renew.approve is None:
        return Outcome("The plan names nobody who approves (`renew.approve`); nothing is promoted without a person",
                       ends="held")  # fmt: skip
    with going.rooms.database.reading() as connection:
        asked = approval.of(connection, going.renewal.number)
    whom = plan.renew.approve.by
    if asked is None:

        def write(connection: Any) -> None:
            expires = approval.ask(
                connection, plan, number, renewal=going.renewal.number, digest=chosen["digest"],
                report=judged["report"], now=going.now, by=BY,
            )  # fmt: skip
            because = [chosen["says"], judged["says"]]
            run.tell(
                going.rooms, connection, plan, going.renewal, "approval_needed", because=because, at=expires,
                differ=judged.get("differ"), now=going.now, by=BY,
            )  # fmt: skip

        return Outcome(f"Waits for {whom} to approve version {chosen['version']}", waits=True, write=write)
    if asked.decision == "approved":
        if (asked.digest, asked.plan, asked.report) != (chosen["digest"], number, judged["report"]):
            return Outcome("What was approved is not what would be rolled out", ends="rejected")
        return Outcome(f"{asked.by} approved version {chosen['version']}", {"by": asked.by, "reason": asked.reason})
    if asked.decision == "rejected":
        return _over(going, "rejected", f"{asked.by} rejected it: {asked.reason}")
    if going.now >= asked.expires:
        return _over(going, "expired", f"{whom} did not decide by {asked.expires:%Y-%m-%d %H:%M}")
    if asked.reminded is None and going.now - asked.asked >= (asked.expires - asked.asked) / 2:
        return Outcome(f"Waits for {whom}, who was reminded", waits=True, write=lambda connection: approval.remind(
            connection, plan.system, going.renewal.number, now=going.now, by=BY))  # fmt: skip
    left = asked.expires - going.now
    return Outcome(f"Waits for {whom}, for {_about(left)} at most", waits=True)


def _over(going: Going, state: Any, says: str) -> Outcome:
    system, number = going.renewal.system, going.renewal.number

    def write(connection: Any) -> None:
        if state == "expired":
            approval.expire(connection, system, number, now=going.now, by=BY)
        registry.close(connection, system, "challenger", by=BY, because=says, now=going.now)

    return Outcome(says, ends=state, write=write)


def _about(left: timedelta) -> str:
    hours = left / timedelta(hours=1)
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
