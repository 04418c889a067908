"""Made again from what was recorded: whether the same rows, code, environment and seed give the same model."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife import durations, models
from shelflife.errors import BadInput
from shelflife.models import Answers
from shelflife.plan import Written
from shelflife.renew import environments, ingredients, measures
from shelflife.renew.registry import Version
from shelflife.renew.training import Ask, Job, Trained, train

TOLERANCE = 1e-6
_SHOWN = 5  # rows that differ


@dataclass(frozen=True)
class Reproduced:
    """How a version that was made again compares with the one that was registered.

    Attributes
    ----------
    verdict
        ``bit-equal``: every prediction and score is the same number; ``within tolerance``: they are but for rounding;
        ``different``.
    farthest
        The largest distance between two scores, or predictions of a regression.
    flips
        Rows that are answered otherwise.
    where
        The first rows that differ: their id, what was said, what is said now.
    then, now
        Metrics on the rows.
    differences
        What was not as it was then.
    """

    system: str
    version: int
    verdict: Literal["bit-equal", "within tolerance", "different"]
    rows: int
    farthest: float
    flips: int
    where: tuple[dict[str, Any], ...]
    then: dict[str, float]
    now: dict[str, float]
    differences: tuple[str, ...]

    @property
    def says(self) -> str:
        """The verdict, in a sentence."""
        rows = f"{self.rows:,} rows"
        if self.verdict == "bit-equal":
            return f"Version {self.version} is bit-equal: made again, it says the same of {rows}, to the last bit."
        if self.verdict == "within tolerance":
            return (
                f"Version {self.version} is within tolerance: on {rows} numbers differ by at most {self.farthest:.2g}."
            )
        says = f"Version {self.version} is different: made again, it answers {self.flips:,} of {rows} otherwise"
        return f"{says}, and the numbers differ by up to {self.farthest:.2g}."


def reproduce(
    version: Version, plan: Written, rows: pa.Table | None, *, artifact: Path, at: Path, here: bool = False,
    tolerance: float = TOLERANCE, seconds: float = 3600.0, memory_mb: int = 8192,
) -> Reproduced:  # fmt: skip
    """Train a version again and compare what it says.

    Parameters
    ----------
    plan
        The one by which it was made.
    rows
        Those of its snapshot.
    artifact
        What was registered.
    at
        The folder where the trainer lives.
    here
        Use the running environment, instead of a fresh one with the packages of then.
    tolerance
        How far scores, or predictions of a regression in units of their spread, may lie apart.
    """
    if "seed" not in version.record or rows is None:
        why = "no snapshot and seed were kept"
        if "adopted" in version.record:
            why = f"it was adopted from {version.record['adopted']}"
        raise BadInput(f"Version {version.number} of {version.system!r} cannot be made again: {why}.")
    found = models.digest(artifact)
    if found != version.digest:
        models.load(artifact, plan.plan, expected=version.digest)  # says so
    rows = rows.filter(rows["outcome"].is_valid())
    learnt = _learnt(rows, version.record)
    with tempfile.TemporaryDirectory(prefix="shelflife-reproduce-") as scratch:
        folder = Path(scratch)
        with environments.code_of(version.record, at, folder) as (code, said):
            differences, python, path = list(said), None, None
            if not here:
                python, path, left = environments.environment_of(version.record, folder)
                differences += left
            again = train(
                Job(plan.plan, learnt, folder / "job", seed=version.record["seed"], at=code, seconds=seconds,
                    memory_mb=memory_mb, python=python, path=path, ask=Ask(artifact, rows, plan.text))
            )  # fmt: skip
            if version.record["rows"] != len(learnt):
                differences.append(f"rows: {version.record['rows']:,} to learn from then, {len(learnt):,} now")
            return _compared(version, plan, rows, again, differences, tolerance)


def _learnt(rows: pa.Table, record: dict[str, Any]) -> pa.Table:
    """Those of a snapshot's rows that a version was trained on: within its window, and before those kept apart."""
    if "cut" not in record:
        return rows
    times, cut = rows["time"], datetime.fromisoformat(record["cut"])
    rows = rows.filter(pc.less(times, pa.scalar(cut).cast(times.type)))
    if record.get("window", "all") == "all":
        return rows
    start = cut - timedelta(microseconds=durations.parse(record["window"], option="window"))
    return rows.filter(pc.greater_equal(rows["time"], pa.scalar(start).cast(times.type)))


def _compared(
    version: Version, plan: Written, rows: pa.Table, made: Trained, differences: list[str], tolerance: float
) -> Reproduced:
    old, new = (_answers(made.artifact.parent / f"{name}.npz") for name in ("old", "new"))
    scale = 1.0 if plan.plan.model.task == "classification" else float(np.std(old.predictions)) or 1.0
    off = _distances(old, new, plan.plan.model.task) / scale
    flips = old.predictions != new.predictions if plan.plan.model.task == "classification" else off > tolerance
    farthest = float(off.max()) if len(off) else 0.0
    if not flips.any() and farthest == 0.0:
        verdict: Any = "bit-equal"
    else:
        verdict = "within tolerance" if not flips.any() and farthest <= tolerance else "different"
    apart = np.flatnonzero(flips | (off > (tolerance if verdict == "different" else 0)))[:_SHOWN]
    ids = rows["id"].to_pylist() if "id" in rows.column_names else list(range(len(rows)))
    where = tuple(
        {"id": ids[i], "then": _plain(old.predictions[i]), "now": _plain(new.predictions[i]), "apart": float(off[i])}
        for i in apart.tolist()
    )
    then, now = (_metrics(plan, each, rows) for each in (old, new))
    changed = ingredients.differences(version.record.get("environment", {}), made.record["environment"])
    said = [*differences, *(f"environment: {one}" for one in changed)]
    return Reproduced(
        version.system, version.number, verdict, len(rows), farthest, int(flips.sum()), where, then, now, tuple(said)
    )


def _distances(old: Answers, new: Answers, task: str) -> Any:
    """How far the numbers of each row lie apart."""
    if task == "regression":
        return np.abs(old.predictions - new.predictions)
    flips = (old.predictions != new.predictions).astype(np.float64)
    if old.scores is None or new.scores is None or old.classes != new.classes:
        return np.ones(len(flips)) if old.classes != new.classes else flips
    return np.abs(old.scores - new.scores).max(axis=1, initial=0.0)


def _answers(path: Path) -> Answers:
    with np.load(path) as found:
        classes = tuple(found["classes"].tolist())
        return Answers(found["predictions"], found["scores"] if classes else None, classes)


def _metrics(plan: Written, answers: Answers, rows: pa.Table) -> dict[str, float]:
    task = plan.plan.model.task
    names = ["mae", "rmse", "r2"] if task == "regression" else ["accuracy", "f1", "roc_auc", "log_loss"]
    return measures.of_table(answers, rows, task=task, names=names, by=()).overall


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def to_json(found: Reproduced) -> str:
    """The result as JSON."""
    import dataclasses

    return json.dumps(dataclasses.asdict(found) | {"says": found.says}, indent=2, ensure_ascii=False)
