"""The peers' own environments: they are never dependencies of the project, and their needs do not go together.

Each is made with venv and pip when first used, in a folder that nothing else uses, and made anew when what it is to
hold changes. What a release needs without saying so, or cannot work with, is named with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("SHELFLIFE_BENCH", ROOT / ".bench"))
NEEDS = {
    "evidently": ["evidently==0.7.23", "pandas<3", "pyarrow", "statsmodels"],
    "mlserver": ["mlserver", "mlserver-sklearn", "scikit-learn"],
    "nannyml": ["nannyml==0.13.1", "pandas<3", "pyarrow", "statsmodels"],
    "river": ["river"],
}
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}  # no telemetry from a benchmark


def python(tool: str) -> Path:
    """The interpreter of a tool's environment, made if it is not there; of ours, this one."""
    if tool == "shelflife":
        return Path(sys.executable)
    home = CACHE / "envs" / tool
    interpreter = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    made = home / "needs.txt"
    needs = "\n".join(NEEDS[tool])
    if not made.is_file() or made.read_text() != needs:
        print(f"making the environment of {tool} in {home}", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [interpreter, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *NEEDS[tool]], check=True)
        made.write_text(needs)
    return interpreter


def version(tool: str) -> str:
    """The version that a tool's environment holds."""
    ask = f"from importlib.metadata import version; print(version({tool!r}))"
    return subprocess.run([python(tool), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


def surroundings() -> dict[str, str]:
    """Environment variables for a tool's process: one thread each, for a fair and steady clock, and no telemetry."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads, **QUIET}
