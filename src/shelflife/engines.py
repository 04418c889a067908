"""Where work runs: joblib spreads it over processes, threads, Dask, Ray or Spark."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from shelflife.errors import BadInput, ShelflifeError, nearest

NAMES = ("processes", "threads", "dask", "ray", "spark")
_BACKENDS = {"processes": "loky", "threads": "threading"}


@dataclass(frozen=True)
class Engine:
    """A named engine and how many jobs run on it at once.

    ``shares_files`` says whether its workers see this machine's files: otherwise the rows travel with the work.
    """

    name: str
    address: str | None
    jobs: int

    @property
    def shares_files(self) -> bool:
        return self.name in _BACKENDS

    def run(self, function: Callable[[Any], Any], work: Iterable[Any], *, died: ShelflifeError) -> Iterator[Any]:
        """Results of `function` over `work`, in whatever order they are done; raises `died` where a worker dies."""
        import joblib

        with ExitStack() as stack:
            backend = self._enter(stack)
            if self.jobs == 1 and self.shares_files:
                yield from map(function, work)
                return
            stack.enter_context(joblib.parallel_config(backend))
            # Said in the thread that hands out the work where a worker makes room for a fresh one, of which the work
            # needs to know nothing. Were warnings errors there, it would end, and this wait for ever.
            warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
            options: dict[str, Any] = {"n_jobs": self.jobs, "batch_size": 1, "return_as": "generator_unordered"}
            if self.name in {"ray", "spark"}:
                options["return_as"] = "list"  # these backends hand nothing back before the end
            try:
                yield from joblib.Parallel(**options)(joblib.delayed(function)(item) for item in work)
            except BrokenExecutor as error:
                raise died from error

    def _enter(self, stack: ExitStack) -> str:
        """Connect to the engine for the life of `stack`; the name of its joblib backend."""
        if self.name in _BACKENDS:
            return _BACKENDS[self.name]
        try:
            if self.name == "dask":
                from dask.distributed import Client

                stack.enter_context(_dask_client(Client, self.address, self.jobs))
            elif self.name == "ray":
                _enter_ray(stack)
            else:
                from joblibspark import register_spark

                # Spark starts workers with whatever `python3` is; unless told otherwise, ours has what they need.
                os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
                register_spark()
        except ImportError as error:
            raise BadInput(f"--engine {self.name} needs the extra: pip install 'shelflife[{self.name}]'.") from error
        return self.name


def parse(written: str, jobs: Any) -> Engine:
    """The engine that ``processes``, ``threads``, ``dask``, ``dask=ADDRESS``, ``ray`` or ``spark`` names.

    Examples
    --------
    >>> parse("threads", jobs=2)
    Engine(name='threads', address=None, jobs=2)
    """
    name, _, address = str(written).partition("=")
    if name not in NAMES or (address and name != "dask"):
        raise BadInput(
            f"--engine asks for {', '.join(NAMES)} or dask=ADDRESS; found {written!r}. {nearest(name, NAMES)}"
        )
    if jobs is not None and (not isinstance(jobs, int) or jobs < 1):
        raise BadInput(f"--jobs asks for a number of at least 1; found {jobs!r}.")
    if address:
        return Engine(name, address, _cluster_jobs(address))
    return Engine(name, None, jobs or _cores())


def _cluster_jobs(address: str) -> int:
    """How many models a running Dask cluster trains at once: joblib uses all its threads, whatever is asked for."""
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise BadInput("--engine dask needs the extra: pip install 'shelflife[dask]'.") from error
    with _dask_client(Client, address, 1) as client:
        return int(max(1, sum(client.ncores().values())))


def _cores() -> int:
    # Cores this process may use, which on shared machines is fewer than there are.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _enter_ray(stack: ExitStack) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves
    import ray
    from ray.util.joblib import register_ray

    if not ray.is_initialized():
        stack.callback(ray.shutdown)
    register_ray()


def _dask_client(client: Any, address: str | None, jobs: int) -> Any:
    if address is None:
        return client(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
    try:
        return client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise BadInput(f"No Dask scheduler answers at {address!r}. Start one, or leave the address out.") from error
