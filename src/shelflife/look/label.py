"""The label of a model, set like the label of a food: made on, best before, ingredients, keeper.

It comes as a badge, as the head of a page and as a picture of its own. The words are the caller's.
"""

from __future__ import annotations

import html as markup
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shelflife.look import ink

if TYPE_CHECKING:
    from collections.abc import Callable

Freshness = Literal["fresh", "ageing", "stale", "unknown"]

# For places that show text only; pictures draw the same shapes, since fonts disagree about their size.
SIGNS = {"fresh": "●", "ageing": "◐", "stale": "○", "unknown": "?"}

INK_OF = {"fresh": "renewal", "ageing": "ageing", "stale": "broken", "unknown": "muted"}

_NOT_TEXT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Label:
    """What a label says, in words already put as people read them; the exact times show on hover."""

    name: str
    made_on: str
    best_before: str
    freshness: Freshness
    promised: str
    observed: str
    ingredients: str
    keeper: str
    made_on_exact: str = ""
    best_before_exact: str = ""


CSS = (
    ".shelf-label{border:1.5px solid var(--ink);padding:.6rem .75rem .65rem;max-width:20rem;"
    "font-size:.8125rem;line-height:1.4;color:var(--ink);background:var(--paper);font-variant-numeric:tabular-nums;overflow-wrap:anywhere}"
    ".shelf-label p,.shelf-label dl,.shelf-label dd{margin:0}"
    ".shelf-label .shelf-name{font-size:1.25rem;font-weight:800;line-height:1.2;letter-spacing:-.01em;"
    "padding-bottom:.4rem;border-bottom:7px solid var(--ink)}"
    ".shelf-label dl>div{display:flex;justify-content:space-between;gap:.75rem;padding:.3rem 0;"
    "border-bottom:1px solid var(--rule)}"
    ".shelf-label dt{flex:none}"
    ".shelf-label dt,.shelf-label b{font-weight:700}"
    ".shelf-label dd{text-align:right}"
    ".shelf-label .shelf-best{display:block;padding:.35rem 0 .4rem;border-bottom:3px solid var(--ink)}"
    ".shelf-label .shelf-best dd{font-size:1.375rem;font-weight:700;line-height:1.2;text-align:left;"
    "letter-spacing:-.01em}"
    ".shelf-label svg{width:.7em;height:.7em;display:inline-block;vertical-align:-.02em;margin:0 .3em 0 0}"
    ".shelf-label .shelf-made{padding:.4rem 0;border-bottom:1px solid var(--rule)}"
    ".shelf-label .shelf-keeper{padding-top:.35rem}"
    + "".join(f".shelf-label .shelf-{state}{{color:var(--{role})}}" for state, role in INK_OF.items())
)


def html(label: Label) -> str:
    """The label as a block of HTML, to stand beside `CSS` and the ink roles."""
    mark = f'<svg viewBox="0 0 10 10" aria-hidden="true">{_sign(label.freshness, 5, 5, 4, _role)}</svg>'
    rows = (
        ("Freshness", f'<span class="shelf-{label.freshness}">{mark}{label.freshness}</span>'),
        ("Made on", _time(label.made_on, label.made_on_exact)),
        ("Promised", _escape(label.promised)),
        ("Observed", _escape(label.observed)),
    )
    name, until = _escape(label.name), _time(label.best_before, label.best_before_exact)
    return (
        f'<section class="shelf-label" aria-label="Label of {name}"><p class="shelf-name">{name}</p><dl>'
        f'<div class="shelf-best"><dt>Best before</dt><dd>{until}</dd></div>'
        + "".join(f"<div><dt>{row}</dt><dd>{said}</dd></div>" for row, said in rows)
        + f'</dl><p class="shelf-made"><b>Ingredients</b> {_escape(label.ingredients)}</p>'
        f'<p class="shelf-keeper"><b>Keeper</b> {_escape(label.keeper)}</p></section>'
    )


def svg(label: Label, *, width: int = 300) -> str:
    """The label as a picture that stands alone, light or dark as the reader's screen."""
    page = _Sheet(width)
    for line in _wrap(label.name, width - 24, 20, bold=True):
        page.line(line, 20, weight=800, after=24)
    page.rule(7, before=-9, after=17)
    page.line("Best before", 13, weight=700, after=24)
    for line in _wrap(label.best_before, width - 24, 22, bold=True):
        page.line(line, 22, weight=700, after=26)
    page.rule(3, before=-14, after=18)
    sign = (label.freshness, INK_OF[label.freshness])
    for name, said in (("Freshness", label.freshness), ("Made on", label.made_on)):
        page.pair(name, said, sign if name == "Freshness" else None)
    for name, said in (("Promised", label.promised), ("Observed", label.observed)):
        page.pair(name, said)
    page.running("Ingredients", label.ingredients)
    page.rule(1, before=-11, after=18)
    page.running("Keeper", label.keeper)
    return page.done(f"Label of {label.name}: best before {label.best_before}, {label.freshness}")


def badge(left: str, right: str, freshness: Freshness) -> str:
    """A small picture for the head of a README: two words, the sign between them."""
    size, pad, height = 11, 7, 20
    first, second = _width(left, size), _width(right, size, bold=True)
    edge = first + 2 * pad
    width = edge + 20 + second + pad
    text = f'<text y="14" font-size="{size}" lengthAdjust="spacingAndGlyphs"'
    paper, rule, muted, dark = (_hex(role) for role in ("paper", "rule", "muted", "ink"))
    body = (
        f'<rect x="0.5" y="0.5" width="{width - 1:.1f}" height="{height - 1}" rx="2" fill="{paper}" stroke="{muted}"/>'
        f'<path d="M{edge:.1f} 1v{height - 2}" stroke="{rule}" fill="none"/>'
        f'{text} x="{pad}" textLength="{first:.1f}" fill="{muted}">{_escape(left)}</text>'
        f"{_sign(freshness, edge + 11, 10, 4, _hex)}"
        f'{text} x="{edge + 20:.1f}" textLength="{second:.1f}" font-weight="600" fill="{dark}">{_escape(right)}</text>'
    )
    return _picture(width, height, f"{left}: {right}, {freshness}", body)


class _Sheet:
    """A label being set from top to bottom, with 12 pixels of room on either side."""

    def __init__(self, width: int) -> None:
        self.width, self.y, self.parts = width, 28.0, list[str]()

    def line(self, text: str, size: float, *, weight: int = 400, after: float = 17, x: float = 12) -> None:
        self._put(text, size, x, weight)
        self.y += after

    def rule(self, thick: float, *, before: float, after: float) -> None:
        self.y += before
        hue = _hex("rule" if thick == 1 else "ink")
        self.parts.append(f'<path d="M12 {self.y:g}H{self.width - 12}" stroke="{hue}" stroke-width="{thick:g}"/>')
        self.y += after + thick / 2

    def pair(self, name: str, said: str, sign: tuple[Freshness, str] | None = None) -> None:
        self._put(name, 13, 12, 700)
        hue = sign[1] if sign else "ink"
        for index, line in enumerate(_wrap(said, self.width - 116, 13)):
            self.y += 17 * bool(index)
            self._put(line, 13, self.width - 12, 400, anchor="end", hue=hue)
        if sign:
            place = self.width - 12 - _width(said, 13) - 14
            self.parts.append(_sign(sign[0], place, self.y - 4.5, 4, _hex))
        self.y += 17
        self.rule(1, before=-10, after=17)

    def running(self, name: str, said: str) -> None:
        # The name runs into the words, as the ingredients of a food do.
        lines = _wrap(f"{name} {said}", self.width - 28, 13)
        rest = _escape(lines[0].removeprefix(name))
        self.parts.append(f'<text x="12" y="{self.y:g}" font-size="13" fill="{_hex("ink")}">')
        self.parts.append(f'<tspan font-weight="700">{_escape(name)}</tspan>{rest}</text>')
        self.y += 17
        for line in lines[1:]:
            self.line(line, 13)

    def done(self, spoken: str) -> str:
        height = self.y - 2
        frame = f'<rect x="0.75" y="0.75" width="{self.width - 1.5}" height="{height - 1.5:g}"'
        frame += f' fill="{_hex("paper")}" stroke="{_hex("ink")}" stroke-width="1.5"/>'
        return _picture(self.width, height, spoken, frame + "".join(self.parts))

    def _put(self, text: str, size: float, x: float, weight: int, *, anchor: str = "start", hue: str = "ink") -> None:
        self.parts.append(
            f'<text x="{x:g}" y="{self.y:g}" font-size="{size:g}" font-weight="{weight}" text-anchor="{anchor}" '
            f'fill="{_hex(hue)}">{_escape(text)}</text>'
        )


def _picture(width: float, height: float, spoken: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:g}" role="img" aria-label="{_escape(spoken)}" font-family="{ink.FONT}">'
        f"<title>{_escape(spoken)}</title><style>{ink.picture_css()}</style>{body}</svg>"
    )


def _sign(freshness: Freshness, x: float, y: float, r: float, paint: Callable[[str], str]) -> str:
    """The sign of a freshness as a shape: full, half, empty, or a question mark."""
    hue = paint(INK_OF[freshness])
    if freshness == "unknown":
        return (
            f'<text x="{x:g}" y="{y + r:g}" font-size="{r * 2.8:g}" font-weight="700" text-anchor="middle" '
            f'fill="{hue}">?</text>'
        )
    ring = f'<circle cx="{x:g}" cy="{y:g}" r="{r:g}" fill="{hue if freshness == "fresh" else "none"}" '
    ring += f'stroke="{hue}" stroke-width="1.5"/>'
    if freshness == "ageing":
        ring += f'<path d="M{x:g} {y - r:g}a{r:g} {r:g} 0 0 0 0 {2 * r:g}z" fill="{hue}"/>'
    return ring


def _hex(role: str) -> str:
    return ink.INKS[role].light


def _role(role: str) -> str:
    return f"var(--{role})"


def _escape(text: str) -> str:
    return markup.escape(_NOT_TEXT.sub("", text))


def _time(said: str, exact: str) -> str:
    if not exact:
        return _escape(said)
    return f'<time datetime="{_escape(exact)}" title="{_escape(exact)}">{_escape(said)}</time>'


def _wrap(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Lines no wider than `width`; a word that is too long by itself is broken."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and _width(joined, size, bold=bold) <= width:
            lines[-1] = joined
            continue
        rest = word
        while _width(rest, size, bold=bold) > width and len(rest) > 1:
            cut = next(n for n in range(len(rest) - 1, 0, -1) if n == 1 or _width(rest[:n], size, bold=bold) <= width)
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return lines or [""]


def _width(text: str, size: float, *, bold: bool = False) -> float:
    """About how wide words come out in a common sans-serif; no font is at hand where the picture is made."""
    em = sum(
        0.31 if c in " ijl.,:;|!'()[]ftrI" else 0.98 if c in "mwMW@%—" else 0.75 if c.isupper() else 0.63 for c in text
    )
    return em * size * (1.06 if bold else 1.0)
