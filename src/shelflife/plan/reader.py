"""From the YAML that people write to a `Plan`; every mistake is told once, with file, line and what is allowed."""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import json
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from shelflife.errors import BadInput, nearest
from shelflife.plan import references
from shelflife.plan.loading import PlanError, Problem, empty, load
from shelflife.plan.spec import Plan
from shelflife.plan.words import Place, dotted

_MOST_BYTES = 1_000_000  # the longest plan that a person could have written


@dataclass(frozen=True)
class Written:
    """A plan as it was written: what it says, its text, and where each part of it stands."""

    plan: Plan
    text: str
    source: str

    @functools.cached_property
    def said(self) -> str:
        """What it says as JSON, of which comments, order of keys and layout change nothing."""
        return json.dumps(self.plan.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=False)

    @property
    def sha256(self) -> str:
        """The digest of what it says."""
        return hashlib.sha256(self.said.encode()).hexdigest()

    @functools.cached_property
    def lines(self) -> dict[Place, int]:
        """Where each part of it stands."""
        return load(self.text, self.source)[1]

    def line(self, *place: str | int) -> int:
        """The line of a part, or of the nearest part around it."""
        return _line(self.lines, place)


def recalled(text: str, said: str | None, sha256: str, *, source: str) -> Written:
    """A plan that was read before; without reading its text again where what it said then is at hand, unchanged.

    Raises
    ------
    PlanError
        Where the plan is not valid any more.
    """
    if said is not None and hashlib.sha256(said.encode()).hexdigest() == sha256:
        with contextlib.suppress(ValidationError):  # the words of plans may have changed since
            return Written(Plan.model_validate_json(said), text, source)
    return parse(text, source=source)


def read(path: str | Path) -> Written:
    """Read a plan from a file.

    Raises
    ------
    PlanError
        Where the plan is not valid; its message has one line for each mistake.
    BadInput
        Where there is no such file, or it is no text.

    Examples
    --------
    >>> read("no-such-plan.yaml")
    Traceback (most recent call last):
    ...
    shelflife.errors.BadInput: There is no plan 'no-such-plan.yaml'. `shelflife plan draft` writes a first one.
    """
    source = Path(path)
    try:
        found = source.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"There is no plan {str(path)!r}. `shelflife plan draft` writes a first one.") from error
    except OSError as error:
        raise BadInput(f"Cannot read the plan {str(path)!r}: {error.strerror}.") from error
    if len(found) > _MOST_BYTES:
        raise BadInput(f"{path} has {len(found):,} bytes; a plan has at most {_MOST_BYTES:,}. Is it another file?")
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = found[: error.start].count(b"\n") + 1
        says = f"a plan is UTF-8 text; found the byte 0x{found[error.start]:02x}. Save the file as UTF-8."
        raise PlanError(str(path), [Problem(line, "", says)]) from error
    return parse(text, source=str(path))


def parse(text: str, *, source: str = "plan") -> Written:
    """Read a plan from its text; `source` names it in errors.

    Raises
    ------
    PlanError
        Where the plan is not valid.
    """
    loaded, lines = load(text, source)
    if not isinstance(loaded, dict):
        found = "nothing" if loaded is None else "a list" if isinstance(loaded, list) else _shown(loaded)
        raise PlanError(source, [Problem(1, "", f"a plan starts with `shelflife: 1` and `system: …`; found {found}.")])
    # A name with nothing after it may be a part that somebody believes to be promised.
    nothing = [
        Problem(
            _line(lines, place), dotted(place), f"`{dotted(place)}` says nothing; give it a value, or leave it out."
        )
        for place in empty(loaded)
    ]
    try:
        plan = Plan.model_validate_json(json.dumps(loaded, default=_plainly))
    except ValidationError as error:
        wrong = _problems(error, loaded, lines)
        told = {problem.place for problem in wrong}
        raise PlanError(source, wrong + [problem for problem in nothing if problem.place not in told]) from error
    wrong = nothing + [
        Problem(_line(lines, place), dotted(place), says) for place, says in references.contradictions(plan)
    ]
    if wrong:
        raise PlanError(source, wrong)
    return Written(plan, text, source)


def _plainly(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


# ----------------------------------------------------------------------------------------------------------------------
# What pydantic says, in our words


def _problems(error: ValidationError, loaded: Any, lines: dict[Place, int]) -> list[Problem]:
    found = [(entry["loc"], entry) for entry in error.errors(include_url=False)]
    # A misspelt word is one mistake: that the right one is missing need not be told as well.
    meant = {
        (*location[:-1], _meant(str(location[-1]), _words(location[:-1])))
        for location, entry in found
        if entry["type"] == "extra_forbidden"
    }
    return [
        Problem(_line(lines, _place(location)), dotted(_place(location)), _says(entry, location, loaded))
        for location, entry in found
        if entry["type"] != "missing" or location not in meant
    ]


_WANTED = {
    "string_type": "text", "string_too_short": "some text", "string_pattern_mismatch": "some text",
    "string_too_long": "shorter text", "int_type": "a whole number", "int_from_float": "a whole number",
    "float_type": "a number", "bool_type": "true or false", "tuple_type": "a list, as [a, b]",
    "list_type": "a list, as [a, b]", "too_short": "at least one", "finite_number": "a number",
    "date_type": "a date, as 2026-05-01", "date_parsing": "a date, as 2026-05-01",
    "date_from_datetime_parsing": "a date, as 2026-05-01", "date_from_datetime_inexact": "a date without a time",
}  # fmt: skip
_PARTS = {"dict_type", "model_type", "model_attributes_type"}
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "more than"),
}


def _says(found: Any, location: Place, loaded: Any) -> str:
    kind, context = found["type"], found.get("ctx", {})
    place = _place(location)
    name = f"`{dotted(place)}`" if place else "the plan"
    if kind == "extra_forbidden":
        return _unknown(location)
    if kind == "missing":
        within = f"`{dotted(place[:-1])}`" if len(place) > 1 else "the plan"
        return f"{within} needs `{place[-1]}`{_described(location)}."
    given = _value(loaded, place)
    value = _shown(given)
    if location[-1:] == ("[key]",):
        return f"a name in `{dotted(place[:-1])}` {found['msg']}; found {str(place[-1])!r}."
    if kind == "literal_error":
        words = [word.strip().strip("'") for word in context["expected"].replace(" or ", ", ").split(",")]
        hint = _in_quotes(given, words) or _hint(str(given), words)
        return f"{name} is to be one of {', '.join(words)}; found {value}. {hint}".strip()
    wanted = _WANTED.get(kind)
    if kind in _PARTS:
        words = _words(location)
        wanted = "a list of `name: value`" + (f", with names of: {', '.join(words)}" if words else "")
    if kind in _LIMITS:
        key, word = _LIMITS[kind]
        wanted = f"{word} {context[key]:g}"
    hint = ""
    if kind == "float_type" and isinstance(given, str) and re.fullmatch(r"-?\d+,\d+", given):
        hint = f" Decimals have a point: {given.replace(',', '.')}."
    if kind in {"string_type", "text"} and isinstance(given, int | float) and not isinstance(given, bool):
        hint = " It was read as a number; write it in quotes if it is meant."
    if wanted is not None:
        return f"{name} is to be {wanted}; found {value}.{hint}"
    return f"{name} {found['msg']}." if kind == "whole" else f"{name} {found['msg']}; found {value}.{hint}"


def _unknown(location: Place) -> str:
    """A word that is none, with those that are."""
    place, around = _place(location), _place(location[:-1])
    within = f"`{dotted(around)}`" if around else "a plan"
    said = f"there is no `{place[-1]}` in {within}."
    marked = str(location[-2]) if len(location) > 1 else ""
    if marked.startswith("=") and _words((*location[:-2], f"={place[-1]}")):  # a word of another kind of item
        return f"{said} Write it as an item of its own, beside the one of `{marked[1:]}`."
    return f"{said} {_allowed(str(place[-1]), _words(location[:-1]))}"


def _in_quotes(given: Any, words: list[str]) -> str:
    """What to do where the right word was written as text, or the other way round."""
    if str(given) not in words:
        return ""
    return "It was read as text; write it without quotes." if isinstance(given, str) else "Write it in quotes."


def _hint(asked: str, words: list[str]) -> str:
    said = nearest(asked, words)
    return said if said.startswith("Did") else ""


def _allowed(asked: str, words: list[str]) -> str:
    hint = _hint(asked, words)
    return f"{hint} Allowed: {', '.join(words)}.".strip()


def _described(place: Place) -> str:
    field = _field(place)
    return f": {field.description[0].lower()}{field.description[1:].rstrip('.')}" if field and field.description else ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    said = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, str) else repr(value)
    return said if len(said) <= 60 else f"{said[:57]}…"


def _value(loaded: Any, place: Place) -> Any:
    for part in place:
        try:
            loaded = loaded[part]
        except (KeyError, IndexError, TypeError):
            return None
    return loaded


def _place(location: tuple[str | int, ...]) -> Place:
    """The place in the plan, without the marks of which kind of item was read."""
    return tuple(part for part in location if not (isinstance(part, str) and part.startswith(("=", "["))))


def _words(place: Place) -> list[str]:
    """What may be said at a place, which may tell which kind of item was read."""
    around = _section(place)
    return [field.alias or name for name, field in around.model_fields.items()] if around else []


def _meant(asked: str, words: list[str]) -> str:
    close = difflib.get_close_matches(asked, words, n=1, cutoff=0.5)
    return close[0] if close else asked


def _field(place: Place) -> FieldInfo | None:
    around = _section(place[:-1])
    if around is None:
        return None
    return next((f for n, f in around.model_fields.items() if place[-1] in {n, f.alias}), None)


def _section(place: Place) -> type[BaseModel] | None:
    """The class of the part at a place."""
    kinds: list[Any] = [Plan]
    for part in place:
        if isinstance(part, str) and part.startswith("="):
            kinds = [kind for kind in kinds if part[1:] in getattr(kind, "model_fields", ())]
        else:
            kinds = [inner for kind in kinds for inner in _inner(kind, part)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _inner(kind: Any, part: str | int) -> Iterator[Any]:
    """The classes that a part of a value of this type may have."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part in {name, field.alias}:
                yield from branches(field.annotation)
        return
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict:
        yield from branches(arguments[1])
    elif origin in {tuple, list}:
        yield from branches(arguments[0])


def branches(kind: Any) -> Iterator[Any]:
    """The types that a value of this type may have: those of a union, without their annotations."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        yield from branches(typing.get_args(kind)[0])
    elif origin in {typing.Union, types.UnionType}:
        for branch in typing.get_args(kind):
            yield from branches(branch)
    else:
        yield kind


def _line(lines: dict[Place, int], place: Place) -> int:
    for end in range(len(place), -1, -1):
        if place[:end] in lines:
            return lines[place[:end]]
    return 1
