"""Alarms into findings: one for each cause that can be told apart, with its words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from shelflife.check import says, seasons
from shelflife.check.codes import CODES
from shelflife.check.result import Finding
from shelflife.check.streams import Stream
from shelflife.profile.numeric import Numeric
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
    incidents = _in_segments(_gathered(promise, watched), promise, watched)
    incidents = _one_a_cause(incidents, part.outcome if part else None)
    by_key: dict[Key, list[Incident]] = {}
    for one in incidents:
        by_key.setdefault(one.key, []).append(one)
    told = [(some[0], _finding(some, promise, watched, current, moment)) for some in by_key.values()]
    return ordered(_of_one_cause(told))


def _of_one_cause(told: list[tuple[Incident, Finding]]) -> list[Finding]:
    """Columns in which the same began at the same time have one finding: that of the strongest evidence."""
    groups: list[list[tuple[Incident, Finding]]] = []
    for one in sorted(told, key=lambda pair: -pair[0].rung.log_evidence):
        incident, finding = one
        for group in groups:
            first, strongest = group[0]
            same = (finding.code, finding.severity, incident.key[2]) == (
                strongest.code,
                strongest.severity,
                first.key[2],
            )
            if finding.column is not None and same and abs(incident.rung.onset - first.rung.onset) <= _TOGETHER:
                group.append(one)
                break
        else:
            groups.append([one])
    found = []
    for group in groups:
        finding = group[0][1]
        also = tuple(sorted(str(other.column) for _, other in group[1:]))
        said = finding.says + says.together(list(also)) if also else finding.says
        found.append(dataclasses.replace(finding, also=also, says=said))
    return found


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


@dataclass(frozen=True)
class Incident:
    """A stretch of buckets in which one thing was over its limit."""

    key: Key
    rung: Rung

    @property
    def span(self) -> slice:
        """From its onset to its last alarm."""
        return slice(min(self.rung.onset, self.rung.last), self.rung.last + 1)

    def beside(self, other: Incident) -> bool:
        """Whether both may have one cause."""
        return self.rung.onset <= other.rung.last + _TOGETHER and other.rung.onset <= self.rung.last + _TOGETHER


def _gathered(promise: Promise, watched: Watched) -> list[Incident]:
    """Incidents: alarms of what leads to one finding, joined while it stayed over its limit in between."""
    found: list[Incident] = []
    latest: dict[Key, int] = {}
    for alarm in watched.alarms:
        for stream, onset, evidence in zip(
            alarm.streams.tolist(), alarm.onset.tolist(), alarm.log_evidence.tolist(), strict=True
        ):
            key = promise.streams.streams[stream].key
            place = latest.get(key)
            known = found[place].rung if place is not None else None
            if known is None or not _goes_on(known, stream, onset, watched):
                latest[key] = len(found)
                found.append(Incident(key, Rung(stream, alarm.bucket, onset, alarm.bucket, evidence)))
            elif known.at == alarm.bucket and known.log_evidence < evidence:
                found[latest[key]] = Incident(key, Rung(stream, alarm.bucket, onset, alarm.bucket, evidence))
            else:
                strongest = max(known.log_evidence, evidence)
                # Of several streams the first is told, for as long as it is itself over its limit.
                last = alarm.bucket if stream == known.stream or _over(watched, known, alarm.bucket) else known.last
                found[latest[key]] = Incident(key, Rung(known.stream, known.at, known.onset, last, strongest))
    return found


def _goes_on(known: Rung, stream: int, onset: int, watched: Watched) -> bool:
    """Whether an alarm belongs to the incident before it: what lies between them was over the limit as well."""
    gap = slice(known.last + 1, onset)
    if onset <= known.last + _TOGETHER:
        return True
    rows, hits = watched.rows[gap, stream], watched.hits[gap, stream]
    return bool(hits.sum() > (rows * watched.limit[gap, stream]).sum())


def _over(watched: Watched, rung: Rung, last: int) -> bool:
    """Whether the stream that is told was over its limit from its onset to `last`."""
    span = slice(rung.onset, last + 1)
    rows, hits = watched.rows[span, rung.stream], watched.hits[span, rung.stream]
    return bool(hits.sum() > (rows * watched.limit[span, rung.stream]).sum())


def _in_segments(incidents: list[Incident], promise: Promise, watched: Watched) -> list[Incident]:
    """Leave out all rows where some segments explain them: where the rows of no other segment are worse."""
    segments = promise.reference.layout.segments
    gone: list[Incident] = []
    for whole in incidents:
        if whole.key[0] not in {"SL301", "SL302"} or whole.key[2]:
            continue
        parts: dict[str, list[Incident]] = {}
        for one in incidents:
            if one.key[0] == whole.key[0] and one.key[2] and one.beside(whole):
                parts.setdefault(segments[one.key[2] - 1].column, []).append(one)
        if not parts:
            continue
        limit = float(watched.limit[whole.span, whole.rung.stream].mean())
        rest = {
            column: _rest(watched, whole.span, whole.rung.stream, sorted({one.rung.stream for one in some}))
            for column, some in parts.items()
        }
        column = min(rest, key=lambda name: rest[name])
        if rest[column] <= limit:
            gone += [whole, *(one for name, some in parts.items() if name != column for one in some)]
    return [one for one in incidents if one not in gone]


def _rest(watched: Watched, span: slice, whole: int, parts: list[int]) -> float:
    """The mean of a stream over the rows that are in none of some segments; infinite where there are too few."""
    hits, rows = (values[span, whole].sum() - values[span, parts].sum() for values in (watched.hits, watched.rows))
    return float(hits / rows) if rows > 0.05 * watched.rows[span, whole].sum() else float("inf")


def _one_a_cause(incidents: list[Incident], outcome: str | None) -> list[Incident]:
    """Leave out what another finding has already said."""

    def said(one: Incident, codes: set[str], column: str | None, segment: int) -> bool:
        return any(
            other.key[0] in codes and other.key[1:] == (column, segment) and other.beside(one)
            for other in incidents
            if other is not one
        )

    kept = []
    for one in incidents:
        code, column, segment = one.key
        # Never-seen or infinite values move the shares of the others as well.
        moved = code.startswith("SL2") and said(one, {"SL104", "SL105", "SL106"}, column, segment)
        # Other outcomes on the same inputs are what makes the errors.
        makes = code == "SL202" and column == outcome and said(one, {"SL301", "SL303"}, None, 0)
        # What was observed needs no estimate; where all rows are worse, these are among them.
        estimated = code == "SL302" and said(one, {"SL301"}, column, segment)
        among = code in {"SL301", "SL302"} and segment > 0 and said(one, {"SL301", "SL302"}, None, 0)
        if not (moved or makes or estimated or among):
            kept.append(one)
    return kept


def _finding(
    incidents: list[Incident], promise: Promise, watched: Watched, current: Profile,
    moment: Callable[[int], datetime | None],
) -> Finding:  # fmt: skip
    """The finding of the first incident of one thing; of later ones it says how often, and when the last was."""
    one, *later = incidents
    rung = one.rung
    code, column, segment = one.key
    stream = promise.streams.streams[rung.stream]
    buckets = current.whole().buckets
    phase, _ = seasons.phases(buckets, promise.season, current.layout.bucket)
    span = one.span
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
    if later:
        words += says.again(len(later), moment(int(buckets[later[-1].rung.onset])))
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
        found.append(float(part.mean(profile.of(part).sum(axis=0), profile.sums_of(part).sum(axis=0))))
        lows, highs = profile.extremes_of(part)
        if not part.within_reach(float(lows.min(initial=np.inf)), float(highs.max(initial=-np.inf))):
            return ""  # so far off that the sums no longer hold it
    return says.means(*found)


def _mean_loss(profile: Profile, segment: int, buckets: Any, otherwise: float) -> float:
    """The mean absolute error of a regression over some buckets, or all."""
    part = profile.layout.outcome
    found = profile.chosen(profile.segments == segment)
    if buckets is not None:
        found = found.chosen(np.isin(found.buckets, buckets))
    known = found.of(part)[:, KNOWN].sum() if part is not None else 0
    return float(found.sums_of(part)[:, [0, 7]].sum() / known) if part is not None and known else otherwise


def natural(stream: Stream, profile: Profile) -> Callable[[float], float]:
    """From the scale of a stream to what people read: shares as they were asked, losses in units of the outcome."""
    part = profile.layout.outcome
    scale = part.scale if isinstance(part, Residual) and stream.code.startswith("SL3") else 1.0

    def shown(value: float) -> float:
        share = value if stream.rises else 1.0 - value
        return (2.0 * share - 1.0 if stream.code == "SL303" else share) * scale

    return shown
