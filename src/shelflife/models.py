"""A version's artifact: what it is made of, that it is still what it was, and what it answers.

An artifact is an MLflow model directory. Its digest is taken when it is registered and compared before every load, so
that what answers is what was approved. Rows become frames here and nowhere else: a model sees when it serves what it
saw when it was trained.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shelflife.errors import BadInput, ShelflifeError, first_line
from shelflife.plan import Plan

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BLOCK = 1 << 20
# What pickles can do skops cannot: it makes nothing but what it is told to trust. Classes of these hold data, and make
# nothing by themselves; functions are called with what a file says, so that only those of the learners are trusted.
_DATA = ("numpy.", "pandas.", "scipy.", "builtins.", "collections.", "datetime.")
_LEARNERS = ("sklearn.", "skrub.")
_TRUSTED = frozenset({"functools.partial", "shelflife.trainers._Constant", "shelflife.trainers._filled"})


class Tampered(ShelflifeError):
    """An artifact is not what was registered; nothing of it was loaded."""


class Unloadable(BadInput):
    """An artifact is what was registered, and still cannot be loaded or does not answer."""


@dataclass(frozen=True)
class Answers:
    """What a model says of some rows.

    Attributes
    ----------
    predictions
        Shape (rows,): texts of a classification, floats of a regression.
    scores
        Shape (rows, classes): probabilities by class; None where the model has none.
    classes
        The texts of the columns of `scores`.
    """

    predictions: Any
    scores: Any = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    """A loaded artifact.

    Attributes
    ----------
    kinds
        The inputs that it asks for and their kinds, in its order; of one that does not say, all of the plan.
    task
        ``classification`` or ``regression``.
    given
        The object that predicts.
    """

    kinds: Mapping[str, str]
    task: str
    given: Any

    def answer(self, rows: pd.DataFrame) -> Answers:
        """What it says of rows in the form that `frame` gives them.

        Raises
        ------
        Unloadable
            Where the model raises, or does not give one finite answer a row.
        """
        try:
            shares: Any = None
            classes: tuple[str, ...] = ()
            if self.task == "classification" and hasattr(self.given, "predict_proba"):
                shares = np.asarray(self.given.predict_proba(rows), dtype=np.float64)
                classes = tuple(map(label, np.asarray(self.given.classes_).tolist()))
                found = np.array(classes, dtype=object)[shares.argmax(axis=1)]
            else:
                found = np.asarray(self.given.predict(rows))
        except Exception as error:
            raise Unloadable(f"The model raised {type(error).__name__}: {first_line(error)}") from error
        if found.shape != (len(rows),):
            raise Unloadable(f"The model was asked for {len(rows):,} answers and gave shape {found.shape}.")
        if self.task == "regression":
            try:
                found = found.astype(np.float64)
            except (TypeError, ValueError) as error:
                raise Unloadable("The model of a regression answered what is no number.") from error
            if not np.isfinite(found).all():
                raise Unloadable("The model answered NaN or infinity.")
            return Answers(found)
        if shares is not None and not np.isfinite(shares).all():
            raise Unloadable("The model answered chances that are NaN or infinity.")
        if shares is None:
            found = np.array([label(one) for one in found.tolist()], dtype=object)
        return Answers(found, shares, classes)


def label(value: Any) -> str:
    """A class as text, as outcomes are kept: 1 for 1.0, true for True."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def scored(plan: Plan, answers: Answers) -> list[Any]:
    """The score of each row by the plan's names: the chance of what was predicted, or of each class its own."""
    if answers.scores is None or not plan.model.score:
        return [None] * len(answers.predictions)
    if len(plan.model.score) == 1:
        found: list[Any] = answers.scores.max(axis=1).tolist()
        return found
    columns = {name: _column_of(name, answers.classes) for name in plan.model.score}
    return [
        {name: None if place is None else float(row[place]) for name, place in columns.items()}
        for row in answers.scores
    ]


def _column_of(name: str, classes: Sequence[str]) -> int | None:
    """The class that a score is named after: ``score_card`` and ``p(card)`` both name ``card``."""
    ends = [place for place, word in enumerate(classes) if word and name.endswith((word, f"{word})", f"{word}]"))]
    return max(ends, key=lambda place: len(classes[place]), default=None)


def frame(columns: Mapping[str, Any], kinds: Mapping[str, str]) -> pd.DataFrame:
    """Rows as the frame that models are trained on and asked with.

    Parameters
    ----------
    columns
        The values of each input: lists, arrays or Arrow columns; what is missing is null in every row.
    kinds
        The inputs and their kinds, in the order of the frame.
    """
    import pandas as pd

    rows = max((len(one) for one in columns.values()), default=0)
    made = {name: _values(columns.get(name), kind, rows) for name, kind in kinds.items()}
    return pd.DataFrame(made, copy=False)


def _values(given: Any, kind: str, rows: int) -> Any:
    import pandas as pd

    values = given.to_pylist() if hasattr(given, "to_pylist") and kind != "numeric" else given
    if kind == "numeric":
        if values is None:
            return np.full(rows, np.nan)
        found = values.to_numpy() if hasattr(values, "to_numpy") else values
        return np.asarray(found, dtype=np.float64)
    if values is None:
        values = [None] * rows
    if kind == "time":
        return pd.to_datetime(pd.Series(list(values), dtype=object), utc=True)
    made = np.empty(rows, dtype=object)
    made[:] = [np.nan if value is None else value for value in values] if kind != "vector" else list(values)
    return made


def of_table(rows: pa.Table, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The inputs of an Arrow table as the frame that models are trained on."""
    return frame({name: rows[name] for name in kinds if name in rows.column_names}, kinds)


def digest(folder: Path) -> str:
    """SHA-256 of an artifact: of every file's place and content, whatever the order in which a disk lists them.

    Raises
    ------
    BadInput
        Where there is no such folder, or it holds a link that leads out of it.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no artifact at {str(folder)!r}.")
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_symlink():
            raise BadInput(f"The artifact {str(folder)!r} holds a link, {path.name!r}; an artifact is files alone.")
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        name = path.relative_to(folder).as_posix().encode()
        found.update(len(name).to_bytes(8, "big") + name + path.stat().st_size.to_bytes(8, "big"))
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    return found.hexdigest()


def local(source: str, artifacts: Path, expected: str) -> Path:
    """Where an artifact lies on this machine; one that lies elsewhere is fetched, once.

    Parameters
    ----------
    source
        Its place in `artifacts`, a folder, or an address that MLflow knows: ``s3://…``, ``models:/name/3``.
    artifacts
        The workspace's folder of artifacts. One that lay in that of a workspace which was moved since lies here.
    """
    if "://" not in source and ":/" not in source:
        there = artifacts / source
        moved = artifacts.joinpath(*there.parts[-2:])
        return moved if moved.is_dir() and not there.is_dir() else there
    cache = artifacts / "fetched"
    there = cache / expected
    if there.is_dir():
        return there
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.artifacts import download_artifacts

    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        try:
            # Where only a registry is named it holds the artifacts too; else MLflow would look in the current folder.
            server = os.environ.get("MLFLOW_TRACKING_URI") or os.environ.get("MLFLOW_REGISTRY_URI")
            fetched = Path(download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=server))
            fetched.rename(there)
        except OSError:
            if not there.is_dir():  # another process was first
                raise
        except Exception as error:
            raise Unloadable(f"The artifact {source} cannot be fetched: {first_line(error)}") from error
    return there


def load(folder: Path, plan: Plan, *, expected: str) -> Model:
    """Load an artifact, once it is known to be what was registered.

    Raises
    ------
    Tampered
        Where its digest is another one.
    Unloadable
        Where it cannot be loaded, or would have to run a pickle that the plan does not allow.
    """
    found = digest(folder)
    if found != expected:
        raise Tampered(
            f"The artifact at {str(folder)!r} is not what was registered: its digest was {expected[:12]} and is"
            f" {found[:12]}. Nothing of it was loaded; register it again, or restore it."
        )
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.models import Model as Described

    try:
        described = Described.load(str(folder))
    except Exception as error:
        raise Unloadable(f"The artifact {str(folder)!r} is no MLflow model: {first_line(error)}") from error
    return Model(_kinds(described.signature, plan), plan.model.task, _object(folder, plan, described.flavors))


def _kinds(signature: Any, plan: Plan) -> dict[str, str]:
    kinds: dict[str, str] = dict(plan.model.inputs)
    if signature is None or signature.inputs is None or not signature.inputs.has_input_names():
        return kinds
    return {name: kinds[name] for name in signature.inputs.input_names() if name in kinds}


def _object(folder: Path, plan: Plan, flavors: Mapping[str, Any]) -> Any:
    sklearn = flavors.get("sklearn")
    pickled = sklearn is None or sklearn.get("serialization_format") != "skops"
    if pickled and plan.model.name not in plan.model.pickle:
        raise Unloadable(
            f"The artifact {str(folder)!r} holds a pickle, which runs whatever it holds when it is loaded. Save it as"
            f" skops, or allow it: `model.pickle: [{plan.model.name}]`."
        )
    try:
        if sklearn is None:
            from mlflow import pyfunc

            return pyfunc.load_model(str(folder))
        if pickled:
            from mlflow.sklearn import load_model

            return load_model(str(folder))  # type: ignore[no-untyped-call]
        return _skops(folder / sklearn["pickled_model"])
    except Unloadable:
        raise
    except Exception as error:
        raise Unloadable(f"The artifact {str(folder)!r} cannot be loaded: {first_line(error)}") from error


def _skops(path: Path) -> Any:
    from skops import io

    held = io.get_untrusted_types(file=path)
    if found := strange(held):
        raise Unloadable(f"The artifact {str(path)!r} holds types that are not trusted: {', '.join(found[:5])}.")
    return io.load(path, trusted=held)


def strange(held: Sequence[str]) -> list[str]:
    """Those of the types and functions in a skops file that are not trusted.

    >>> strange(["skrub.TableVectorizer", "pandas.DatetimeTZDtype", "pandas.read_pickle", "mine.Model"])
    ['pandas.read_pickle', 'mine.Model']
    """
    return [name for name in held if not _is_trusted(name)]


def _is_trusted(name: str) -> bool:
    if name in _TRUSTED or name.startswith(_LEARNERS):
        return True
    if not name.startswith(_DATA):
        return False
    from pydoc import ErrorDuringImport, locate

    try:
        return isinstance(locate(name), type)
    except ErrorDuringImport:
        return False
