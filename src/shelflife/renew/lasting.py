"""Until when a challenger is good, where its plan renews by that: how long models like it last, on the same rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from shelflife.errors import TrainerFailed
from shelflife.plan import Plan
from shelflife.plan.words import written
from shelflife.renew import training

# The loss whose excess over a fresh model is in the unit of a metric that plans promise.
_LOSSES = {"accuracy": "error", "mae": "absolute_error"}


def options(plan: Plan, metric: str, window: str) -> dict[str, Any]:
    """How `shelflife.lifespan` is to measure it.

    Worse than a fresh one by as much as a challenger is to be better counts as the end, where the plan says how much
    by accuracy or mae; else what counts for lifespan.

    Parameters
    ----------
    metric
        By which challengers are compared.
    window
        What the challenger has learnt from, as ``26w`` or ``all``.
    """
    assert plan.model.outcome is not None
    loss = _LOSSES.get(metric)
    challenger = None if plan.renew is None else plan.renew.challenger
    better = 0.0 if challenger is None else challenger.better_by
    return {
        "target": plan.model.outcome.name, "window": window, "label_delay": written(plan.model.outcome.within),
        "metric": loss, "tolerance": better if loss is not None and better > 0 else None,
    }  # fmt: skip


def measured(job: training.Job, born: datetime) -> dict[str, Any]:
    """What the record of a challenger says of how long it will last.

    Parameters
    ----------
    job
        With all rows whose outcomes are known, and `options`.
    born
        When the outcome of the last row that it has learnt from was due.

    Returns
    -------
    dict
        ``lasts``: in words, and in ``days`` the lower quartile of survival, None where too few models came to their
        end; without ``days`` it could not be measured. ``best_before``, an ISO time, is so long after `born`.
    """
    try:
        found = training.lasting(job)
    except TrainerFailed as error:  # a challenger is none the worse for it
        # What more it says is how `shelflife lifespan` could be asked, and the log.
        why = str(error).splitlines()[0].partition(". ")[0].rstrip(".")
        return {"lasts": {"says": f"Until when it is good could not be measured: {why}."}}
    until = {} if found["days"] is None else {"best_before": (born + timedelta(days=found["days"])).isoformat()}
    return {"lasts": found, **until}
