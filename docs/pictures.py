"""Draw the pictures of the README and the docs from a generated history: `make pictures`, a minute or two.

The history, the models and the resampling are seeded: the same versions of the libraries draw the same pictures.
"""

from __future__ import annotations

import re
from pathlib import Path

import shelflife
from shelflife.lifespan import charts, report
from shelflife.look import ink, label
from shelflife.look.charts import svg
from shelflife.testing import histories

ASSETS = Path(__file__).parent / "assets"
ROOM = 12  # pixels of paper around a picture


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


def on_paper(drawn: str) -> str:
    """The picture on paper of its own, since a page may be light where the reader's screen is dark."""
    left, top, width, height = map(float, re.findall(r'viewBox="([^"]*)"', drawn)[0].split())
    left, top, width, height = left - ROOM, top - ROOM, width + 2 * ROOM, height + 2 * ROOM
    place = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"'
    drawn = re.sub(r'viewBox="[^"]*"', f'viewBox="{left:g} {top:g} {width:g} {height:g}"', drawn, count=1)
    drawn = re.sub(r' width="[^"]*" height="[^"]*"', f' width="{width:g}" height="{height:g}"', drawn, count=1)
    return drawn.replace("</style>", f'</style><rect {place} fill="{ink.INKS["paper"].light}"/>', 1)


if __name__ == "__main__":
    main()
