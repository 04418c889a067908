"""What gates cost: each kind on so many held-out rows, beside training one model on as many.

Usage: python bench/renew/gates.py [--rows 1000 10000 100000]

Two models of a class that is there in three of ten rows, the challenger a little better. The report goes to stdout.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from shelflife import plan
from shelflife.models import Answers
from shelflife.renew.gates import Facts, Held, judge
from shelflife.testing import plans

GATES: list[Any] = [
    *({"metric": metric, "not_worse_by": 0.02} for metric in ("accuracy", "f1", "log_loss")),
    *({"metric": metric, "not_worse_by": 0.02} for metric in ("roc_auc", "average_precision", "calibration_error")),
    {"metric": "roc_auc", "at_least": 0.7}, {"metric": "brier", "at_most": 0.3}, "calibrated",
    {"flips": {"at_most": 0.2}}, {"fairness": "channel", "metric": "roc_auc", "gap": 0.05},
]  # fmt: skip


def held(rows: int) -> Held:
    draw = np.random.default_rng(rows)
    true = draw.random(rows) < 0.3
    said = []
    for noise in (1.0, 1.1):
        chance = 1 / (1 + np.exp(-(2 * true - 1 + noise * draw.normal(size=rows))))
        answers = np.where(chance > 0.5, "b", "a").astype(object)
        said.append(Answers(answers, np.column_stack([1 - chance, chance]), ("a", "b")))
    channel = np.where(draw.random(rows) < 0.5, "web", "mail").astype(object)
    truth = np.where(true, "b", "a").astype(object)
    return Held(truth, *said, np.full(rows, "a", dtype=object), {"channel": channel})


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    rows = parser.parse_args().rows
    print(f"| seconds, {', '.join(f'{one:,}' for one in rows)} rows |" + " |" * len(rows))
    print("| --- |" + " --- |" * len(rows))
    draw = np.random.default_rng(0)
    took = []
    for one in rows:
        x, y = draw.normal(size=(one, 10)), draw.random(one) < 0.3
        took.append(seconds(lambda x=x, y=y: HistGradientBoostingClassifier().fit(x, y)))
    print("| training one model |" + "".join(f" {one:.2f} |" for one in took))
    for gate in GATES:
        raw = json.loads(plans.text())
        asked = plan.parse(json.dumps({**raw, "renew": {"gates": [gate]}})).plan
        took = []
        for one in rows:
            some = held(one)
            took.append(seconds(lambda asked=asked, some=some: judge(asked, some, Facts())))
        print(f"| `{gate if isinstance(gate, str) else json.dumps(gate)}` |" + "".join(f" {one:.2f} |" for one in took))


if __name__ == "__main__":
    main()
