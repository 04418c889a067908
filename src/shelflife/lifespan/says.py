"""The answer in sentences that a person could say aloud, most important first. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shelflife.lifespan.result import Answer, Baseline, Control, CurvePoint, Data, Event
from shelflife.look import words

_BASELINES = {
    "majority class": "always saying the commonest class",
    "mean": "always saying the mean",
    "last known outcome": "repeating the last known outcome",
    "same time a day before": "repeating the outcome of the same time a day before",
    "same time a week before": "repeating the outcome of the same time a week before",
    "same time a year before": "repeating the outcome of the same time a year before",
}


def answer(
    data: Data, found: Answer, baseline: Baseline, curve: list[CurvePoint], origins: int, events: list[Event]
) -> str:
    """The whole answer: the simplest rival first where it wins, then how long models last, then how we know."""
    sentences = []
    if not baseline.beaten:
        sentences.append(_rival(data, baseline))
    sentences.append(life(data, found, curve, origins))
    sentences.extend(_event(data, event, found.expired) for event in events[:1])
    return " ".join(sentences)


def _rival(data: Data, baseline: Baseline) -> str:
    said = _BASELINES[baseline.name]
    said = said[0].upper() + said[1:]
    if data.metric == "error":
        return (
            f"{said} is right {words.share(1 - baseline.loss)} of the time, the model only"
            f" {words.share(1 - baseline.model_loss)}: as it stands, the model adds nothing."
        )
    return (
        f"{said} is off by {words.number(baseline.loss)} on average ({_metric(data)}), the model by"
        f" {words.number(baseline.model_loss)}: as it stands, the model adds nothing."
    )


def _metric(data: Data) -> str:
    return data.metric.replace("_", " ")


def limit(data: Data, found: Answer) -> str:
    """The tolerance in words, as in *2 points*, or *10 % (4.1)*."""
    absolute = words.excess(found.tolerance, data.task)
    if found.tolerance_relative is None:
        return absolute
    return f"{words.share(found.tolerance_relative)} ({absolute})"


def life(data: Data, found: Answer, curve: Sequence[CurvePoint], origins: int) -> str:
    """How long models last, in a sentence or two."""
    model = f"Models of {data.target}"
    worse = f"more than {limit(data, found)} worse than a fresh one" if found.tolerance else "worse than a fresh one"
    watched = words.days(found.watched_days)
    if found.verdict == "unknown":
        return f"How long {model[0].lower()}{model[1:]} last is unknown: too few rows were watched to tell."
    if found.verdict == "no expiry seen":
        some = ""
        if found.expired:
            some = f" ({found.expired} of {origins} seemed to for a while, no more than chance may do)"
        return (
            f"No expiry seen in {watched}: nothing shows that {model[0].lower()}{model[1:]} become {worse}{some}."
            f" At the age of {words.days(curve[-1].age_days)} they cost {_cost(data, curve[-1])}"
            f"{', on too few rows to go by' if curve[-1].excess > found.tolerance else ''}."
        )
    if found.median_days is None:
        return (
            f"Some {model[0].lower()}{model[1:]} expire: {found.expired} of {origins} became {worse} within the"
            f" {watched} watched; half of them had not."
        )
    interval = ""
    if found.low_days or found.high_days:
        interval = f" ({words.share(found.confidence)} interval {words.between(found.low_days, found.high_days)})"
    return f"{model} last about {words.days(found.median_days)}: by then half of them are {worse}{interval}."


def _cost(data: Data, point: CurvePoint) -> str:
    if point.excess <= 0:
        return "no more than fresh ones"
    return f"{words.excess(point.excess, data.task)} more than fresh ones"


def _event(data: Data, event: Event, expired: int) -> str:
    return (
        f"{event.origins} of the {expired} that ended did so together around"
        f" {words.moment(event.at, data.every_days)}, whatever their age: something happened then."
    )


def made_of(windows: str, every_days: float, origins: int) -> str:
    """What was done, in a sentence."""
    return (
        f"A fresh model was trained {words.every(every_days)} on {windows}; {origins} of them were kept and scored"
        " on everything that came later, beside the model that was fresh then, on the same rows."
    )


def control(found: Control) -> str:
    """What the shuffled control showed, in a sentence."""
    if found.verdict == "expires":
        return (
            "Control failed: with the rows in random order of time nothing can age, and yet models expire."
            " Look for rows that belong together, and do not trust this answer."
        )
    return f"Control passed: with the rows in random order of time, {found.expired} of {found.origins} models expire."


def best_before(made_on: datetime, found: datetime | None, every_days: float) -> str:
    """The best-before date in a sentence."""
    if found is None:
        return "No best-before date is needed within the time watched."
    return f"A model made on {words.moment(made_on, every_days)} is best before {words.moment(found, every_days)}."
