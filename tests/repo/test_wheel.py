"""What is installed is all there."""

from __future__ import annotations

import subprocess
import sys
import zipfile


def test_the_wheel_holds_every_file_of_the_package(root, tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("shelflife/")}
    files = [path for path in (root / "src" / "shelflife").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert "shelflife/py.typed" in packed
    assert packed == {path.relative_to(root / "src").as_posix() for path in files}
