"""The inks: eight roles, each with a light and a dark colour, and the CSS that says which is which.

A colour never stands alone: a shape, a word or a pattern says the same.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Ink(NamedTuple):
    """One role's colour on light and on dark paper."""

    light: str
    dark: str


# Every ink that is used for text keeps a contrast of at least 4.5 on its paper, also on screens in the sun.
INKS = MappingProxyType(
    {
        "paper": Ink("#ffffff", "#15191e"),
        "ink": Ink("#1f2933", "#e4e8ec"),
        "muted": Ink("#5d6976", "#98a3af"),
        "rule": Ink("#dfe3e8", "#323a44"),
        "data": Ink("#2b5c8a", "#7fb0de"),
        "broken": Ink("#b83227", "#f08a7e"),
        "ageing": Ink("#8f5d10", "#dfae5c"),
        "renewal": Ink("#2a7448", "#6fc596"),
    }
)

TEXT = ("ink", "muted", "data", "broken", "ageing", "renewal")

# One query string for every sheet, so that a page and its pictures turn dark together.
DARK = "@media (prefers-color-scheme: dark)"

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def css(selector: str = ":root") -> str:
    """The roles as custom properties of `selector`, with their dark values where the reader's screen is dark."""
    light = "".join(f"--{role}:{ink.light};" for role, ink in INKS.items())
    dark = "".join(f"--{role}:{ink.dark};" for role, ink in INKS.items())
    return f"{selector}{{{light}}}{DARK}{{{selector}{{{dark}}}}}"


def picture_css() -> str:
    """The sheet of a picture that stands alone: its light colours, given as attributes, follow their roles."""
    paints = ("fill", "stroke")
    rules = (f'[{paint}="{ink.light}"]{{{paint}:var(--{role})}}' for role, ink in INKS.items() for paint in paints)
    return css("svg") + "".join(rules)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two hex colours, from 1 to 21, as WCAG 2 defines it.

    >>> round(contrast("#ffffff", "#000000"))
    21
    """
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
