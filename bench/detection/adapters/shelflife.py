"""Shelflife: one `check` of the whole current part against the reference, with the budget that the bench equalises to.

The score is the course of the evidence (log10, before its reset), so that the comparer can set another threshold. That
is exact up to the first alarm at the library's own threshold, which is all that is compared. The library leaves alone
what moves less than a tolerance, on purpose; since the peers have none, a small tolerance is measured too.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from streams import CATEGORIES, joined

import shelflife

BUDGET = "1/180d"
METHODS = {"check": {}, "check, tolerance 0.01": {"tolerance": 0.01}}


def watch(history, changes):
    reference = _arrow(history.reference())
    before = history.before()
    for change in changes:
        current = joined(before, history.after(change))
        buckets = len(np.unique(current["ts"]))
        yield change, {method: _course(reference, _arrow(current), buckets, **o) for method, o in METHODS.items()}


def _course(reference, current, buckets, **options):
    found = shelflife.check(
        reference,
        current,
        time="ts",
        prediction="prediction",
        score="score",
        outcome="outcome",
        bucket="1d",
        false_alarms=BUDGET,
        **options,
    )
    scores = np.array(found.evidence.log10, dtype=float)
    assert len(scores) == buckets, "one value of evidence for each bucket"
    alarms = np.flatnonzero(scores >= found.evidence.alarm)  # findings name a column's first alarm only
    return {"scores": np.maximum(scores, -99).tolist(), "alarms": alarms.tolist()}


def _arrow(table):
    return pa.table({name: pa.array(v, pa.string()) if name in CATEGORIES else v for name, v in table.items()})
