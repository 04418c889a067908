"""A version is made again from its snapshot, its commit, its packages and its seed, and compared to the last bit."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.renew.conftest import DESK, rows, send
from typer.testing import CliRunner

from shelflife import plan
from shelflife.cli import app
from shelflife.errors import BadInput
from shelflife.models import Tampered
from shelflife.renew import environments, ingredients, registry
from shelflife.renew.reproduce import reproduce
from shelflife.renew.training import Job, train
from shelflife.testing import plans

LEARNERS = Path(__file__).with_name("learners.py")


@pytest.fixture
def at(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    shutil.copy(LEARNERS, folder / "learners.py")
    return folder


def git(folder, *words):
    told = ["-c", "user.name=lead", "-c", "user.email=lead@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *told, *words], check=True, capture_output=True)


def made(system, at, name, *, record=None, **changes):
    """A version that was trained on a snapshot of what was observed."""
    said = json.loads(plans.text(**{"model.train": f"learners:{name}", **changes}))
    said["model"] = {word: value for word, value in said["model"].items() if value != []}
    number, _ = system.apply(plan.parse(json.dumps(said)), by="lead", because=name)
    send(system, rows(task=changes.get("model.task", "classification")))
    taken = system.snapshot(DESK, by="lead")
    written = system.plan(DESK)
    trained = train(Job(written.plan, system.training_rows(taken.id), at.parent / "job", seed=3, at=at))
    return registry.register(
        system.database, system.settings, written.plan, number, artifact=trained.artifact, key=name, snapshot=taken.id,
        record={**trained.record, **(record or {})}, by="lead", because="first", now=system.clock.now(),
    )  # fmt: skip


def again(system, at, version, **given):
    return system.versions.reproduce(DESK, version.number, at=at, here=True, **given)


@pytest.mark.parametrize("name", ["logistic", "boosted"])
def test_bit_equal(system, at, name):
    found = again(system, at, made(system, at, name))
    assert (found.verdict, found.farthest, found.flips, found.rows, found.where) == ("bit-equal", 0.0, 0, 400, ())
    assert found.then == found.now
    assert set(found.then) == {"accuracy", "f1", "roc_auc", "log_loss"}
    assert found.differences == ("code: it was not kept in Git then, and is taken as it is here now",)


def test_a_regression(system, at):
    changes = {"model.task": "regression", "model.score": None, "watch.performance": {"metric": "mae", "at_most": 1.0}}
    found = again(system, at, made(system, at, "numbers", **changes))
    assert (found.verdict, found.then) == ("bit-equal", found.now)
    assert set(found.then) == {"mae", "rmse", "r2"}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
class TestOneDatabase:
    def test_unseeded_it_is_different(self, system, at):
        found = again(system, at, made(system, at, "unseeded"))
        assert found.verdict == "different"
        assert found.farthest > 1e-3
        assert 0 < len(found.where) <= 5
        assert found.where[0].keys() == {"id", "then", "now", "apart"}
        assert "is different: made again, it answers" in found.says

    def test_but_for_rounding_it_is_within_tolerance(self, system, at):
        version = made(system, at, "rounded")
        found = again(system, at, version)
        assert (found.verdict, found.flips) == ("within tolerance", 0)
        assert 0 < found.farthest < 1e-8
        assert again(system, at, version, tolerance=1e-15).verdict == "different"

    def test_only_its_window_is_learnt_from(self, system, at):
        version = made(system, at, "logistic", record={"cut": "2026-04-01T05:00:00+00:00", "window": "2h"})
        found = again(system, at, version)
        assert found.differences[-1] == "rows: 400 to learn from then, 120 now"
        assert (found.rows, found.verdict) == (400, "different")

    def test_another_environment_is_told(self, system, at):
        version = made(system, at, "logistic")
        kept = dict(version.record["environment"])
        kept["packages"] = [one for one in kept["packages"] if not one.startswith("numpy==")] + [
            "gone==1",
            "numpy==1.0",
        ]
        changed = dataclasses.replace(version, record={**version.record, "environment": kept})
        found = reproduce(
            changed, system.plan(DESK), system.training_rows(version.snapshot), at=at, here=True,
            artifact=registry.artifact(system.settings, version),
        )  # fmt: skip
        now = next(one for one in version.record["environment"]["packages"] if one.startswith("numpy=="))
        assert found.differences[1:] == (
            "environment: gone 1 then, not there now",
            f"environment: numpy 1.0 then, {now.partition('==')[2]} now",
        )

    def test_the_commit_of_then_is_used(self, system, at):
        git(at, "init", "--quiet")
        git(at, "add", ".")
        git(at, "commit", "--quiet", "--message", "first")
        version = made(system, at, "logistic")
        assert version.record["code"]["dirty"] is None
        assert again(system, at, version).differences == ()
        learners = at / "learners.py"
        learners.write_text(learners.read_text().replace("LogisticRegression()", "LogisticRegression(C=1e-4)"))
        assert ingredients.code(at)["dirty"] is not None
        found = again(system, at, version)
        commit = version.record["code"]["commit"][:12]
        assert (found.verdict, found.differences) == ("bit-equal", (f"code: commit {commit}, not what lies here now",))
        dirty = made(system, at, "logistic", title="another")
        assert dirty.number == version.number  # of one key
        left = subprocess.run(["git", "-C", str(at), "worktree", "list"], capture_output=True, text=True, check=True)
        assert len(left.stdout.splitlines()) == 1

    def test_changes_that_were_not_committed_are_lost(self, system, at):
        git(at, "init", "--quiet")
        git(at, "add", ".")
        git(at, "commit", "--quiet", "--message", "first")
        learners = at / "learners.py"
        before = learners.read_text()
        learners.write_text(before.replace("LogisticRegression()", "LogisticRegression(C=1e-4)"))
        version = made(system, at, "logistic")
        assert again(system, at, version).verdict == "bit-equal"  # they are still here
        learners.write_text(before)
        found = again(system, at, version)
        assert found.verdict == "different"
        assert "there were changes that were not committed then" in found.differences[1]

    def test_what_was_tampered_with_is_not_loaded(self, system, at):
        version = made(system, at, "logistic")
        (registry.artifact(system.settings, version) / "requirements.txt").write_text("numpy\n")
        with pytest.raises(Tampered):
            again(system, at, version)

    def test_what_was_not_trained_here(self, system, register, at):
        with pytest.raises(BadInput, match=r"Version 1 of 'support-desk' cannot be made again: no snapshot and seed"):
            again(system, at, register(1))

    def test_from_the_command_line(self, system, at):
        made(system, at, "logistic")
        made(system, at, "unseeded")
        home = ["--workspace", str(system.settings.home)]
        told = [*home, "--code", str(at), "--here"]
        same = CliRunner().invoke(app, ["reproduce", DESK, "1", *told])
        assert (same.exit_code, "is bit-equal" in same.output) == (0, True)
        other = CliRunner().invoke(app, ["reproduce", DESK, "2", "--json", *told])
        assert (other.exit_code, json.loads(other.output)["verdict"]) == (1, "different")
        both = CliRunner().invoke(app, ["versions", "compare", DESK, "1", "2", *home])
        assert "trainer: learners:logistic → learners:unseeded" in both.output


def test_a_fresh_environment(tmp_path, monkeypatch):
    """The packages of then are installed as the user's own configuration says: here from a folder."""
    wheel(tmp_path / "wheels", "parcels", "2.1")
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path / "wheels")}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
        monkeypatch.setenv(f"UV_{name}", value)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    kept = {"python": "3", "packages": ["mine==1", "parcels==2.1", "shelflife==0.1.0"], "others": ["mine"]}
    python, path, left = environments.environment_of({"environment": kept}, scratch)
    said = "import importlib.metadata as m, shelflife; print(m.version('parcels'), shelflife.__name__)"
    environment = {"PYTHONPATH": str(path)}
    run = subprocess.run([str(python), "-c", said], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "2.1 shelflife\n"
    assert left == ["mine: it comes from no index, and is left out"]
    (tmp_path / "other").mkdir()
    with pytest.raises(BadInput, match=r"The packages of then cannot be installed: .*`--here` uses those"):
        environments.environment_of({"environment": {"packages": ["nowhere==9"]}}, tmp_path / "other")


def wheel(folder, name, version):
    import zipfile

    folder.mkdir()
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
