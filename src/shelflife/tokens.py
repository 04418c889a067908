"""Tokens by which programs come in: shown once, kept as a digest, for some actions and systems, until they expire."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, insert, select, update

from shelflife.errors import BadInput, Missing, nearest
from shelflife.events import TokenMade, TokenRevoked
from shelflife.ledger import append
from shelflife.rights import OF_TOKENS
from shelflife.store.schema import tokens

_BEGINNING = "sl"


@dataclass(frozen=True)
class Token:
    """What a token may do."""

    id: str
    name: str
    may: tuple[str, ...]
    systems: tuple[str, ...] | None
    since: datetime
    expires: datetime | None
    revoked: datetime | None

    def allows(self, action: str, system: str | None) -> bool:
        """Whether it may do this to a system (None: to none in particular)."""
        return action in self.may and (self.systems is None or system is None or system in self.systems)


def make(
    connection: Connection, *, name: str, may: Iterable[str], systems: Iterable[str] | None,
    lasts: timedelta | None, now: datetime, by: str,
) -> tuple[str, Token]:  # fmt: skip
    """A new token and its secret, which is nowhere kept.

    Raises
    ------
    BadInput
        Where an action is none, or nobody could find or use it.
    """
    if not name.strip():
        raise BadInput("A token needs a name by which people find it again, as 'billing, nightly'; found nothing.")
    if lasts is not None and lasts <= timedelta(0):
        raise BadInput("A token that ends at once is of no use; say how long it lasts, as 90d.")
    actions = tuple(dict.fromkeys(may))
    for action in actions:
        if action not in OF_TOKENS:
            raise BadInput(f"What a token may: {', '.join(OF_TOKENS)}; found {action!r}. {nearest(action, OF_TOKENS)}")
    if not actions:
        raise BadInput(f"A token that may do nothing is of no use; say what it may: {', '.join(OF_TOKENS)}.")
    only = None if systems is None else tuple(dict.fromkeys(systems))
    made = Token(secrets.token_hex(6), name, actions, only, now, now + lasts if lasts is not None else None, None)
    secret = f"{_BEGINNING}_{made.id}_{secrets.token_urlsafe(32)}"
    connection.execute(
        insert(tokens).values(
            id=made.id, name=name, hash=digest(secret), may=list(actions),
            systems=None if only is None else list(only), since=now, by=by, expires=made.expires, revoked=None,
        )
    )  # fmt: skip
    append(connection, TokenMade(made.id, name, actions, only, made.expires), at=now, by=by)
    return secret, made


def find(connection: Connection, secret: str, *, now: datetime) -> Token | None:
    """The token of a secret, if there is one and it still counts."""
    row = connection.execute(select(tokens).where(tokens.c.hash == digest(secret))).one_or_none()
    if row is None or row.revoked is not None or (row.expires is not None and row.expires <= now):
        return None
    return _token(row)


def counting(connection: Connection, *, now: datetime) -> dict[str, Token]:
    """All tokens that count, by the digests of their secrets."""
    rows = connection.execute(select(tokens).where(tokens.c.revoked.is_(None))).all()
    return {row.hash: _token(row) for row in rows if row.expires is None or row.expires > now}


def every(connection: Connection) -> list[Token]:
    """All tokens, the newest first; those that no longer count among them."""
    return [_token(row) for row in connection.execute(select(tokens).order_by(tokens.c.since.desc(), tokens.c.id))]


def revoke(connection: Connection, id: str, *, now: datetime, by: str) -> None:  # noqa: A002 - what it is called
    """Take a token back; raises `Missing` where there is none to take."""
    found = connection.execute(update(tokens).where(tokens.c.id == id, tokens.c.revoked.is_(None)).values(revoked=now))
    if found.rowcount == 0:
        raise Missing(f"There is no token {id!r} that still counts. `shelflife token list` shows them.")
    append(connection, TokenRevoked(id), at=now, by=by)


def digest(secret: str) -> str:
    """By what a secret is found again."""
    # A secret of 256 random bits needs no salt and no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(row: Row) -> Token:  # type: ignore[type-arg] # of whichever columns
    only = None if row.systems is None else tuple(row.systems)
    return Token(row.id, row.name, tuple(row.may), only, row.since, row.expires, row.revoked)
