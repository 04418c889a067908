"""One task of one tool, in its own environment: `python tasks.py TASK REFERENCE CURRENT` prints seconds as JSON.

`import` is what the first line of a program costs, `read` is Parquet to the form the tool asks for, `work` the rest.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import warnings

CHUNKS = 20


def duckdb_floor(reference, current):  # noqa: ARG001 (all tasks are called alike)
    """Sum, least and greatest of every numeric column: what one pass over the current file costs at least."""
    yield "import"
    import duckdb

    yield "work"
    names = duckdb.sql(f"describe select * from '{current}'").fetchall()
    of = ", ".join(f"sum({n}), min({n}), max({n})" for n, kind, *_ in names if kind == "DOUBLE" and n != "score")
    duckdb.sql(f"select {of} from '{current}'").fetchall()


def evidently_preset(reference, current):
    """The data drift preset at its defaults, to its result as a dict, which is what a pipeline reads."""
    yield "import"
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    yield "read"
    frames = [pd.read_parquet(path) for path in (current, reference)]
    numeric, categories = _columns(frames[0])
    yield "work"
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categories)
    sets = [Dataset.from_pandas(frame[numeric + categories], data_definition=definition) for frame in frames]
    Report([DataDriftPreset()]).run(*sets).dict()


def nannyml_drift(reference, current):
    """Univariate drift at its default, Jensen-Shannon, on every column."""
    yield "import"
    import nannyml as nml
    import pandas as pd

    yield "read"
    past, now = (pd.read_parquet(path) for path in (reference, current))
    numeric, categories = _columns(past)
    yield "fit"
    names = {"column_names": numeric + categories, "treat_as_categorical": categories}
    calculator = nml.UnivariateDriftCalculator(**names, chunk_number=CHUNKS)
    calculator.fit(past)
    yield "work"
    calculator.calculate(now).to_df()


def nannyml_cbpe(reference, current):
    """Performance estimated without outcomes."""
    yield "import"
    import nannyml as nml
    import pandas as pd

    yield "read"
    past, now = (pd.read_parquet(path) for path in (reference, current))
    yield "fit"
    roles = {"y_pred_proba": "score", "y_pred": "prediction", "y_true": "outcome"}
    options = {"problem_type": "classification_binary", "metrics": ["roc_auc"], "chunk_number": CHUNKS}
    estimator = nml.CBPE(**roles, **options)
    estimator.fit(past)
    yield "work"
    estimator.estimate(now.drop(columns="outcome")).to_df()


def shelflife_count(reference, current):
    """The daily profile of the current file, with score and outcome, against a reference that was learnt before."""
    yield "import"
    import tempfile
    from pathlib import Path

    from shelflife import Reference, tables

    yield "fit"
    roles = {"time": "ts", "score": "score", "prediction": "prediction", "outcome": "outcome"}
    with tempfile.TemporaryDirectory() as folder:
        with tables.open_rows(reference, time="ts", folder=Path(folder)) as rows:
            learnt = Reference.learn(rows, **roles)
        yield "work"
        with tables.open_rows(current, time="ts", folder=Path(folder)) as rows:
            learnt.count(rows)


def _columns(frame):
    """The 50 numeric columns and the 10 categories; score, prediction and outcome are the model's."""
    numeric = [name for name in frame if name.startswith("n")]
    return numeric, [name for name in frame if name.startswith("c")]


def main(task, reference, current):
    """Run the task and print how long each of its steps took."""
    warnings.simplefilter("ignore")
    steps, seconds = globals()[task](reference, current), {}
    name, begun = "start", time.perf_counter()
    for step in itertools.chain(steps, [None]):
        now = time.perf_counter()
        seconds[name] = now - begun
        name, begun = step, now
    print(json.dumps({step: value for step, value in seconds.items() if step != "start"}))


if __name__ == "__main__":
    main(*sys.argv[1:])
