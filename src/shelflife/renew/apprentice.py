"""The process in which a model is trained: it reads rows and an order, and writes a model or says why there is none.

It runs apart, so that a trainer may take what it is given of time and memory, print, crash or end its process, and
nothing else notices. As a program, ``python -m shelflife.renew.apprentice FOLDER`` does the same in another Python.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shelflife import models, trainers
from shelflife.errors import ShelflifeError, TrainerFailed, first_line
from shelflife.renew import ingredients

if TYPE_CHECKING:
    import pyarrow as pa

ROWS, ASKED, ORDER, MODEL = "rows.arrow", "asked.arrow", "order.json", "model"
RECORD, FAILED = "record.json", "failed.json"
_MEGABYTE = 1 << 20


def work(folder: str, log: Any = None) -> None:
    """Carry an order out: read it and its rows from a folder, write the model and its record there.

    Parameters
    ----------
    folder
        Holds the order and the rows.
    log
        A connection that takes what is printed.
    """
    os.setsid()  # whatever the trainer starts ends with it
    if log is not None:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        log.close()
        _end_with_parent()
    here = Path(folder)
    try:
        _carry_out(here, json.loads((here / ORDER).read_text()))
    except (ShelflifeError, MemoryError) as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)  # what the user's own code did
        says = str(error) if isinstance(error, ShelflifeError) else "The training ran out of memory."
        says = says.replace("--model ", "model.train ")  # by its name in a plan
        _write(here / FAILED, {"says": says, "memory": _is_memory(error)})
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


def _carry_out(here: Path, order: Mapping[str, Any]) -> None:
    rows = _table(here / ROWS)
    # The process is there for one order: where it works and what it may take is its own.
    os.chdir(order["at"])
    sys.path.insert(0, order["at"])
    _limit_memory(order["memory"])
    x = models.of_table(rows, order["kinds"])
    y = outcomes(rows["outcome"], order["task"])
    texts_only = set(order["kinds"].values()) == {"text"}
    trainer = trainers.resolve(order["train"], order["task"], texts_only=texts_only)
    if order["lasts"]:
        _write(here / RECORD, _lasts(x, y, rows["time"].to_pandas(), trainer, order))
        return
    began = time.monotonic()
    np.random.seed(order["seed"])  # noqa: NPY002 - what a trainer draws without asking for a seed
    model = trainer.fit(x, y, order["seed"])
    seconds = time.monotonic() - began
    saved = save(model, here / MODEL, order)
    record = {
        "trainer": trainer.name, "parameters": _parameters(model), "seed": order["seed"], "rows": len(rows),
        "seconds": round(seconds, 3), "peak_mb": _peak(), "libraries": _libraries(), **saved,
    }  # fmt: skip
    if order["elsewhere"]:
        record["environment"] = ingredients.environment()
    if order["ask"]:
        _ask(here, order, _table(here / ASKED))
    _write(here / RECORD, record)


def _lasts(x: Any, y: np.ndarray, times: Any, trainer: trainers.Trainer, order: Mapping[str, Any]) -> dict[str, Any]:
    """How long models of a trainer last."""
    from shelflife.lifespan import lifespan, says

    asked = dict(order["lasts"])
    # Inputs have their names, which in tables are the same in large and small letters.
    taken = {name.casefold() for name in x.columns}
    target, time = (_free(name, taken) for name in (asked.pop("target"), "time"))
    found = lifespan(
        x.assign(**{time: times, target: y}), time=time, target=target, task=order["task"],
        features=list(order["kinds"]), model=trainer, seed=order["seed"], jobs=1, **asked,
    )  # fmt: skip
    if missing := set(order["kinds"]) - set(found.data.features):
        raise TrainerFailed(f"Models were trained without {', '.join(sorted(missing))}")
    life = says.life(found.data, found.lifespan, found.curve, len(found.origins))
    return {"says": life, "days": found.lifespan.quartile_days}


def _free(name: str, taken: set[str]) -> str:
    while name.casefold() in taken:
        name += "_"
    taken.add(name.casefold())
    return name


def _table(path: Path) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def outcomes(column: pa.ChunkedArray, task: str) -> np.ndarray:
    """Outcomes as a trainer is given them: numbers of a regression; classes as whole numbers, yes and no, or texts.

    Outcomes are kept as texts; a trainer sees 1 and true where its own table had those.
    """
    if task == "regression":
        return np.asarray(column.to_numpy(), dtype=np.float64)
    given = [models.label(value) for value in column.to_pylist()]
    known = set(given)
    if known <= {"true", "false"}:
        return np.array([value == "true" for value in given])
    with contextlib.suppress(ValueError, OverflowError):
        if all(str(int(value)) == value for value in known):
            return np.array([int(value) for value in given], dtype=np.int64)
    return np.array(given)


def save(model: Any, folder: Path, order: Mapping[str, Any]) -> dict[str, Any]:
    """Save a model as an MLflow model directory: as skops, or as a pickle where that is not possible and allowed."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from skops import io

    written, held = b"", []
    try:
        written = io.dumps(model)
        held = io.get_untrusted_types(data=written)
        says = f"it holds {', '.join(strange[:5])}" if (strange := models.strange(held)) else ""
    except Exception as error:  # noqa: BLE001 - whatever skops cannot write
        says = f"skops says: {first_line(error)}"
    if says and not order["pickle"]:
        raise TrainerFailed(
            f"The model of trainer {order['train']} cannot be saved as skops: {says}. Return one made of scikit-learn's"
            f" and skrub's parts, or allow a pickle: `model.pickle: [{order['name']}]`."
        )
    needs = _needs(model, held)
    asks = signature(order["kinds"], order["task"])
    if says:
        from mlflow import sklearn

        sklearn.save_model(
            model, str(folder), serialization_format="cloudpickle", pip_requirements=needs, signature=asks
        )
    else:
        _save_skops(written, folder, asks, needs, held)
    return {"format": "pickle" if says else "skops", "requirements": needs}


def _save_skops(written: bytes, folder: Path, asks: Any, needs: Sequence[str], held: Sequence[str]) -> None:
    """What ``mlflow.sklearn.save_model`` writes, without the half second in which it looks at all that is installed."""
    import sklearn
    from mlflow import pyfunc
    from mlflow.models import Model

    file = "model.skops"
    folder.mkdir()
    (folder / file).write_bytes(written)
    (folder / "requirements.txt").write_text("\n".join([*needs, ""]), encoding="utf-8")
    python = f"python: {sys.version.split()[0]}\ndependencies:\n- -r requirements.txt\n"
    (folder / "python_env.yaml").write_text(python, encoding="utf-8")
    made = Model(signature=asks)
    pyfunc.add_to_model(
        made, loader_module="mlflow.sklearn", model_path=file, python_env="python_env.yaml", predict_fn="predict"
    )
    made.add_flavor(
        "sklearn", pickled_model=file, sklearn_version=sklearn.__version__, serialization_format="skops", code=None,
        skops_trusted_types=list(held),
    )  # fmt: skip
    made.save(str(folder / "MLmodel"))


def signature(kinds: Mapping[str, str], task: str) -> Any:
    """What a model asks for and answers, as MLflow writes it."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import Array, DataType

    types: dict[str, Any] = {
        "numeric": DataType.double, "category": DataType.string, "text": DataType.string, "boolean": DataType.boolean,
        "time": DataType.datetime, "vector": Array(DataType.double),
    }  # fmt: skip
    inputs: list[Any] = [ColSpec(types[kind], name, required=False) for name, kind in kinds.items()]
    answer: list[Any] = [ColSpec(DataType.double if task == "regression" else DataType.string)]
    return ModelSignature(Schema(inputs), Schema(answer))


def _needs(model: Any, held: Sequence[str]) -> list[str]:
    """The packages that a model cannot be loaded without, as they are installed here."""
    from importlib import metadata

    roots = {name.partition(".")[0] for name in [*held, type(model).__module__]} - {*sys.stdlib_module_names, "sklearn"}
    wanted = {"numpy", "pandas", "scikit-learn", "scipy", "skops", "cloudpickle", "mlflow-skinny"}
    found = []
    for name in sorted(wanted | roots):
        with contextlib.suppress(metadata.PackageNotFoundError):  # a module of the user's own
            found.append(f"{name}=={metadata.version(name)}")
    return found


def _ask(here: Path, order: Mapping[str, Any], rows: pa.Table) -> None:
    """Let the new model and another one answer the rows, in the same process, so that they can be compared."""
    from shelflife.plan import parse

    plan = parse(order["plan"]).plan
    for name, folder in (("new", here / MODEL), ("old", Path(order["ask"]))):
        model = models.load(folder, plan, expected=models.digest(folder))
        found = model.answer(models.of_table(rows, model.kinds))
        scores = np.zeros((len(rows), 0)) if found.scores is None else found.scores
        answers = found.predictions.astype(np.str_) if found.predictions.dtype == object else found.predictions
        np.savez(here / f"{name}.npz", predictions=answers, scores=scores, classes=np.array(found.classes, np.str_))


def _parameters(model: Any) -> dict[str, Any]:
    """What a model was told, as far as it can be written down."""
    if not hasattr(model, "get_params"):
        return {}
    return {name: value if _is_plain(value) else repr(value)[:200] for name, value in model.get_params().items()}


def _is_plain(value: Any) -> bool:
    """Whether JSON has a word for it; it has none for NaN, by which many an imputer is told what is missing."""
    return isinstance(value, int | str | bool | None) or (isinstance(value, float) and math.isfinite(value))


def _libraries() -> dict[str, str]:
    """The versions of what learns and what it learns with."""
    versions = ((name, getattr(sys.modules.get(name), "__version__", None)) for name in _LEARN)
    return {"python": sys.version.split()[0], **{name: version for name, version in versions if version}}


_LEARN = ("numpy", "scipy", "pandas", "sklearn", "skrub", "skops", "mlflow", "xgboost", "lightgbm", "catboost", "torch")


def _peak() -> int:
    """Megabytes that this process, or the largest that it started, held at once."""
    import resource  # not on every system

    unit = 1 if sys.platform == "darwin" else 1024
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return int(most * unit / _MEGABYTE)


def _limit_memory(megabytes: int) -> None:
    """Let the process, and each that it starts, take so much memory more than it has."""
    import resource

    limit = _held() + megabytes * _MEGABYTE
    with contextlib.suppress(ValueError, OSError):  # a smaller limit of the machine's own stays
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _held() -> int:
    """What counts towards the limit already."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def _is_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _end_with_parent() -> None:
    """End, with all that was started, when the process that gave the order is gone."""
    import multiprocessing

    parent = multiprocessing.parent_process()

    def wait() -> None:
        assert parent is not None
        parent.join()
        os.killpg(0, signal.SIGKILL)

    if parent is not None:
        threading.Thread(target=wait, daemon=True).start()


def _write(path: Path, found: Mapping[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(found), encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    work(sys.argv[1])
