"""What `check` answers: plain frozen values, one dataclass per kind of row.

The JSON form is a contract (``schema`` names it): keys are added, never renamed. What only the pictures need (shapes,
tracks, the course of the evidence) stays out of it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "shelflife.check/1"

Verdict = Literal["pass", "fail", "unknown"]
Severity = Literal["page", "note"]
EXIT = {"pass": 0, "fail": 1, "unknown": 3}


@dataclass(frozen=True)
class Point:
    """A value of one bucket; ``value`` is None where the bucket says nothing, ``start`` where there is no time."""

    start: datetime | None
    rows: int
    value: float | None


@dataclass(frozen=True)
class Track:
    """One figure over the buckets of the current data: what it is, what it was in the reference, how it went."""

    what: str
    reference: float | None
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Shape:
    """A column's distribution in a few bins: shares of its rows with a value, in the reference and now."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


@dataclass(frozen=True)
class Finding:
    """A departure from what the reference promises: code, evidence, severity, and its words rendered last.

    ``observed``, ``reference`` and ``limit`` are of the stream that carries most of the evidence, in shares of rows
    (or of the reference's loss scale for numbers). ``since`` is the estimated onset, ``at`` the bucket whose rows
    completed the evidence; both are None without a time column. ``rows`` and ``observed`` are of the first incident,
    from its onset to its last alarm. ``also`` names the other columns in which the same began at the same time.
    """

    code: str
    severity: Severity
    kind: str
    column: str | None
    segment: str | None
    observed: float | None
    reference: float | None
    limit: float | None
    log10_evidence: float | None
    since: datetime | None
    at: datetime | None
    rows: int
    estimated: bool
    says: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """One column of the current data against the reference, from counts alone.

    ``kind`` is numeric, category, boolean, text, time or vector. Distances compare the shares of rows with a value;
    they are None where a kind has no such distance or where there is nothing to compare.
    """

    name: str
    kind: str
    rows: int
    null_share: float | None
    unseen_share: float | None
    psi: float | None
    js: float | None
    ks: float | None
    tv: float | None
    wasserstein: float | None
    shape: Shape | None
    track: Track | None


@dataclass(frozen=True)
class Performance:
    """One metric in the reference and now: as observed where outcomes are known, else estimated, with an interval.

    ``limit`` is what the check holds the metric to, where it is a stream (error, clipped loss), else None.
    """

    metric: str
    segment: str | None
    reference: float | None
    observed: float | None
    estimated: float | None
    low: float | None
    high: float | None
    limit: float | None
    track: Track | None

    @property
    def of_class(self) -> bool:
        """Whether it is one class's alone: `recall[yes]`."""
        return self.metric.endswith("]")


@dataclass(frozen=True)
class FalseAlarms:
    """The stated budget: at most so many false alarms in so many days.

    Without a time column ``per_days`` is None and ``at_most`` is the level of the one question asked.
    """

    at_most: float
    per_days: float | None


@dataclass(frozen=True)
class Evidence:
    """The course of the evidence against *nothing has changed*: log10 after each bucket, and where the alarm rings.

    Where an alarm rang, the value is the one that rang it; the evidence that it used up starts again from nothing.
    """

    starts: tuple[datetime | None, ...]
    log10: tuple[float, ...]
    alarm: float


@dataclass(frozen=True)
class Audit:
    """False alarms measured on the user's own buckets, shuffled within seasons so that nothing can have changed.

    ``alarms`` rang over ``buckets`` buckets in ``shuffles`` shuffles; ``expected`` is the most that the budget allows.
    """

    shuffles: int
    buckets: int
    alarms: int
    expected: float


@dataclass(frozen=True, repr=False)
class Check:
    """The answer to *is the current data still what the reference promises?* and everything it rests on.

    Attributes are the keys of the JSON contract ``shelflife.check/1``. ``says`` is the answer in a sentence or two.
    ``sees`` is the smallest change of a share that this much data would have shown, None where even the largest would
    not.
    """

    verdict: Verdict
    says: str
    rows: int
    reference_rows: int
    buckets: int
    bucket_days: float | None
    start: datetime | None
    end: datetime | None
    findings: tuple[Finding, ...]
    columns: tuple[Column, ...]
    performance: tuple[Performance, ...]
    false_alarms: FalseAlarms
    streams: int
    sees: float | None
    evidence: Evidence
    audit: Audit | None
    reference: str
    current: str
    notes: tuple[str, ...]
    engine: str
    seconds: float

    @property
    def exit_code(self) -> int:
        """What the command ends with: 0 pass, 1 findings, 3 unknown."""
        return EXIT[self.verdict]

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract as plain values: dates as ISO text, missing numbers as None."""
        return {"schema": SCHEMA, **_plain(self)}

    def to_json(self) -> str:
        """The JSON contract as text, indented, keys in the order of the contract."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def table(self) -> pa.Table:
        """The columns as an Arrow table, one row per column."""
        import pyarrow as pa

        return pa.Table.from_pylist([_plain(column) for column in self.columns])

    def report(self) -> str:
        """The answer as one self-contained HTML page that works offline."""
        from shelflife.check import report

        return report.html(self)

    def __repr__(self) -> str:
        findings = "".join(f"\n  {finding.code} {finding.severity}: {finding.says}" for finding in self.findings)
        return f"<Check {self.verdict}: {self.says}{findings}>"

    def _repr_html_(self) -> str:
        from shelflife.check import report

        return report.fragment(self)


_PICTURES = {"shape", "track", "evidence"}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value) if field.name not in _PICTURES]
        return {name: _plain(getattr(value, name)) for name in fields}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
