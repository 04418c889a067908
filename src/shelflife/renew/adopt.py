"""A model that is there already, brought under a plan: it has to fit the plan's inputs, load and answer."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from shelflife import models
from shelflife.errors import BadInput, first_line
from shelflife.models import Answers, Model
from shelflife.plan import Plan
from shelflife.renew import registry, rollout, run
from shelflife.renew.mlflows import Registry
from shelflife.renew.registry import Version
from shelflife.routes import current
from shelflife.store.database import Database
from shelflife.workspace import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection

_FITS = {
    "numeric": {"double", "float", "integer", "long"}, "category": {"string"}, "text": {"string"},
    "boolean": {"boolean"}, "time": {"datetime"}, "vector": {"Array"},
}  # fmt: skip
_MADE_UP: dict[str, Any] = {
    "numeric": 0.0, "category": "a", "text": "a", "boolean": False, "time": "2026-01-01T00:00:00Z", "vector": [0.0],
}  # fmt: skip


@dataclass(frozen=True)
class Adopted:
    """A version of a model that was made elsewhere.

    Attributes
    ----------
    answered
        How many observed rows it answered.
    notes
        What could not be made sure of.
    """

    version: Version
    answered: int
    notes: tuple[str, ...]
    champion: bool = False
    first: bool = False


def adopt(
    database: Database, settings: Settings, plan: Plan, plan_number: int, source: str, *, rows: pa.Table | None,
    champion: bool, by: str, because: str, now: datetime, brief: Callable[..., object],
) -> Adopted:  # fmt: skip
    """Register a model that MLflow or a folder holds; `champion` makes it the one that answers.

    Parameters
    ----------
    source
        ``models:/NAME/3``, ``models:/NAME@ALIAS``, ``runs:/ID/model``, an address or a folder.
    rows
        Some observed rows, which it is asked.
    brief
        Tells whom the plan names that it answers, as of `shelflife.renew.run.Rooms`.

    Raises
    ------
    BadInput
        Where it cannot be fetched, asks for what the plan does not have, answers what it does not ask for, or is to be
        champion where another one answers.
    Unloadable
        Where it cannot be loaded, may not be, or does not answer.
    """
    with tempfile.TemporaryDirectory(dir=settings.home, prefix="adopting-") as folder:
        artifact = Registry(settings).fetched(source, Path(folder))
        found, notes = _checked(artifact, plan, rows, source)
        key = f"adopt/{found[:32]}"
        if champion:
            with database.reading() as connection:
                known = registry.of_key(connection, plan.system, key)
                _check_first(connection, plan.system, None if known is None else known.number)
        version = registry.register(
            database, settings, plan, plan_number, artifact=artifact, key=key, snapshot=None,
            record={"adopted": source}, by=by, because=because, now=now,
        )  # fmt: skip
    made = Adopted(version, 0 if rows is None else len(rows), tuple(notes))
    if not champion:
        return made
    with database.writing() as connection:
        run.alone(connection, plan.system)
        first = _check_first(connection, plan.system, version.number)
        if first:
            rollout.change(connection, plan.system, champion=version.number, because=because, now=now, by=by)
            registry.point(connection, plan.system, "champion", version.number, by=by, because=because, now=now)
            brief(
                connection, plan, occasion="promoted", version=version.number, because=[because], at=now, now=now, by=by
            )
    return replace(made, champion=True, first=first)


def _check_first(connection: Connection, system: str, version: int | None) -> bool:
    """Whether none answers yet; `BadInput` where another one does, which only gates, people and a rollout change."""
    routed = current(connection).get(system)
    if routed is not None and routed.champion != version:
        raise BadInput(
            f"Version {routed.champion} of {system!r} answers already, and `--champion` is for the first one that does:"
            " another one comes to answer by a renewal (`shelflife renew`), an earlier champion by"
            " `shelflife rollback`. Without `--champion` it is registered beside."
        )
    under_way = run.living(connection, system) if routed is None else None
    if under_way is not None:
        raise BadInput(
            f"Renewal {under_way.number} of {system!r} is under way, and makes the first version that answers; end it"
            f" first (`shelflife renewals cancel {under_way.number}`), or adopt without `--champion`."
        )
    return routed is None


def _checked(artifact: Path, plan: Plan, rows: pa.Table | None, source: str) -> tuple[str, list[str]]:
    """The digest of an artifact that fits, loads and answers, and what is not sure of it."""
    notes = _fits(artifact, plan, source)
    digest = models.digest(artifact)
    model = models.load(artifact, plan, expected=digest)
    _of_task(model.given, plan, source)
    if rows is not None and len(rows):
        _are_classes(model, model.answer(models.of_table(rows, model.kinds)), source)
        return digest, notes
    try:
        made_up = {name: [_MADE_UP[kind]] for name, kind in model.kinds.items()}
        _are_classes(model, model.answer(models.frame(made_up, model.kinds)), source)
    except models.Unloadable as error:
        notes.append(f"No row that it could be asked was observed yet, and it does not answer a made-up one. {error}")
    else:
        notes.append("No row that it could be asked was observed yet; it answers a made-up one.")
    return digest, notes


def _of_task(given: Any, plan: Plan, source: str) -> None:
    """Refuse a model that is of the other task, as far as it says of which it is."""
    from sklearn.base import BaseEstimator, is_classifier, is_regressor

    if not isinstance(given, BaseEstimator):
        return
    other = is_regressor if plan.model.task == "classification" else is_classifier
    if other(given):
        _refuse("regression" if other is is_regressor else "classification", plan.model.task, source)


def _are_classes(model: Model, answers: Answers, source: str) -> None:
    """Refuse answers that are numbers between whole ones, where a model does not say which classes it knows."""
    if model.task == "classification" and answers.scores is None and not hasattr(model.given, "classes_"):
        for one in answers.predictions.tolist():
            if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", one):
                _refuse("regression", "classification", f"{source}, which answers {one},")


def _refuse(found: str, asked: str, source: str) -> NoReturn:
    raise BadInput(
        f"{source} is a model of {found}, and the plan's task is {asked}. Adopt one of {asked}, or change `model.task`."
    )


def _fits(artifact: Path, plan: Plan, source: str) -> list[str]:
    """What cannot be said of how a model's signature fits; `BadInput` where it does not."""
    from mlflow.models import Model as Described

    try:
        described = Described.load(str(artifact))
    except Exception as error:
        raise BadInput(f"{source} is no MLflow model: {first_line(error)}") from error
    signature = described.signature
    if signature is None or signature.inputs is None or not signature.inputs.has_input_names():
        return [f"{source} does not say which inputs it asks for; save it with a signature."]
    asks = {one.name: one for one in signature.inputs.inputs}
    here = ", ".join(plan.model.inputs)
    if lacking := [name for name, one in asks.items() if name not in plan.model.inputs and one.required]:
        raise BadInput(
            f"{source} asks for {', '.join(map(repr, lacking))}, which the plan does not have; its inputs are {here}."
            " Add what is missing to `model.inputs`."
        )
    _of_kinds(asks, plan, source)
    others = [name for name in plan.model.inputs if name not in asks]
    return [f"{source} is not asked with {', '.join(others)}, which it does not know."] if others else []


def _of_kinds(asks: Mapping[str, Any], plan: Plan, source: str) -> None:
    for name, kind in plan.model.inputs.items():
        if name not in asks:
            continue
        wanted = getattr(asks[name].type, "name", type(asks[name].type).__name__)
        if wanted not in _FITS[kind] and wanted in set().union(*_FITS.values()):
            raise BadInput(f"{source} asks for {name!r} as {wanted}; the plan says {kind}.")
