"""Every error Shelflife raises on purpose, as one tree.

    ShelflifeError
    ├── BadInput            what was given cannot be used                 exit 2
    │   ├── Missing         what was asked for is not there
    │   ├── Away            a database does not answer
    │   ├── PlanError       a plan is not valid (shelflife.plan)
    │   ├── TrainerFailed   the user's trainer raised or returned nonsense
    │   └── Unloadable      an artifact cannot be loaded or used (shelflife.models)
    ├── Denied              they may not (shelflife.rights)
    ├── Tampered            an artifact is not what was registered (shelflife.models)
    ├── NotSignedIn         password or link are wrong (shelflife.accounts)
    └── NotEnoughHistory    the input is fine but too short to answer     exit 3

A message says what was asked, what was found and what to do; ``exit_code`` is what a command ends with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ShelflifeError(Exception):
    """An error with a message for the person who can do something about it."""

    exit_code = 2


class BadInput(ShelflifeError, ValueError):
    """What was given cannot be used: a missing file or column, a value that does not parse, a contradiction."""


class Missing(BadInput):
    """What was asked for by its name or number is not there."""


class Away(BadInput):
    """A database does not answer, and may later on."""


class TrainerFailed(BadInput):
    """The user's trainer raised, or what it returned does not predict."""


class NotEnoughHistory(ShelflifeError):
    """The input is fine but too short to answer; the message says how much would do."""

    exit_code = 3


def first_line(error: BaseException) -> str:
    """What a library said, in short; the name of its error where it said nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def nearest(asked: str, allowed: Iterable[str]) -> str:
    """A hint naming the allowed word nearest to `asked`, or else the allowed words, as one sentence."""
    words = list(allowed)
    close = difflib.get_close_matches(asked, words, n=1, cutoff=0.5)
    if not close:
        close = [word for word in words if word.lower() == asked.lower()][:1]
    if close:
        return f"Did you mean {close[0]!r}?"
    shown = ", ".join(repr(word) for word in words[:12])
    return f"There is {shown}{f' and {len(words) - 12} more' if len(words) > 12 else ''}."
