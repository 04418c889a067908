"""Rolling a version out: a canary that grows, everybody, and a close watch; back at once where evidence says so.

Automation may stop and go back. It goes forward only on what a person approved.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from shelflife.events import VersionRefused
from shelflife.ledger import entries
from shelflife.models import label, scored
from shelflife.plan.references import audience
from shelflife.plan.spec import Freeze, Rollout
from shelflife.renew import live, making, registry, rollout, run
from shelflife.renew.run import BY, Going, Outcome
from shelflife.routes import current


def canary(going: Going) -> Outcome:
    """Let it answer a share of the requests, as long as the plan says."""
    share = going.step.share
    assert share is not None
    version, champion = going.before["choose"]["version"], going.renewal.champion
    if champion is None:
        return Outcome("Nothing serves yet that it could be compared with; it goes on to everybody")
    frozen = _frozen(going)
    if frozen is not None and _began(going) is None:
        return Outcome(f"Waits: nothing is rolled out until {frozen.end}{_why(frozen)}", waits=True)
    if _began(going) is None:

        def write(connection: Any) -> None:
            rollout.change(
                connection, going.renewal.system, champion=champion, canary=version, share=share,
                because=f"renewal {going.renewal.number}", now=going.now, by=BY,
            )  # fmt: skip

        says = f"Version {version} answers {100 * share:g} % of requests"
        return Outcome(says, {"began": going.now.isoformat()}, waits=True, write=write)
    return _watched(going, version, champion)


def promote(going: Going) -> Outcome:
    """Let it answer everybody."""
    version, number = going.before["choose"]["version"], going.renewal.number
    frozen = _frozen(going)
    if frozen is not None:
        return Outcome(f"Waits: nothing is rolled out until {frozen.end}{_why(frozen)}", waits=True)
    beside = any(step.kind == "bake" for step in going.steps)

    def write(connection: Any) -> None:
        because = f"renewal {number}, approved by {going.before['approve'].get('by')}"
        rollout.promote(
            connection, going.renewal.system, version, beside=beside, because=because, now=going.now, by=BY
        )  # fmt: skip

    return Outcome(f"Version {version} is champion", {"version": version, "at": going.now.isoformat()}, write=write)


def bake(going: Going) -> Outcome:
    """Watch it closely beside the champion before it."""
    version, champion = going.before["choose"]["version"], going.renewal.champion
    if _began(going) is None:
        return Outcome(f"Version {version} is watched closely", {"began": going.now.isoformat()}, waits=True)
    return _watched(going, version, champion)


def brief(going: Going) -> Outcome:
    """Tell whom the plan names that another version answers."""
    names = audience(going.written.plan, "promoted")
    if not names:
        return Outcome("The plan tells nobody of it (`brief`)")
    because = [*(one.says for one in going.renewal.reasons if not one.late), going.before["choose"]["says"]]

    def write(connection: Any) -> None:
        since = datetime.fromisoformat(going.before["promote"]["at"])
        run.tell(
            going.rooms, connection, going.written.plan, going.renewal, "promoted", because=because, at=since,
            differ=going.before["gates"].get("differ"), now=going.now, by=BY,
        )  # fmt: skip

    return Outcome(f"Told {', '.join(names)}", {"to": names}, write=write)


def close(going: Going) -> Outcome:
    """What the new version says of the rows kept apart is what live rows are compared with from now on."""
    version = going.before["choose"]["version"]
    _, apart = going.parts
    answers = making.version_answers(going, version)
    plan = going.written.plan
    texts = answers.predictions.dtype.kind != "f"
    said = [label(one) for one in answers.predictions.tolist()] if texts else answers.predictions
    rows = apart.append_column("prediction", pa.array(said))
    scores = scored(plan, answers)
    if answers.scores is not None and plan.model.score:
        if len(plan.model.score) == 1:
            rows = rows.append_column(plan.model.score[0], pa.array(np.array(scores, dtype=np.float64)))
        else:
            for name in plan.model.score:
                rows = rows.append_column(name, pa.array([one[name] for one in scores], pa.float64()))
    compare, alone = going.rooms.reference(plan.system, rows, going.now), _alone(going)

    def write(connection: Any) -> None:
        compare(connection)
        alone(connection)

    return Outcome(f"Version {version} is champion", ends="promoted", write=write)


def _watched(going: Going, version: int, champion: int | None) -> Outcome:
    """Whether it has answered long enough, or has to go back."""
    plan, began = going.written.plan, _began(going)
    assert began is not None
    rolling = _rollout(going)
    evidence: dict[str, Any] = {"began": began.isoformat()}
    with going.rooms.database.reading() as connection:
        now = registry.pointer(connection, plan.system, "champion")
    expected = champion if going.step.kind == "canary" else version
    if now is not None and now.version != expected:  # a person decided otherwise meanwhile; that stands
        says = f"{now.by} made version {now.version} champion meanwhile: {now.because}"
        return Outcome(says, ends="cancelled", write=_alone(going))
    beside = champion if champion is not None else version
    found = live.seen(going.rooms.tables, plan, version=version, beside=beside, since=began, now=going.now)
    evidence |= found.plain
    why = _refused(going, version) or live.abort(found, rolling.abort_if if rolling is not None else None)
    if why is not None:
        return _gone_back(going, version, champion, why, evidence)
    left = _left(going, rolling, found, began)
    if left:
        return Outcome(f"Version {version} answered {found.rows:,} requests; {left}", evidence, waits=True)
    return Outcome(f"Version {version} answered {found.rows:,} requests{_found(going, champion, found)}", evidence)


def _found(going: Going, champion: int | None, found: live.Live) -> str:
    """What was seen of one that goes on; that nothing could be seen is not that nothing was."""
    asked = _abort_if_error(going)
    if champion is None or not asked or len(found.errors):
        return ", and nothing says that it is worse"
    return f"; version {champion} answered none beside it that its errors could be compared with"


def _refused(going: Going, version: int) -> str | None:
    """Why a gateway does not serve it, where one does not."""
    with going.rooms.database.reading() as connection:
        told = entries(connection, system=going.renewal.system, since=_began(going), kind=VersionRefused.kind)
        return next((one.body["says"] for one in told if one.body["version"] == version), None)


def _gone_back(going: Going, version: int, champion: int | None, why: str, evidence: dict[str, Any]) -> Outcome:
    if champion is None:
        says = f"Version {version} still answers, as nothing served before that one could go back to: {why}"

        def tell(connection: Any) -> None:
            run.tell(
                going.rooms, connection, going.written.plan, going.renewal, "promoted", because=[says], now=going.now,
                by=BY,
            )  # fmt: skip

        return Outcome(says, evidence, ends="failed", write=tell)

    def write(connection: Any) -> None:
        rollout.back(connection, going.renewal.system, champion, because=why, now=going.now, by=BY)
        run.tell(
            going.rooms, connection, going.written.plan, going.renewal, "rolled_back", because=[why], now=going.now,
            by=BY,
        )  # fmt: skip

    return Outcome(f"Version {version} went back: {why}", evidence, ends="rolled_back", write=write)


def _alone(going: Going) -> Callable[[Any], None]:
    """Whoever answers most answers alone from now on: nobody is watched beside."""
    system, because = going.renewal.system, f"renewal {going.renewal.number} is over"

    def write(connection: Any) -> None:
        routed = current(connection).get(system)
        if routed is not None:
            rollout.change(connection, system, champion=routed.champion, because=because, now=going.now, by=BY)
        registry.close(connection, system, "challenger", because=because, now=going.now, by=BY)

    return write


def _left(going: Going, rolling: Rollout | None, found: live.Live, began: datetime) -> str | None:
    """What is still missing until it was watched long enough.

    Where its error may send it back, what it answered counts once its outcome is due: it goes on only when seen.
    """
    asked, outcome = rolling.bake if rolling is not None else None, going.written.plan.model.outcome
    if rolling is None or asked is None:
        return None
    seen = _abort_if_error(going) and outcome is not None
    rows = found.known if seen else found.rows
    if asked.rows is not None and rows < asked.rows:
        return f"{asked.rows:,} are asked for" + (f", and of {rows:,} the outcome is known" if seen else "")
    until = began + (asked.time or timedelta()) + (outcome.within if seen and outcome is not None else timedelta())
    if going.now < until:
        return f"watched until {until:%Y-%m-%d %H:%M}" + (", when outcomes are due" if seen else "")
    if not found.rows:
        return "nobody has asked yet"
    if seen and not rows:
        return "no outcome of them is known yet"
    # Of a canary the champion answers the other requests; while it bakes it may be that nothing answers beside.
    alone = seen and going.step.kind == "canary" and not len(found.errors)
    return "none of them could be compared with the champion's yet" if alone else None


def _abort_if_error(going: Going) -> bool:
    rolling = _rollout(going)
    return rolling is not None and rolling.abort_if is not None and rolling.abort_if.error is not None


def _rollout(going: Going) -> Rollout | None:
    renew = going.written.plan.renew
    return renew.rollout if renew is not None else None


def _began(going: Going) -> datetime | None:
    own = going.own
    said = own.evidence.get("began") if own is not None else None
    return None if said is None else datetime.fromisoformat(said)


def _frozen(going: Going) -> Freeze | None:
    """The time in which nothing is rolled out, if it is now."""
    rolling = _rollout(going)
    today = going.now.date()
    return next((one for one in rolling.freeze if one.start <= today <= one.end), None) if rolling else None


def _why(frozen: Freeze) -> str:
    return f" ({frozen.why})" if frozen.why else ""
