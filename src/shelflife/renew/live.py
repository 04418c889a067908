"""How a version does with real requests, beside the one that serves: read from what was observed, judged as data.

Looked at again and again, at any time: the evidence is an e-process over outcomes in the order in which they came, so
that the level of a false abort holds however often one looks (Ville).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import logsumexp

from shelflife.detect.betting import bets
from shelflife.plan import Plan
from shelflife.plan.spec import AbortIf
from shelflife.renew.evidence import log_evidence
from shelflife.routes import DIRECT
from shelflife.store.tables import Tables

Floats = NDArray[np.float64]

LEVEL = 0.05
_CLIP = 10.0  # mean errors of a regression beyond which an error counts no more
_SLOW = 0.05  # the share of answers that may take longer than a 95th percentile


@dataclass(frozen=True)
class Live:
    """What was seen of a version since it began to answer.

    Attributes
    ----------
    rows, others
        How many requests it answered, and how many the other one did, heard or not.
    crashed
        How many it could not answer, and the other one could.
    errors
        How much worse it was than the other, of each outcome in the order in which they came: from -1 to 1.
    overrides
        Likewise of answers that people replaced.
    latencies
        Milliseconds of its answers.
    known
        Of how many of its answers the outcome is known.
    """

    rows: int
    others: int
    crashed: int
    errors: Floats
    overrides: Floats
    latencies: Floats
    known: int = 0

    @property
    def plain(self) -> dict[str, Any]:
        """The figures."""
        return {
            "rows": self.rows, "others": self.others, "crashed": self.crashed, "outcomes": self.known,
            "worse_by": float(self.errors.mean()) if len(self.errors) else None,
            "latency_p95": float(np.quantile(self.latencies, 0.95)) if len(self.latencies) else None,
        }  # fmt: skip


def abort(live: Live, asked: AbortIf | None) -> str | None:
    """Why a version has to go back, in a sentence; None where nothing says so."""
    if live.crashed:
        return f"it could not answer {live.crashed:,} of {live.rows + live.crashed:,} requests"
    if asked is None:
        return None
    # What is asked at once shares the level.
    need = np.log(max(1, len(asked.model_fields_set)) / LEVEL)
    for name, worse, limit in (("error", live.errors, asked.error), ("overrides", live.overrides, asked.overrides)):
        if limit is not None and evidence(worse, limit.worse_by) >= need:
            return (
                f"its {name} {'are' if name.endswith('s') else 'is'} {100 * float(worse.mean()):.1f} points worse on"
                f" {len(worse):,} rows; at most {100 * limit.worse_by:g} were allowed"
            )
    if asked.latency_p95 is not None and len(live.latencies):
        most = asked.latency_p95.total_seconds() * 1000
        slow = live.latencies > most
        if log_evidence(slow.astype(np.float64), _SLOW) >= need:
            return f"{int(slow.sum()):,} of {len(slow):,} answers took longer than {most:g} ms"
    return None


def evidence(worse: Floats, margin: float) -> float:
    """Logarithm of the most that was ever held against *worse by at most the margin on average*.

    Parameters
    ----------
    worse
        Shape (rows,), from -1 to 1, in the order in which they came.
    margin
        In [0, 1).

    Examples
    --------
    >>> bool(evidence(np.tile([1.0, 0.0], 100), 0.1) > np.log(20))
    True
    """
    if not len(worse):
        return 0.0
    limit = (margin + 1) / 2
    steps = np.log1p(np.outer((worse + 1) / 2 - limit, bets(limit)))
    course = logsumexp(np.cumsum(steps, axis=0), axis=1) - np.log(steps.shape[1])
    return max(0.0, float(course.max()))


def differences(rows: Iterable[tuple[bool, float]]) -> Floats:
    """How much worse each of ours was than the mean of the others that came since the one before it.

    Parameters
    ----------
    rows
        Whether it is ours, and its error from 0 to 1, in the order in which they came. Which of two versions answers
        follows from the request's key alone, so that what each is compared with is no choice of anybody's.

    Examples
    --------
    >>> differences([(False, 0.0), (False, 1.0), (True, 1.0), (True, 1.0), (False, 0.0), (True, 0.0)]).tolist()
    [0.5, 1.0]
    """
    found, ours, theirs = [], [], []  # type: ignore[var-annotated]
    for own, error in rows:
        (ours if own else theirs).append(error)
        # One of ours waits for the others where it came first.
        if ours and theirs:
            found.append(float(np.mean(ours) - np.mean(theirs)))
            ours, theirs = [], []
    return np.array(found, dtype=np.float64)


def seen(tables: Tables, plan: Plan, *, version: int, beside: int, since: datetime, now: datetime) -> Live:
    """What was observed of a version that answers for a share of requests, and of the one beside it."""
    import duckdb

    made = tables.dataset(plan.system, "predictions")
    if made is None or "route" not in made.schema.names:
        return _nothing()
    columns = ["id", "time", "version", "prediction", "latency"]
    since_then = made.to_table(columns=columns, filter=_since(since, now))
    true = tables.dataset(plan.system, "outcomes")
    told = tables.dataset(plan.system, "feedback")
    ours, theirs = str(version), str(beside)
    unheard = _beside(tables, plan, theirs, since, since_then.schema)
    names = since_then["version"].to_pylist()
    latencies = np.array(
        [one for one, name in zip(since_then["latency"].to_pylist(), names, strict=True)
         if name == ours and one is not None], dtype=np.float64,
    )  # fmt: skip
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("made", since_then)
        errors, overrides, known = np.empty(0), np.empty(0), 0
        if true is not None:
            connection.register("truth", true)
            connection.register("beside", unheard)
            found = connection.execute(_OUTCOMES, {"ours": ours, "theirs": theirs}).fetchall()
            known = sum(own for own, _, _ in found)
            errors = differences(_losses(found, plan))
        if told is not None:
            connection.register("told", told)
            found = connection.execute(_OVERRIDES, {"ours": ours, "theirs": theirs}).fetchall()
            overrides = differences([(own, float(said)) for own, said in found])
    crashed = _crashed(tables, plan, ours, theirs, since)
    others = names.count(theirs) + len(unheard)
    return Live(names.count(ours), others, crashed, errors, overrides, latencies, known)


_OUTCOMES = """
    WITH said AS (SELECT id, time, version, prediction FROM made UNION ALL BY NAME SELECT * FROM beside)
    SELECT said.version = $ours, said.prediction, truth.outcome FROM said JOIN truth ON truth.id = said.id
    WHERE said.version IN ($ours, $theirs) AND said.prediction IS NOT NULL AND truth.outcome IS NOT NULL
    ORDER BY truth.batch, said.time, said.id, said.version
"""
_OVERRIDES = """
    SELECT made.version = $ours, EXISTS (
        SELECT 1 FROM told WHERE told.prediction_id = made.id AND told.what = 'override'
    ) FROM made WHERE made.version IN ($ours, $theirs) ORDER BY made.time, made.id
"""


def _losses(rows: list[tuple[bool, Any, Any]], plan: Plan) -> list[tuple[bool, float]]:
    if plan.model.task == "classification":
        return [(own, float(said != true)) for own, said, true in rows]
    off = [(own, abs(said - true)) for own, said, true in rows]
    mean = float(np.mean([error for own, error in off if not own] or [1.0])) or 1.0
    return [(own, min(error / mean, _CLIP) / _CLIP) for own, error in off]


def _beside(tables: Tables, plan: Plan, version: str, since: datetime, like: pa.Schema) -> pa.Table:
    """What the other one said of the same requests where it answered beside, unheard."""
    import pyarrow.compute as pc

    found = tables.dataset(plan.system, "shadows")
    names = ["id", "time", "version", "prediction"]
    if found is None or not set(names) <= set(found.schema.names):
        return pa.schema([like.field(name) for name in names]).empty_table()
    asked = (pc.field("version") == version) & (pc.field("time") >= since) & pc.field("prediction").is_valid()
    return found.to_table(columns=names, filter=asked)


def _crashed(tables: Tables, plan: Plan, ours: str, theirs: str, since: datetime) -> int:
    """How many requests a version could not answer; what the other one cannot either is the request's fault."""
    import pyarrow.compute as pc

    beside = tables.dataset(plan.system, "shadows")
    if beside is None:
        return 0
    failed = (pc.field("time") >= since) & pc.field("error").is_valid() & (pc.field("route") != DIRECT)
    found = beside.to_table(columns=["id", "version"], filter=failed & pc.field("version").isin([ours, theirs]))
    ids: dict[str, set[str]] = {ours: set(), theirs: set()}
    for name, version in zip(found["id"].to_pylist(), found["version"].to_pylist(), strict=True):
        ids[version].add(name)
    return len(ids[ours] - ids[theirs] if ours != theirs else ids[ours])


def _since(since: datetime, now: datetime) -> Any:
    """What the routes let answer: neither what came in otherwise, nor what somebody asked of one version."""
    import pyarrow.compute as pc

    return (pc.field("time") >= since) & (pc.field("time") <= now) & (pc.field("route") != DIRECT)


def _nothing() -> Live:
    none = np.empty(0)
    return Live(0, 0, 0, none, none, none)
