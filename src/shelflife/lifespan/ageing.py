"""The unit of work: train one model on its window and score it on what came next. Runs in any worker."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shelflife import tables
from shelflife.errors import TrainerFailed
from shelflife.trainers import Trainer, quiet, unpickled

if TYPE_CHECKING:
    import pandas as pd

Metric = Literal["error", "brier", "absolute_error", "squared_error"]
METRICS: dict[str, tuple[Metric, ...]] = {
    "classification": ("error", "brier"),
    "regression": ("absolute_error", "squared_error"),
}


class Rows(Protocol):
    """Rows of a sorted table by position, wherever the worker is."""

    def between(self, start: int, stop: int, columns: Sequence[str]) -> pa.Table: ...


@dataclass(frozen=True)
class FileRows:
    """Rows of a file that the worker shares; `shuffle` seeds a random order in time, for the control."""

    path: Path
    skip: int
    shuffle: int | None = None

    def between(self, start: int, stop: int, columns: Sequence[str]) -> pa.Table:
        table = _mapped(self.path, self.skip).select(list(columns))
        if self.shuffle is None:
            return table.slice(start, stop - start)
        return table.take(_order(self.shuffle, table.num_rows)[start:stop])


@dataclass(frozen=True)
class ShippedRows:
    """Rows that travel with the work to a worker that does not share this machine's files."""

    start: int
    payload: bytes

    @classmethod
    def of(cls, rows: Rows, start: int, stop: int, columns: Sequence[str]) -> ShippedRows:
        sink = io.BytesIO()
        table = rows.between(start, stop, columns)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return cls(start, sink.getvalue())

    def between(self, start: int, stop: int, columns: Sequence[str]) -> pa.Table:
        table = pa.ipc.open_stream(self.payload).read_all().select(list(columns))
        return table.slice(start - self.start, stop - start)


@lru_cache(maxsize=4)
def _mapped(path: Path, skip: int) -> pa.Table:
    return tables.open_sorted(path, skip)


def release() -> None:
    """Let go of the files that this process has mapped, so that deleting them gives their space back."""
    _mapped.cache_clear()
    _order.cache_clear()


@lru_cache(maxsize=2)
def _order(seed: int, rows: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(rows)


@dataclass(frozen=True)
class Recipe:
    """What all models of one run have in common. `trainer` is what `Trainer.pickled` gave.

    `shared` says that several jobs run in one process at once: what is global to it is then set once around them all.
    """

    trainer: bytes
    features: tuple[str, ...]
    infinite: tuple[str, ...]
    target: str
    metric: Metric
    seed: int
    shared: bool


@dataclass(frozen=True)
class Job:
    """Train the model of one slice and score it on the rows from its birth to `scored[1]`."""

    slice: int
    rows: Rows
    trained: tuple[int, int]
    scored: tuple[int, int]
    born: str
    recipe: Recipe


@dataclass(frozen=True)
class Aged:
    """One model's loss on each row scored, shape (rows,), and the seconds its own fit and predict took."""

    slice: int
    losses: NDArray[Any]
    seconds: float
    warnings: tuple[str, ...]


def age(job: Job) -> Aged:
    """Do one job, on one thread, so that results do not depend on the engine and cores are not oversubscribed."""
    from joblib import parallel_config
    from threadpoolctl import threadpool_limits

    try:
        with (
            parallel_config("sequential"),
            threadpool_limits(limits=1, user_api=_own_limits(job)),
            _own_quiet(job) as said,
        ):
            losses, seconds = _train_and_score(job)
    except TrainerFailed as error:
        raise TrainerFailed(f"{error} It was training or scoring the model born {job.born}.") from error
    return Aged(job.slice, losses, seconds, tuple(said))


def _own_limits(job: Job) -> str | None:
    # Jobs that share a process must not set what belongs to all of it; OpenMP's limit is each thread's own.
    return "openmp" if job.recipe.shared else None


def _own_quiet(job: Job) -> AbstractContextManager[list[str]]:
    return nullcontext([]) if job.recipe.shared else quiet()


def _train_and_score(job: Job) -> tuple[NDArray[Any], float]:
    recipe = job.recipe
    trainer = _trainer(recipe.trainer)
    x, y = _frame(job, job.trained), _target(job, job.trained)
    fresh_x, fresh_y = _frame(job, job.scored), _target(job, job.scored)
    began = time.perf_counter()
    model = trainer.fit(x, y, recipe.seed)
    if recipe.metric == "brier":
        shares, classes = trainer.predict_proba(model, fresh_x)
        seconds = time.perf_counter() - began
        return _brier(shares, classes, fresh_y), seconds
    predicted = trainer.predict(model, fresh_x)
    seconds = time.perf_counter() - began
    if recipe.metric == "error":
        return _errors(predicted, fresh_y, y, trainer), seconds
    off = np.abs(predicted - fresh_y)
    with np.errstate(over="ignore"):
        losses = off if recipe.metric == "absolute_error" else off**2
    if not np.isfinite(losses).all():
        raise TrainerFailed(f"The model of trainer {trainer.name} is off by more than a number can hold.")
    return losses, seconds


def _errors(predicted: NDArray[Any], truth: NDArray[Any], taught: NDArray[Any], trainer: Trainer) -> NDArray[np.uint8]:
    known = set(np.unique(taught).tolist())
    if not known.intersection(predicted.tolist()):
        raise TrainerFailed(
            f"The model of trainer {trainer.name} predicted {predicted.tolist()[0]!r}, which is no class of the target;"
            f" it was taught {', '.join(map(repr, sorted(known, key=str)[:5]))}."
        )
    if predicted.dtype.kind not in "biuf" or truth.dtype.kind not in "biuf":
        predicted, truth = predicted.astype(object), truth.astype(object)
    return np.asarray(predicted != truth).astype(np.uint8)


def _brier(shares: NDArray[Any], classes: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float32]:
    """Half the squared distance between the probabilities and the outcome, in [0, 1]; an unseen class had none."""
    place = {value: column for column, value in enumerate(classes.tolist())}
    columns = np.array([place.get(value, -1) for value in truth.tolist()])
    given = np.where(columns >= 0, shares[np.arange(len(truth)), columns], 0.0)
    loss: NDArray[np.float32] = np.clip(((shares**2).sum(axis=1) - 2 * given + 1) / 2, 0, 1).astype(np.float32)
    return loss


def _frame(job: Job, rows: tuple[int, int]) -> pd.DataFrame:
    frame: pd.DataFrame = job.rows.between(*rows, job.recipe.features).to_pandas(date_as_object=False)
    for column in job.recipe.infinite:
        frame[column] = frame[column].where(np.isfinite(frame[column]))
    return frame


def _target(job: Job, rows: tuple[int, int]) -> NDArray[Any]:
    values: NDArray[Any] = job.rows.between(*rows, [job.recipe.target])[job.recipe.target].to_numpy()
    return values


_trainer = lru_cache(maxsize=4)(unpickled)
