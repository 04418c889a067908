"""Making a challenger: which rows, whether they are fit to learn from, training, and which result is the best."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife import models
from shelflife.durations import parse
from shelflife.models import Answers
from shelflife.plan import Plan
from shelflife.plan.spec import LOSSES
from shelflife.renew import lasting, registry, training
from shelflife.renew.causes import Prior, prior_shift
from shelflife.renew.gates import FEWEST, Held
from shelflife.renew.measures import figure, of_table
from shelflife.renew.run import BY, Going, Outcome

_APART = timedelta(weeks=2)
_SEED = 0
_TOLERANCE = 0.05  # of drift, unless the plan says
_MOST_NULLS = 0.5  # missing values of an input from which on it teaches nothing that one should rely on


def snapshot(going: Going) -> Outcome:
    """Fix the rows; those whose outcome is not due yet are left out, for who answers quickly is not like the rest."""
    plan = going.written.plan
    if plan.model.outcome is None:
        return Outcome("The plan names no outcome: nothing can be learnt.", ends="held")
    due = going.now - plan.model.outcome.within
    # The same renewal takes the same rows, also when it is done a second time.
    name = hashlib.sha256(f"{plan.system} {going.renewal.name}".encode()).hexdigest()[:16]
    taken = going.rooms.snapshot(plan.system, end=due, by=BY, id=name)
    cut = due - _apart(plan)
    evidence = {"snapshot": taken.id, "rows": taken.rows, "due": due.isoformat(), "cut": cut.isoformat()}
    return Outcome(f"{taken.rows:,} rows, those from {cut:%Y-%m-%d %H:%M} kept apart", evidence)


def check(going: Going) -> Outcome:
    """Whether the rows are fit to learn from and to decide by."""
    plan = going.written.plan
    learnt, apart = going.parts
    if len(learnt) < FEWEST or len(apart) < FEWEST:
        says = (
            f"Insufficient data: {len(learnt):,} rows to learn from and {len(apart):,} to decide by;"
            f" {FEWEST} of each are the fewest."
        )
        return Outcome(says, {"learnt": len(learnt), "apart": len(apart)}, ends="held")
    wrong = []
    if plan.model.task == "classification" and len(pc.unique(learnt["outcome"])) < 2:
        wrong.append("only one outcome ever came true")
    for name in kinds(plan):
        missing = learnt[name].null_count / len(learnt) if name in learnt.column_names else 1.0
        now = apart[name].null_count / len(apart) if name in apart.column_names else 1.0
        if max(missing, now) > _MOST_NULLS and max(missing, now) < 1.0:
            wrong.append(f"{name} is missing in {100 * max(missing, now):.0f} % of rows")
        elif abs(missing - now) > _MOST_NULLS:
            wrong.append(f"{name} is missing in {100 * now:.0f} % of the newest rows, and was in {100 * missing:.0f} %")
    says = "; ".join(wrong) or f"{len(learnt):,} rows to learn from and {len(apart):,} to decide by; nothing is wrong"
    return Outcome(says, {"learnt": len(learnt), "apart": len(apart), "wrong": wrong})


def train(going: Going) -> Outcome:
    """Train on one window; a window without rows is passed over."""
    assert going.step.window is not None
    rows = window(going, going.step.window)
    if len(rows) < FEWEST:
        return Outcome(f"{len(rows):,} rows are too few to train on", {"window": going.step.window, "rows": len(rows)})
    made = training.train(job(going, rows, _place(going.step.window)))
    folder = made.artifact.relative_to(_home(going)).as_posix()
    evidence = {"window": going.step.window, "rows": len(rows), "folder": folder, "record": made.record}
    seconds = made.record.get("seconds")
    took = f" in {seconds:.1f} s" if isinstance(seconds, int | float) else ""
    return Outcome(f"trained on {len(rows):,} rows{took}", evidence)


def job(going: Going, rows: pa.Table, place: str, **given: Any) -> training.Job:
    """A training of this renewal, within the limits of the plan, in a folder that no other one writes to."""
    limits = going.renew.limits
    if limits is not None and limits.time is not None:
        given["seconds"] = limits.time.total_seconds()
    if limits is not None and limits.memory_mb is not None:
        given["memory_mb"] = int(limits.memory_mb)
    # Of one that was killed, or halted while another took over, a training may still be at work.
    folder = going.folder / f"{place}-{secrets.token_hex(4)}"
    return training.Job(
        going.written.plan, rows, folder, seed=_SEED, at=going.rooms.code, **given
    )  # fmt: skip


def choose(going: Going) -> Outcome:
    """Register the challenger that does best on the rows kept apart, where it does better than the champion."""
    plan, renew = going.written.plan, going.renew
    metric = deciding(plan)
    found = {}
    trained = [one for name, one in going.before.items() if name.startswith("train ") and "folder" in one]
    by_window = {one["window"]: one for one in trained}
    for one in trained:
        value = figure(metric, truth(going), asked(going, one["folder"]))
        if value is not None:
            found[one["window"]] = value
    if not found:
        return Outcome("No challenger answers the rows kept apart.", ends="failed")
    sign = -1.0 if metric in LOSSES else 1.0
    best = max(found, key=lambda window: sign * found[window])
    evidence: dict[str, Any] = {"metric": metric, "windows": found, "window": best, "rivals": len(found)}
    champion, shift = champion_answers(going), None
    if champion is not None:
        shift = _shift(going, metric, champion, asked(going, by_window[best]["folder"]))
        evidence |= {} if shift is None else {"shift": asdict(shift)}
        theirs = figure(metric, truth(going), champion)
        evidence["champion"] = theirs
        better = renew.challenger.better_by if renew.challenger is not None else 0.0
        gain = sign * (found[best] - theirs) if theirs is not None else float("inf")
        evidence["gain"] = gain if np.isfinite(gain) else None
        says = f"{metric} {found[best]:.4g} with {best}, the champion's {theirs if theirs is None else f'{theirs:.4g}'}"
        short = _worth(going, gain)
        if gain < better or gain <= 0 or short is not None:
            limit = f", as a challenger is to be {better:g} better" if better else ""
            why = short or f"the champion stays{limit}"
            return Outcome(f"{says}: {why}{_cause(shift)}", evidence, ends="kept")
    else:
        says = f"{metric} {found[best]:.4g} with {best}; nothing serves yet"
    until = _good_until(going, metric, best)
    version = _registered(going, by_window[best], evidence, until)
    evidence |= {"version": version.number, "digest": version.digest, **until}

    def write(connection: Any) -> None:
        registry.point(
            connection, plan.system, "challenger", version.number, by=BY, because=f"renewal {going.renewal.number}",
            now=going.now,
        )  # fmt: skip

    good = _said_until(until, going.now)
    says = f"{says}; registered as version {version.number}{good}{_cause(shift)}"
    return Outcome(says, evidence, write=write, challenger=version.number)


def _cause(shift: Prior | None) -> str:
    return "" if shift is None else f". Cause: {shift.says}"


def _shift(going: Going, metric: str, champion: Answers, rival: Answers) -> Prior | None:
    """Whether the champion got worse because outcomes come in other shares alone."""
    plan = going.written.plan
    if plan.model.task == "regression" or champion.scores is None:
        return None
    proved = _proved(going)
    if not len(proved):
        return None
    assert going.renewal.champion is not None
    then = version_answers(going, going.renewal.champion, proved)
    drift = plan.watch.drift
    return prior_shift(
        (np.array(proved["outcome"].to_pylist(), dtype=object), then), (truth(going), champion), metric=metric,
        rival=rival, tolerance=_TOLERANCE if drift is None else drift.tolerance,
    )  # fmt: skip


def _proved(going: Going) -> pa.Table:
    """Rows by which the champion was proved, and has not learnt from; of an adopted one those that it met first."""
    with going.rooms.database.reading() as connection:
        assert going.renewal.champion is not None
        version = registry.one(connection, going.renewal.system, going.renewal.champion)
        pointed = registry.history(connection, going.renewal.system)
    cut = version.record.get("cut")
    since = [one.since for one in pointed if one.alias == "champion" and one.version == version.number]
    start = datetime.fromisoformat(cut) if cut is not None else since[0] if since else going.now
    learnt, _ = going.parts
    return _between(learnt, start, start + _apart(going.written.plan))


def _worth(going: Going, gain: float) -> str | None:
    """Why a renewal does not pay, where the plan says what errors and renewals cost."""
    plan = going.written.plan
    worth = plan.renew.worth if plan.renew is not None else None
    if worth is None or not np.isfinite(gain) or deciding(plan) not in {"accuracy", "mae"}:
        return None
    _, apart = going.parts
    a_day = len(apart) / max(_apart(plan) / timedelta(days=1), 1e-9)
    days = worth.horizon / timedelta(days=1)
    saves = gain * a_day * days * worth.error.amount
    if saves >= worth.renewal.amount:
        return None
    return (
        f"it would save {saves:,.0f} {worth.error.currency} in {days:g} days, and costs"
        f" {worth.renewal.amount:,.0f}; the champion stays"
    )


def _good_until(going: Going, metric: str, window: str) -> dict[str, Any]:
    """What is measured of how long the challenger will last, where the plan renews by that."""
    plan = going.written.plan
    if not going.renew.by_best_before:
        return {}
    assert plan.model.outcome is not None
    rows = pa.concat_tables(going.parts)
    made = job(going, rows, "lasts", lasts=lasting.options(plan, metric, window))
    return lasting.measured(made, datetime.fromisoformat(going.before["snapshot"]["cut"]) + plan.model.outcome.within)


def _said_until(until: dict[str, Any], now: datetime) -> str:
    best_before = until.get("best_before")
    if best_before is None:
        return ", without a best-before date" if until else ""
    past = ", which is over before it can answer anybody: keep fewer of the newest rows apart"
    return f", best before {best_before[:10]}{past if datetime.fromisoformat(best_before) <= now else ''}"


def _registered(
    going: Going, made: dict[str, Any], chosen: dict[str, Any], until: dict[str, Any]
) -> registry.Version:  # fmt: skip
    plan, rooms = going.written.plan, going.rooms
    _, apart = going.parts
    measured = of_table(
        asked(going, made["folder"]), apart, task=plan.model.task, names=[chosen["metric"]], by=plan.model.segments
    )  # fmt: skip
    record = {
        **made["record"], "window": made["window"], "cut": going.before["snapshot"]["cut"],
        "metrics": measured.to_dict(), "renewal": going.renewal.number, **until,
    }  # fmt: skip
    because = "; ".join(one.says for one in going.renewal.reasons)
    return registry.register(
        rooms.database, rooms.settings, plan, going.renewal.plan, artifact=_home(going) / made["folder"],
        key=going.renewal.name, snapshot=going.before["snapshot"]["snapshot"], record=record, by=going.renewal.by,
        because=because, now=going.now,
    )  # fmt: skip


# ---- rows and answers ------------------------------------------------------------------------------------------------


def kinds(plan: Plan) -> dict[str, str]:
    """The inputs that are learnt from; of those that are private only digests are kept."""
    return {name: kind for name, kind in plan.model.inputs.items() if name not in plan.model.private}


def deciding(plan: Plan) -> str:
    """The measure by which challengers are compared: that of the promise, else the usual one."""
    if plan.watch.performance is not None:
        return plan.watch.performance.metric
    return "accuracy" if plan.model.task == "classification" else "mae"


def truth(going: Going) -> Any:
    """What turned out true of the rows kept apart, shape (rows,)."""
    _, apart = going.parts
    if going.written.plan.model.task == "regression":
        return apart["outcome"].to_numpy().astype(np.float64)
    return np.array(apart["outcome"].to_pylist(), dtype=object)


def columns(going: Going, name: str) -> Any:
    """The values of an input of the rows kept apart, as texts."""
    _, apart = going.parts
    return np.array([str(value) for value in apart[name].to_pylist()], dtype=object)


def asked(going: Going, folder: str) -> Answers:
    """What a trained model, at its place in the workspace, says of the rows kept apart."""
    path = _home(going) / folder
    model = models.load(path, going.written.plan, expected=models.digest(path))
    _, apart = going.parts
    return model.answer(models.of_table(apart, model.kinds))


def version_answers(going: Going, number: int, rows: pa.Table | None = None) -> Answers:
    """What a registered version says of them, or of other rows."""
    with going.rooms.database.reading() as connection:
        version = registry.one(connection, going.renewal.system, number)
    path = registry.artifact(going.rooms.settings, version)
    model = models.load(path, going.written.plan, expected=version.digest)
    if rows is None:
        _, rows = going.parts
    return model.answer(models.of_table(rows, model.kinds))


def champion_answers(going: Going) -> Answers | None:
    """What the version that serves now says of them; None where none does."""
    number = going.renewal.champion
    return None if number is None else version_answers(going, number)


def held(going: Going, challenger: Answers, rivals: int) -> Held:
    """The rows kept apart, and what each model says of them, for the gates."""
    plan = going.written.plan
    names = {*plan.model.segments, *_asked_for(plan)}
    learnt, _ = going.parts
    true = truth(going)
    if plan.model.task == "regression":
        usual: Any = np.full(len(true), float(pc.mean(learnt["outcome"]).as_py()))
    else:
        words = Counter(learnt["outcome"].to_pylist())
        usual = np.full(len(true), words.most_common(1)[0][0], dtype=object)
    return Held(
        true, challenger, champion_answers(going), usual, {name: columns(going, name) for name in names}, rivals
    )


def _asked_for(plan: Plan) -> set[str]:
    gates = () if plan.renew is None else plan.renew.gates
    named = {getattr(gate, word, None) for gate in gates for word in ("segment", "fairness")}
    return {name for name in named if name is not None}


def window(going: Going, back: str) -> pa.Table:
    """The rows of a window that ends where those kept apart begin."""
    learnt, _ = going.parts
    if back == "all":
        return learnt
    cut = datetime.fromisoformat(going.before["snapshot"]["cut"])
    return _between(learnt, cut - timedelta(microseconds=parse(back, option="window")), cut)


def _between(rows: pa.Table, start: datetime, end: datetime) -> pa.Table:
    first, last = (pa.scalar(one).cast(rows["time"].type) for one in (start, end))
    return rows.filter(pc.and_(pc.greater_equal(rows["time"], first), pc.less(rows["time"], last)))


def _apart(plan: Plan) -> timedelta:
    renew = plan.renew
    return renew.data.validate_ if renew is not None and renew.data is not None else _APART


def _home(going: Going) -> Path:
    return going.rooms.settings.home.absolute()


def _place(window: str) -> str:
    return window.replace(" ", "")
