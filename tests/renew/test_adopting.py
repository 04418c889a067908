"""Models that were made with plain MLflow come under a plan, where they fit it, load and answer."""

from __future__ import annotations

import json
import shutil

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from skrub import SelectCols
from tests.renew.conftest import DESK, rows, send
from typer.testing import CliRunner

from shelflife import models, plan
from shelflife.cli import app
from shelflife.errors import BadInput
from shelflife.models import Unloadable
from shelflife.renew import registry
from shelflife.renew.mlflows import Registry
from shelflife.routes import current
from shelflife.testing import plans

PICKLES = ["support-desk"]


def saved(folder, *, form="skops", columns=("age",), signature=True):
    """A model as somebody saves it who has never heard of us."""
    table = rows()
    x = pd.DataFrame({name: table[name].to_pylist() for name in ("text", "channel", "age")})
    x["weight"] = x["age"]
    fitted = make_pipeline(SelectCols(list(columns)), LogisticRegression()).fit(x, table["outcome"].to_pylist())
    trusted = ["skrub._select_cols.SelectCols"] if form == "skops" else None
    asks = infer_signature(x[list(columns)], np.array(["card"])) if signature else None
    given = {"pip_requirements": ["scikit-learn"], "skops_trusted_types": trusted, "signature": asks}
    mlflow.sklearn.save_model(fitted, str(folder), serialization_format=form, **given)
    return folder


class Always(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return ["card"] * len(model_input)


def adopt(system, source, *, champion=False):
    return system.versions.adopt(DESK, str(source), champion=champion, by="lead", because="it serves already")


def test_a_folder(system, tmp_path):
    send(system, rows())
    made = adopt(system, saved(tmp_path / "theirs"), champion=True)
    assert made.answered == 20
    assert (made.version.number, made.champion, made.first) == (1, True, True)
    assert made.notes == (f"{tmp_path / 'theirs'} is not asked with channel, text, which it does not know.",)
    with system.database.reading() as connection:
        assert current(connection)[DESK].champion == 1
    (pointer,) = system.versions.pointers(DESK)
    assert (pointer.alias, pointer.by, pointer.because) == ("champion", "lead", "it serves already")
    folder = registry.artifact(system.settings, made.version)
    model = models.load(folder, system.plan(DESK).plan, expected=made.version.digest)
    assert (
        np.mean(model.answer(models.of_table(rows(), model.kinds)).predictions == rows()["outcome"].to_pylist()) > 0.8
    )


def test_again_it_is_the_same_version(system, tmp_path):
    folder = saved(tmp_path / "theirs")
    assert adopt(system, folder).version == adopt(system, folder).version
    assert "it answers a made-up one" in adopt(system, folder).notes[-1]


def test_one_of_the_registry(system, tmp_path):
    client = Registry(system.settings).client
    client.create_registered_model("theirs")
    client.create_model_version("theirs", str(saved(tmp_path / "theirs")))
    made = adopt(system, "models:/theirs/1")
    assert made.version.record == {"adopted": "models:/theirs/1"}
    client.set_registered_model_alias("theirs", "live", "1")
    assert adopt(system, "models:/theirs@live").version == made.version
    with pytest.raises(BadInput, match=r"models:/theirs/9 cannot be fetched from sqlite"):
        adopt(system, "models:/theirs/9")


def test_who_answers_already_goes_on(system, tmp_path):
    adopt(system, saved(tmp_path / "one"), champion=True)
    made = adopt(system, saved(tmp_path / "two"), champion=True)
    assert (made.champion, made.first) == (True, False)
    with system.database.reading() as connection:
        assert current(connection)[DESK].champion == 1


def test_an_input_that_the_plan_lacks(system, tmp_path):
    with pytest.raises(BadInput, match=r"asks for 'weight', which the plan does not have; its inputs are"):
        adopt(system, saved(tmp_path / "theirs", columns=("age", "weight")))
    assert system.versions.every(DESK) == []


def test_a_kind_that_is_another(system, tmp_path):
    system.apply(plan.parse(plans.text(**{"model.inputs": {"age": "category"}})), by="lead", because="typo")
    with pytest.raises(BadInput, match=r"asks for 'age' as double; the plan says category"):
        adopt(system, saved(tmp_path / "theirs"))


def test_a_pickle_is_refused_with_the_words_that_allow_it(system, tmp_path):
    folder = saved(tmp_path / "theirs", form="cloudpickle")
    with pytest.raises(Unloadable, match=r"Save it as skops, or allow it: `model\.pickle: \[support-desk\]`"):
        adopt(system, folder)
    system.apply(plan.parse(plans.text(**{"model.pickle": PICKLES})), by="lead", because="theirs")
    assert adopt(system, folder).version.number == 1


def test_a_pyfunc(system, tmp_path):
    mlflow.pyfunc.save_model(str(tmp_path / "theirs"), python_model=Always(), pip_requirements=["numpy"])
    system.apply(plan.parse(plans.text(**{"model.pickle": PICKLES})), by="lead", because="theirs")
    send(system, rows(5))
    made = adopt(system, tmp_path / "theirs")
    assert made.answered == 5
    assert "does not say which inputs it asks for" in made.notes[0]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_is_no_model(system, tmp_path):
    folder = tmp_path / "nothing"
    folder.mkdir()
    with pytest.raises(BadInput, match="is no MLflow model"):
        adopt(system, folder)
    with pytest.raises(BadInput, match=r"asked for as models:/NAME/3, runs:/ID/model or a folder; found 'nowhere'"):
        adopt(system, "nowhere")
    assert not list(system.settings.home.glob("adopting-*"))


def test_from_the_command_line(system, tmp_path):
    shutil.copytree(saved(tmp_path / "theirs"), tmp_path / "other")
    home = ["--workspace", str(system.settings.home), "--by", "lead"]
    environment = {"SHELFLIFE_DATABASE": system.settings.database} if system.settings.database else {}
    run = lambda *words: CliRunner().invoke(app, [*words], env=environment)  # noqa: E731
    done = run("adopt", DESK, str(tmp_path / "theirs"), "--because", "ours", "--champion", *home)
    assert done.exit_code == 0, done.output
    assert "✓ Version 1 of support-desk is" in done.output
    assert "✓ It is the champion, and answers everybody." in done.output
    listed = run("versions", DESK, "--workspace", str(system.settings.home))
    assert "made 2026" in listed.output or "made 20" in listed.output
    assert "champion   version 1" in listed.output
    then = run("versions", DESK, "--at", "2020-01-01", "--workspace", str(system.settings.home))
    assert "champion: none" in then.output
    now = json.loads(run("versions", DESK, "--json", "--workspace", str(system.settings.home)).output)
    assert [one["alias"] for one in now["pointers"]] == ["champion"]
    assert now["versions"][0]["because"] == "ours"
