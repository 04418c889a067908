"""Options of a check from a YAML file, with the line of what is wrong."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from shelflife.errors import BadInput, first_line, nearest

_LISTS = ("score", "text", "segments", "exclude")


def read(path: str | Path) -> dict[str, Any]:
    """The options that a YAML file gives, under the names that `shelflife.check` takes them by.

    Raises
    ------
    BadInput
        Where the file is no mapping of known options, naming the line.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from shelflife.check.run import check

    known = [name for name in inspect.signature(check).parameters if name not in {"reference", "current"}]
    try:
        written: Any = YAML(typ="rt").load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {str(path)!r}.") from error
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        what = getattr(error, "problem", None) or getattr(error, "strerror", None) or first_line(error)
        raise BadInput(f"Cannot read {path}{where}: {what}. Asked for is YAML such as `tolerance: 0.05`.") from error
    if not isinstance(written, dict):
        found = "nothing" if written is None else type(written).__name__
        raise BadInput(f"{path} is to be a list of options, one `name: value` a line; found {found}.")
    lines: Any = written
    options: dict[str, Any] = {}
    for given, value in written.items():
        name = str(given).replace("-", "_")
        line = lines.lc.key(given)[0] + 1
        if name in {"reference", "current"}:
            raise BadInput(f"{path}, line {line}: {name} is given on the command line, not here.")
        if name not in known:
            raise BadInput(f"{path}, line {line}: there is no option {given!r}. {nearest(name, known)}")
        if name in _LISTS and not isinstance(value, str | list):
            raise BadInput(f"{path}, line {line}: {given} is to be a name or a list of names; found {value!r}.")
        if name == "kinds" and not isinstance(value, dict):
            raise BadInput(f"{path}, line {line}: kinds is to be a kind for each column; found {value!r}.")
        options[name] = value if not isinstance(value, dict) else {str(k): str(v) for k, v in value.items()}
    return options


def kinds(written: str) -> dict[str, str]:
    """Kinds from text.

    >>> kinds("zip=category, age=numeric")
    {'zip': 'category', 'age': 'numeric'}
    """
    found = {}
    for pair in filter(None, written.split(",")):
        name, sign, kind = pair.rpartition("=")
        if not sign:
            raise BadInput(f"--kinds asks for column=kind with commas, as zip=category; found {pair.strip()!r}.")
        found[name.strip()] = kind.strip()
    return found
