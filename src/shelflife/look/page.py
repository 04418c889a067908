"""The frame of every page: self-contained HTML with its own sheet, that needs no network and no script."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from shelflife.look import ink, label, words

if TYPE_CHECKING:
    from datetime import datetime


def render(template: str, /, package: str, **values: Any) -> str:
    """A page from a template of `package` that extends ``base.html``; everything in `values` is escaped."""
    return environment(package).get_template(template).render(**values)


@functools.cache
def environment(package: str) -> jinja2.Environment:
    """Templates of `package` beside those of the frame, with the words as filters."""
    loaders = [jinja2.PackageLoader(name) for name in dict.fromkeys((package, "shelflife.look"))]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        name: getattr(words, name)
        for name in ("age", "days", "every", "excess", "loss", "number", "plural", "points", "seconds", "share")
    }
    made.filters |= {"moment": moment, "told": told}
    # A chart or a label is markup of our own making; a string is what a user wrote.
    made.globals |= {"inks": Markup(ink.css()), "label_css": Markup(label.CSS), "font": Markup(ink.FONT)}  # noqa: S704
    return made


def told(says: str) -> Markup:
    """Words of ours, in which what stands between backticks is code.

    >>> told("`x` makes <b>")
    Markup('<code>x</code> makes &lt;b&gt;')
    """
    parts = says.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


def moment(when: datetime | None, every: float = 1.0, *, short: bool = False) -> str:
    """A moment in the words people use, its exact time on hover."""
    said = words.moment(when, every, short=short)
    if when is None:
        return said
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(words.exact(when), escape(said))
