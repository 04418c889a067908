"""The options of one check, read and checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shelflife import durations
from shelflife.check import seasons
from shelflife.check.result import FalseAlarms
from shelflife.errors import BadInput
from shelflife.look import words
from shelflife.profile.layout import Layout
from shelflife.profile.residual import Residual

# Without a time column one fixed question is asked, at this level.
LEVEL = 0.01


@dataclass(frozen=True)
class Asked:
    """The options of one check, read and checked."""

    time: str | None
    prediction: str | None
    score: tuple[str, ...]
    outcome: str | None
    text: tuple[str, ...]
    id: str | None
    segments: tuple[str, ...]
    exclude: tuple[str, ...]
    bucket: str | None
    season: str
    tolerance: float
    false_alarms: FalseAlarms | None
    kinds: Mapping[str, str]
    task: Any
    audit: int

    def reference_options(self) -> dict[str, Any]:
        """What a reference is learnt with."""
        exclude = [*self.exclude, *([self.id] if self.id else [])]
        return {
            "time": self.time, "bucket": self.bucket or "1d", "prediction": self.prediction, "score": self.score,
            "outcome": self.outcome, "segments": self.segments, "exclude": exclude,
            "kinds": {**dict.fromkeys(self.text, "text"), **self.kinds}, "task": self.task,
        }  # fmt: skip

    def budget(self, bucket: int | None) -> tuple[FalseAlarms, float]:
        """The budget of false alarms, and the evidence that an alarm needs."""
        if bucket is None:
            found = self.false_alarms or FalseAlarms(LEVEL, None)
            if found.per_days is not None:
                raise BadInput("--false-alarms over days needs a time column: name it with --time, or give a level.")
            return found, 1.0 / found.at_most
        found = self.false_alarms or FalseAlarms(1.0, 180.0)
        if found.per_days is None:
            raise BadInput(
                f"--false-alarms asks, with a time column, for a number over a duration, as 1/180d; found"
                f" {found.at_most:g}."
            )
        threshold = found.per_days / durations.days(bucket) / found.at_most
        if threshold <= 1.0:
            raise BadInput(
                f"--false-alarms of {found.at_most:g} in {words.days(found.per_days)} allows one in every bucket of"
                f" {words.days(durations.days(bucket))}; ask for fewer, or for a shorter --bucket."
            )
        return found, threshold


def read(
    *, time: str | None, prediction: str | None, score: Sequence[str] | str, outcome: str | None,
    text: Sequence[str] | str, id: str | None, segments: Sequence[str] | str, exclude: Sequence[str] | str,  # noqa: A002
    bucket: str | None, season: str, tolerance: float | str, false_alarms: str | float | None,
    kinds: Mapping[str, str] | None, task: Any, audit: Any,
) -> Asked:  # fmt: skip
    """Check every option of `shelflife.check` by itself; raises `BadInput` naming the option."""
    share = _number(str(tolerance).removesuffix("%")) / (100 if str(tolerance).endswith("%") else 1)
    if not 0 < share < 1:
        raise BadInput(f"--tolerance asks for a share between 0 and 1, as 0.05 or 5%; found {tolerance!r}.")
    texts = {
        "time": time, "prediction": prediction, "outcome": outcome, "id": id, "bucket": bucket, "season": season,
        "task": task,
    }  # fmt: skip
    for option, given in texts.items():
        if not isinstance(given, str | None):
            raise BadInput(f"--{option} asks for text; found {given!r}.")
    for option, several in {"score": score, "text": text, "segments": segments, "exclude": exclude}.items():
        if not isinstance(several, str) and not all(isinstance(name, str) for name in several):
            raise BadInput(f"--{option} asks for names of columns; found {several!r}.")
    if not isinstance(audit, int) or audit < 0:
        raise BadInput(f"--audit asks for yes or no, or how often to shuffle; found {audit!r}.")
    if season not in seasons.SEASONS:
        seasons.check(season, None)
    return Asked(
        time, prediction, names(score), outcome, names(text), id, names(segments), names(exclude), bucket, season,
        share, _false_alarms(false_alarms), dict(kinds or {}), task, 40 if audit is True else int(audit),
    )  # fmt: skip


def of_reference(options: dict[str, Any]) -> Asked:
    """What a reference was asked to be counted with, and nothing else."""
    plain = {**dict.fromkeys(("id", "false_alarms")), "text": (), "season": "none", "tolerance": 0.05, "audit": False}
    return read(**{**plain, **options})


def agree(layout: Layout, asked: Asked) -> None:
    """Raise `BadInput` where an option says otherwise than a reference that was counted before."""
    part = layout.outcome
    counted = {
        "time": layout.time,
        "prediction": getattr(part, "prediction", None),
        "outcome": getattr(part, "outcome", None),
        "score": getattr(part, "scores", ()),
        "segments": tuple(dict.fromkeys(segment.column for segment in layout.segments)),
    }
    for option, found in counted.items():
        given = getattr(asked, option)
        if given and given != found:
            has = f"{option} {_named(found)}" if found else f"no {option}"
            raise BadInput(
                f"The reference was counted before, with {has}; found --{option} {_named(given)}. Leave the option out,"
                " or count the reference anew with it."
            )
    length = None if asked.bucket is None else durations.parse(asked.bucket, option="--bucket")
    if length is not None and layout.bucket is not None and length != layout.bucket:
        has = words.days(durations.days(layout.bucket))
        raise BadInput(
            f"The reference was counted before, in buckets of {has}; found --bucket {asked.bucket}. Leave the"
            " option out, or count the reference anew with it."
        )
    task = "regression" if isinstance(part, Residual) else "classification"
    if asked.task is not None and part is not None and asked.task != task:
        raise BadInput(f"The reference was counted before, as a {task}; found --task {asked.task}.")
    kinds = {other.name: other.kind for other in layout.parts}
    for column in (*asked.exclude, *([asked.id] if asked.id else [])):
        if column in kinds:
            raise BadInput(
                f"The reference was counted before, with the column {column!r}, which --exclude or --id leaves out."
                " Count the reference anew without it."
            )
    for column, kind in {**dict.fromkeys(asked.text, "text"), **asked.kinds}.items():
        if kinds.get(column) != kind:
            has = f"{column!r} as {kinds[column]}" if column in kinds else f"no column {column!r}"
            raise BadInput(
                f"The reference was counted before, with {has}; found {kind}. Count the reference anew to change it."
            )


def _named(names: Any) -> str:
    return repr(names) if isinstance(names, str) else ", ".join(repr(name) for name in names)


def _number(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        return float("nan")


def names(given: Sequence[str] | str | None) -> tuple[str, ...]:
    """Names from a list, or from text with commas.

    >>> names("a, b"), names(["a,b"]), names(None)
    (('a', 'b'), ('a,b',), ())
    """
    if given is None:
        return ()
    if isinstance(given, str):
        return tuple(name.strip() for name in given.split(",") if name.strip())
    return tuple(given)


def _false_alarms(written: str | float | None) -> FalseAlarms | None:
    if written is None:
        return None
    count, over, duration = str(written).partition("/")
    try:
        at_most = float(count)
    except ValueError:
        at_most = float("nan")
    if not (np.isfinite(at_most) and at_most > 0) or (not over and at_most >= 1):
        raise BadInput(
            f"--false-alarms asks for a number over a duration, as 1/180d, or without a time column for a level between"
            f" 0 and 1, as 0.01; found {written!r}."
        )
    if not over:
        return FalseAlarms(at_most, None)
    days = durations.days(durations.parse(duration, option="--false-alarms"))
    if days <= 0:
        raise BadInput(f"--false-alarms asks for a number over a duration, as 1/180d; found {written!r}.")
    return FalseAlarms(at_most, days)
