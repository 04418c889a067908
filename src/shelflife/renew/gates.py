"""What a challenger has to pass: each gate a verdict with its evidence, from rows alone.

A verdict is *pass*, *fail* or *unknown*, and unknown never counts as pass. Whether one model is worse than another by
more than a margin is asked of the same held-out rows: errors that are means of rows are tested by betting on their
difference, so that the level holds for any number of rows; other measures by a bootstrap of rows. A verdict needs
evidence in either direction: a point estimate is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

from shelflife.detect.betting import bets
from shelflife.models import Answers
from shelflife.plan.spec import (
    LOSSES,
    FairnessGate,
    FlipsGate,
    FunctionGate,
    Gate,
    LatencyGate,
    MetricGate,
    Plan,
    SizeGate,
)  # fmt: skip
from shelflife.renew.measures import HARD, figure, losses, of_counts

Floats = NDArray[np.float64]
State = Literal["pass", "fail", "unknown"]

LEVEL = 0.05
FEWEST = 30  # rows from which anything is said
_RESAMPLES = 1_000
_WIDEST = 0.99  # the share of differences within which losses without a bound are clipped


@dataclass(frozen=True)
class Verdict:
    """What a gate says.

    Attributes
    ----------
    gate
        What is asked, in the words of the plan.
    state
        ``pass``, ``fail`` or ``unknown``.
    says
        Why, in a sentence.
    evidence
        The figures.
    """

    gate: str
    state: State
    says: str
    evidence: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Held:
    """Held-out rows, newer than all that was trained on, in order of time, and what each model says of them.

    Attributes
    ----------
    truth
        Shape (rows,): texts or floats.
    challenger, champion
        Their answers; no champion is there where nothing serves yet.
    baseline
        Shape (rows,): the answers of a rival that learnt nothing: the most frequent outcome, or the mean.
    segments
        The values of inputs by which performance is also asked for apart.
    rivals
        How many challengers this one was chosen from on these rows; the level is shared among them.
    """

    truth: Any
    challenger: Answers
    champion: Answers | None
    baseline: Any
    segments: Mapping[str, Any] = field(default_factory=dict)
    rivals: int = 1

    def where(self, rows: Any) -> Held:
        """Some of the rows."""
        return Held(
            self.truth[rows], _where(self.challenger, rows),
            None if self.champion is None else _where(self.champion, rows), self.baseline[rows],
            {name: values[rows] for name, values in self.segments.items()}, self.rivals,
        )  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What else is known of a challenger; what is not known is None.

    Attributes
    ----------
    latency_p95
        Milliseconds of a single answer.
    size_mb
        Of its artifact.
    reproducible
        Whether training it again gave the same answers, and else where not.
    data
        What was found wrong with the rows that it was trained on.
    functions
        What each of the user's own tests said, by its name.
    """

    latency_p95: float | None = None
    size_mb: float | None = None
    reproducible: tuple[bool, str] | None = None
    data: tuple[str, ...] | None = None
    functions: Mapping[str, tuple[bool | None, str]] = field(default_factory=dict)


def judge(plan: Plan, held: Held, facts: Facts) -> list[Verdict]:
    """Every gate of a plan, in its order; a gate of a segment says one thing of each of its values.

    Parameters
    ----------
    plan
        Whose gates are asked.
    held, facts
        The evidence.
    """
    gates: Sequence[Gate] = () if plan.renew is None else plan.renew.gates
    return [verdict for gate in gates for verdict in _judged(gate, held, facts)]


def together(verdicts: Sequence[Verdict]) -> State:
    """What all gates say together: a failure is one, and whatever is not known is not passed."""
    states = {one.state for one in verdicts}
    return "fail" if "fail" in states else "unknown" if "unknown" in states else "pass"


def _judged(gate: Gate, held: Held, facts: Facts) -> Iterator[Verdict]:
    if isinstance(gate, MetricGate):
        yield from _of_metric(gate, held)
    elif isinstance(gate, LatencyGate):
        most = gate.latency_p95.total_seconds() * 1000
        yield _at_most(f"latency_p95 at most {most:g} ms", facts.latency_p95, most, "ms")
    elif isinstance(gate, SizeGate):
        yield _at_most(f"size at most {gate.size_mb:g} MB", facts.size_mb, gate.size_mb, "MB")
    elif isinstance(gate, FlipsGate):
        yield _of_flips(gate, held)
    elif isinstance(gate, FairnessGate):
        yield _of_fairness(gate, held)
    elif isinstance(gate, FunctionGate):
        passed, says = facts.functions.get(gate.function, (None, "it was not run"))
        yield Verdict(f"function {gate.function}", _state(passed), says)
    else:
        yield _WORDS[gate](held, facts)


# ---- measures --------------------------------------------------------------------------------------------------------


def _of_metric(gate: MetricGate, held: Held) -> Iterator[Verdict]:
    asked = _asked(gate)
    if gate.segment is None:
        yield from _limits(gate, asked, held)
        return
    values = held.segments.get(gate.segment)
    if values is None:
        yield Verdict(asked, "unknown", f"There is no column {gate.segment!r} among the held-out rows.")
        return
    found = sorted(set(values.tolist()), key=str)
    # Many values are many chances to be wrong; they share the level.
    for value in found:
        yield from _limits(gate, f"{asked}, {gate.segment} = {value}", held.where(values == value), share=len(found))


def _limits(gate: MetricGate, asked: str, held: Held, *, share: int = 1) -> Iterator[Verdict]:
    level = LEVEL / (share * held.rivals)
    if gate.not_worse_by is not None:
        yield _not_worse(gate, asked, held, level)
    if gate.at_least is not None or gate.at_most is not None:
        yield _floor(gate, asked, held, level)


def _not_worse(gate: MetricGate, asked: str, held: Held, level: float) -> Verdict:
    rows = len(held.truth)
    if held.champion is None:
        return Verdict(asked, "pass", "Nothing serves yet that it could be worse than.")
    if rows < FEWEST:
        return Verdict(asked, "unknown", f"{rows} rows are too few to tell; {FEWEST} are the fewest.", {"rows": rows})
    ours, theirs = figure(gate.metric, held.truth, held.challenger), figure(gate.metric, held.truth, held.champion)
    evidence: dict[str, Any] = {"rows": rows, "challenger": ours, "champion": theirs, "margin": gate.not_worse_by}
    if ours is None or theirs is None:
        return Verdict(asked, "unknown", f"{gate.metric} cannot be computed of these rows.", evidence)
    assert gate.not_worse_by is not None
    state, more = _compared(gate.metric, held, gate.not_worse_by, level)
    said = f"{_figure(ours)} against the champion's {_figure(theirs)} on {rows:,} rows"
    ends = {
        "pass": f"not worse by more than {gate.not_worse_by:g}",
        "fail": f"worse by more than {gate.not_worse_by:g}",
        "unknown": f"too little to tell whether it is worse by more than {gate.not_worse_by:g}",
    }
    return Verdict(asked, state, f"{said}: {ends[state]}.", {**evidence, **more, "level": level})


def _compared(metric: str, held: Held, margin: float, level: float) -> tuple[State, dict[str, Any]]:
    """Whether the challenger is worse by more than a margin, and by which evidence."""
    assert held.champion is not None
    ours, theirs = losses(metric, held.truth, held.challenger), losses(metric, held.truth, held.champion)
    if ours is not None and theirs is not None:
        return _bet(ours - theirs, margin, level)
    low, high = _interval(_worse_by(metric, held), level, len(held.truth))
    evidence = {"worse_by_low": low, "worse_by_high": high}
    if math.isnan(low):
        return "unknown", evidence
    return ("pass" if high <= margin else "fail" if low > margin else "unknown"), evidence


def _worse_by(metric: str, held: Held) -> Floats:
    """How much worse the challenger is in each of many draws of the rows."""
    assert held.champion is not None
    sign = 1.0 if metric in LOSSES else -1.0
    if metric in HARD:
        ours, theirs = _drawn(metric, held.truth, [held.challenger.predictions, held.champion.predictions])
        return np.asarray(theirs - ours)

    def worse(rows: Any) -> float:
        some = held.where(rows)
        assert some.champion is not None
        found = figure(metric, some.truth, some.challenger), figure(metric, some.truth, some.champion)
        return math.nan if None in found else sign * (found[0] - found[1])  # type: ignore[operator]

    return _resampled(worse, len(held.truth))


def _bet(worse: Floats, margin: float, level: float) -> tuple[State, dict[str, Any]]:
    """A test by betting, in both directions, on how much worse each row is."""
    widest = max(float(np.quantile(np.abs(worse), _WIDEST)), margin * 1.01, 1e-12)
    scale = 1.0 if np.isin(worse, (-1.0, 0.0, 1.0)).all() and margin < 1 else widest
    x = (np.clip(worse / scale, -1, 1) + 1) / 2
    limit = min((margin / scale + 1) / 2, 1 - 1e-9)
    # While it is worse by the margin at least, 1 - x has a mean of at most 1 - limit; that is bet against.
    for_it, against = log_evidence(1 - x, 1 - limit), log_evidence(x, limit)
    need = math.log(1 / level)
    state: State = "pass" if for_it >= need else "fail" if against >= need else "unknown"
    return state, {"log10_evidence": max(for_it, against) / math.log(10), "worse_by": float(worse.mean())}


def log_evidence(values: Floats, limit: float) -> float:
    """Logarithm of the e-value against a mean of at most `limit`, of values in [0, 1], mixed over bets.

    Parameters
    ----------
    values
        Shape (rows,).
    limit
        In (0, 1).

    Examples
    --------
    >>> bool(log_evidence(np.full(200, 0.6), 0.5) > np.log(20))
    True
    >>> bool(log_evidence(np.full(200, 0.5), 0.5) > 0)
    False
    """
    found, counts = np.unique(values, return_counts=True)
    steps = counts @ np.log1p(np.outer(found - limit, bets(limit)))
    return float(logsumexp(steps) - math.log(len(steps)))


def _floor(gate: MetricGate, asked: str, held: Held, level: float) -> Verdict:
    rows = len(held.truth)
    found = figure(gate.metric, held.truth, held.challenger) if rows >= FEWEST else None
    evidence: dict[str, Any] = {"rows": rows, "challenger": found}
    if found is None:
        return Verdict(asked, "unknown", f"{rows} rows are too few to tell; {FEWEST} are the fewest.", evidence)

    low, high = _interval(_figures(gate.metric, held), level, rows)
    evidence |= {"low": low, "high": high, "level": level}
    least, most = gate.at_least, gate.at_most
    if math.isnan(low):
        state: State = "unknown"
    elif (least is not None and high < least) or (most is not None and low > most):
        state = "fail"
    elif (least is None or low >= least) and (most is None or high <= most):
        state = "pass"
    else:
        state = "unknown"
    said = f"{_figure(found)} on {rows:,} rows, between {_figure(low)} and {_figure(high)}"
    return Verdict(asked, state, f"{said}{'' if state != 'unknown' else ': too little to tell'}.", evidence)


def _figures(metric: str, held: Held) -> Floats:
    """The challenger's figure in each of many draws of the rows."""
    if metric in HARD and held.challenger.predictions.dtype.kind != "f":
        return _drawn(metric, held.truth, [held.challenger.predictions])[0]

    def of(rows: Any) -> float:
        value = figure(metric, held.truth[rows], _where(held.challenger, rows))
        return math.nan if value is None else value

    return _resampled(of, len(held.truth))


def _drawn(metric: str, truth: Any, said: Sequence[Any]) -> list[Floats]:
    """A metric of what each of some models said, in many draws of the rows; drawn are the counts of what is alike."""
    words = [column.astype(str) for column in (truth, *said)]
    classes, places = np.unique(np.concatenate(words), return_inverse=True)
    cells, counts = np.unique(places.reshape(len(words), -1), axis=1, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(truth), counts / len(truth), _RESAMPLES).astype(np.float64)
    of_class = np.arange(len(classes))[:, None]
    true = drawn @ (of_class == cells[0]).T
    return [
        of_counts(metric, drawn @ ((of_class == cells[0]) & (cells[0] == own)).T, true, drawn @ (of_class == own).T)
        for own in cells[1:]
    ]


def _resampled(statistic: Callable[[Any], float], rows: int) -> Floats:
    draw = np.random.default_rng(0)  # the same rows give the same verdict
    every = np.arange(rows)
    return np.array([statistic(draw.choice(every, rows)) for _ in range(_RESAMPLES)])


def _interval(found: Floats, level: float, rows: int) -> tuple[float, float]:
    """Between which a figure lies, each end with an error of at most `level`, from many draws of the rows."""
    found = found[np.isfinite(found)]
    if len(found) < _RESAMPLES // 2:
        return math.nan, math.nan
    # Percentiles of a bootstrap are a little narrow where rows are few; those of Student's t are as much wider.
    wider = float(stats.t.ppf(1 - level, rows - 1) / stats.norm.ppf(1 - level))
    middle = float(np.median(found))
    low, high = np.quantile(found, [level, 1 - level])
    return middle - (middle - low) * wider, middle + (high - middle) * wider


# ---- other gates -----------------------------------------------------------------------------------------------------


def _of_flips(gate: FlipsGate, held: Held) -> Verdict:
    asked = f"flips at most {_percent(gate.flips.at_most)}"
    rows = len(held.truth)
    if held.champion is None:
        return Verdict(asked, "pass", "Nothing serves yet whose answers could change.")
    if rows < FEWEST:
        return Verdict(asked, "unknown", f"{rows} rows are too few to tell; {FEWEST} are the fewest.")
    flipped = _differ(held.challenger.predictions, held.champion.predictions)
    interval = stats.binomtest(int(flipped.sum()), rows).proportion_ci(1 - 2 * LEVEL, method="exact")
    state: State = (
        "pass" if interval.high <= gate.flips.at_most else "fail" if interval.low > gate.flips.at_most else "unknown"
    )
    # Where they fall: the value of an input of whose rows most are answered otherwise.
    most = [
        (float(flipped[values == value].mean()), f"{name} = {value}")
        for name, values in held.segments.items()
        for value in set(values.tolist())
        if int((values == value).sum()) >= FEWEST
    ]
    share = float(flipped.mean())
    says = f"{_percent(share)} of {rows:,} rows are answered otherwise"
    worst = max(most, default=None)
    if worst is not None and worst[0] > share:
        says += f", most where {worst[1]} ({_percent(worst[0])})"
    return Verdict(asked, state, f"{says}.", {"rows": rows, "share": share, "low": interval.low, "high": interval.high})


def _differ(ours: Any, theirs: Any) -> Any:
    if ours.dtype.kind == "f":
        return ~np.isclose(ours, theirs, rtol=0.01)
    return ours != theirs


def _of_fairness(gate: FairnessGate, held: Held) -> Verdict:
    asked = f"{gate.metric} of the values of {gate.fairness} at most {gate.gap:g} apart"
    values = held.segments.get(gate.fairness)
    found = {}
    for value in sorted(set(values.tolist()), key=str) if values is not None else []:
        some = held.where(values == value)
        share = figure(gate.metric, some.truth, some.challenger)
        if len(some.truth) >= FEWEST and share is not None:
            found[value] = share
    if len(found) < 2:
        return Verdict(asked, "unknown", f"{gate.fairness!r} has no two values of {FEWEST} rows each.")
    best, worst = max(found, key=found.__getitem__), min(found, key=found.__getitem__)

    def gap(rows: Any) -> float:
        assert values is not None
        picked = values[rows]
        ends = [
            figure(gate.metric, held.truth[rows[picked == one]], _where(held.challenger, rows[picked == one]))
            for one in (best, worst)
        ]
        return math.nan if None in ends else ends[0] - ends[1]  # type: ignore[operator]

    low, high = _interval(_resampled(gap, len(held.truth)), LEVEL, len(held.truth))
    state: State = "unknown" if math.isnan(low) else "pass" if high <= gate.gap else "fail" if low > gate.gap else (
        "unknown")  # fmt: skip
    says = f"{_figure(found[best])} where {best}, {_figure(found[worst])} where {worst}"
    return Verdict(asked, state, f"{says}: {found[best] - found[worst]:.3g} apart.", {"low": low, "high": high})


def _baseline(held: Held, facts: Facts) -> Verdict:
    del facts
    asked = "beats_baseline"
    rows = len(held.truth)
    if rows < FEWEST:
        return Verdict(asked, "unknown", f"{rows} rows are too few to tell.", {"rows": rows})
    if held.challenger.predictions.dtype.kind == "f":
        worse = np.abs(held.challenger.predictions - held.truth) - np.abs(held.baseline - held.truth)
    else:
        worse = (held.challenger.predictions != held.truth) * 1.0 - (held.baseline != held.truth) * 1.0
    state, evidence = _bet(worse, 0.0, LEVEL / held.rivals)
    ends = {"pass": "it is better", "fail": "it is worse", "unknown": "too little to tell"}
    says = f"Against always giving the usual answer, on {rows:,} rows: {ends[state]}."
    return Verdict(asked, state, says, {"rows": rows, **evidence})


def _calibrated(held: Held, facts: Facts) -> Verdict:
    del facts
    asked = "calibrated"
    shares = held.challenger.scores
    if shares is None or len(held.truth) < FEWEST:
        return Verdict(asked, "unknown", "There are no probabilities, or too few rows.")
    right = held.challenger.predictions == held.truth
    promised = shares.max(axis=1)
    low, high = stats.binomtest(int(right.sum()), len(right)).proportion_ci(1 - 2 * LEVEL, method="exact")
    mean = float(promised.mean())
    off = max(mean - high, low - mean)  # at least so far
    far = max(mean - low, high - mean)  # at most so far
    state: State = "pass" if far <= _OFF else "fail" if off > _OFF else "unknown"
    says = f"It says {_percent(mean)} and is right {_percent(float(right.mean()))} of the time."
    return Verdict(asked, state, says, {"promised": mean, "right": float(right.mean()), "low": low, "high": high})


_OFF = 0.05  # by which the mean chance may differ from how often it is right


def _reproducible(held: Held, facts: Facts) -> Verdict:
    del held
    if facts.reproducible is None:
        return Verdict("reproducible", "unknown", "It was not trained again.")
    return Verdict("reproducible", _state(facts.reproducible[0]), facts.reproducible[1])


def _data_checks(held: Held, facts: Facts) -> Verdict:
    del held
    if facts.data is None:
        return Verdict("data_checks", "unknown", "The rows were not looked at.")
    says = "; ".join(facts.data) or "Nothing is wrong with the rows that it was trained on"
    return Verdict("data_checks", "fail" if facts.data else "pass", f"{says}.")


_WORDS: Mapping[Any, Callable[[Held, Facts], Verdict]] = {
    "beats_baseline": _baseline, "calibrated": _calibrated, "reproducible": _reproducible, "data_checks": _data_checks,
}  # fmt: skip


def _at_most(asked: str, found: float | None, most: float, unit: str) -> Verdict:
    if found is None:
        return Verdict(asked, "unknown", "It was not measured.")
    state: State = "pass" if found <= most else "fail"
    return Verdict(asked, state, f"{found:.3g} {unit}.", {"found": found})


def _asked(gate: MetricGate) -> str:
    parts = []
    if gate.not_worse_by is not None:
        parts.append(f"not worse by {gate.not_worse_by:g}")
    if gate.at_least is not None:
        parts.append(f"at least {gate.at_least:g}")
    if gate.at_most is not None:
        parts.append(f"at most {gate.at_most:g}")
    return f"{gate.metric} {' and '.join(parts)}"


def _where(answers: Answers, rows: Any) -> Answers:
    shares = None if answers.scores is None else answers.scores[rows]
    return Answers(answers.predictions[rows], shares, answers.classes)


def _state(passed: bool | None) -> State:
    return "unknown" if passed is None else "pass" if passed else "fail"


def _figure(value: float) -> str:
    return f"{value:.4g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
