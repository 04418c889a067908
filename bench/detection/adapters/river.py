"""river: ADWIN, Page-Hinkley and, if asked for, KSWIN, row by row.

The detectors are warmed on the reference and go on through the current part, with their own resets. Each point of a
grid of thresholds is a set of detectors of its own; a bucket's score is the strictest point that alarmed within it.

- ``ADWIN``, ``Page-Hinkley``: one detector for each column and one for the error. Categories are coded by their rank in
  the reference (unseen: after the last), and all is put in the reference's standard deviations, since one threshold is
  to serve all columns.
- ``ADWIN, error``, ``Page-Hinkley, error``: on the model's error alone, 0 or 1, as the tool's guide uses them.
- ``KSWIN``: the numeric columns, its window of 100 rows; some 400 microseconds a row, hence only on request.
"""

from __future__ import annotations

import copy
import math

import numpy as np
from river import drift
from streams import CATEGORIES, NUMERIC

# From lax to strict; the tool's default is among them. Page-Hinkley's grows with the variance of what it watches.
DELTAS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.0005, 0.0001)
DELTAS_ERROR = (0.9, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.002, 0.0005)
DEFAULT_DELTA = 0.002
STEPS = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0)
STEPS_ERROR = (20.0, 30.0, 50.0, 65.0, 80.0, 100.0, 120.0, 150.0, 200.0)
DEFAULT_STEP = 50.0
DEFAULT_ALPHA = 0.005


def watch(history, changes, kswin=False):
    reference = history.reference()
    coded = _coder(reference)
    sets = [
        _Set("ADWIN", _deltas(DELTAS), -math.log10(DEFAULT_DELTA), coded),
        _Set("ADWIN, error", _deltas(DELTAS_ERROR), -math.log10(DEFAULT_DELTA), _error),
        _Set("Page-Hinkley", _steps((DEFAULT_STEP, *STEPS)), DEFAULT_STEP, coded),
        _Set("Page-Hinkley, error", _steps(STEPS_ERROR), DEFAULT_STEP, _error),
    ]
    if kswin:
        sets.append(_Kswin(coded))
    for each in sets:
        each.run(reference, history.rows)
    before = history.before()
    early = {each.name: each.run(before, history.rows) for each in sets}
    for change in changes:
        after = history.after(change)
        methods = {}
        for each in sets:
            parts = early[each.name], copy.deepcopy(each).run(after, history.rows)
            scores, defaults = (np.concatenate(pair) for pair in zip(*parts, strict=True))
            methods[each.name] = {"scores": scores.tolist(), "alarms": np.flatnonzero(defaults).tolist()}
        yield change, methods


def _deltas(grid):
    return [(-math.log10(delta), drift.ADWIN(delta=delta)) for delta in grid]


def _steps(grid):
    return [(step, drift.PageHinkley(threshold=step)) for step in grid]


def _error(table):
    return {"error": (table["prediction"] != table["outcome"]).astype(float)}


def _coder(reference):
    """A function from a table to its columns as numbers, in standard deviations of the reference."""
    ranks = {}
    for name in CATEGORIES:
        values, counts = np.unique(reference[name].astype(str), return_counts=True)
        ranks[name] = {value: rank for rank, value in enumerate(values[np.argsort(-counts)])}

    def numbers(table):
        columns = {name: table[name].astype(float) for name in (*NUMERIC, "score", "prediction", "outcome")}
        for name, rank in ranks.items():
            columns[name] = np.array([rank.get(value, len(rank)) for value in table[name]], dtype=float)
        return columns | _error(table)

    scales = {name: (values.mean(), values.std()) for name, values in numbers(reference).items()}
    return lambda table: {name: (v - scales[name][0]) / scales[name][1] for name, v in numbers(table).items()}


class _Set:
    """One method's detectors: for every point of its grid, one for each stream."""

    def __init__(self, name, grid, default, streams):
        self.name, self.streams, self.fresh = name, streams, grid
        self.default = default
        self.detectors = {}

    def run(self, table, rows):
        """Each bucket's score, 0 if nothing alarmed in it, and whether the default setting alarmed."""
        columns = self.streams(table)
        buckets = len(table["ts"]) // rows
        scores, defaults = np.zeros(buckets), np.zeros(buckets, dtype=bool)
        for name, values in columns.items():
            numbers = values.tolist()
            if name not in self.detectors:
                self.detectors[name] = copy.deepcopy(self.fresh)
            for strict, detector in self.detectors[name]:
                for row in _alarms(detector, numbers):
                    bucket = row // rows
                    scores[bucket] = max(scores[bucket], strict)
                    defaults[bucket] |= strict == self.default
        return scores, defaults


def _alarms(detector, numbers):
    for row, number in enumerate(numbers):
        detector.update(number)
        if detector.drift_detected:
            yield row


class _Kswin:
    """KSWIN that never resets (alpha 0), so that one pass gives its p-value at every row."""

    name = "KSWIN"

    def __init__(self, streams):
        self.streams, self.detectors = streams, {}

    def run(self, table, rows):
        columns = {name: values for name, values in self.streams(table).items() if name in {*NUMERIC, "score"}}
        buckets = len(table["ts"]) // rows
        least = np.ones(buckets)
        for place, (name, values) in enumerate(columns.items()):
            first = 0
            if name not in self.detectors:  # the reference, of which it would forget all but the end
                self.detectors[name] = drift.KSWIN(alpha=0.0, seed=place)
                first = max(0, len(values) - 2 * self.detectors[name].window_size)
            detector = self.detectors[name]
            for row, number in enumerate(values[first:].tolist(), first):
                detector.update(number)
                if len(detector.window) == detector.window_size:
                    least[row // rows] = min(least[row // rows], detector.p_value)
        return -np.log10(np.maximum(least, 1e-300)), least <= DEFAULT_ALPHA
