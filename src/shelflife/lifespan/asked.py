"""The options of one run, read and checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import numpy as np

from shelflife import durations
from shelflife.errors import BadInput
from shelflife.lifespan.ageing import METRICS
from shelflife.lifespan.grid import LEAST_ORIGINS
from shelflife.lifespan.pairs import Tolerance
from shelflife.lifespan.result import Task


@dataclass(frozen=True)
class Asked:
    """The options of one run, read and checked."""

    time: str
    target: str
    task: Task | None
    features: tuple[str, ...] | None
    drop: tuple[str, ...]
    model: Any
    every: int | None
    window: int | None
    everything: bool
    origins: int
    max_age: int | None
    tolerance: float | None
    relative: float | None
    confidence: float
    delay: int
    metric: str | None
    seed: int
    costs: tuple[float, float] | None
    rows_per_day: float | None

    def promise(self, task: Task) -> Tolerance:
        """How much worse than fresh is acceptable: as asked, else 2 points of error or 10 % of the fresh loss."""
        if self.tolerance is None and self.relative is None:
            return Tolerance(0.02, 0.0) if task == "classification" else Tolerance(0.0, 0.1)
        return Tolerance(self.tolerance or 0.0, self.relative or 0.0)

    def limit(self, task: Task, fresh_loss: float) -> float:
        """That tolerance in units of the metric."""
        promise = self.promise(task)
        return promise.absolute + promise.relative * fresh_loss


def read(
    time: str, target: str, task: Task | None, features: Sequence[str] | None, drop: Sequence[str], model: Any,
    every: Any, window: Any, origins: Any, max_age: Any, tolerance: float | str | None, confidence: float,
    label_delay: Any, metric: str | None, seed: Any, cost_per_error: float | None, cost_per_renewal: float | None,
    rows_per_day: float | None,
) -> Asked:  # fmt: skip
    """Check every option of `shelflife.lifespan` by itself; raises `BadInput` naming the option."""
    if task not in (None, *METRICS):
        raise BadInput(f"--task asks for classification or regression; found {task!r}.")
    if not 0.5 <= confidence < 1:
        raise BadInput(f"--confidence asks for a number from 0.5 to below 1; found {confidence!r}.")
    if not isinstance(origins, int) or origins < LEAST_ORIGINS:
        raise BadInput(f"--origins asks for at least {LEAST_ORIGINS} models to watch; found {origins!r}.")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise BadInput(f"--seed asks for a whole number from 0 to 2**32 - 1; found {seed!r}.")
    if (cost_per_error is None) != (cost_per_renewal is None):
        raise BadInput("--cost-per-error and --cost-per-renewal are needed together to compare cadences.")
    numbers = {"cost-per-error": cost_per_error, "cost-per-renewal": cost_per_renewal, "rows-per-day": rows_per_day}
    for option, value in numbers.items():
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise BadInput(f"--{option} asks for a number of at least 0; found {value!r}.")
    everything = window == "all"
    absolute, relative = _read_tolerance(tolerance)
    return Asked(
        time=time,
        target=target,
        task=task,
        features=None if features is None else _names(features),
        drop=_names(drop),
        model=model,
        every=_positive(every, "--every"),
        window=None if everything else _positive(window, "--window"),
        everything=everything,
        origins=origins,
        max_age=_positive(max_age, "--max-age"),
        tolerance=absolute,
        relative=relative,
        confidence=confidence,
        delay=durations.parse(label_delay, option="--label-delay"),
        metric=metric,
        seed=seed,
        costs=None if cost_per_error is None else (cost_per_error, cast(float, cost_per_renewal)),
        rows_per_day=rows_per_day,
    )


def _names(given: Sequence[str]) -> tuple[str, ...]:
    # A lone name is a sequence of letters, which nobody means.
    return (given,) if isinstance(given, str) else tuple(given)


def _positive(written: str | timedelta | None, option: str) -> int | None:
    if written is None:
        return None
    found = durations.parse(written, option=option)
    if found < durations.MINUTE:
        raise BadInput(f"{option} asks for at least a minute; found {written!r}.")
    return found


def _read_tolerance(written: float | str | None) -> tuple[float | None, float | None]:
    if written is None:
        return None, None
    text = str(written).strip()
    try:
        found = float(text.removesuffix("%"))
    except ValueError:
        found = float("nan")
    if not (np.isfinite(found) and found >= 0):
        raise BadInput(f"--tolerance asks for a number such as 0.02, or a share such as 10%; found {written!r}.")
    return (None, found / 100) if text.endswith("%") else (found, None)
