"""Alarms into findings: one for each cause that can be told apart, with its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from shelflife.check import says, seasons
from shelflife.check.codes import CODES
from shelflife.check.result import Finding
from shelflife.check.streams import Stream
from shelflife.profile.numeric import BELOW, Numeric
from shelflife.profile.residual import KNOWN, Residual

if TYPE_CHECKING:
    from shelflife.check.watching import Promise, Watched
    from shelflife.profile.counts import Profile

# Fewer errors than scores say, or fewer missing values, are news but no harm.
_HARMLESS_FALL = {"SL101", "SL303"}
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
    part = current.layout.outcome
    rung = _one_a_cause(_in_segments(_gathered(promise, watched), promise, watched), part.outcome if part else None)
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


def _in_segments(rung: dict[Key, Rung], promise: Promise, watched: Watched) -> dict[Key, Rung]:
    """Leave out all rows where some segments explain them: where the rows of no other segment are worse."""
    kept = dict(rung)
    segments = promise.reference.layout.segments
    for code in ("SL301", "SL302"):
        whole = rung.get((code, None, 0))
        parts: dict[str, list[Key]] = {}
        for key in rung:
            if key[0] == code and key[2]:
                parts.setdefault(segments[key[2] - 1].column, []).append(key)
        if whole is None or not parts:
            continue
        span = slice(min(whole.onset, whole.last), whole.last + 1)
        limit = float(watched.limit[span, whole.stream].mean())
        rest = {
            column: _rest(watched, span, whole.stream, [rung[key].stream for key in keys])
            for column, keys in parts.items()
        }
        column = min(rest, key=lambda name: rest[name])
        if rest[column] <= limit:
            gone = [(code, None, 0), *(key for name, keys in parts.items() if name != column for key in keys)]
            kept = {key: one for key, one in kept.items() if key not in gone}
    return kept


def _rest(watched: Watched, span: slice, whole: int, parts: list[int]) -> float:
    """The mean of a stream over the rows that are in none of some segments; infinite where there are too few."""
    hits, rows = (values[span, whole].sum() - values[span, parts].sum() for values in (watched.hits, watched.rows))
    return float(hits / rows) if rows > 0.05 * watched.rows[span, whole].sum() else float("inf")


def _one_a_cause(rung: dict[Key, Rung], outcome: str | None) -> dict[Key, Rung]:
    """Leave out what another finding has already said."""
    kept = dict(rung)
    for (code, column, segment), one in rung.items():
        if code.startswith("SL2"):
            # Never-seen or infinite values move the shares of the others as well.
            causes = [rung.get((other, column, segment)) for other in ("SL104", "SL105", "SL106")]
            if any(cause is not None and abs(cause.onset - one.onset) <= _TOGETHER for cause in causes):
                kept.pop((code, column, segment), None)
        if code == "SL202" and column == outcome and {("SL301", None, 0), ("SL303", None, 0)} & rung.keys():
            kept.pop((code, column, segment), None)  # other outcomes on the same inputs are what makes the errors
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
    if code == "SL301" and isinstance(current.layout.outcome, Residual):
        # What is watched is a loss that is bounded; what is told is the loss.
        observed = _mean_loss(current, segment, buckets[span], observed)
        reference = _mean_loss(promise.reference, segment, None, reference)
    name = None
    if segment:
        found = current.layout.segments[segment - 1]
        name = f"{found.column}={found.value}"
    since = moment(int(buckets[rung.onset])) if rung.onset < len(buckets) else None
    words = says.finding(code, column, name, stream, observed, reference, limit, since, current.layout)
    if code == "SL201":
        words += _means(str(column), promise.reference, current.chosen(np.isin(current.buckets, buckets[span])))
    return Finding(
        code=code,
        severity="note" if code in _HARMLESS_FALL and not stream.rises else CODES[code].severity,
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


def _means(column: str, reference: Profile, current: Profile) -> str:
    """What a column's mean was and is, where that tells more than a share does."""
    part = next((part for part in reference.layout.parts if part.name == column), None)
    if not isinstance(part, Numeric):
        return ""
    found = []
    for profile in (reference.whole(), current.whole()):
        rows = profile.of(part)[:, BELOW : part.above + 1].sum()
        found.append(part.centre + float(profile.sums_of(part)[:, 0].sum() / rows) if rows else np.nan)
    return says.means(*found)


def _mean_loss(profile: Profile, segment: int, buckets: Any, otherwise: float) -> float:
    """The mean absolute error of a regression over some buckets, or all."""
    part = profile.layout.outcome
    found = profile.chosen(profile.segments == segment)
    if buckets is not None:
        found = found.chosen(np.isin(found.buckets, buckets))
    known = found.of(part)[:, KNOWN].sum() if part is not None else 0
    return float(found.sums_of(part)[:, 0].sum() / known) if part is not None and known else otherwise


def natural(stream: Stream, profile: Profile) -> Callable[[float], float]:
    """From the scale of a stream to what people read: shares as they were asked, losses in units of the outcome."""
    part = profile.layout.outcome
    scale = part.scale if isinstance(part, Residual) and stream.code.startswith("SL3") else 1.0

    def shown(value: float) -> float:
        share = value if stream.rises else 1.0 - value
        return (2.0 * share - 1.0 if stream.code == "SL303" else share) * scale

    return shown
