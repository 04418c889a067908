"""Plans to test with: the smallest that promises something, and changes to it by their place."""

from __future__ import annotations

import copy
import json
from typing import Any

from shelflife.plan.spec import Plan

_MINIMAL: dict[str, Any] = {
    "shelflife": 1,
    "system": "support-desk",
    "title": "Support desk",
    "objective": {"why": "Send each question to the right team", "owner": "lead"},
    "people": {"lead": {"name": "Head of support", "role": "owner", "email": "lead@example.com"}},
    "model": {
        "name": "support-desk",
        "task": "classification",
        "inputs": {"text": "text", "channel": "category", "age": "numeric"},
        "prediction": "intent",
        "score": ["confidence"],
        "outcome": {"name": "intent", "within": "7d"},
    },
    "watch": {
        "bucket": "1d",
        "false_alarms": {"at_most": 1.0, "per": "180d"},
        "drift": {"tolerance": 0.05},
        "performance": {"metric": "accuracy", "at_least": 0.8},
    },
}


def minimal(**changes: Any) -> Plan:
    """A small plan with changes: values by their dotted place, None to leave a part out.

    Examples
    --------
    >>> minimal(**{"watch.performance": None}).watch.performance is None
    True
    """
    said = copy.deepcopy(_MINIMAL)
    for place, value in changes.items():
        *parts, last = place.split(".")
        around = said
        for part in parts:
            around = around.setdefault(part, {})
        if value is None:
            around.pop(last, None)
        else:
            around[last] = value
    return Plan.model_validate(said, strict=False)


def text(**changes: Any) -> str:
    """The same as text: JSON is YAML."""
    return json.dumps(minimal(**changes).model_dump(mode="json", by_alias=True, exclude_none=True))
