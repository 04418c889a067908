"""Who may do what: four roles, each of which may do all that the one before it may, and what a token may be given."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from shelflife.errors import ShelflifeError

# What there is to be allowed, as it is told to those who may not.
ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "observe": "send rows",
        "read": "read",
        "act": "say what they know, or start a renewal,",
        "decide": "decide on findings or renewals",
        "administer": "decide who may do what",
    }
)
# Programs send, read and decide; who may do what is decided by people.
OF_TOKENS = ("observe", "read", "act", "decide")

ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "viewer": frozenset({"read"}),
        "contributor": frozenset({"read", "act"}),
        "owner": frozenset({"read", "act", "decide"}),
        "admin": frozenset({"read", "act", "decide", "administer"}),
    }
)

# What people are to a system, in the words of its plan, and which role they have there for it.
OF_PEOPLE: Mapping[str, str] = MappingProxyType(
    {
        "owner": "owner",
        "approver": "owner",
        "analyst": "contributor",
        "engineer": "contributor",
        "affected": "viewer",
        "leader": "viewer",
    }
)


class Denied(ShelflifeError):
    """Somebody asks for what they may not.

    Parameters
    ----------
    says
        What they are told.
    by
        Who it is, as the ledger knows them; None where nobody said who they are.
    action, system
        What they asked for.
    """

    def __init__(self, says: str, *, by: str | None, action: str, system: str | None = None) -> None:
        super().__init__(says)
        self.by, self.action, self.system = by, action, system


class Unknown(Denied):
    """It is not known who asks, or what they show counts no longer."""


def higher(one: str, other: str) -> str:
    """The higher of two roles.

    >>> higher("viewer", "owner")
    'owner'
    """
    order = list(ROLES)
    return max(one, other, key=order.index)
