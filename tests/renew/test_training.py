"""A trainer gets its time and memory and no more, whatever it does; what it makes can be loaded again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pyarrow as pa
import pytest
from tests.renew.conftest import rows

from shelflife import models
from shelflife.errors import BadInput, TrainerFailed
from shelflife.renew.training import Job, train
from shelflife.testing import plans

LEARNERS = Path(__file__).with_name("learners.py")


@pytest.fixture
def at(tmp_path):
    """Where the trainer lives."""
    shutil.copy(LEARNERS, tmp_path / "learners.py")
    return tmp_path


def trained(at, name, table=None, plan=None, **given):
    plan = plan or plans.minimal(**{"model.train": f"learners:{name}" if name else None})
    return train(Job(plan, rows() if table is None else table, at / "job", at=at, **given))


def answer(made, table, plan=None):
    plan = plan or plans.minimal()
    model = models.load(made.artifact, plan, expected=models.digest(made.artifact))
    return model.answer(models.of_table(table, model.kinds))


@pytest.mark.parametrize("name", [None, "logistic", "boosted", "tabular"])
def test_a_model_is_loaded_again(at, name):
    made, new = trained(at, name), rows(300, seed=1)
    found = answer(made, new)
    assert made.record["format"] == "skops"
    assert np.mean(found.predictions == np.array(new["outcome"].to_pylist())) > 0.85
    assert found.classes == ("billing", "card")
    # And by MLflow itself, as anybody would.
    theirs = mlflow.sklearn.load_model(str(made.artifact))
    shares = theirs.predict_proba(models.of_table(new, plans.minimal().model.inputs))
    np.testing.assert_array_equal(shares, found.scores)


def test_texts_have_a_learner_of_their_own(at):
    plan = plans.minimal(**{"model.inputs": {"text": "text"}})
    table = rows().set_column(5, "outcome", pa.array([str(n % 3) for n in range(400)]))
    made = trained(at, None, table, plan)
    assert made.record["trainer"] == "TF-IDF and a linear model"
    assert (answer(made, table, plan).predictions == np.array(table["outcome"].to_pylist())).all()


def test_a_regression(at):
    plan = plans.minimal(**{
        "model.task": "regression", "model.score": None, "model.train": "learners:numbers",
        "watch.performance": {"metric": "mae", "at_most": 3.0},
    })  # fmt: skip
    table = rows(task="regression")
    found = answer(trained(at, None, table, plan), table, plan)
    assert np.corrcoef(found.predictions, table["outcome"].to_numpy())[0, 1] > 0.8


@pytest.mark.parametrize(
    ("words", "kind", "classes"),
    [(["0", "1"], "i", ("0", "1")), (["false", "true"], "b", ("false", "true")), (["01", "1"], "U", ("01", "1")),
     (["x", "1"], "U", ("1", "x"))],
)  # fmt: skip
def test_classes_are_what_they_were(at, words, kind, classes):
    table = rows(100).set_column(5, "outcome", pa.array([words[n % 2] for n in range(100)]))
    made = trained(at, "kinds", table)
    assert made.log.read_text().split() == ["asked", "with", "text,channel,age", kind]
    found = answer(made, table)
    assert found.classes == classes
    assert set(found.predictions) <= set(words)


def test_one_class(at):
    table = rows(50).set_column(5, "outcome", pa.array(["card"] * 50))
    assert set(answer(trained(at, "logistic", table), table).predictions) == {"card"}


def test_nothing_is_learnt_from_digests(at):
    plan = plans.minimal(**{"model.train": "learners:kinds", "model.private": ["text"]})
    assert "asked with channel,age U" in trained(at, None, plan=plan).log.read_text()


def test_the_record_tells_what_made_it(at):
    record = trained(at, "boosted", seed=7).record
    assert (record["seed"], record["rows"], record["trainer"]) == (7, 400, "learners:boosted")
    assert record["parameters"]["histgradientboostingclassifier__random_state"] == 7
    assert any(one.startswith("scikit-learn==") for one in record["requirements"])
    assert any(one.startswith("numpy==") for one in record["environment"]["packages"])
    assert record["libraries"]["numpy"] == np.__version__
    assert record["peak_mb"] > 50
    assert record["seconds"] >= 0
    assert record["code"] is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", r"learners:raises raised ValueError: no good on 400 rows\.\nThe last lines of its log:\nabout to"),
        ("leaves", r"learners:leaves raised SystemExit: 3 on 400 rows"),
        ("ends", r"learners:ends ended its process with status 0, and returned no model"),
        ("crashes", r"learners:crashes was ended by signal SIGABRT"),
        ("nothing", r"learners:nothing returned NoneType, which has no predict"),
        ("missing", r"model\.train learners:missing: module 'learners' has no 'missing'"),
        ("Mine", r"cannot be saved as skops: it holds learners\.Mine\. .*`model\.pickle: \[support-desk\]`"),
        ("opened", r"raised TypeError|cannot be saved as skops"),
    ],
)
def test_what_goes_wrong_is_told(at, name, says):
    with pytest.raises(TrainerFailed, match=says):
        trained(at, name)


def test_a_pickle_where_the_plan_allows_it(at):
    plan = plans.minimal(**{"model.train": "learners:Mine", "model.pickle": ["support-desk"]})
    made = trained(at, None, plan=plan)
    assert made.record["format"] == "pickle"
    with pytest.raises(models.Unloadable, match=r"allow it: `model\.pickle: \[support-desk\]`"):
        answer(made, rows())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a process may take")
def test_memory_ends(at):
    with pytest.raises(TrainerFailed, match=r"MemoryError.*It may take 1,000 MB beyond its libraries"):
        trained(at, "hungry", memory_mb=1000)


def test_time_ends_with_all_that_was_started(at):
    with pytest.raises(TrainerFailed, match=r"learners:sleeps was ended after 3 seconds: that is all the time it has"):
        trained(at, "sleeps", seconds=3)
    for number in map(int, (at / "started").read_text().split()):
        wait_until(lambda number=number: not alive(number))


def test_a_flood_is_cut(at):
    made = trained(at, "floods")
    said = made.log.read_bytes()
    assert len(said) < 14 << 20
    assert said.startswith(b"flood ")
    assert said.rstrip().endswith(b"learning from 400")


def test_rows_without_an_outcome_are_none(at):
    table = rows(40).set_column(5, "outcome", pa.array([None] * 40, pa.string()))
    with pytest.raises(BadInput, match="There are no rows to train on: none has an outcome"):
        trained(at, "logistic", table)


PROGRAM = """
import sys
from pathlib import Path
from tests.renew.conftest import rows
from shelflife.renew.training import Job, train
from shelflife.testing import plans
if __name__ == "__main__":
    at = Path(sys.argv[1])
    train(Job(plans.minimal(**{"model.train": "learners:sleeps"}), rows(), at / "job", at=at))
"""


def test_a_training_ends_with_who_asked_for_it(at, root):
    program = at / "asking.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen([sys.executable, str(program), str(at)], env={**os.environ, "PYTHONPATH": str(root)})
    wait_until((at / "started").exists)
    wait_until(lambda: (at / "started").read_text().endswith("\n"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    for number in map(int, (at / "started").read_text().split()):
        wait_until(lambda number=number: not alive(number))


def alive(number):
    """Whether a process runs; one that is over and not yet fetched does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(holds, seconds=60.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        os.sched_yield()
