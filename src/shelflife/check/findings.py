"""Alarms into findings: one for each cause that can be told apart, with its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from shelflife.check import says, seasons
from shelflife.check.codes import CODES
from shelflife.check.result import Finding
from shelflife.check.streams import Stream
from shelflife.profile.residual import Residual

if TYPE_CHECKING:
    from shelflife.check.watching import Promise, Watched
    from shelflife.profile.counts import Profile

# Streams whose onsets lie this many buckets apart may have one cause.
_TOGETHER = 3


@dataclass(frozen=True)
class Rung:
    """All alarms of the streams that lead to one finding."""

    stream: int
    at: int
    onset: int
    last: int
    log_evidence: float


def of_alarms(
    promise: Promise, watched: Watched, current: Profile, moment: Callable[[int], datetime | None]
) -> list[Finding]:
    """Findings of the alarms, the worst first: harm before drift, then by evidence."""
    rung = _gathered(promise, watched)
    rung = _one_a_cause(rung)
    found = [_finding(key, one, promise, watched, current, moment) for key, one in rung.items()]
    return ordered(found)


def ordered(findings: list[Finding]) -> list[Finding]:
    """The worst first: what pages before notes, then by evidence (none counts as certain)."""
    return sorted(
        findings,
        key=lambda f: (
            f.severity != "page",
            f.log10_evidence is not None,
            -(f.log10_evidence or 0.0),
            f.code,
            str(f.column),
        ),
    )


Key = tuple[str, str | None, int]


def _gathered(promise: Promise, watched: Watched) -> dict[Key, Rung]:
    """By finding: the strongest stream of its first alarm, and the last alarm."""
    found: dict[Key, Rung] = {}
    for alarm in watched.alarms:
        for stream, onset, evidence in zip(
            alarm.streams.tolist(), alarm.onset.tolist(), alarm.log_evidence.tolist(), strict=True
        ):
            key = promise.streams.streams[stream].key
            known = found.get(key)
            if known is None or (known.at == alarm.bucket and known.log_evidence < evidence):
                found[key] = Rung(stream, alarm.bucket, onset, alarm.bucket, evidence)
            else:
                strongest = max(known.log_evidence, evidence)
                found[key] = Rung(known.stream, known.at, known.onset, alarm.bucket, strongest)
    return found


def _one_a_cause(rung: dict[Key, Rung]) -> dict[Key, Rung]:
    """Leave out what another finding has already said."""
    kept = dict(rung)
    for (code, column, segment), one in rung.items():
        if code.startswith("SL2"):
            # Never-seen or infinite values move the shares of the others as well.
            causes = [rung.get((other, column, segment)) for other in ("SL104", "SL105", "SL106")]
            if any(cause is not None and abs(cause.onset - one.onset) <= _TOGETHER for cause in causes):
                kept.pop((code, column, segment))
        if code == "SL302" and ("SL301", column, segment) in rung:
            kept.pop((code, column, segment))  # what was observed needs no estimate
        if code in {"SL301", "SL302"} and segment and any((other, column, 0) in rung for other in ("SL301", "SL302")):
            kept.pop((code, column, segment), None)  # all rows are worse, these among them
    return kept


def _finding(
    key: Key, rung: Rung, promise: Promise, watched: Watched, current: Profile,
    moment: Callable[[int], datetime | None],
) -> Finding:  # fmt: skip
    code, column, segment = key
    stream = promise.streams.streams[rung.stream]
    buckets = current.whole().buckets
    phase, _ = seasons.phases(buckets, promise.season, current.layout.bucket)
    span = slice(min(rung.onset, rung.last), rung.last + 1)
    rows = watched.rows[span, rung.stream]
    total = rows.sum()
    hits = watched.hits[span, rung.stream].sum()
    means = promise.limits.mean[phase[span], rung.stream]
    limits = watched.limit[span, rung.stream]
    used = rows if total > 0 else np.ones(len(rows))
    shown = natural(stream, current)
    observed, reference, limit = (
        shown(float(value))
        for value in (
            hits / total if total else np.nan,
            np.average(means, weights=used),
            np.average(limits, weights=used),
        )
    )
    name = None
    if segment:
        found = current.layout.segments[segment - 1]
        name = f"{found.column}={found.value}"
    since = moment(int(buckets[rung.onset])) if rung.onset < len(buckets) else None
    words = says.finding(code, column, name, stream, observed, reference, limit, since, current.layout)
    return Finding(
        code=code,
        severity="note" if code == "SL303" and not stream.rises else CODES[code].severity,
        kind=CODES[code].kind,
        column=column,
        segment=name,
        observed=observed,
        reference=reference,
        limit=limit,
        log10_evidence=rung.log_evidence / float(np.log(10.0)),
        since=since,
        at=moment(int(buckets[rung.at])),
        rows=round(float(total)),
        estimated=code == "SL302",
        says=words,
    )


def natural(stream: Stream, profile: Profile) -> Callable[[float], float]:
    """From the scale of a stream to what people read: shares as they were asked, losses in units of the outcome."""
    part = profile.layout.outcome
    scale = part.scale if isinstance(part, Residual) and stream.code.startswith("SL3") else 1.0

    def shown(value: float) -> float:
        share = value if stream.rises else 1.0 - value
        return (2.0 * share - 1.0 if stream.code == "SL303" else share) * scale

    return shown
