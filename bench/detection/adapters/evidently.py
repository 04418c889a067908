"""Evidently: its data drift preset, each bucket against the whole reference.

The scores come from the tests that the preset itself picks and calls, without the histograms that it draws besides;
on the first bucket of a process's first history they are held against the preset's own answer.

- ``any column``: the largest ratio of a column's drift score to the tool's threshold; at 1, the preset marks a column.
- ``dataset``: the ratio that half of the columns reach; at 1, the preset declares dataset drift.
- ``any column, tests``: the p-values that it uses for small references (KS, chi-squared), as −log10 of the least.
- ``accuracy``: its accuracy metric's test against the reference, in units of its default of ±20 %. Sees outcomes only.
"""

from __future__ import annotations

import math

import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import get_stattest
from evidently.metrics import Accuracy
from evidently.presets import DataDriftPreset
from streams import CATEGORIES, NUMERIC

KINDS = dict.fromkeys((*NUMERIC, "score"), "num") | dict.fromkeys((*CATEGORIES, "prediction", "outcome"), "cat")
SHARE = 0.5  # the preset's default: dataset drift is half of the columns
LEVEL = 0.05  # the tool's default of its tests
TOLERANCE = 0.2  # the tool's default of a quality metric's test against the reference, relative
_checked: list[bool] = []  # whether the scores have been held against the tool's report


def watch(history, changes):
    reference = pd.DataFrame(history.reference())
    before = pd.DataFrame(history.before())
    if not _checked:
        _agree(reference, before.iloc[: history.rows])
    early = [_bucket(reference, part) for part in _parts(before, history.rows)]
    for change in changes:
        late = [_bucket(reference, part) for part in _parts(pd.DataFrame(history.after(change)), history.rows)]
        yield change, _courses(early + late)


def _parts(table, rows):
    return (table.iloc[first : first + rows] for first in range(0, len(table), rows))


def _ratios(reference, part):
    """Each column's drift score by the test that the tool picks, in units of the tool's threshold."""
    ratios = {}
    for name, kind in KINDS.items():
        test = get_stattest(reference[name], part[name], kind, None)
        result = test(reference[name], part[name], kind, None)
        ratios[name] = result.drift_score / result.actual_threshold
    return ratios


def _least_p(reference, part):
    """The least p-value of the tests that the tool picks itself for a reference of at most 1,000 rows."""
    least = 1.0
    for name, kind in KINDS.items():
        test = get_stattest(reference[name], part[name], kind, "ks" if kind == "num" else "chisquare")
        least = min(least, test(reference[name], part[name], kind, None).drift_score)
    return least


def _bucket(reference, part):
    """Score and the tool's own alarm of each method for one bucket."""
    ranked = sorted(_ratios(reference, part).values(), reverse=True)
    half = ranked[math.ceil(SHARE * len(ranked)) - 1]
    least = _least_p(reference, part)
    off = abs(_accuracy(part) / _accuracy(reference) - 1) / TOLERANCE
    return {
        "any column": (ranked[0], ranked[0] >= 1),
        "dataset": (half, half >= 1),
        "any column, tests": (-math.log10(max(least, 1e-300)), least < LEVEL),
        "accuracy": (off, off > 1),
    }


def _accuracy(table):
    return (table["prediction"] == table["outcome"]).mean()


def _agree(reference, part):
    """Stop if what is computed here is not what the tool's own report says."""
    definition = DataDefinition(
        numerical_columns=[name for name, kind in KINDS.items() if kind == "num"],
        categorical_columns=[name for name, kind in KINDS.items() if kind == "cat"],
        classification=[BinaryClassification(target="outcome", prediction_labels="prediction")],
    )
    sets = [Dataset.from_pandas(table[list(KINDS)], data_definition=definition) for table in (part, reference)]
    metrics = Report([DataDriftPreset(), Accuracy()]).run(*sets).dict()["metrics"]
    drift = {m["config"]["column"]: m for m in metrics if "ValueDrift" in m["metric_name"]}
    for name, ratio in _ratios(reference, part).items():
        theirs = drift[name]["value"] / drift[name]["config"]["threshold"]
        assert math.isclose(theirs, ratio, rel_tol=1e-9), (name, theirs, ratio)
    (accuracy,) = (m["value"] for m in metrics if m["metric_name"].startswith("Accuracy"))
    assert math.isclose(accuracy, _accuracy(part), rel_tol=1e-9), (accuracy, _accuracy(part))
    _checked.append(True)


def _courses(buckets):
    courses = {}
    for method in buckets[0]:
        scores = [float(bucket[method][0]) for bucket in buckets]
        alarms = [place for place, bucket in enumerate(buckets) if bucket[method][1]]
        courses[method] = {"scores": scores, "alarms": alarms}
    return courses
