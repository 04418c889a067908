"""NannyML: univariate drift, estimated performance (CBPE) and realised performance, each bucket a chunk.

Thresholds are the tool's: a number of standard deviations of the reference chunks from their mean, 3 by default. So a
score is that number, and the threshold it is held against is the knob that the tool's own user would turn.

- ``drift``: Jensen-Shannon on every column, the tool's default; the largest score of the columns.
- ``drift, KS + L-infinity``: Kolmogorov-Smirnov and L-infinity, which its guide to choosing names as alternatives. Its
  chi-squared takes no threshold, so it cannot be set to a false-alarm rate.
- ``CBPE``: performance estimated without outcomes: ROC AUC and accuracy.
- ``realised``: the same two from outcomes.
- ``all``: the first, the third and the fourth together.
"""

from __future__ import annotations

import os

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # before the import: telemetry is on by default

import nannyml as nml
import numpy as np
import pandas as pd
from streams import CATEGORIES, NUMERIC

LABELS = ["prediction", "outcome"]
COLUMNS = [*NUMERIC, "score", *CATEGORIES, *LABELS]
MULTIPLIER = 3.0  # the tool's default
METRICS = ["roc_auc", "accuracy"]


def watch(history, changes):
    reference = pd.DataFrame(history.reference())
    fitted = {}
    for method, (continuous, categorical) in {
        "drift": ("jensen_shannon", "jensen_shannon"),
        "drift, KS + L-infinity": ("kolmogorov_smirnov", "l_infinity"),
    }.items():
        fitted[method] = nml.UnivariateDriftCalculator(
            column_names=COLUMNS,
            treat_as_categorical=[*CATEGORIES, *LABELS],
            continuous_methods=[continuous],
            categorical_methods=[categorical],
            chunk_size=history.rows,
        )
    model = {"y_pred_proba": "score", "y_pred": "prediction", "y_true": "outcome", "chunk_size": history.rows}
    model |= {"problem_type": "classification_binary", "metrics": METRICS}
    fitted["CBPE"] = nml.CBPE(**model)
    fitted["realised"] = nml.PerformanceCalculator(**model)
    for calculator in fitted.values():
        calculator.fit(reference)

    early = _answers(fitted, history.before())
    for change in changes:
        late = _answers(fitted, history.after(change))
        yield change, {method: _course(early[method], late[method]) for method in early}


def _answers(fitted, table):
    """Per method: each bucket's score and whether the tool itself alerts."""
    frame = pd.DataFrame(table)
    answers = {}
    for method, calculator in fitted.items():
        ask = calculator.estimate if method == "CBPE" else calculator.calculate
        answers[method] = _scores(ask(frame).to_df())
    parts = [answers[method] for method in ("drift", "CBPE", "realised")]
    answers["all"] = [np.max([scores for scores, _ in parts], axis=0), np.any([alerts for _, alerts in parts], axis=0)]
    return answers


def _scores(found):
    """The largest of the columns' (or metrics') distances from the reference chunks' mean, in their deviations."""
    performance = found.columns.nlevels == 2  # may fall or rise; a distance only rises
    past = (found[("chunk", "period") if performance else ("chunk", "chunk", "period")] == "reference").to_numpy()
    scores, alerts = [], []
    for name in (name[:-1] for name in found.columns if name[-1] == "value"):
        values = found[(*name, "value")].to_numpy(float)
        # Estimated performance is held against what was realised in the reference.
        known = found[(*name, "realized")].to_numpy(float)[past] if (*name, "realized") in found else values[past]
        upper = found[(*name, "upper_threshold")].iloc[-1]
        if upper is not None and not np.isnan(upper):  # the tool cuts its limit at what the metric can reach
            limit = min(known.mean() + MULTIPLIER * known.std(), 1.0)
            assert np.isclose(upper, limit), (name, upper, limit)
        off = (values[~past] - known.mean()) / max(known.std(), 1e-12)
        scores.append(np.abs(off) if performance else off)
        alerts.append(found[(*name, "alert")].to_numpy(bool)[~past])
    return [np.max(scores, axis=0), np.any(alerts, axis=0)]


def _course(early, late):
    scores, alerts = (np.concatenate(pair) for pair in zip(early, late, strict=True))
    return {"scores": scores.tolist(), "alarms": np.flatnonzero(alerts).tolist()}
