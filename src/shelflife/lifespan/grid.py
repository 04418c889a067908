"""When models are born and which rows they learn from and are scored on: slices of time as ranges of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelflife import durations
from shelflife.errors import BadInput, NotEnoughHistory
from shelflife.look.words import days as in_words
from shelflife.look.words import plural

Ints = NDArray[np.int64]

LEAST_TRAINING_ROWS = 20
LEAST_ORIGINS = 3
_SLICES = 120  # aimed at when `every` is not given: fine enough to date an end, few enough to train quickly
_MOST_SLICES = 2_000
_ROWS_A_SLICE = 20


@dataclass(frozen=True)
class Grid:
    """A history cut into slices of `every` microseconds, with a fresh model at the start of each.

    Attributes
    ----------
    births
        Shape (slices,); the moment each slice starts and its fresh model is born, in microseconds.
    training, scoring
        Shape (slices, 2); half-open ranges of rows: what is known when the model is born, and the slice's own rows.
    usable
        Shape (slices,); whether the slice has rows to score and its model enough to learn from.
    origins
        The slices whose models are watched as they age, ascending.
    ages
        For each origin, the largest age, in slices, at which it is scored.
    every, window, end
        Microseconds; `window` is None where everything known is learnt from.
    """

    births: Ints
    training: Ints
    scoring: Ints
    usable: NDArray[np.bool_]
    origins: Ints
    ages: Ints
    every: int
    window: int | None
    end: int

    def last_row(self, origin: int) -> int:
        """The row behind the last that the origin at that place of `origins` is scored on."""
        return int(self.scoring[self.origins[origin] + self.ages[origin], 1])


def cut(
    times: Ints,
    *,
    every: int | None,
    window: int | None,
    everything: bool,
    delay: int,
    origins: int,
    max_age: int | None,
) -> Grid:
    """Cut a history into slices.

    Parameters
    ----------
    times
        Ascending, in microseconds.
    every, window
        Microseconds, or None to choose by the length of the history; `everything` learns from all that is known.
    delay
        How long an outcome takes to be known: rows younger than this are not learnt from.
    origins
        How many models to watch, spread evenly over the births.
    max_age
        Longest age to watch, in microseconds.

    Raises
    ------
    NotEnoughHistory
        Where fewer than three models could be watched; the message says how much history would do.
    """
    span = int(times[-1] - times[0])
    if window is None:
        window = next((r for r in reversed(durations.ROUND) if r <= span / 4), durations.MINUTE)
    if every is None:
        every = _suitable_every(span - window - delay, span, len(times))
    first = _floor(int(times[0]), every) + window + delay
    slices = (int(times[-1]) - first) // every + 1
    if slices > _MOST_SLICES:
        raise BadInput(
            f"Slices of {in_words(durations.days(every))} cut this history into {slices:,}, a model each; at most"
            f" {_MOST_SLICES:,} are trained. Choose a longer --every."
        )
    if slices < LEAST_ORIGINS + 1:
        raise _too_short(span, window, delay, every)
    births = first + every * np.arange(slices, dtype=np.int64)
    scoring = np.stack([np.searchsorted(times, births), np.searchsorted(times, births + every)], axis=1)
    known = np.searchsorted(times, births - delay)
    since = np.zeros_like(known) if everything else np.searchsorted(times, births - delay - window)
    training = np.stack([since, known], axis=1)
    usable = (known - since >= LEAST_TRAINING_ROWS) & (scoring[:, 1] > scoring[:, 0])
    watched, ages = _watched(usable, origins, max_age, every)
    if len(watched) < LEAST_ORIGINS:
        raise _too_short(span, window, delay, every)
    return Grid(births, training, scoring, usable, watched, ages, every, None if everything else window, int(times[-1]))


def _suitable_every(ahead: int, span: int, rows: int) -> int:
    least = max(ahead / _SLICES, _ROWS_A_SLICE * span / rows)
    found = next((r for r in durations.ROUND if r >= least), durations.ROUND[-1])
    # A short or sparse history still gets enough slices to see ageing at all.
    return min(found, max(durations.MINUTE, _round_down(ahead / 8)))


def _round_down(length: float) -> int:
    return next((r for r in reversed(durations.ROUND) if r <= length), durations.MINUTE)


def _floor(moment: int, every: int) -> int:
    unit = next(u for u in (durations.DAY, durations.HOUR, durations.MINUTE, 1) if every >= u)
    return moment - moment % unit


def _watched(usable: NDArray[np.bool_], origins: int, max_age: int | None, every: int) -> tuple[Ints, Ints]:
    possible = np.flatnonzero(usable)
    if len(possible) < LEAST_ORIGINS + 1:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    last = possible[-1]
    possible = possible[:-1]  # the last slice's model has no older age to be seen at
    chosen = possible[np.unique(np.round(np.linspace(0, len(possible) - 1, origins)).astype(np.int64))]
    ages = last - chosen
    if max_age is not None:
        ages = np.minimum(ages, max(1, max_age // every))
    return chosen, ages


def _too_short(span: int, window: int, delay: int, every: int) -> NotEnoughHistory:
    need = window + delay + (LEAST_ORIGINS + 1) * every
    window_words, every_words = in_words(durations.days(window)), in_words(durations.days(every))
    return NotEnoughHistory(
        f"The history is too short: it spans {in_words(durations.days(span))}. Learning from {window_words} and"
        f" watching at least {LEAST_ORIGINS + 1} slices of {every_words} asks for {in_words(durations.days(need))} with"
        f" at least {LEAST_TRAINING_ROWS} rows to learn from. Give a longer history, or a shorter --window or --every."
    )


def too_few_rows(rows: int, source: str, target: str) -> NotEnoughHistory:
    """The error for a table with hardly any rows."""
    return NotEnoughHistory(
        f"The history is too short: {source} has {plural(rows, 'usable row')} with {target!r}. Each model alone learns"
        f" from at least {LEAST_TRAINING_ROWS}; a few hundred rows over {LEAST_ORIGINS + 1} slices of time would do."
    )
