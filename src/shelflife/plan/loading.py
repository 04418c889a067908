"""From the text of a plan to plain values, each with its line; what is no YAML is told in words of a plan."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shelflife.errors import BadInput, first_line
from shelflife.plan.words import Place, dotted

_MOST_VALUES = 50_000  # aliases that repeat aliases would otherwise unfold without end
_DEEPEST = 30
_STANDARD = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Problem:
    """One mistake: the line (from 1) and the place of it, and what was found and is allowed."""

    line: int
    place: str
    says: str


class PlanError(BadInput):
    """A plan that is not valid; `problems` are its mistakes in the order of their lines."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(f"{source}:{problem.line}: {problem.says}" for problem in self.problems))


def load(text: str, source: str) -> tuple[Any, dict[Place, int]]:
    """Plain values of a text, and the line of every part.

    Raises
    ------
    PlanError
        Where it is no YAML, or more of YAML than a plan needs.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        node = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        mark = error.problem_mark
        key = text.splitlines()[mark.line][mark.column :].split(":")[0].strip()
        says = f"`{key}` is given twice in one place; keep one of them."
        raise PlanError(source, [Problem(mark.line + 1, key, says)]) from error
    except MarkedYAMLError as error:
        line, says = _unreadable(text, error)
        raise PlanError(source, [Problem(line, "", says)]) from error
    except (YAMLError, ValueError, RecursionError) as error:
        line = text[: getattr(error, "position", 0)].count("\n") + 1
        what = getattr(error, "reason", None) or first_line(error)
        raise PlanError(source, [Problem(line, "", f"this is not YAML: {what}.")]) from error
    plain = _Plain(text, source)
    return plain.value(node, ()), plain.lines


def empty(loaded: Any, place: Place = ()) -> Iterator[Place]:
    """Where a name stands with nothing after it."""
    if isinstance(loaded, dict):
        for name, value in loaded.items():
            if value is None:
                yield (*place, name)
            yield from empty(value, (*place, name))
    elif isinstance(loaded, list):
        for position, item in enumerate(loaded):
            yield from empty(item, (*place, position))


class _Plain:
    """What ruamel read, without its own kinds of values."""

    def __init__(self, text: str, source: str) -> None:
        self.lines: dict[Place, int] = {(): 1}
        self._text, self._source = text, source
        self._left = _MOST_VALUES

    def value(self, given: Any, place: Place) -> Any:
        """The value of a node."""
        self._left -= 1
        if self._left < 0 or len(place) > _DEEPEST:
            raise self._wrong(place[:1], "the plan is nested or repeated beyond reading.")
        tag = getattr(getattr(given, "tag", None), "value", None)
        if tag is not None and tag != f"{_STANDARD}str":
            written = str(tag).replace(_STANDARD, "!!")
            raise self._wrong(place, f"a plan has no tags; found `{written}`. Write the plain value.")
        node: Any = given  # ruamel's own kinds of list and mapping know their lines
        if isinstance(node, dict):
            return self._mapping(given, place)
        if isinstance(node, list):
            for position in range(len(node)):
                self.lines[*place, position] = given.lc.item(position)[0] + 1
            return [self.value(item, (*place, position)) for position, item in enumerate(node)]
        if isinstance(node, bool) or node is None or isinstance(node, date | datetime):
            return node
        for kind in (str, int, float):
            if isinstance(node, kind):
                return kind(node)
        if tag is not None:  # a text that says that it is one
            return str(given.value)
        raise self._wrong(place, "a plan has text, numbers, dates, lists and names with values; found another type.")

    def _mapping(self, given: Any, place: Place) -> dict[str, Any]:
        made = {}
        for key in given:
            name = key if isinstance(key, str) else str(key)
            value = given[key]
            if value is None and name.endswith(":"):  # `{weight:, …}`: the colon is part of the word without a space
                name = name[:-1]
            self.lines[*place, name] = self._line(given, key, place)
            if not isinstance(key, str):
                raise self._wrong((*place, name), self._no_name(key, value, self.lines[*place, name]))
            made[name] = self.value(value, (*place, name))
        return made

    def _line(self, given: Any, key: Any, place: Place) -> int:
        """The line of a key, which may stand in a part that is repeated here (`<<`)."""
        for mapping in (given, *getattr(given, "merge", ())):
            if key in ((getattr(mapping, "lc", None) and mapping.lc.data) or ()):
                return int(mapping.lc.key(key)[0]) + 1
        return self.lines.get(place, 1)

    def _no_name(self, key: Any, value: Any, line: int) -> str:
        comma = re.search(rf"([\w-]+):\s*(-?\d+),(0*{re.escape(str(key))})\b", self._text.splitlines()[line - 1])
        if value is None and comma is not None:
            return f"`{comma[1]}` has a decimal comma; write {comma[2]}.{comma[3]} with a point."
        return f"a name is to be text; found {key!r}. Write it in quotes."

    def _wrong(self, place: Place, says: str) -> PlanError:
        line = next(self.lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self.lines)
        return PlanError(self._source, [Problem(line, dotted(place), says)])


# ----------------------------------------------------------------------------------------------------------------------
# What the reader of YAML says, in our words: where something began, and not where the reader gave up


def _unreadable(text: str, error: Any) -> tuple[int, str]:
    """The line of a mistake in YAML, and what to do about it."""
    began, ended, problem = error.context_mark, error.problem_mark or error.context_mark, error.problem or "no YAML"
    line = ended.line + 1 if ended is not None else 1
    written = _written(text, line)
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return line, "the line begins with a tab; YAML is indented with spaces."
    quote = _open_quote(text, line)
    if quote is not None:
        return (
            quote,
            f"the quote that opens here is closed only in line {line}; found {_written(text, quote).strip()[:60]!r}.",
        )
    if began is not None:
        said = _begun(text, str(error.context), problem, began, line)
        if said is not None:
            return began.line + 1, said
    found = f"found {written.strip()[:60]!r}."
    return line, next(
        (f"{says}; {found}" for words, says in _SAID.items() if words in problem),
        f"this is not YAML: {problem}; {found}",
    )


_SAID = {
    "mapping values are not allowed": "a second colon, or too deep an indent; text with a colon needs quotes",
    "found '<block mapping start>'": "the line is indented otherwise than those that it belongs to",
    "found '-'": "the line is indented otherwise than those that it belongs to",
    "found '<scalar>'": "something follows a quote that is closed",
    "found undefined alias": "nothing is marked with `&` for `*` to repeat; text that begins with `*` needs quotes",
    "cannot start any token": "text that begins with a sign of YAML needs quotes",
    "found another document": "a second plan begins here; one file is one plan",
    "found '<stream end>'": "the text ends too early: something that was opened is not closed",
}


def _begun(text: str, context: str, problem: str, began: Any, line: int) -> str | None:
    """What is wrong with a part that was begun and never ended."""
    written = _written(text, began.line + 1)
    opened = written[began.column : began.column + 1]
    if "quoted scalar" in context and "end of stream" in problem:
        return f"the quote that opens here is never closed; found {written.strip()[:60]!r}."
    if "simple key" in context:
        return f"a name is followed by a colon and a space, as `title: …`; found {written.strip()[:60]!r}."
    if "flow" in context and opened in "[{" and problem.startswith("expected ','"):
        closing = {"[": "]", "{": "}"}[opened]
        place = "" if line == began.line + 1 else f" before line {line}"
        return f"a comma or the closing `{closing}` is missing{place}; found {written.strip()[:60]!r}."
    return None


def _open_quote(text: str, line: int) -> int | None:
    """The line in which a quoted text begins that ends in this one: most likely its quote was forgotten."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.tokens import ScalarToken

    try:
        for token in YAML().scan(text):
            if token.start_mark.line >= line:
                return None
            quoted = isinstance(token, ScalarToken) and token.style in {"'", '"'}
            if quoted and token.start_mark.line + 1 < line == token.end_mark.line + 1:
                return int(token.start_mark.line) + 1
    except (YAMLError, ValueError, RecursionError):
        pass
    return None


def _written(text: str, line: int) -> str:
    lines = text.splitlines()
    return lines[line - 1] if line <= len(lines) else ""
