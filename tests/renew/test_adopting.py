"""Models that were made with plain MLflow come under a plan, where they fit it, load and answer."""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from skrub import SelectCols
from tests.renew.conftest import DESK, rows, send
from tests.renew.living import written
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


class Halves(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return [0.5] * len(model_input)


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
    one = saved(tmp_path / "one")
    adopt(system, one, champion=True)
    two = saved(tmp_path / "two")
    says = (
        "Version 1 of 'support-desk' answers already, and `--champion` is for the first one that does: another one"
        " comes to answer by a renewal (`shelflife renew`), an earlier champion by `shelflife rollback`."
        " Without `--champion` it is registered beside."
    )
    with pytest.raises(BadInput, match=f"^{re.escape(says)}$"):
        adopt(system, two, champion=True)
    assert [version.number for version in system.versions.every(DESK)] == [1]
    made = adopt(system, one, champion=True)  # said once more
    assert (made.version.number, made.champion, made.first) == (1, True, False)
    assert adopt(system, two).version.number == 2
    with pytest.raises(BadInput, match="Version 1 of 'support-desk' answers already"):
        adopt(system, two, champion=True)
    with system.database.reading() as connection:
        assert current(connection)[DESK].champion == 1
    assert [(one.alias, one.version) for one in system.versions.pointers(DESK)] == [("champion", 1)]


def test_none_is_let_answer_past_a_renewal_that_makes_the_first_one(system, tmp_path):
    system.apply(written(), by="lead", because="it renews")
    made = system.renewing.start(DESK, because="the first one", by="analyst")
    folder = saved(tmp_path / "theirs")
    with pytest.raises(BadInput, match=r"Renewal 1 of 'support-desk' is under way, and makes the first version that"):
        adopt(system, folder, champion=True)
    assert system.versions.every(DESK) == []
    system.renewing.cancel(made.number, reason="theirs is good", by="lead")
    assert adopt(system, folder, champion=True).first
    adopt(system, folder, champion=True)  # said once more
    told = [one.body for one in system.ledger.entries(system=DESK, kind="brief.written")]
    promoted = [(one["to"], one["what"], one["why"]) for one in told if one["occasion"] == "promoted"]
    says = f"Version 1 of Support desk answers all requests since {system.clock.now():%Y-%m-%d %H:%M} UTC."
    assert promoted == [("lead", says, "It serves already."), ("agents", says, "It serves already.")]


NUMBERS = {"model.task": "regression", "watch.performance": {"metric": "mae", "at_most": 1.0}}


@pytest.mark.parametrize("observed", [0, 5])
def test_a_model_of_another_task(system, tmp_path, observed):
    if observed:
        send(system, rows(observed))
    x = pd.DataFrame({"age": [1.0, 2.0, 3.0]})
    fitted = make_pipeline(SelectCols(["age"]), LinearRegression()).fit(x, [0.5, 1.5, 2.5])
    given = {"pip_requirements": [], "skops_trusted_types": ["skrub._select_cols.SelectCols"]}
    mlflow.sklearn.save_model(fitted, str(tmp_path / "theirs"), serialization_format="skops", **given)
    says = "is a model of regression, and the plan's task is classification. Adopt one of classification, or change"
    with pytest.raises(BadInput, match=says):
        adopt(system, tmp_path / "theirs")
    mlflow.pyfunc.save_model(str(tmp_path / "pyfunc"), python_model=Halves(), pip_requirements=[])
    system.apply(plan.parse(plans.text(**{"model.pickle": PICKLES})), by="lead", because="theirs")
    with pytest.raises(BadInput, match=rf"pyfunc, which answers 0\.5, {says}"):
        adopt(system, tmp_path / "pyfunc")
    assert system.versions.every(DESK) == []


def test_a_model_of_classes_where_numbers_are_asked_for(system, tmp_path):
    system.apply(plan.parse(plans.text(**NUMBERS, **{"model.pickle": PICKLES})), by="lead", because="numbers")
    with pytest.raises(BadInput, match="is a model of classification, and the plan's task is regression"):
        adopt(system, saved(tmp_path / "theirs"))
    mlflow.pyfunc.save_model(str(tmp_path / "pyfunc"), python_model=Always(), pip_requirements=[])
    send(system, rows(5, task="regression"))
    with pytest.raises(Unloadable, match="The model of a regression answered what is no number"):
        adopt(system, tmp_path / "pyfunc")
    assert system.versions.every(DESK) == []


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_why_is_said(system, tmp_path):
    home = ["--workspace", str(system.settings.home), "--because", " "]
    for words in (["adopt", DESK, str(tmp_path)], ["rollback", DESK], ["renew", DESK]):
        done = CliRunner().invoke(app, [*words, *home])
        assert (done.exit_code, "Say why, in a few words" in done.output) == (2, True), done.output


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
def test_scores_that_the_reference_reads_otherwise_are_told(system, tmp_path):
    told = rows(200)
    chance = 1 / (1 + np.exp(4 * told["age"].to_numpy()))
    send(system, told.append_column("score", pa.array(chance)))
    system.clock.advance(timedelta(days=30))
    source = saved(tmp_path / "theirs")
    assert not [note for note in adopt(system, source).notes if "reads" in note]
    system.watching.take_reference(DESK, by="lead")
    (note,) = [note for note in adopt(system, source).notes if "reads" in note]
    assert note.startswith("The reference reads 'confidence' as the chance of 'card', and a gateway tells the chance")


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_is_no_model(system, tmp_path):
    for folder in (tmp_path / "nothing", system.settings.home.parent):  # which holds where it would be copied to
        folder.mkdir(exist_ok=True)
        with pytest.raises(BadInput, match="is no MLflow model: it holds no file `MLmodel`"):
            adopt(system, folder)
    assert list(system.settings.home.glob("adopting-*")) == []
    for source in ("nowhere", "", " ", "http://somewhere/theirs"):
        says = r"asked for as models:/NAME/3, .*, runs:/ID/model, .* or a folder; found "
        with pytest.raises(BadInput, match=f"{says}'{source}'"):
            adopt(system, source)
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
