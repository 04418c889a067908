"""What a renewal does, as data: the same list is carried out by `run` and printed by ``shelflife renew --explain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shelflife.plan import Plan
from shelflife.plan.references import audience
from shelflife.plan.spec import Renew
from shelflife.plan.words import written

Kind = Literal[
    "snapshot", "check", "train", "choose", "gates", "approve", "canary", "promote", "bake", "brief", "close"
]


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes
    ----------
    kind
        What is done.
    says
        The same for people.
    window
        How far back it learns, of *train*: a duration or ``all``.
    share
        Of traffic, of *canary*.
    """

    kind: Kind
    says: str
    window: str | None = None
    share: float | None = None

    @property
    def name(self) -> str:
        """Its name among the steps of one renewal."""
        if self.window is not None:
            return f"{self.kind} {self.window}"
        return self.kind if self.share is None else f"{self.kind} {100 * self.share:g} %"


def steps(plan: Plan, *, recent: bool = False) -> list[Step]:
    """The steps of a renewal by a plan, in order.

    Parameters
    ----------
    plan
        The plan by which it is done.
    recent
        Whether the relation itself has changed, so that what was long ago teaches the wrong thing: *all* is left out
        where there are shorter windows.
    """
    renew = plan.renew or Renew.model_validate({})
    apart = written(renew.data.validate_) if renew.data is not None else _APART
    windows = [_word(one) for one in renew.data.windows] if renew.data is not None else ["all"]
    if recent:
        windows = [one for one in windows if one != "all"] or windows
    found = [
        Step("snapshot", f"fix the predictions whose outcome is due and known; keep the newest {apart} apart"),
        Step("check", "look at the rows that are to be learnt from"),
    ]
    for one in windows:
        rows = "all rows" if one == "all" else f"the last {one}"
        found.append(Step("train", f"train on {rows} before those kept apart", window=one))
    found.append(Step("choose", _chosen(renew, len(windows))))
    found.append(Step("gates", f"ask {len(renew.gates)} gates, each pass, fail or unknown; all have to pass"))
    found.append(Step("approve", _approved(renew)))
    found += _rolled_out(renew)
    found.append(Step("brief", _told(plan)))
    found.append(Step("close", "take the new version's answers as the reference, and end"))
    return found


_APART = "2w"


def _chosen(renew: Renew, windows: int) -> str:
    better = renew.challenger.better_by if renew.challenger is not None else 0.0
    than = f"at least {better:g} better than" if better else "better than"
    which = "the one that does best" if windows > 1 else "it"
    return (
        f"register {which} on the rows kept apart as challenger, if it is {than} the champion; else that stays. Say"
        " what another threshold would do where nothing but the shares of outcomes changed"
        + ("; and measure how long models like it last" if renew.by_best_before else "")
    )


def _approved(renew: Renew) -> str:
    if renew.approve is None:
        return "stop: the plan names nobody who approves, and nothing is promoted without a person"
    other = "" if renew.approve.same_person else ", not only who started this"
    return f"ask {renew.approve.by} to approve within {written(renew.approve.within)}{other}"


def _rolled_out(renew: Renew) -> list[Step]:
    rollout = renew.rollout
    shares = rollout.steps if rollout is not None else (1.0,)
    bake = ""
    if rollout is not None and rollout.bake is not None:
        parts = [] if rollout.bake.rows is None else [f"{rollout.bake.rows:,} rows"]
        parts += [] if rollout.bake.time is None else [written(rollout.bake.time)]
        bake = f" for {' and '.join(parts)}"
    found = [
        Step("canary", f"let it answer {100 * share:g} % of requests{bake}; back at once if it is worse", share=share)
        for share in shares
        if share < 1
    ]
    found.append(Step("promote", "let it answer all requests; the champion before it answers beside, unheard"))
    if bake:
        found.append(Step("bake", f"watch it closely{bake}; back at once if it is worse"))
    return found


def _told(plan: Plan) -> str:
    names = audience(plan, "promoted")
    return f"tell {', '.join(names)} what changed and why" if names else "tell nobody: the plan names none (`brief`)"


def _word(window: object) -> str:
    return window if isinstance(window, str) else written(window)  # type: ignore[arg-type]
