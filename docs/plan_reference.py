"""Write docs/plan-reference.md from the classes of a plan: `python docs/plan_reference.py`."""

from __future__ import annotations

import typing
from pathlib import Path

from pydantic import BaseModel

from shelflife.plan import reader
from shelflife.plan.spec import Plan

HEAD = """# Every word of a plan

One table for each part, in the order in which people write them. [Plans](plan.md) says what they are for. Durations
are a number and a unit (`ms s m h d w y`); shares go from 0 to 1; names are small letters, digits, `-` and `_`. Nothing
else is allowed anywhere.
"""


def page() -> str:
    """The page."""
    parts = [HEAD]
    for section in _sections(Plan, []):
        parts.append(
            f"\n## {section.__name__}\n\n{section.__doc__.strip()}\n\n| word | is | needed |\n| --- | --- | --- |\n"
        )
        for name, field in section.model_fields.items():
            inner = [f"[{one.__name__}](#{one.__name__.lower()})" for one in _inner(field.annotation)]
            kind = f" {', '.join(inner)}." if inner else _words(field.annotation)
            parts.append(
                f"| `{field.alias or name}` | {field.description}{kind} | {'yes' if field.is_required() else ''} |\n"
            )
    return "".join(parts)


def _sections(kind, seen):
    seen.append(kind)
    for field in kind.model_fields.values():
        for one in _inner(field.annotation):
            if one not in seen:
                _sections(one, seen)
    return seen


def _inner(annotation):
    found = []
    for branch in reader.branches(annotation):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            found.append(branch)
        elif typing.get_origin(branch) in {dict, tuple}:
            for argument in typing.get_args(branch):
                found += _inner(argument)
    return list(dict.fromkeys(found))


def _words(annotation):
    found = list(reader.branches(annotation))
    for branch in list(found):
        if typing.get_origin(branch) in {dict, tuple}:
            found += [one for argument in typing.get_args(branch) for one in reader.branches(argument)]
    words = [word for one in found if typing.get_origin(one) is typing.Literal for word in typing.get_args(one)]
    return f" One of {', '.join(f'`{word}`' for word in words)}." if words else ""


if __name__ == "__main__":
    (Path(__file__).parent / "plan-reference.md").write_text(page(), encoding="utf-8")
