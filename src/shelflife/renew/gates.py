"""What a challenger has to pass: each gate a verdict with its evidence, from rows alone.

A verdict is *pass*, *fail* or *unknown*, and unknown never counts as pass. Whether one model is worse than another by
more than a margin is asked of the same held-out rows: right and wrong answers are counted in pairs by an exact test,
other errors that are means of rows tested by betting on their difference, so that the level holds for any number of
rows; other measures by a bootstrap of rows. A verdict needs evidence in either direction: a point estimate is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

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
from shelflife.renew.evidence import Floats, State, difference, drawn, interval, resampled, share, within
from shelflife.renew.measures import HARD, figure, losses, statistic

LEVEL = 0.05
FEWEST = 30  # rows from which anything is said
_ROUNDING = 1e-9  # of a figure: two draws that differ by less say the same


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

    @property
    def level(self) -> float:
        """The level of one verdict: whichever rival was chosen, it had as many chances to be lucky."""
        return LEVEL / self.rivals

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
    if not found:
        yield Verdict(asked, "unknown", "There is no row to tell by.")
    # Many values are many chances to be wrong; they share the level.
    for value in found:
        yield from _limits(gate, f"{asked}, {gate.segment} = {value}", held.where(values == value), values=len(found))


def _limits(gate: MetricGate, asked: str, held: Held, *, values: int = 1) -> Iterator[Verdict]:
    level = held.level / values
    if gate.not_worse_by is not None:
        yield _not_worse(gate, asked, held, level)
    if gate.at_least is not None or gate.at_most is not None:
        yield _floor(gate, asked, held, level)


def _not_worse(gate: MetricGate, asked: str, held: Held, level: float) -> Verdict:
    rows = len(held.truth)
    if held.champion is None:
        return Verdict(asked, "pass", "Nothing serves yet that it could be worse than.")
    if rows < FEWEST:
        return _too_few(asked, rows)
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
        return difference(ours - theirs, margin, level)
    low, high = interval(_worse_by(metric, held), level, len(held.truth))
    return within(low, high, most=margin), {"worse_by_low": low, "worse_by_high": high}


def _worse_by(metric: str, held: Held) -> list[Floats]:
    """How much worse the challenger is in each of many draws of the rows."""
    champion = held.champion
    assert champion is not None
    sign = 1.0 if metric in LOSSES else -1.0
    if metric in HARD:
        said = [held.challenger.predictions, champion.predictions]
        return [sign * (ours - theirs) for ours, theirs in drawn(metric, held.truth, said)]

    asked = [statistic(metric, held.truth, one) for one in (held.challenger, champion)]

    def worse(weights: Any) -> float | None:
        ours, theirs = (one(weights) for one in asked)
        return None if ours is None or theirs is None else sign * (ours - theirs)

    return [resampled(worse, len(held.truth))]


def _floor(gate: MetricGate, asked: str, held: Held, level: float) -> Verdict:
    rows = len(held.truth)
    if rows < FEWEST:
        return _too_few(asked, rows)
    found = figure(gate.metric, held.truth, held.challenger)
    if found is None:
        return Verdict(asked, "unknown", f"{gate.metric} cannot be computed of these rows.", {"rows": rows})
    if gate.metric == "accuracy":
        low, high = share(int((held.challenger.predictions == held.truth).sum()), rows, level)
    else:
        low, high = interval(_figures(gate.metric, held), level, rows)
    evidence = {"rows": rows, "challenger": found, "low": low, "high": high, "level": level}
    state = within(low, high, least=gate.at_least, most=gate.at_most)
    said = f"{_figure(found)} on {rows:,} rows, between {_figure(low)} and {_figure(high)}"
    return Verdict(asked, state, f"{said}{'' if state != 'unknown' else ': too little to tell'}.", evidence)


def _figures(metric: str, held: Held, *, seed: int = 0) -> list[Floats]:
    """The challenger's figure in each of many draws of the rows."""
    if metric in HARD:
        return [one for (one,) in drawn(metric, held.truth, [held.challenger.predictions], seed=seed)]
    found = resampled(statistic(metric, held.truth, held.challenger), len(held.truth), seed=seed)
    # What is the same in every draw but for rounding (a ranking without a mistake, answers that are all as sure) is a
    # point, and tells nothing of what was not seen.
    there = found[np.isfinite(found)]
    return [found * np.nan if not len(there) or np.ptp(there) <= _ROUNDING * np.abs(there).max() else found]


# ---- other gates -----------------------------------------------------------------------------------------------------


def _of_flips(gate: FlipsGate, held: Held) -> Verdict:
    asked = f"flips at most {_percent(gate.flips.at_most)}"
    rows = len(held.truth)
    if held.champion is None:
        return Verdict(asked, "pass", "Nothing serves yet whose answers could change.")
    if rows < FEWEST:
        return _too_few(asked, rows)
    flipped = differ(held.challenger.predictions, held.champion.predictions)
    low, high = share(int(flipped.sum()), rows, held.level)
    state = within(low, high, most=gate.flips.at_most)
    # Where they fall: the value of an input of whose rows most are answered otherwise.
    most = [
        (float(flipped[values == value].mean()), f"{name} = {value}")
        for name, values in held.segments.items()
        for value in set(values.tolist())
        if int((values == value).sum()) >= FEWEST
    ]
    mean = float(flipped.mean())
    says = f"{_percent(mean)} of {rows:,} rows are answered otherwise"
    worst = max(most, default=None)
    if worst is not None and worst[0] > mean:
        says += f", most where {worst[1]} ({_percent(worst[0])})"
    return Verdict(asked, state, f"{says}.", {"rows": rows, "share": mean, "low": low, "high": high})


def differ(ours: Any, theirs: Any) -> Any:
    """Which answers are others: of numbers those that are more than a hundredth apart."""
    if ours.dtype.kind == "f":
        return ~np.isclose(ours, theirs, rtol=0.01)
    return ours != theirs


def _of_fairness(gate: FairnessGate, held: Held) -> Verdict:
    asked = f"{gate.metric} of the values of {gate.fairness} at most {gate.gap:g} apart"
    values = held.segments.get(gate.fairness)
    parts = {} if values is None else {one: held.where(values == one) for one in sorted(set(values.tolist()), key=str)}
    found = {one: figure(gate.metric, some.truth, some.challenger) for one, some in parts.items()}
    few = [one for one, some in parts.items() if len(some.truth) < FEWEST or found[one] is None]
    if len(parts) < 2 or few:
        which = f"; {', '.join(map(str, few[:3]))} has not" if few else ""
        says = f"{gate.fairness!r} is to have two values or more, {FEWEST} rows and a figure of each{which}."
        return Verdict(asked, "unknown", says)
    draws = {one: _figures(gate.metric, some, seed=place) for place, (one, some) in enumerate(parts.items())}
    fewest = min(len(some.truth) for some in parts.values())
    gaps = [
        [ours - theirs for ours, theirs in zip(draws[one], draws[other], strict=True)]
        for one, other in permutations(draws, 2)
    ]
    # All of them have to be near, and one that is not is enough: only the latter has many chances.
    high = float(np.max([interval(gap, held.level, fewest)[1] for gap in gaps]))
    low = float(np.max([interval(gap, held.level / len(gaps), fewest)[0] for gap in gaps]))
    figures = {one: value for one, value in found.items() if value is not None}
    best, worst = max(figures, key=figures.__getitem__), min(figures, key=figures.__getitem__)
    says = f"{_figure(figures[best])} where {best}, {_figure(figures[worst])} where {worst}"
    says = f"{says}: {figures[best] - figures[worst]:.3g} apart."
    return Verdict(asked, within(low, high, most=gate.gap), says, {"low": low, "high": high})


def _baseline(held: Held, facts: Facts) -> Verdict:
    del facts
    asked = "beats_baseline"
    rows = len(held.truth)
    if rows < FEWEST:
        return _too_few(asked, rows)
    if held.challenger.predictions.dtype.kind == "f":
        worse = np.abs(held.challenger.predictions - held.truth) - np.abs(held.baseline - held.truth)
    else:
        worse = (held.challenger.predictions != held.truth) * 1.0 - (held.baseline != held.truth) * 1.0
    state, evidence = difference(worse, 0.0, held.level)
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
    low, high = share(int(right.sum()), len(right), held.level)
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


def _too_few(asked: str, rows: int) -> Verdict:
    return Verdict(asked, "unknown", f"{rows} rows are too few to tell; {FEWEST} are the fewest.", {"rows": rows})


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
