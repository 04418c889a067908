"""`shelflife.check`: two tables in, findings out."""

from __future__ import annotations

import dataclasses
import tempfile
import time as clock
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shelflife import engines, tables
from shelflife.check import asked as asking
from shelflife.check import compare, findings, says, seasons
from shelflife.check.asked import Asked
from shelflife.check.codes import CODES
from shelflife.check.performance import performance
from shelflife.check.result import Audit, Check, Evidence, Finding, Performance, Verdict
from shelflife.check.spread import count, is_profile, learn, saved
from shelflife.check.watching import Promise, Watched, audit, watch
from shelflife.detect.betting import BETS
from shelflife.errors import BadInput
from shelflife.look import words
from shelflife.profile import numeric, roles
from shelflife.profile.category import Category
from shelflife.profile.counts import Profile
from shelflife.profile.layout import Layout
from shelflife.profile.numeric import Numeric
from shelflife.profile.reference import Reference
from shelflife.profile.residual import Residual

# With fewer rows than would show a share that moved this far, nothing is said to be well.
_COARSEST = 0.35
_Z = 1.2816  # nine in ten


def check(
    reference: Any,
    current: Any,
    *,
    time: str | None = None,
    prediction: str | None = None,
    score: Sequence[str] | str = (),
    outcome: str | None = None,
    text: Sequence[str] | str = (),
    id: str | None = None,  # noqa: A002 - the word that people use
    segments: Sequence[str] | str = (),
    exclude: Sequence[str] | str = (),
    bucket: str | None = None,
    season: str = "none",
    tolerance: float | str = 0.05,
    false_alarms: str | float | None = None,
    kinds: Mapping[str, str] | None = None,
    task: str | None = None,
    audit: bool | int = False,
    engine: str = "threads",
    jobs: int | None = None,
) -> Check:
    """Is the current data still what the reference promises?

    Parameters
    ----------
    reference
        A table (path, or object that speaks Arrow), a `shelflife.profile.Reference`, or the path of one.
    current
        A table, a `shelflife.profile.Profile` counted with that reference, or the path of one.
    time
        Column of times of both tables. Without it all rows are one bucket, and one fixed question is asked.
    prediction, score, outcome
        Columns of what was predicted, how surely (one column, or one per class), and what turned out true.
    text
        Columns of free text, where it is not plain from their values.
    id
        Column that names rows; it is not compared.
    segments
        Columns by whose commonest values performance is also watched apart.
    exclude
        Columns that are not compared.
    bucket
        The slice of time in which data is watched, as ``1h``, ``1d`` (the default) or ``1w``.
    season
        ``day``, ``week`` or ``year``: each bucket is compared with the reference's buckets of the same phase.
    tolerance
        How far a share may move before it matters, as ``0.05`` or ``5%``.
    false_alarms
        The budget: at most so many in so many days, as ``1/180d`` (the default); without a time column the level of
        the question, as ``0.01`` (the default).
    kinds
        Kinds of columns, where types and values do not say them.
    task
        ``classification`` or ``regression``, where the values do not say it.
    audit
        Also measure false alarms on the user's own buckets, shuffled within seasons; a number says how often.
    engine, jobs
        Where counting runs: ``threads`` (this process), ``processes``, ``dask``, ``dask=ADDRESS``, ``ray``, ``spark``.

    Returns
    -------
    Check
        Verdict, findings, columns, performance, and what they rest on.

    Raises
    ------
    BadInput
        Where a table cannot be read, a column named is not there, or an option makes no sense.

    Examples
    --------
    >>> import shelflife
    >>> from shelflife.testing import streams
    >>> before, after = streams.steady(days=60, rows=200, seed=1), streams.shifted(days=30, rows=200, seed=2)
    >>> found = shelflife.check(before, after, time="ts")
    >>> found.verdict, found.findings[0].code, found.findings[0].column
    ('fail', 'SL201', 'amount')
    """
    started = clock.perf_counter()
    asked = asking.read(
        time=time, prediction=prediction, score=score, outcome=outcome, text=text, id=id, segments=segments,
        exclude=exclude, bucket=bucket, season=season, tolerance=tolerance, false_alarms=false_alarms, kinds=kinds,
        task=task, audit=audit,
    )  # fmt: skip
    runs_on = engines.parse(engine, jobs)
    with tempfile.TemporaryDirectory(prefix="shelflife-") as folder:
        sides = _read(reference, current, asked, runs_on, Path(folder))
    answer = _answer(sides, asked)
    return dataclasses.replace(answer, engine=runs_on.name, seconds=clock.perf_counter() - started)


@dataclass(frozen=True)
class _Sides:
    """Both sides counted, and what reading them told."""

    reference: Reference
    current: Profile
    names: tuple[str, str]
    zoned: bool
    broken: tuple[Finding, ...]
    notes: tuple[str, ...]


def _read(reference: Any, current: Any, asked: Asked, engine: engines.Engine, folder: Path) -> _Sides:
    with ExitStack() as stack:
        opened = saved(reference)
        name = _called(reference)
        notes: list[str] = []
        if opened is None:
            (folder / "reference").mkdir()
            rows = stack.enter_context(tables.open_rows(reference, time=asked.time, folder=folder / "reference"))
            if rows.rows == 0:
                raise BadInput(f"The reference ({rows.source}) has no rows. Give a table of what was good.")
            opened = learn(rows, asked.reference_options(), engine)
            name = rows.source
            notes += rows.notes
        else:
            asking.agree(opened.layout, asked)
        layout = opened.layout
        seasons.check(asked.season, layout.bucket)
        if not layout.parts:
            raise BadInput(f"The reference ({name}) has no column left to compare. Exclude fewer.")
        notes += opened.notes
        counted = _profile(current)
        if counted is not None:
            if counted.layout.id != layout.id:
                raise BadInput(f"{_called(current)} was counted with another reference; count it with this one.")
            return _Sides(opened, counted, (name, _called(current)), layout.zoned, (), tuple(notes))
        (folder / "current").mkdir()
        rows = stack.enter_context(tables.open_rows(current, time=layout.time, folder=folder / "current"))
        broken, dropped, told = _compared(opened.profile, rows, asked)
        found, untimed = count(layout, rows, dropped, engine)
        if layout.outcome is not None and _unjudged(layout.outcome, dropped):
            found = found.without(layout.outcome)  # what was predicted is not there to be judged
        notes += [note for note in (*rows.notes, *told) if note not in notes]
        if untimed:
            notes.append(f"{untimed:,} rows without a time were left out of {rows.source}.")
        if untimed > asked.tolerance * rows.rows:
            share = untimed / rows.rows
            broken.append(_broken("SL101", str(layout.time), says.untimed(str(layout.time), share), untimed))
        if layout.time is not None and rows.rows and rows.zoned != layout.zoned:
            which = (
                ("the current data carry", "the reference")
                if rows.zoned
                else ("the reference carry", "the current data")
            )
            notes.append(f"Times of {which[0]} a zone and those of {which[1]} do not; these are taken as UTC.")
        return _Sides(opened, found, (name, rows.source), layout.zoned or rows.zoned, tuple(broken), tuple(notes))


def _truth(layout: Layout) -> str | None:
    return layout.outcome.outcome if layout.outcome is not None else None


def _profile(current: Any) -> Profile | None:
    if isinstance(current, Profile):
        return current
    return Profile.open(current) if is_profile(current) else None


def _called(data: Any) -> str:
    return str(data) if isinstance(data, str | Path) else f"the {type(data).__name__}"


def _unjudged(part: Any, dropped: set[str]) -> bool:
    """Whether nothing says any more what was predicted."""
    return part.prediction in dropped if part.prediction is not None else bool(dropped & {*part.scores})


def _compared(reference: Profile, rows: tables.Rows, asked: Asked) -> tuple[list[Finding], set[str], list[str]]:
    """Findings of columns that are gone or of another type, columns not to be counted, and what else is to be told."""
    layout = reference.layout
    broken: list[Finding] = []
    dropped: set[str] = set()
    notes = []
    outcome = _truth(layout)
    have = {field.name: field.type for field in rows.schema}
    for part, _ in layout.find():
        for column in part.columns:
            if column in dropped or column == layout.time:
                continue
            if column not in have:
                dropped.add(column)
                if column == outcome:
                    notes.append(f"{rows.source} has no column {outcome!r} yet: outcomes count as not known.")
                else:
                    broken.append(_broken("SL102", column, says.missing_column(column), rows.rows))
                continue
            found = have[column]
            if not (_plays(part, column, found) if part is layout.outcome else roles.fits(part.kind, found)):
                dropped.add(column)
                if _all_missing(rows, column):
                    continue  # a column of nothing has no type of its own; that it is missing will be found
                held = "nothing" if _held_nothing(reference, part) else part.kind
                broken.append(_broken("SL103", column, says.type_changed(column, held, str(found)), rows.rows))
    gone = dict.fromkeys(segment.column for segment in layout.segments if segment.column not in {*have, *dropped})
    broken += [_broken("SL102", column, says.missing_column(column), rows.rows) for column in gone]
    known = {*layout.columns, *asked.exclude, asked.id}
    fresh = [name for name, kind in have.items() if name not in known and roles.family(kind) is not None]
    if fresh:
        shown = ", ".join(repr(name) for name in fresh[:5])
        more = f" and {len(fresh) - 5} more" if len(fresh) > 5 else ""
        notes.append(f"The current data has columns that the reference does not compare: {shown}{more}.")
    return broken, dropped, notes


def _plays(part: Any, column: str, found: pa.DataType) -> bool:
    """Whether a column of this type can be a prediction, score or outcome."""
    if isinstance(part, Residual) or column in part.scores:
        return roles.fits("numeric", found)
    return pa.types.is_null(found) or roles.family(found) not in {None, "vector"}


def _all_missing(rows: tables.Rows, column: str) -> bool:
    return all(batch.column(0).null_count == batch.num_rows for batch in rows.batches([column]))


def _held_nothing(reference: Profile, part: Any) -> bool:
    """Whether a column of the reference was all missing."""
    if isinstance(part, Category):
        return not part.values
    return isinstance(part, Numeric) and not reference.of(part)[:, numeric.LOW_INFINITY :].any()


def _strange_scores(current: Profile) -> list[Finding]:
    """Findings of scores that are no chances any more."""
    layout = current.layout
    found = []
    for part, _ in layout.find():
        if isinstance(part, Numeric) and part.name in getattr(layout.outcome, "scores", ()) and len(current.rows):
            lows, highs = current.extremes_of(part)
            low, high = float(lows.min()), float(highs.max())
            if low < -1e-6 or (high > 1 + 1e-6 and np.isfinite(high)):
                found.append(_broken("SL103", part.name, says.no_chance(part.name, low, high), int(current.rows.sum())))
    return found


def _broken(code: str, column: str, words: str, rows: int) -> Finding:
    return Finding(
        code=code, severity=CODES[code].severity, kind=CODES[code].kind, column=column, segment=None, observed=None,
        reference=None, limit=None, log10_evidence=None, since=None, at=None, rows=rows, estimated=False, says=words,
    )  # fmt: skip


def _answer(sides: _Sides, asked: Asked) -> Check:
    layout, current = sides.reference.layout, sides.current
    budget, threshold = asked.budget(layout.bucket)
    own = sides.reference.profile
    if not len(own.whole().rows):
        raise BadInput("The reference has no rows with a time. Give a table of what was good.")
    promise = Promise.of(own, tolerance=asked.tolerance, season=asked.season)
    watched = watch(promise, current, promise.detector(threshold))

    def moment(bucket: int) -> datetime | None:
        if layout.time is None:
            return None
        found = datetime(1970, 1, 1) + timedelta(microseconds=bucket)
        return found.replace(tzinfo=UTC) if sides.zoned else found

    left_out = {finding.column for finding in sides.broken}
    rung = [
        f for f in findings.of_alarms(promise, watched, current, moment) if f.column not in left_out or not f.column
    ]
    found = tuple(findings.ordered([*sides.broken, *_strange_scores(current.whole()), *rung]))
    whole = current.whole()
    rows = int(whole.rows.sum())
    known = _known(own, whole, asked.season)
    empty = _gaps(whole.buckets, layout.bucket)
    inputs = _Power.of(promise, watched, threshold, ("SL1", "SL2"))
    outcomes = _Power.of(promise, watched, threshold, ("SL301",))
    scored = _Power.of(promise, watched, threshold, ("SL302",))
    notes = list(sides.notes)
    if empty:
        notes.append(
            f"{words.plural(empty, 'bucket')} between the first and the last of {sides.names[1]} hold no rows."
        )
    if not known.all():
        notes.append(
            f"{np.sum(~known):,} of {words.plural(len(known), 'bucket')} lie in a phase of the {asked.season} that the"
            " reference has no bucket of: they were counted but not watched."
        )
    judged = performance(own, current, _limit_of(promise, watched), moment)
    verdict, why = _verdict(found, inputs, layout, judged, [outcomes, scored])
    if verdict == "unknown" and rows and not known.any():
        why = says.no_phase(asked.season)
    columns = compare.columns(own, current, moment, {name for name in left_out if name})
    last = whole.buckets[-1] + (layout.bucket or 0) if len(whole.buckets) else 0
    start, end = (moment(int(whole.buckets[0])), moment(int(last))) if len(whole.buckets) else (None, None)
    return Check(
        verdict=verdict,
        says=why or says.verdict(verdict, found, rows, len(columns), inputs.sees, start, end, inputs.needed),
        rows=rows,
        reference_rows=int(own.whole().rows.sum()),
        buckets=len(whole.buckets),
        bucket_days=None if layout.bucket is None else layout.bucket / 86_400_000_000,
        start=start,
        end=end,
        findings=found,
        columns=columns,
        performance=judged,
        false_alarms=budget,
        streams=len(promise.streams.streams),
        sees=inputs.sees,
        evidence=Evidence(
            tuple(moment(int(bucket)) for bucket in whole.buckets),
            tuple((watched.log_evidence / np.log(10.0)).tolist()),
            float(np.log10(threshold)),
        ),
        audit=_audit(sides, asked, threshold),
        reference=sides.names[0],
        current=sides.names[1],
        notes=tuple(notes),
        engine="",
        seconds=0.0,
    )


def _gaps(buckets: NDArray[np.int64], length: int | None) -> int:
    """How many buckets between the first and the last hold no rows."""
    if length is None or len(buckets) < 2:
        return 0
    return int((buckets[-1] - buckets[0]) // length) + 1 - len(buckets)


def _known(reference: Profile, whole: Profile, season: str) -> NDArray[np.bool_]:
    """Which buckets lie in a phase of the season that the reference has a bucket of."""
    length = reference.layout.bucket
    phase, _ = seasons.phases(whole.buckets, season, length)
    there, _ = seasons.phases(reference.whole().buckets, season, length)
    return np.isin(phase, there)


@dataclass(frozen=True)
class _Power:
    """What some streams could have shown: the least lasting change of a share, and how many rows would do.

    ``sees`` is for nine in ten of the streams and with a chance of nine in ten; None where even the largest change
    would not have shown.
    """

    sees: float | None
    needed: int | None

    @property
    def enough(self) -> bool:
        return self.sees is not None and self.sees <= _COARSEST

    @classmethod
    def of(cls, promise: Promise, watched: Watched, threshold: float, codes: tuple[str, ...]) -> _Power:
        streams, limits = promise.streams, promise.limits
        truth = _truth(promise.reference.layout)  # its mix waits for outcomes, and says nothing of the inputs
        used = np.array([s.code.startswith(codes) and s.segment == 0 and (s.column is None or s.column != truth)
                         for s in streams.streams], dtype=bool) & (streams.weights > 0)  # fmt: skip
        if not used.any():
            return cls(None, None)
        # What one bet of one stream has to reach on its own, beyond the room that its limit leaves.
        needed = -np.log(streams.weights[used] / streams.weights.sum() / BETS / threshold)
        # Evidence of a mean off by d over n rows is normal with mean m**2 / 2 and deviation m, m = d (n / variance)**.5
        reach = _Z + np.sqrt(_Z**2 + 2.0 * needed)
        upper = np.where(limits.upper < 1.0, limits.upper, np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a stream of which nothing is promised
            room = np.nanmax(upper - limits.mean, axis=0)[used]
        sd = np.sqrt(0.25 * limits.effect[used])
        rows = np.where(watched.limit < 1.0, watched.rows, 0.0)[:, used].sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            sees = room + reach * sd / np.sqrt(rows)
            enough = np.where(room < _COARSEST, (reach * sd / (_COARSEST - room)) ** 2, np.inf)
        most, least = _most(sees), _most(enough)
        return cls(most if most < 1.0 else None, int(np.ceil(least)) if np.isfinite(least) else None)


def _most(values: NDArray[np.float64]) -> float:
    """What nine in ten of the values are at most; infinite where there is none."""
    known = np.sort(np.where(np.isnan(values), np.inf, values))
    return float(known[int(np.ceil(0.9 * len(known))) - 1]) if len(known) else float("inf")


def _limit_of(promise: Promise, watched: Watched) -> Any:
    def limit(segment: int) -> float | None:
        for code in ("SL301", "SL302"):
            for place, stream in enumerate(promise.streams.streams):
                if stream.code == code and stream.segment == segment and len(watched.limit):
                    found = float(watched.limit[:, place].mean())
                    return found if found < 1.0 else None
        return None

    return limit


def _verdict(
    found: tuple[Finding, ...], inputs: _Power, layout: Layout, judged: tuple[Performance, ...], powers: list[_Power]
) -> tuple[Verdict, str | None]:
    if found:
        return "fail", None
    if not inputs.enough:
        return "unknown", None
    if _truth(layout) is None:
        return "pass", None
    if all(row.observed is None and row.estimated is None for row in judged):
        return "unknown", says.unjudged(known_before=any(row.reference is not None for row in judged))
    if not any(power.enough for power in powers):
        needed = min((power.needed for power in powers if power.needed is not None), default=None)
        return "unknown", says.too_few_outcomes(needed)
    return "pass", None


def _audit(sides: _Sides, asked: Asked, threshold: float) -> Audit | None:
    if not asked.audit:
        return None
    if sides.reference.layout.time is None:
        raise BadInput("--audit shuffles buckets of time: name the time column with --time.")
    if len(sides.current.whole().buckets) < 2:
        raise BadInput("--audit needs at least two buckets of current data to shuffle.")
    alarms, buckets = audit(
        sides.reference.profile, sides.current, tolerance=asked.tolerance, season=asked.season, threshold=threshold,
        shuffles=asked.audit,
    )  # fmt: skip
    return Audit(asked.audit, buckets, alarms, buckets / threshold)
