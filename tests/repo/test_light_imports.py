"""Nothing heavy is imported before it is used: counted by what is loaded, not timed."""

from __future__ import annotations

import subprocess
import sys

# Not Pydantic: Typer loads it by itself where it is installed.
HEAVY = {
    "altair",
    "dask",
    "duckdb",
    "joblib",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "skrub",
    "vl_convert",
    "numpy",
    "alembic",
    "deltalake",
    "fastapi",
    "ruamel",
    "sqlalchemy",
    "uvicorn",
}

HELP = """
import sys
from shelflife.cli import main
sys.argv = ["shelflife", *{words}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def loaded_by(program: str) -> set[str]:
    told = "import sys; print('\\nloaded', *{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", f"{program}\n{told}"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.splitlines()[-1].split())


def test_the_package():
    assert loaded_by("import shelflife") & (HEAVY | {"typer", "rich", "jinja2"}) == set()


def test_the_command():
    assert loaded_by(HELP.format(words=["--help"])) & HEAVY == set()


def test_the_command_lifespan():
    assert loaded_by(HELP.format(words=["lifespan", "--help"])) & HEAVY == set()


def test_a_workspace():
    light = HEAVY & {"altair", "dask", "duckdb", "joblib", "pandas", "scipy", "sklearn", "skrub", "vl_convert"}
    assert loaded_by("import shelflife.system, shelflife.loop") & (light | {"mlflow"}) == set()
