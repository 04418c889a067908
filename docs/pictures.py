"""Draw the pictures of the README and the docs from the demonstration's history: `make pictures`, some minutes.

The history, the models and the resampling are seeded: the same versions of the libraries draw the same pictures. What
`shelflife demo` prints is set into the chapter that shows it, so that picture and words are of one run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import shelflife
from shelflife.lifespan import charts, report
from shelflife.look import ink, label
from shelflife.look.charts import svg
from shelflife.testing import histories

ASSETS = Path(__file__).parent / "assets"
CHAPTER = Path(__file__).parent / "lifespan.md"
ROOM = 12  # pixels of paper around a picture
COLUMNS = 88  # of the terminal, as wide as the docs show


def main() -> None:
    result = shelflife.lifespan(histories.deliveries(), time="shipped", target="late")
    print(result.says)
    pictures = {
        "decay": on_paper(svg(charts.decay(result), standalone=True)),
        "survival": on_paper(svg(charts.survival(result), standalone=True)),
        "decay-map": on_paper(svg(charts.decay_map(result), standalone=True)),
        "label": label.svg(report.label_of(result)),
        "badge": result.badge(),
    }
    for name, drawn in pictures.items():
        path = ASSETS / f"{name}.svg"
        path.write_text(drawn + "\n", encoding="utf-8")
        print(f"docs/assets/{path.name}: {len(drawn) / 1024:.0f} kB")
    show_the_demo()


def on_paper(drawn: str) -> str:
    """The picture on paper of its own, since a page may be light where the reader's screen is dark."""
    left, top, width, height = map(float, re.findall(r'viewBox="([^"]*)"', drawn)[0].split())
    left, top, width, height = left - ROOM, top - ROOM, width + 2 * ROOM, height + 2 * ROOM
    place = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"'
    drawn = re.sub(r'viewBox="[^"]*"', f'viewBox="{left:g} {top:g} {width:g} {height:g}"', drawn, count=1)
    drawn = re.sub(r' width="[^"]*" height="[^"]*"', f' width="{width:g}" height="{height:g}"', drawn, count=1)
    return drawn.replace("</style>", f'</style><rect {place} fill="{ink.INKS["paper"].light}"/>', 1)


def show_the_demo() -> None:
    """Set what `shelflife demo` prints into its chapter, without the folder it ran in."""
    plain = {**os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "shelflife", "demo"]
        printed = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=True).stdout
        printed = printed.replace(f"{Path(folder).resolve()}{os.sep}", "")
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    opening = "```text\n$ shelflife demo\n"
    before, after = CHAPTER.read_text(encoding="utf-8").split(opening)
    rest = after[after.index("\n```") :]
    CHAPTER.write_text(f"{before}{opening}{lines}{rest}", encoding="utf-8")
    print("docs/lifespan.md: what the demo prints")


if __name__ == "__main__":
    main()
