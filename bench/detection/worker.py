"""Runs one adapter in its tool's own environment: jobs come in as lines of JSON, courses go out as lines of JSON.

An adapter is loaded by its path, never imported by its name, since it is named as the tool that it imports.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import time
import warnings
from pathlib import Path

from streams import Change, History

HERE = Path(__file__).resolve().parent


def main(name: str) -> None:
    """Answer each job: the course of every method on every branch of one history."""
    spec = importlib.util.spec_from_file_location(f"adapter_{name}", HERE / "adapters" / f"{name}.py")
    adapter = importlib.util.module_from_spec(spec)
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():  # what tools print is not the answer
        warnings.simplefilter("ignore")
        spec.loader.exec_module(adapter)
        for line in sys.stdin:
            job = json.loads(line)
            history = History(job["seed"], job["rows"], job["background"])
            changes = [Change(*change) if change else None for change in job["changes"]]
            options = job.get("options", {})
            begun = time.perf_counter()
            runs = [
                {"change": [change.kind, change.spread, change.size] if change else None, "methods": methods}
                for change, methods in adapter.watch(history, changes, **options)
            ]
            seconds = time.perf_counter() - begun
            print(json.dumps({**job, "runs": runs, "seconds": seconds}), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
